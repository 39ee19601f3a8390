"""Closings and attestations as honest members judge them, whatever a leader proposes."""

import asyncio
import json
from dataclasses import replace

import pytest

from ledger.domain.issuance_log import IssuanceLog, decode_request
from ledger.domain.issuing import Why
from ledger.domain.relay_earnings import Earnings
from ledger.domain.votes import Decision, Kind, Topic
from ledger.errors import (
    BadDataError,
    IssuingRefusedError,
    NotIssuedError,
    NotReadyError,
    OmittedRequestError,
)
from qnet.chain.staking import Role
from qnet.chain.values import Call
from qnet.crypto.hash_chain import HashChain
from qnet.crypto.keys import ReceiptKey
from qnet.errors import RemoteProtocolError
from qnet.messages.claims import Claims
from qnet.messages.instruments import TOKEN_CLASS, TOKEN_UNITS, Unit
from qnet.messages.settlement import ClaimLeaf, ProvenLeaf
from tests.ledger.service.payments.issuing import Issued, World

pytestmark = [pytest.mark.chain, pytest.mark.timeout(120)]

CLOSING, ATTESTATION = Topic(Kind.CLOSING, 0), Topic(Kind.ATTESTATION, 0)


def to_closing(world: World) -> None:
    world.now = world.clock.bounds(0)[1] + world.clock.terms.finish_s


def to_attestation(world: World) -> None:
    world.now = world.clock.bounds(0)[1] + world.clock.terms.claim_s


async def relay_of(world: World) -> tuple[int, ReceiptKey]:
    owner = await world.chain.new_account()
    node = await world.chain.register_node(owner, role=Role.RELAY)
    return node.index, node.receipt_key


async def token_of(world: World, relay: int) -> Issued:
    owner = await world.open_channel(1)
    (token,) = await world.trade(await world.buy(owner), TOKEN_CLASS, relay=relay)
    return token


def claim(world: World, relay: int, key: ReceiptKey, *spent) -> bytes:
    return Claims.make(key, world.domain, epoch=0, relay=relay, tokens=spent).encode()


# closings


async def test_all_members_agree_on_what_any_of_them_served(world: World):
    owner = await world.open_channel(3)
    await world.buy(owner, 2)
    with pytest.raises(NotReadyError):
        await world.handlers[3].handlers[Kind.CLOSING].build(CLOSING)
    to_closing(world)
    digest, document = await world.handlers[3].handlers[Kind.CLOSING].build(CLOSING)
    log = IssuanceLog.decode(document)
    assert (log.issued_units, len(log.requests)) == (2 * TOKEN_UNITS, 1)
    assert log.closing.digest(world.domain) == digest
    for member in range(4):
        handler = world.handlers[member].handlers[Kind.CLOSING]
        await handler.check(CLOSING, digest, document, certified=False)
    world.now = world.clock.bounds(0)[1] + world.clock.terms.close_s
    with pytest.raises(NotReadyError):
        await world.handlers[0].handlers[Kind.CLOSING].build(CLOSING)


async def test_a_member_that_never_answers_delays_no_closing(world: World):
    owner = await world.open_channel(1)
    await world.buy(owner)
    to_closing(world)
    honest = world.peers[3].call

    async def call(to: int, path: str, body: bytes) -> bytes:
        if to == 0:
            await asyncio.Event().wait()
        return await honest(to, path, body)

    world.peers[3].call = call  # type: ignore[method-assign]
    async with asyncio.timeout(20):
        _, document = await world.handlers[3].handlers[Kind.CLOSING].build(CLOSING)
    assert len(IssuanceLog.decode(document).requests) == 1


async def test_what_a_dishonest_leader_might_close_with(world: World):
    owner = await world.open_channel(4)
    await world.buy(owner, 1)
    (credit,) = await world.buy(owner, 1)
    await world.trade([credit], 5, 5)
    to_closing(world)
    handler = world.handlers[0].handlers[Kind.CLOSING]
    _, document = await handler.build(CLOSING)
    log = IssuanceLog.decode(document)
    async with world.desk(0).facts.member.work() as rows:
        purchase = (await rows.payments.of_epoch(0))[0].name
    kept = await handler._known(0)
    short = IssuanceLog.compile(
        0, {n: r for n, r in kept.items() if n != purchase}, world.place, world.unit_wei
    )
    lies = [
        (replace(log, issued_units=log.issued_units + 1), BadDataError),
        (replace(log, root=b"\x01" * 32), BadDataError),
        (replace(log, requests=(*log.requests, b"\xff" * 32)), NotReadyError),
        (replace(log, requests=log.requests[:1]), BadDataError),
        (short, OmittedRequestError),
        (replace(log, epoch=1), BadDataError),
    ]
    for lie, error in lies:
        digest = lie.closing.digest(world.domain)
        with pytest.raises(error):
            await handler.check(CLOSING, digest, lie.encode(), certified=False)
    with pytest.raises(BadDataError):
        await handler.check(CLOSING, bytes(32), document, certified=True)
    with pytest.raises(RemoteProtocolError):
        await handler.decided(CLOSING, Decision(bytes(32), document, 0b111, bytes(195)))


