"""A wallet that is left alone keeps itself stocked, over ends of epochs and through refusals."""

import pytest

from node.payments.user.policy import Marks
from node.payments.user.states import RequestKind, RequestState, State
from node.payments.user.stock import SwapOrder
from node.payments.user.upkeep import Upkeep
from tests.support.issuing import CLOCK, PLACE, TERMS

RELAYS = {3: 100, 5: 50, 9: 1}
MARKS = Marks(tokens=4, credits_low=2, credits_buy=12)


@pytest.fixture
def upkeep(world, wallet):
    wallet.store.note("auto", b"on")
    return Upkeep(wallet, lambda: RELAYS, MARKS)


async def settle(upkeep, world, rounds=6, step_s=2.0):
    for _ in range(rounds):
        await upkeep.look()
        world.time.now += step_s


def units(wallet, *states):
    return sum(entry.units for entry in wallet.store.instruments(*(states or (State.HELD,))))


async def test_it_buys_and_makes_tokens_for_likely_relays(world, wallet, upkeep):
    await settle(upkeep, world)
    tokens = [entry for entry in wallet.store.instruments(State.HELD) if entry.is_token]
    assert len(tokens) == MARKS.tokens
    assert {entry.relay for entry in tokens} <= set(RELAYS)
    assert all(wallet.covers(entry.relay) for entry in tokens)
    assert upkeep.problem == ""


async def test_it_buys_nothing_unless_told_to(world, wallet):
    await settle(Upkeep(wallet, lambda: RELAYS, MARKS), world, rounds=2)
    assert wallet.store.requests() == []


async def test_it_stays_below_the_limit_of_a_day(world, wallet, upkeep):
    limit = 3 * 64 * TERMS.unit_wei
    wallet.store.note("limit", str(limit).encode())
    await settle(upkeep, world)
    assert wallet.maker.spent_wei(world.time()) <= limit
    assert units(wallet) == 3 * 64


async def test_swaps_wait_a_random_time(world, wallet, upkeep):
    await settle(upkeep, world, rounds=1)
    await upkeep.look()
    swaps = [one for one in wallet.store.requests() if one.kind is RequestKind.SWAP]
    assert len({one.due - one.at for one in swaps}) == len(swaps) > 1
    assert all(0 <= one.due - one.at <= 60 / 8 for one in swaps)


async def test_credits_roll_over_the_end_of_an_epoch(world, wallet, upkeep):
    await settle(upkeep, world)
    before = units(wallet)
    wallet.store.note("auto", b"off")
    world.time.enter(1, 1.0)
    await settle(upkeep, world, rounds=12)
    held = wallet.store.instruments(State.HELD)
    assert units(wallet) == before
    assert {entry.slot.epoch for entry in held if not entry.is_token} == {1}
    assert sum(entry.is_token and entry.slot.epoch == 1 for entry in held) > 0


async def test_a_request_stored_before_the_end_of_an_epoch_does_not_lose_its_inputs(
    world, wallet, upkeep
):
    await settle(upkeep, world)
    wallet.store.note("auto", b"off")
    credit = next(entry for entry in wallet.store.instruments(State.HELD) if not entry.is_token)
    await wallet.order_swap(SwapOrder((credit.slot,), ((6, 0),)))
    before = units(wallet) + 64
    world.time.enter(1, 1.0)
    await settle(upkeep, world, rounds=14)
    assert wallet.store.requests(RequestState.OPEN) == []
    assert units(wallet) == before


@pytest.mark.parametrize("claimed", [0, 1, 2])
async def test_rests_of_tokens_come_back_whatever_the_relay_handed_in(
    world, wallet, upkeep, claimed
):
    await settle(upkeep, world)
    wallet.store.note("auto", b"off")
    entry = next(entry for entry in wallet.store.instruments(State.HELD) if entry.is_token)
    spending = await wallet.take(entry.relay)
    await wallet.spend(spending, min(spending.last, 50))
    slot = next(iter(wallet.store.instruments(State.SPENDING, State.SPENT))).slot
    message = wallet.seed.message(slot, PLACE, relay=spending.relay)
    world.office.spent[message] = 0 if claimed == 0 else spending.k - claimed + 1
    all_units = units(wallet) + 64 - world.office.spent[message]
    world.time.now = CLOCK.bounds(0)[1] + TERMS.token_s + 1
    await settle(upkeep, world, rounds=20)
    assert wallet.store.instrument(slot).state is State.SWAPPED
    assert units(wallet) == all_units


async def test_rests_do_not_come_back_before_they_are_final(world, wallet, upkeep):
    await settle(upkeep, world)
    wallet.store.note("auto", b"off")
    entry = next(entry for entry in wallet.store.instruments(State.HELD) if entry.is_token)
    spending = await wallet.take(entry.relay)
    await wallet.spend(spending, spending.last)
    world.time.now = CLOCK.bounds(0)[1] + TERMS.token_s - 1
    await upkeep.look()
    assert wallet.store.instruments(State.SPENT)
    assert not any(one.inputs == (entry.slot,) for one in wallet.store.requests(RequestState.OPEN))


async def test_what_is_older_than_members_keep_is_forgotten(world, wallet, upkeep):
    await settle(upkeep, world)
    wallet.store.note("auto", b"off")
    world.office.prepare(4, 5, 6)
    world.time.enter(6)
    for member in world.office.members:
        member.mode = "silent"
    await upkeep.look()
    assert wallet.store.instruments() == []
    assert wallet.maker.last_voucher()[0] == 1
