"""Without the committee: channel, credits, tokens and undelivered purchases are paid on chain."""

import secrets
from dataclasses import replace

import pytest

from node.errors import IssuerKeysError, SpendingLimitError
from node.payments.chain_view import RpcChain
from node.payments.user.derivation import Seed, Slot
from node.payments.user.desk import COMMANDS
from node.payments.user.exits import WayOut, close_channel
from node.payments.user.opening import NoRoute
from node.payments.user.states import Instrument, RequestState, State
from node.payments.user.stock import SwapOrder
from node.payments.user.store import Store
from node.payments.user.surroundings import Surroundings
from node.payments.user.wallet import Wallet
from node.payments.user.wallet_file import create_file
from qnet.messages.instruments import TOKEN_CLASS, Unit
from qnet.messages.voucher import Purchase
from tests.support.issuer import EPOCH, issuance_clock, register

pytestmark = pytest.mark.chain
WEI = 10**18
PAYEE = b"\x77" * 20
RELAY = 5


class Scene:
    """A wallet whose committee answered once and is gone."""

    def __init__(self, chain, issuer, wallet, clock, wall):
        self.chain, self.issuer, self.wallet, self.clock = chain, issuer, wallet, clock
        self.wall = wall

    @property
    def channels(self):
        return self.chain.contracts.channels

    @property
    def terms(self):
        return self.clock.terms

    def hold(self, class_, counter, relay=0, **values):
        slot = Slot(EPOCH, class_, counter)
        message = self.wallet.seed.message(slot, self.channels.place, relay=relay)
        signature = self.issuer.sign(class_, message)
        entry = Instrument(slot, State.HELD, relay, signature)
        self.wallet.store.add([replace(entry, **values)])
        return slot, message

    def way_out(self, to=PAYEE):
        sender = self.chain.sender(self.wallet.seed.channel)
        return WayOut(self.wallet, self.chain.contracts, sender, to)

    async def exits(self):
        return [row async for row in self.way_out().instruments()]

    async def disputes(self):
        return [row async for row in self.way_out().disputes()]

    async def after(self, offset_s):
        await self.chain.control.warp(self.clock.bounds(EPOCH)[1] + offset_s)


@pytest.fixture
async def scene(chain, tmp_path):
    seed = Seed(secrets.token_bytes(32))
    issuer, clock = await register(chain), await issuance_clock(chain)
    account, contracts = seed.channel.address, chain.contracts
    await chain.control.set_balance(account, 1000 * WEI)
    await chain.send(chain.network.holders[0], contracts.token.transfer(account, 100 * WEI))
    channel = seed.channel
    await chain.send(channel, contracts.token.approve(contracts.channels.address, 10**24))
    await chain.send(channel, contracts.channels.open(50 * WEI))
    await chain.control.warp(clock.bounds(EPOCH)[0])
    create_file(tmp_path / "payments", account)
    wall = [float(clock.bounds(EPOCH)[0] + 5)]
    around = Surroundings(
        place=contracts.channels.place,
        rewards=clock.rewards,
        chain=RpcChain(chain.network.url, chain.network.manifest),
        members=("http://127.0.0.1:9",) * 4,
        direct=NoRoute(),
        fresh=NoRoute,
        wall=lambda: wall[0],
        random=secrets.token_bytes,
    )
    wallet = Wallet(seed, Store(tmp_path / "payments", account), around)
    await wallet.terms()
    wallet.store.note(f"keys {EPOCH}", b"".join(issuer.keys))
    yield Scene(chain, issuer, wallet, clock, wall)
    wallet.store.close()


async def collected(scene, count):
    """A purchase that nobody serves, and that is collected all the same."""
    request = await scene.wallet.order_credits(count)
    with pytest.raises(IssuerKeysError):
        await scene.wallet.send(request)
    purchase = Purchase.decode(request.body)
    collect = scene.channels.collect([purchase.voucher], [purchase.signature])
    await scene.chain.send(scene.chain.network.deployer, collect)
    return purchase


async def test_credits_are_paid_after_the_challenge(scene):
    await collected(scene, 2)
    slot, _ = scene.hold(6, 10)
    small, _ = scene.hold(3, 0)
    rows = await scene.exits()
    assert [(row.units, row.state) for row in rows] == [(8, "waits"), (64, "waits")]
    assert scene.wallet.store.instrument(slot).state is State.EXITING
    assert [row.state for row in await scene.exits()] == ["waits", "waits"]
    await scene.after(scene.terms.redeem_s)
    assert [row.state for row in await scene.exits()] == ["paid", "paid"]
    assert scene.wallet.store.instrument(small).state is State.EXITED
    assert await scene.chain.contracts.token.balance_of(PAYEE) == 72 * scene.terms.unit_wei
    assert await scene.exits() == []


async def test_tokens_are_paid_for_what_was_not_shown(scene):
    await collected(scene, 4)
    scene.hold(TOKEN_CLASS, 0, RELAY)
    scene.hold(TOKEN_CLASS, 1, RELAY, state=State.SPENT, k=50, last=50)
    scene.hold(TOKEN_CLASS, 2, RELAY, state=State.SPENT, k=64, last=64)
    assert [row.state for row in await scene.exits()] == ["later", "later"]
    await scene.after(scene.terms.token_s)
    assert [row.state for row in await scene.exits()] == ["waits", "waits"]
    await scene.after(scene.terms.token_s + scene.terms.challenge_s + 5)
    assert [row.state for row in await scene.exits()] == ["paid", "paid"]
    assert await scene.chain.contracts.token.balance_of(PAYEE) == 78 * scene.terms.unit_wei