async def test_a_request_that_nothing_stands_behind_is_in_no_log(world: World):
    """Members that collude cannot put value into the log that nobody paid for."""
    owner = await world.open_channel(1)
    forged = replace(
        world.purchase(owner, world.want(6)), signature=ReceiptKey.generate().sign(bytes(32))
    )
    unfunded = world.purchase(await world.open_channel(1), world.want(*[6] * 9), nonce=1)
    liar = world.desk(3).facts.member
    for made in (forged, unfunded):
        name = made.voucher.digest(world.domain)
        async with liar.work() as rows:
            await rows.payments.add(name, made, bytes(48 * len(made.points)), 1.0)
    to_closing(world)
    digest, document = await world.handlers[3].handlers[Kind.CLOSING].build(CLOSING)
    assert IssuanceLog.decode(document).issued_units == 10 * TOKEN_UNITS
    with pytest.raises(NotReadyError):
        await (
            world.handlers[0]
            .handlers[Kind.CLOSING]
            .check(CLOSING, digest, document, certified=False)
        )


async def test_a_decided_closing_waits_until_vouchers_are_collected(world: World):
    owner = await world.open_channel(2)
    await world.buy(owner, 2)
    to_closing(world)
    handler = world.handlers[0].handlers[Kind.CLOSING]
    digest, document = await handler.build(CLOSING)
    decision = Decision(digest, document, 0b111, world.chain.quorum_signatures(digest))
    with pytest.raises(NotReadyError):
        await handler.decided(CLOSING, decision)
    member = world.desk(0).facts.member
    await handler._collecting.note(0, None, due_s=world.now)
    async with member.work() as rows:
        (collect,) = await rows.outbox.open_rows()
    await world.chain.send(world.chain.network.deployer, Call(collect.target, collect.call))
    await world.chain.control.finalize()
    await handler.decided(CLOSING, decision)
    async with member.work() as rows:
        assert [row.kind for row in await rows.outbox.open_rows()] == ["collect", "close"]
    state = await world.chain.contracts.channels.channel_of(owner.address)
    assert state.collected_wei == 2 * TOKEN_UNITS * world.unit_wei


# claims


async def test_claims_are_the_relays_alone_in_time_and_right(world: World):
    relay, key = await relay_of(world)
    token = await token_of(world, relay)
    office = world.desk(0)
    assert await office.claim(claim(world, relay, key, token.spent(10))) == 1
    for why, data in (
        (Why.SIGNATURE, claim(world, relay, ReceiptKey.generate(), token.spent(20))),
        (Why.SIGNATURE, claim(world, relay + 1, key, token.spent(20))),
        (Why.SIGNATURE, claim(world, 70_000, key, token.spent(20))),
        (
            Why.INSTRUMENT,
            claim(world, relay, key, replace(token.spent(20), unit=Unit(21, bytes(32)))),
        ),
        (
            Why.INSTRUMENT,
            claim(
                world,
                relay,
                key,
                replace(token.spent(20), unit=Unit(21, token.spent(20).unit.preimage)),
            ),
        ),
        (
            Why.INSTRUMENT,
            claim(world, relay, key, replace(token, relay=1, chain=HashChain(bytes(32))).spent(3)),
        ),
    ):
        with pytest.raises(IssuingRefusedError, check=lambda e, why=why: e.why == why.value):
            await office.claim(data)
    assert await office.claim(claim(world, relay, key, token.spent(9))) == 1
    to_attestation(world)
    with pytest.raises(IssuingRefusedError, check=lambda e: e.why == Why.TOO_OLD.value):
        await office.claim(claim(world, relay, key, token.spent(30)))


