"""A wallet that is lost comes back from its seed, whatever was under way."""

import pytest

from node.errors import IssuersSilentError
from node.payments.user.policy import Marks
from node.payments.user.recovery import Recovery
from node.payments.user.states import RequestState, State
from node.payments.user.stock import SwapOrder, for_token
from node.payments.user.upkeep import Upkeep
from tests.support.issuing import CLOCK, TERMS

RELAYS = {3: 100, 5: 50, 9: 10}


async def lived(world, wallet, rounds=6):
    """A wallet that did a bit of everything."""
    wallet.store.note("auto", b"on")
    upkeep = Upkeep(wallet, lambda: RELAYS, Marks(tokens=3, credits_low=2, credits_buy=7))
    for _ in range(rounds):
        await upkeep.look()
        world.time.now += 2
    held = [entry for entry in wallet.store.instruments(State.HELD) if not entry.is_token]
    small = SwapOrder((held[0].slot,), ((5, 0), (4, 0), (3, 0), (2, 0), (1, 0), (0, 0), (0, 0)))
    await wallet.send(await wallet.order_swap(small))
    return upkeep


def worth(wallet):
    """What is free, by slot; tokens that come back are unsure."""
    return {
        (entry.slot, entry.relay, entry.signature)
        for entry in wallet.store.instruments(State.HELD, State.UNSURE, State.SPENT)
    }


async def recovered(world, name="again"):
    again = world.wallet(world.folder.parent / name)
    found = await Recovery(again, sorted(RELAYS)).run()
    return again, found


async def test_the_stock_is_the_same_as_before(world, wallet):
    await lived(world, wallet)
    again, found = await recovered(world)
    assert worth(again) == worth(wallet)
    assert found.purchases == 1
    assert found.strangers == 0
    assert sum(row["units"] for row in found.rows()) == 7 * 64
    assert again.maker.last_voucher() == wallet.maker.last_voucher()
    assert not any(again.covers(relay) for relay in RELAYS)
    again.store.close()


async def test_it_comes_back_over_the_end_of_an_epoch_and_goes_on(world, wallet):
    upkeep = await lived(world, wallet)
    world.time.enter(1, 1.0)
    for _ in range(10):
        await upkeep.look()
        world.time.now += 2
    again, _ = await recovered(world)
    assert worth(again) == worth(wallet)
    again.store.note("auto", b"on")
    going_on = Upkeep(again, lambda: RELAYS, Marks(tokens=3, credits_low=50, credits_buy=5))
    world.time.enter(2, 1.0)
    for _ in range(10):
        await going_on.look()
        world.time.now += 2
    assert going_on.problem == ""
    assert again.maker.last_voucher()[0] > wallet.maker.last_voucher()[0]
    again.store.close()


async def test_the_file_of_a_wallet_is_not_needed_for_what_was_never_answered(world, wallet):
    """Members signed, the wallet died before it heard of it."""
    request = await wallet.order_credits(2)
    await wallet.send(request)
    (first, second) = wallet.store.instruments(State.HELD)
    copy = world.wallet(world.folder.parent / "copy")
    copy.store.add([first])
    order = for_token([first], 5)
    await copy.send(await copy.order_swap(order))
    again, found = await recovered(world)
    states = {entry.slot: entry.state for entry in again.store.instruments()}
    assert states[first.slot] is State.SWAPPED
    assert states[second.slot] is State.HELD
    assert found.swaps == 1
    assert [entry.relay for entry in again.store.instruments(State.UNSURE)] == [5]
    copy.store.close()
    again.store.close()


async def test_what_too_few_members_served_is_asked_for_again(world, wallet):
    for member in world.office.members[2:]:
        member.mode = "silent"
    with pytest.raises(IssuersSilentError):
        await wallet.send(await wallet.order_credits(2))
    for member in world.office.members[2:]:
        member.mode = ""
    again, _ = await recovered(world)
    (request,) = again.store.requests(RequestState.OPEN)
    assert await again.send(request)
    assert len(again.store.instruments(State.HELD)) == 2
    again.store.close()


async def test_a_member_that_says_nothing_was_bought_is_not_believed(world, wallet):
    await lived(world, wallet)
    world.office.members[0].mode = "forget"
    again, _ = await recovered(world)
    assert worth(again) == worth(wallet)
    again.store.close()


async def test_nothing_is_taken_for_unspent_while_members_are_silent(world, wallet):
    await lived(world, wallet)
    for member in world.office.members[1:]:
        member.mode = "silent"
    again = world.wallet(world.folder.parent / "again")
    again.issuers._keys = wallet.issuers._keys
    with pytest.raises(IssuersSilentError):
        await Recovery(again, sorted(RELAYS)).run()
    again.store.close()


async def test_another_seed_finds_nothing(world, wallet):
    await lived(world, wallet)
    other = world.wallet(world.folder.parent / "other", secret=b"\x11" * 32)
    found = await Recovery(other, sorted(RELAYS)).run()
    assert (found.purchases, found.rows()) == (0, [])
    other.store.close()


async def test_a_recovered_token_comes_back_as_credits_though_nobody_knows_its_k(world, wallet):
    (held,) = await _bought(wallet)
    await wallet.send(await wallet.order_swap(for_token([held], 5)))
    spending = await wallet.take(5)
    await wallet.spend(spending, spending.last)
    again, _ = await recovered(world)
    (token,) = again.store.instruments(State.UNSURE)
    message = again.seed.message(token.slot, again.around.place, relay=5)
    world.office.spent[message] = 50
    world.time.now = CLOCK.bounds(0)[1] + TERMS.token_s + 1
    upkeep = Upkeep(again, dict, Marks(tokens=0))
    for _ in range(30):
        await upkeep.look()
        world.time.now += 1
    assert again.store.instrument(token.slot).state is State.SWAPPED
    assert sum(entry.units for entry in again.store.instruments(State.HELD)) == 14
    again.store.close()


async def _bought(wallet):
    await wallet.send(await wallet.order_credits(1))
    return wallet.store.instruments(State.HELD)