async def test_what_is_refuted_is_told(scene):
    await collected(scene, 1)
    slot, message = scene.hold(TOKEN_CLASS, 0, RELAY, state=State.SPENT, k=50, last=60)
    await scene.after(scene.terms.token_s)
    await scene.exits()
    unit = Unit(55, scene.wallet.seed.chain(slot).preimage(55))
    deeper = scene.chain.contracts.redeemer.challenge_by_preimage(message, unit.k, unit.preimage)
    await scene.chain.send(scene.chain.network.deployer, deeper)
    assert [row.state for row in await scene.exits()] == ["refuted"]


async def test_too_late_is_lost_and_nothing_is_sent(scene):
    scene.hold(6, 10)
    await scene.after(scene.terms.exit_s)
    assert [row.state for row in await scene.exits()] == ["lost"]


async def test_one_that_the_contract_refuses_holds_no_other_up(scene):
    await collected(scene, 2)
    scene.hold(6, 10)
    forged, _ = scene.hold(6, 9)
    entry = scene.wallet.store.instrument(forged)
    false = scene.issuer.sign(6, secrets.token_bytes(32))
    scene.wallet.store.add([replace(entry, slot=Slot(EPOCH, 6, 8), signature=false)])
    rows = await scene.exits()
    assert sorted(row.state for row in rows) == ["refused", "waits", "waits"]
    await scene.after(scene.terms.exit_s)
    assert sorted(row.state for row in await scene.exits()) == ["lost", "paid", "paid"]


async def test_an_exit_needs_a_bond(scene):
    scene.hold(6, 10)
    token, channel = scene.chain.contracts.token, scene.wallet.seed.channel
    held = await token.balance_of(channel.address)
    await scene.chain.send(channel, token.transfer(PAYEE, held))
    assert [row.state for row in await scene.exits()] == ["bond"]


def swap_of(slot):
    return SwapOrder((slot,), ((6, 0),))


async def test_a_swap_that_never_left_is_given_up_and_its_input_exited(scene):
    await collected(scene, 1)
    slot, _ = scene.hold(6, 10)
    request = await scene.wallet.order_swap(swap_of(slot), wait_s=10)
    assert [row.state for row in await scene.exits()] == ["waits"]
    assert scene.wallet.store.instrument(slot).state is State.EXITING
    assert scene.wallet.store.request(request.number).state is RequestState.FAILED
    assert not await scene.wallet.send(request)


async def test_a_swap_that_left_is_waited_for_until_members_have_agreed(scene):
    await collected(scene, 1)
    slot, _ = scene.hold(6, 10)
    request = await scene.wallet.order_swap(swap_of(slot))
    scene.wallet.store.mark_sent(request.number)
    end = scene.clock.bounds(EPOCH)[1]
    (row,) = await scene.exits()
    assert (row.state, row.until) == ("later", end + 2 * scene.terms.finish_s)
    assert scene.wallet.store.instrument(slot).state is State.SWAPPING
    scene.wall[0] = float(row.until)
    assert [row.state for row in await scene.exits()] == ["waits"]


async def test_who_leaves_orders_nothing_until_told_to(scene):
    await scene.exits()
    assert scene.wallet.is_leaving
    await COMMANDS["limit"](scene.wallet, {"wei": "1"})
    await COMMANDS["auto"](scene.wallet, {"on": True})
    assert not scene.wallet.is_leaving


async def test_a_purchase_that_is_refused_does_not_stop_who_leaves(scene):
    await scene.exits()
    await COMMANDS["limit"](scene.wallet, {"wei": "1"})
    with pytest.raises(SpendingLimitError):
        await COMMANDS["buy"](scene.wallet, {"credits": 1})
    assert scene.wallet.is_leaving


async def test_what_was_found_from_the_seed_is_told_and_left(scene):
    slot, _ = scene.hold(TOKEN_CLASS, 0, RELAY, state=State.UNSURE)
    await scene.after(scene.terms.token_s)
    assert [row.state for row in await scene.exits()] == ["unsure"]
    assert scene.wallet.store.instrument(slot).state is State.UNSURE


async def test_a_run_that_died_before_it_sent_goes_on(scene):
    await collected(scene, 1)
    slot, _ = scene.hold(6, 10)
    scene.wallet.store.change(slot, State.EXITING)
    assert [row.state for row in await scene.exits()] == ["waits"]


async def test_what_was_paid_and_never_delivered_comes_back(scene):
    await collected(scene, 3)
    assert await scene.disputes() == []
    await scene.after(scene.terms.finish_s)
    assert [(row.units, row.state) for row in await scene.disputes()] == [(192, "waits")]
    await scene.after(scene.terms.redeem_s + 1)
    assert [row.state for row in await scene.disputes()] == ["paid"]
    assert [row.state for row in await scene.disputes()] == ["paid"]
    state = await scene.channels.channel_of(scene.wallet.account)
    assert state.deposit_wei - state.collected_wei == 50 * WEI


async def test_a_channel_is_closed_in_two_steps(scene):
    contracts, channel = scene.chain.contracts, scene.wallet.seed.channel
    sender = scene.chain.sender(channel)
    before = await contracts.token.balance_of(channel.address)
    first = await close_channel(contracts, sender, scene.terms.closing_s)
    assert first.state == "waits"
    again = await close_channel(contracts, sender, scene.terms.closing_s)
    assert again == first
    await scene.chain.control.warp(first.until)
    assert (await close_channel(contracts, sender, scene.terms.closing_s)).state == "paid"
    assert await contracts.token.balance_of(channel.address) == before + 50 * WEI
    assert (await close_channel(contracts, sender, scene.terms.closing_s)).state == "paid"
    assert await scene.wallet.allowance() == 0
