"""An issuance epoch from the first purchase to the last answer: three of four members, a chain."""

import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from ledger import app as app_module
from ledger.domain.issuance_log import IssuanceLog, decode_request
from ledger.service.member import Member
from qnet.chain.redeemer import Stage
from qnet.crypto.keys import ReceiptKey
from qnet.issuance import IssuanceClock, PaymentTerms
from qnet.messages.claims import Claims
from qnet.messages.instruments import TOKEN_CLASS, TOKEN_UNITS
from qnet.messages.settlement import ClaimLeaf, ClaimTree, ProvenLeaf
from qnet.messages.voucher import Purchase
from tests.ledger.service.committee import Committee, open_committee, own_chain
from tests.ledger.service.payments.issuing import DealtKeys, Issued, MemberKeys, World, register
from tests.ledger.service.test_committee import wait_for
from tests.support.anvil import Network

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

EPOCH = 0
DOWN = 3
RELAY = 2
OTHER = 5
SPENT = 50


@pytest.fixture(scope="module")
def quick_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Deadlines that a loaded machine keeps, too: only they are longer than a devnet's."""
    terms = replace(
        PaymentTerms.profile("devnet"),
        close_s=35,
        spend_s=37,
        claim_s=40,
        attest_s=80,
        deliver_s=20,
        redeem_s=112,
        token_s=112,
        challenge_s=40,
        closing_s=45,
        exit_s=230,
        keep_s=280,
    )
    with own_chain(tmp_path_factory.mktemp("chain"), terms=terms, slot_s=3) as network:
        yield network


class Wallet(World):
    """A wallet that asks running members over HTTP."""

    committee: Committee

    async def sign(self, path: str, data: bytes, members: tuple[int, ...]) -> dict[int, bytes]:
        answers = {}
        for member in members:
            status, body = await self.committee.post(member, f"/v1/payments/{path}", data)
            assert status == 200, body
            answers[member] = body
        return answers

    async def purchase_of(self, owner: ReceiptKey, count: int) -> tuple[Purchase, list[Issued]]:
        wanted = self.want(*[6] * count, epoch=EPOCH)
        made = self.purchase(owner, wanted, epoch=EPOCH)
        answers = await self.sign("buy", made.encode(), (0, 1, 2))
        return made, self.unblind(wanted, answers)

    async def swap_of(self, given: list[Issued], *classes: int, relay: int = 1) -> list[Issued]:
        wanted = self.want(*classes, epoch=EPOCH, relay=relay)
        data = self.swap(given, wanted, epoch=EPOCH).encode()
        answers = await self.sign("swap", data, (0, 1, 2))
        return self.unblind(wanted, answers)


async def open_wallet(committee: Committee, dealt: DealtKeys) -> Wallet:
    terms = await committee.chain.contracts.channels.terms()
    clock = IssuanceClock(committee.clock, terms)
    wallet = Wallet(committee.chain, dealt, clock, committee.now())
    wallet.committee = committee
    return wallet


async def test_an_epoch_is_sold_closed_attested_and_paid(
    tmp_path: Path, quick_chain: Network, monkeypatch: pytest.MonkeyPatch
):
    """With dealt keys: to make them, three members in one process would take it for themselves."""
    dealt = DealtKeys((EPOCH,))

    async def deal(member: Member, *_rest: object) -> MemberKeys:
        return dealt.of(member.index)

    monkeypatch.setattr(app_module, "make_issuance_keys", deal)
    async with open_committee(tmp_path, quick_chain) as committee, AsyncExitStack() as stack:
        await register(committee.chain, dealt, EPOCH)
        wallet = await open_wallet(committee, dealt)
        owner = await wallet.open_channel(6)
        await committee.until(wallet.clock.bounds(EPOCH)[0] + 0.5)
        for member in range(3):
            await stack.enter_async_context(committee.member(member))
        await live_through(committee, wallet, owner)


