"""What the chain asks is answered: exits, disputes, redemptions, channels that close."""

import asyncio
from dataclasses import replace

import pytest

from ledger.domain.issuance_log import decode_request
from ledger.domain.issuing import Why
from ledger.errors import IssuingRefusedError
from ledger.service.payments.facts import OPAQUE
from ledger.service.payments.watching import Watching
from ledger.storage.results import OutboxRow
from qnet.chain.redeemer import Stage
from qnet.chain.staking import Role
from qnet.chain.values import Call
from qnet.messages.instruments import TOKEN_CLASS, TOKEN_UNITS
from qnet.messages.settlement import ProvenLeaf, Redeem
from tests.ledger.service.payments.issuing import Issued, World, start

pytestmark = [pytest.mark.chain, pytest.mark.timeout(180)]


def watching(world: World, member: int = 0) -> Watching:
    (found,) = (duty for duty in world.offices[member].duties if isinstance(duty, Watching))
    return found


async def noted(world: World, member: int = 0) -> list[OutboxRow]:
    async with world.desk(member).facts.member.work() as rows:
        return await rows.outbox.open_rows()


async def matters(world: World, member: int = 0) -> list[str]:
    async with world.desk(member).facts.member.work() as rows:
        return [matter.kind for matter in await rows.payment_matters.all()]


async def send(world: World, row: OutboxRow) -> None:
    await world.chain.send(world.chain.network.deployer, Call(row.target, row.call))
    await world.chain.control.finalize()


async def swapped(world: World) -> Issued:
    """A credit that was swapped, the swap completed at every member."""
    owner = await world.open_channel(1)
    (credit,) = await world.buy(owner)
    await world.trade([credit], 5, 5)
    await world.pool()
    await world.pool()
    return credit


async def test_an_exit_of_what_was_swapped_is_refuted_with_the_goods(world: World):
    credit = await swapped(world)
    exit_id = await world.start_exit(credit)
    await watching(world).step()
    await watching(world).step()
    (row,) = await noted(world)
    assert row.kind == "refute"
    await send(world, row)
    assert (await world.chain.contracts.redeemer.exit_of(exit_id)).stage is Stage.REFUTED
    assert await matters(world) == ["exit"]
    await watching(world).step()
    assert await matters(world) == []


async def test_an_exit_of_what_was_never_spent_is_left_alone(world: World):
    owner = await world.open_channel(1)
    (credit,) = await world.buy(owner)
    await world.start_exit(credit)
    await watching(world).step()
    assert await noted(world) == []
    world.now += 2 * world.clock.terms.challenge_s + 1
    await watching(world).step()
    assert await matters(world) == []


async def test_each_member_waits_for_another_time(world: World):
    credit = await swapped(world)
    await world.start_exit(credit)
    await asyncio.gather(*(watching(world, member).step() for member in range(4)))
    times = [(await noted(world, member))[0].not_before - world.now for member in range(4)]
    half = world.clock.terms.challenge_s / 2
    assert sorted(times) == [pytest.approx(n * half / 4, abs=0.01) for n in range(4)]


async def test_what_was_read_is_not_read_again_after_a_start(world: World):
    credit = await swapped(world)
    await watching(world).step()
    await start(world, world.desk(0).facts.member)
    exit_id = await world.start_exit(credit)
    await watching(world).step()
    await start(world, world.desk(0).facts.member)
    assert await matters(world) == ["exit"]
    await watching(world).step()
    assert len(await noted(world)) == 1
    reader = watching(world)._logs
    assert reader is not None
    final = (await world.chain.client.block("finalized")).number
    assert 0 < reader.cursor.next_block <= final + 1
    assert (await world.chain.contracts.redeemer.exit_of(exit_id)).stage is Stage.OPEN


async def test_a_dispute_of_what_was_served_is_answered_with_it(world: World):
    owner = await world.open_channel(2)
    wanted = world.want(6, 6)
    made = world.purchase(owner, wanted)
    await world.ask(lambda office: office.buy(made.encode()))
    await world.pool()
    await world.pool()
    contracts, chain = world.chain.contracts, world.chain
    await chain.send(
        chain.network.deployer, contracts.channels.collect([made.voucher], [made.signature])
    )
    # another voucher for the same money, that nobody ever saw
    other = world.purchase(owner, world.want(6, 6), nonce=1)
    bond = world.clock.terms.bond_wei
    await chain.send(chain.network.deployer, contracts.token.transfer(owner.address, bond))
    await chain.send(owner, contracts.token.approve(contracts.redeemer.address, bond))
    await chain.send(owner, contracts.redeemer.dispute_issuance(other))
    await chain.control.finalize()
    await watching(world).step()
    await watching(world).step()
    (row,) = await noted(world)
    assert row.kind == "deliver"
    await send(world, row)
    dispute = await contracts.redeemer.dispute_of(other.voucher.digest(world.domain))
    assert dispute.stage is Stage.REFUTED
    await watching(world).step()
    assert await matters(world) == []