async def test_a_message_is_verified_whole_though_a_token_of_it_is_known(world: World):
    """Else other members would refuse what we insist on, and nobody could attest."""
    relay, key = await relay_of(world)
    first, second = await token_of(world, relay), await token_of(world, relay)
    office = world.desk(0)
    await office.claim(claim(world, relay, key, first.spent(10)))
    garbage = replace(first.spent(3), unit=Unit(3, bytes(32)))
    with pytest.raises(IssuingRefusedError):
        await office.claim(claim(world, relay, key, garbage, second.spent(5)))
    assert await office.claim(claim(world, relay, key, first.spent(3), second.spent(5))) == 2


async def test_all_members_attest_what_any_of_them_took(world: World):
    relay, key = await relay_of(world)
    token = await token_of(world, relay)
    await world.desk(0).claim(claim(world, relay, key, token.spent(10)))
    await world.desk(1).claim(claim(world, relay, key, token.spent(41)))
    to_attestation(world)
    await world.chain.control.warp(int(world.now))
    handler = world.handlers[3].handlers[Kind.ATTESTATION]
    handler._left = lambda _epoch: _units(TOKEN_UNITS)
    digest, document = await handler.build(ATTESTATION)
    earnings = Earnings.decode(document)
    assert earnings.leaves == (ClaimLeaf(relay, 41, 41, 1),)
    for member in range(4):
        judge = world.handlers[member].handlers[Kind.ATTESTATION]
        await judge.check(ATTESTATION, digest, document, certified=False)
    await check_lies(world, earnings)
    handler._left = lambda _epoch: _units(40)
    with pytest.raises(NotReadyError):
        await handler.build(ATTESTATION)


async def _units(units: int) -> int:
    return units


async def check_lies(world: World, earnings: Earnings) -> None:
    """What a dishonest leader might attest, as a member judges it that took a claim."""
    (leaf,) = earnings.leaves
    handler = world.handlers[1].handlers[Kind.ATTESTATION]
    async with world.desk(0).facts.member.work() as rows:
        rest = tuple(await rows.payment_claims.in_time(0))
    for lie, error in (
        (replace(earnings, leaves=(replace(leaf, epoch_units=64, cum_units=64),)), BadDataError),
        (replace(earnings, leaves=(replace(leaf, cum_units=99),)), BadDataError),
        (replace(earnings, leaves=(*earnings.leaves, ClaimLeaf(9, 5, 5, 1))), BadDataError),
        (replace(earnings, log_root=b"\x01" * 32), BadDataError),
        (replace(earnings, claims=(*earnings.claims, b"\xff" * 32)), NotReadyError),
        (
            replace(earnings, claims=rest, leaves=(ClaimLeaf(leaf.relay, 10, 10, 1),)),
            OmittedRequestError,
        ),
    ):
        digest = lie.attestation(world.place).digest(world.domain)
        with pytest.raises(error):
            await handler.check(ATTESTATION, digest, lie.encode(), certified=False)
    with pytest.raises(BadDataError):
        await handler.check(ATTESTATION, bytes(32), earnings.encode(), certified=True)


async def test_what_is_attested_on_chain_is_shown_with_its_path(world: World):
    relay, key = await relay_of(world)
    token = await token_of(world, relay)
    await world.desk(0).claim(claim(world, relay, key, token.spent(10)))
    channels, chain = world.chain.contracts.channels, world.chain
    async with world.desk(0).facts.member.work() as rows:
        (row,) = await rows.payments.newest_purchases(0)
    purchase = decode_request(row.wire)
    await chain.send(
        chain.network.deployer, channels.collect([purchase.voucher], [purchase.signature])
    )
    to_attestation(world)
    await chain.control.warp(int(world.now))
    await chain.control.finalize()
    handler = world.handlers[0].handlers[Kind.ATTESTATION]
    digest, document = await handler.build(ATTESTATION)
    decision = Decision(digest, document, 0b111, chain.quorum_signatures(digest))
    await handler.decided(ATTESTATION, decision)
    with pytest.raises(NotIssuedError):
        await world.desk(0).leaf(0, relay)
    async with world.desk(0).facts.member.work() as rows:
        (attest,) = await rows.outbox.open_rows()
    await chain.send(chain.network.deployer, Call(attest.target, attest.call))
    shown = json.loads(json.dumps(await world.desk(0).leaf(0, relay)))
    proven = ProvenLeaf.from_json(shown, relay)
    assert proven.leaf == ClaimLeaf(relay, 10, 10, 1)
    assert await channels.attested_of(0, proven) == 10
    empty = ProvenLeaf.from_json(await world.desk(0).leaf(0, relay + 1), relay + 1)
    assert await channels.attested_of(0, empty) == 0
    with pytest.raises(NotIssuedError):
        await world.desk(1).leaf(0, relay)