async def live_through(committee: Committee, wallet: Wallet, owner: ReceiptKey) -> None:
    bought, credits_ = await wallet.purchase_of(owner, 3)
    tokens = await wallet.swap_of(credits_[:1], TOKEN_CLASS, relay=RELAY)
    tokens += await wallet.swap_of(credits_[1:2], TOKEN_CLASS, relay=OTHER)
    await check_claims(committee, wallet, tokens)
    await check_queries(committee, wallet, bought, credits_[0])
    exit_id = await wallet.start_exit(credits_[0])
    await check_closing(committee, wallet, owner)
    await check_attestation(committee, wallet)
    await check_answers(committee, wallet, bought, owner, exit_id)
    await check_payment(committee, wallet)
    await check_token_exit(committee, wallet, tokens[0])
    async with committee.member(DOWN):
        await check_catching_up(committee, wallet, bought)


async def check_catching_up(committee: Committee, wallet: Wallet, bought: Purchase) -> None:
    """The member that was down learns what was served and attested, from the others."""
    channel = bought.voucher.channel
    for path in (f"leaf/{EPOCH}/{RELAY}", f"purchases/{channel.hex()}"):
        expected = await committee.get(0, f"/v1/payments/{path}")

        async def same(path=path, expected=expected):
            found = await committee.get(DOWN, f"/v1/payments/{path}")
            return found if found == expected else None

        assert await wait_for(same, seconds=60)
    async with committee.apps[DOWN].member.work() as rows:
        spent = 3 * TOKEN_UNITS * wallet.unit_wei
        assert await rows.payments.last_voucher(channel) == (1, spent)


async def check_claims(committee: Committee, wallet: Wallet, tokens: list[Issued]) -> None:
    """A relay hands in what it was paid, deeper and deeper; nobody else can."""
    keys = {node.index: node.receipt for node in committee.nodes}

    async def hand_in(
        token: Issued, k: int, relay: int, key: ReceiptKey, member: int = 0
    ) -> tuple[int, bytes]:
        made = Claims.make(key, wallet.domain, epoch=EPOCH, relay=relay, tokens=[token.spent(k)])
        return await committee.post(member, "/v1/payments/claims", made.encode())

    token, other = tokens
    for k in (20, SPENT, 48):
        status, body = await hand_in(token, k, RELAY, keys[RELAY])
        assert (status, json.loads(body)) == (200, {"taken": 1}), body
    status, body = await hand_in(other, 64, OTHER, keys[OTHER], member=1)
    assert status == 200, body
    for relay, key in ((RELAY, keys[OTHER]), (OTHER, keys[OTHER]), (RELAY, ReceiptKey.generate())):
        status, body = await hand_in(token, 60, relay, key)
        assert (status, json.loads(body)["error"]["code"]) == (409, "Q1018")


async def check_queries(
    committee: Committee, wallet: Wallet, bought: Purchase, swapped: Issued
) -> None:
    channel = bought.voucher.channel.hex()

    async def completed():
        body = await committee.get(1, f"/v1/payments/purchases/{channel}")
        return body if body is not None and len(body) > len(bought.encode()) + 3 * 48 else None

    await wait_for(completed, seconds=30)
    message = swapped.input().message(wallet.place).hex()
    assert await committee.get(0, f"/v1/payments/input/{message}")
    assert await committee.get(0, f"/v1/payments/input/{'00' * 32}") is None
    status = json.loads(await committee.get(0, "/v1/payments/status") or b"")
    assert status["buyers"] == 1
    assert status["swaps"] == 2
    assert status["open"] is True
    whole = json.loads(await committee.get(0, "/v1/status") or b"")
    assert whole["payments"]["running"] == EPOCH


async def check_closing(committee: Committee, wallet: Wallet, owner: ReceiptKey) -> None:
    """What the chain is told equals what anybody computes from the requests."""
    channels = committee.chain.contracts.channels

    async def closed():
        state = await channels.issuance_of(EPOCH)
        return state if state is not None and state.is_closed else None

    state = await wait_for(closed, seconds=90)
    known = await requests_of(committee, 0)
    log = IssuanceLog.compile(EPOCH, known, wallet.place, wallet.unit_wei)
    assert (state.issued, state.log_root) == (3 * TOKEN_UNITS, log.root)
    assert log.issued_units == 3 * TOKEN_UNITS
    assert len(log.requests) == 3
    collected = (await channels.channel_of(owner.address)).collected_wei
    assert collected == 3 * TOKEN_UNITS * wallet.unit_wei
    for member in (0, 1, 2):
        keys = committee.apps[member].services.payments.facts.keys

        async def erased(keys=keys):
            return True if await keys.shares(EPOCH) is None else None

        assert await wait_for(erased, seconds=10)