async def test_a_channel_that_closes_is_collected_at_once(world: World):
    owner = await world.open_channel(3)
    await world.buy(owner)
    await world.buy(owner)
    await world.chain.send(owner, world.chain.contracts.channels.start_close())
    await world.chain.control.finalize()
    await watching(world).step()
    (row,) = await noted(world)
    assert row.kind == "collect"
    await send(world, row)
    state = await world.chain.contracts.channels.channel_of(owner.address)
    assert state.collected_wei == 2 * TOKEN_UNITS * world.unit_wei
    world.now += 2 * world.clock.terms.closing_s + 1
    await watching(world).step()
    assert await matters(world) == []


async def test_what_a_relay_redeemed_cannot_be_swapped_back(world: World):
    """Its k is in the transaction; behind another contract all of the relay's tokens count."""
    operator = await world.chain.new_account()
    node = await world.chain.register_node(operator, role=Role.RELAY)
    owner = await world.open_channel(1)
    (token,) = await world.trade(await world.buy(owner), TOKEN_CLASS, relay=node.index)
    (row,) = await _purchases(world)
    chain, contracts = world.chain, world.chain.contracts
    await chain.send(
        chain.network.deployer, contracts.channels.collect([row.voucher], [row.signature])
    )
    end, terms = world.clock.bounds(0)[1], world.clock.terms
    await world.register(1)
    await world.register(2)
    await chain.control.warp(end + terms.attest_s + 1)
    keys = [key.encode_eip2537() for key in world.dealt.keys[0].keys]
    shown = Redeem.of(0, node.index, [token.spent(50)])
    await chain.send(
        operator, contracts.redeemer.redeem(shown, ProvenLeaf.nothing(node.index), keys)
    )
    await chain.control.finalize()
    await watching(world).step()
    world.now = end + terms.token_s + 1
    made = world.swap([token], world.want(6, epoch=2), epoch=2)
    with pytest.raises(IssuingRefusedError, check=lambda e: e.why == Why.BALANCE.value):
        await world.desk(0).swap(made.encode())
    async with world.desk(0).facts.member.work() as rows:
        known = await rows.payment_claims.depths(0, node.index, [shown.tokens[0].token_id, OPAQUE])
        assert {name: depth[0] for name, depth in known.items()} == {shown.tokens[0].token_id: 50}
        assert await rows.payment_claims.taken(0, node.index) == 0
    made = world.swap([token], world.want(3, 2, 1, epoch=2), epoch=2)
    assert await world.desk(0).swap(made.encode())


async def test_a_redemption_behind_a_contract_spends_all_of_the_relays_tokens(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    event = type(
        "Event",
        (),
        {
            "arguments": {"epoch": 0, "relay": 7},
            "log": type("Log", (), {"tx_hash": b"\x01" * 32}),
        },
    )

    async def sent_call(_self, _hash: bytes) -> Call:
        return Call(b"\x09" * 20, b"somebody else's call")

    monkeypatch.setattr(type(world.chain.client), "sent_call", sent_call)
    ((epoch, relay, name, unit),) = await watching(world)._redeemed(event)
    assert (epoch, relay, name, unit.k) == (0, 7, OPAQUE, TOKEN_UNITS)
    async with world.desk(0).facts.member.work() as rows:
        await rows.payment_claims.spent(epoch, relay, name, unit, claimed=False)
    owner = await world.open_channel(1)
    (token,) = await world.trade(await world.buy(owner), TOKEN_CLASS, relay=7)
    assert await world.desk(0).facts._spent(token.input()) == TOKEN_UNITS
    assert await world.desk(0).facts._spent(replace(token, relay=8).input()) == 0


async def _purchases(world: World):
    async with world.desk(0).facts.member.work() as rows:
        return [decode_request(row.wire) for row in await rows.payments.newest_purchases(0)]