async def requests_of(committee: Committee, member: int):
    async with committee.apps[member].member.work() as rows:
        return {row.name: decode_request(row.wire) for row in await rows.payments.of_epoch(EPOCH)}


async def check_attestation(committee: Committee, wallet: Wallet) -> None:
    channels = committee.chain.contracts.channels

    async def attested():
        state = await channels.issuance_of(EPOCH)
        return state if state is not None and state.is_attested else None

    state = await wait_for(attested, seconds=120)
    leaves = [ClaimLeaf(RELAY, SPENT, SPENT, 1), ClaimLeaf(OTHER, 64, 64, 1)]
    chain_id = wallet.place.chain_id
    tree = ClaimTree(leaves, chain_id=chain_id, channels=channels.address, epoch=EPOCH)
    assert (state.root, state.attested, state.tokens) == (tree.root, SPENT + 64, 2)
    for member in (0, 1, 2):
        body = await wait_for(
            lambda member=member: committee.get(member, f"/v1/payments/leaf/{EPOCH}/{RELAY}")
        )
        assert ProvenLeaf.from_json(json.loads(body), RELAY) == tree.prove(RELAY)
    assert await committee.get(0, f"/v1/payments/leaf/{EPOCH + 1}/{RELAY}") is None


async def check_answers(
    committee: Committee, wallet: Wallet, bought: Purchase, owner: ReceiptKey, exit_id: bytes
) -> None:
    """An exit of what was swapped is refuted, a dispute delivered, a leaf shown."""
    contracts = committee.chain.contracts

    async def refuted():
        stage = (await contracts.redeemer.exit_of(exit_id)).stage
        return stage if stage is not Stage.OPEN else None

    assert await wait_for(refuted, seconds=30) is Stage.REFUTED
    bond = wallet.clock.terms.bond_wei
    chain = committee.chain
    await chain.send(chain.network.deployer, contracts.token.transfer(owner.address, 2 * bond))
    await chain.send(owner, contracts.token.approve(contracts.redeemer.address, bond))
    await chain.send(owner, contracts.token.approve(contracts.channels.address, bond))
    await chain.send(owner, contracts.redeemer.dispute_issuance(bought))
    await chain.send(owner, contracts.channels.demand_leaf(EPOCH, OTHER))
    dispute = bought.voucher.digest(wallet.domain)

    async def delivered():
        stage = (await contracts.redeemer.dispute_of(dispute)).stage
        _, deadline = await contracts.channels.demand_of(EPOCH, OTHER)
        return stage if stage is not Stage.OPEN and not deadline else None

    assert await wait_for(delivered, seconds=30) is Stage.REFUTED


async def check_payment(committee: Committee, wallet: Wallet) -> None:
    """Some member pays all relays once nothing can be demanded any more."""
    contracts = committee.chain.contracts
    node = committee.nodes[RELAY - 1]
    before = await contracts.token.balance_of(node.owner.address)

    async def paid():
        units = await contracts.channels.paid_units_of(RELAY)
        others = await contracts.channels.paid_units_of(OTHER)
        return (units, others) if units and others else None

    assert await wait_for(paid, seconds=90) == (SPENT, 64)
    earned = await contracts.token.balance_of(node.owner.address) - before
    assert earned == SPENT * wallet.unit_wei * 8 // 10


async def check_token_exit(committee: Committee, wallet: Wallet, token: Issued) -> None:
    """An owner who admits less than was claimed is refuted by the claim's preimage."""
    end, terms = wallet.clock.bounds(EPOCH)[1], wallet.clock.terms
    await committee.until(end + terms.token_s + 2)
    exit_id = await wallet.start_exit(token, spent=10)
    redeemer = committee.chain.contracts.redeemer

    async def refuted():
        stage = (await redeemer.exit_of(exit_id)).stage
        return stage if stage is not Stage.OPEN else None

    assert await wait_for(refuted, seconds=30) is Stage.REFUTED
