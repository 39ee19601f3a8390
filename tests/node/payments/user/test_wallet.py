"""Buying, swapping and spending against a committee that may lie, sleep or refuse."""

import asyncio
from dataclasses import replace

import pytest

from node.errors import (
    IssuerKeysError,
    IssuersRefusedError,
    IssuersSilentError,
    SpendingLimitError,
)
from node.payments.user.states import RequestState, State
from node.payments.user.stock import SwapOrder, for_token
from qnet.crypto.bls import SignedPoint, hash_to_g1, holds
from qnet.crypto.points import G1
from qnet.errors import LocalProtocolError, RejectedError
from tests.support.issuing import CLOCK, PLACE, QNET, TERMS

RELAY = 7


async def buy(wallet, count=2):
    request = await wallet.order_credits(count)
    assert await wallet.send(request)
    return wallet.store.instruments(State.HELD)


async def token(wallet, relay=RELAY):
    """Buy a credit and swap it for a token."""
    held = await buy(wallet, 1)
    order = for_token([held[-1]], relay)
    assert await wallet.send(await wallet.order_swap(order))
    return next(entry for entry in wallet.store.instruments(State.HELD) if entry.is_token)


def is_valid(world, wallet, entry):
    message = wallet.seed.message(entry.slot, PLACE, relay=entry.relay)
    public = world.office.keys[entry.slot.epoch].public[entry.slot.class_]
    return holds(public, SignedPoint(hash_to_g1(message), G1.decode(entry.signature)))


async def test_bought_credits_are_valid_and_leave_a_receipt(world, wallet):
    held = await buy(wallet, 3)
    assert len(held) == 3
    assert all(is_valid(world, wallet, entry) for entry in held)
    (receipt,) = wallet.store.receipts()
    assert (receipt["credits"], receipt["wei"]) == (3, 3 * 64 * TERMS.unit_wei)
    await buy(wallet, 1)
    assert wallet.maker.last_voucher() == (2, 4 * 64 * TERMS.unit_wei)
    assert wallet.store.forget_receipts(world.time() + 1) == 2
    assert wallet.store.receipts() == []
    assert wallet.maker.last_voucher() == (2, 4 * 64 * TERMS.unit_wei)


@pytest.mark.parametrize("mode", ["lie", "garbage", "silent"])
@pytest.mark.parametrize("place", [0, 3])
async def test_one_bad_member_does_not_matter(world, wallet, mode, place):
    world.office.members[place].mode = mode
    held = await buy(wallet)
    assert all(is_valid(world, wallet, entry) for entry in held)


async def test_liars_are_named_by_the_public_shares(world, wallet):
    world.office.members[1].mode = "lie"
    await buy(wallet)
    assert set(wallet.issuers.liars) == {1}


async def test_wrong_public_shares_blame_nobody(world, wallet):
    world.office.members[0].mode = "shares"
    world.office.members[1].mode = "lie"
    await buy(wallet)
    assert set(wallet.issuers.liars) == {1}


async def test_members_listed_in_another_order_are_told_by_their_shares(world, wallet):
    wallet.issuers.members = tuple(reversed(world.office.urls))
    held = await buy(wallet)
    assert all(is_valid(world, wallet, entry) for entry in held)


async def test_two_bad_members_stop_a_purchase_and_the_same_request_ends_it_later(world, wallet):
    for member in world.office.members[:2]:
        member.mode = "lie"
    request = await wallet.order_credits(2)
    with pytest.raises(IssuersSilentError):
        await wallet.send(request)
    assert wallet.store.requests(RequestState.OPEN) == [replace(request, sent=True)]
    assert wallet.store.instruments(State.HELD) == []
    for member in world.office.members[:2]:
        member.mode = ""
    assert await wallet.send(wallet.store.request(request.number))
    assert len(wallet.store.instruments(State.HELD)) == 2


async def test_keys_of_another_hash_are_not_believed(world, wallet):
    for member in world.office.members:
        member.mode = "keys"
    request = await wallet.order_credits(1)
    with pytest.raises(IssuerKeysError):
        await wallet.send(request)
    world.chain.hashes[0] = bytes(32)
    assert wallet.store.requests(RequestState.OPEN) == [request]


async def test_one_member_with_the_right_keys_suffices(world, wallet):
    for member in world.office.members[1:3]:
        member.mode = "keys"
    await buy(wallet)


async def test_only_one_purchase_at_a_time(wallet):
    await wallet.order_credits(1)
    with pytest.raises(RejectedError):
        await wallet.order_credits(1)


async def test_a_purchase_that_is_refused_is_given_up_and_its_nonce_is_free(world, wallet):
    world.office.left_units = 0
    request = await wallet.order_credits(1)
    with pytest.raises(IssuersRefusedError, match="refuses"):
        await wallet.send(request)
    assert wallet.store.request(request.number).state is RequestState.FAILED
    assert wallet.store.instruments(State.VOID)
    world.office.left_units = 1 << 20
    await buy(wallet, 1)
    assert wallet.maker.last_voucher()[0] == 1


async def test_no_more_than_the_limit_of_a_day_is_spent(world, wallet):
    price = 64 * TERMS.unit_wei
    wallet.store.note("limit", str(3 * price).encode())
    await buy(wallet, 2)
    assert await wallet.allowance() == 1
    with pytest.raises(SpendingLimitError):
        await wallet.order_credits(2)
    await buy(wallet, 1)
    with pytest.raises(SpendingLimitError):
        await wallet.order_credits(1)
    world.time.now += 86_400
    assert await wallet.allowance() == 3


async def test_no_more_than_the_deposit_is_spent(world, wallet):
    world.chain.deposit(wallet.account, 1)
    assert await wallet.allowance() == QNET // (64 * TERMS.unit_wei)
    with pytest.raises(SpendingLimitError):
        await wallet.order_credits(2)


async def test_swapped_credits_are_gone_and_their_worth_is_there(world, wallet):
    first, _ = await buy(wallet, 2)
    order = SwapOrder((first.slot,), ((5, 0), (4, 0), (3, 0), (2, 0), (1, 0), (0, 0), (0, 0)))
    assert await wallet.send(await wallet.order_swap(order))
    held = wallet.store.instruments(State.HELD)
    assert sum(entry.units for entry in held) == 128
    assert all(is_valid(world, wallet, entry) for entry in held)
    assert wallet.store.instrument(first.slot).state is State.SWAPPED
    small = [entry.slot for entry in held if entry.units < 64]
    assert await wallet.send(await wallet.order_swap(SwapOrder(tuple(small), ((6, 0),))))
    assert [entry.units for entry in wallet.store.instruments(State.HELD)] == [64, 64]


async def test_an_input_goes_into_one_swap_only(wallet):
    (held,) = await buy(wallet, 1)
    await wallet.order_swap(SwapOrder((held.slot,), ((6, 0),)))
    with pytest.raises(LocalProtocolError):
        await wallet.order_swap(SwapOrder((held.slot,), ((6, 0),)))


async def test_a_copy_of_the_wallet_cannot_spend_an_input_again(world, wallet):
    (held,) = await buy(wallet, 1)
    request = await wallet.order_swap(SwapOrder((held.slot,), ((5, 0), (5, 0))))
    copy = world.wallet(world.folder.parent / "copy")
    copy.store.add([held])
    assert await copy.send(await copy.order_swap(SwapOrder((held.slot,), ((6, 0),))))
    with pytest.raises(IssuersRefusedError, match="refuses"):
        await wallet.send(request)
    assert wallet.store.instrument(held.slot).state is State.STUCK
    copy.store.close()


async def test_swaps_take_a_route_of_their_own_each(world, wallet):
    await buy(wallet, 1)
    assert world.routes == []
    await token(wallet)
    assert len(world.routes) == 1


async def test_a_token_is_spent_once_and_stored_before_it_is_shown(world, wallet):
    entry = await token(wallet)
    assert wallet.covers(RELAY)
    assert not wallet.covers(8)
    spending = await wallet.take(RELAY)
    assert not wallet.covers(RELAY)
    assert await wallet.take(RELAY) is None
    assert 48 <= spending.last <= 64
    assert spending.opening.epoch == 0
    await wallet.spend(spending, 5)
    assert spending.k == 5
    assert wallet.store.instrument(entry.slot).k == 5
    with pytest.raises(LocalProtocolError):
        await wallet.spend(spending, 4)
    with pytest.raises(LocalProtocolError):
        await wallet.spend(spending, spending.last + 1)
    await wallet.spend(spending, spending.last)
    assert spending.is_over
    assert wallet.store.instrument(entry.slot).state is State.SPENT


async def test_a_swap_that_is_leaving_right_now_is_not_given_up(world, wallet):
    """Its inputs would be exited and swapped: members would take the bond."""
    await buy(wallet, 1)
    (held,) = wallet.store.instruments(State.HELD)
    request = await wallet.order_swap(SwapOrder((held.slot,), ((6, 0),)))
    sending = asyncio.create_task(wallet.send(request))
    await asyncio.sleep(0)
    assert not wallet.store.request(request.number).sent
    assert wallet.give_up(wallet.store.request(request.number)) > world.time.now
    assert await sending
    assert wallet.store.request(request.number).state is RequestState.DONE


async def test_near_the_end_of_its_time_a_token_is_paid_up(world, wallet):
    entry = await token(wallet)
    spending = await wallet.take(RELAY)
    world.time.now = CLOCK.bounds(0)[1] + TERMS.spend_s - TERMS.spend_s // 8
    assert await wallet.spend(spending, 3)
    assert (spending.k, spending.is_over) == (spending.last, True)
    assert wallet.store.instrument(entry.slot).k == spending.last


async def test_at_the_end_of_its_time_a_token_is_shown_no_more(world, wallet):
    entry = await token(wallet)
    spending = await wallet.take(RELAY)
    world.time.now = CLOCK.bounds(0)[1] + TERMS.spend_s * 19 / 20
    assert not await wallet.spend(spending, 3)
    assert spending.k == wallet.store.instrument(entry.slot).k == 0
    wallet.refused(spending, "late")
    assert wallet.store.instrument(entry.slot).state is State.SPENT


async def test_a_token_that_its_epoch_ended_stays_in_its_refund(wallet):
    """Its circuit breaks only then."""
    slot = (await token(wallet)).slot
    spending = await wallet.take(RELAY)
    wallet.store.change(slot, State.SPENT)
    await wallet.order_swap(SwapOrder((slot,), ((6, 0),)))
    wallet.refused(spending, "the circuit broke")
    assert wallet.store.instrument(slot).state is State.SWAPPING


async def test_a_refused_token_is_not_shown_again(wallet):
    entry = await token(wallet)
    spending = await wallet.take(RELAY)
    wallet.refused(spending, "known")
    assert wallet.store.instrument(entry.slot).state is State.SPENT
    assert not wallet.covers(RELAY)
    wallet.refused(spending, "known")


async def test_tokens_of_an_earlier_run_are_not_shown_again(world, wallet):
    entry = await token(wallet)
    spending = await wallet.take(RELAY)
    await wallet.spend(spending, 3)
    wallet.store.close()
    again = world.wallet()
    found = again.store.instrument(entry.slot)
    assert (found.state, found.k) == (State.SPENT, 3)
    assert not again.covers(RELAY)
    again.store.close()


async def test_tokens_of_an_ended_epoch_are_shown_while_relays_take_them(world, wallet):
    await token(wallet)
    end = CLOCK.bounds(0)[1]
    world.time.now = end + TERMS.spend_s - TERMS.spend_s // 8 - 1
    assert wallet.covers(RELAY)
    world.time.now = end + TERMS.spend_s
    assert not wallet.covers(RELAY)


async def test_the_k_at_which_a_token_retires_is_drawn_anew(world, wallet):
    held = await buy(wallet, 40)
    for entry in held:
        assert await wallet.send(await wallet.order_swap(for_token([entry], RELAY)))
    drawn = [(await wallet.take(RELAY)).last for _ in held]
    assert min(drawn) >= 48
    assert max(drawn) <= 64
    assert len(set(drawn)) > 5


async def too_late_for_two(world, wallet, request):
    """Two members hear of a request in its epoch, the other two after it."""
    for member in world.office.members[2:]:
        member.mode = "silent"
    with pytest.raises(IssuersSilentError):
        await wallet.send(request)
    for member in world.office.members[2:]:
        member.mode = ""
    world.time.now = CLOCK.bounds(0)[1] + 1


async def test_what_two_members_served_is_taken_once_they_told_the_others(world, wallet):
    request = await wallet.order_credits(2)
    await too_late_for_two(world, wallet, request)
    with pytest.raises(IssuersRefusedError):
        await wallet.send(request)
    assert wallet.store.request(request.number).state is RequestState.OPEN
    world.office.pool()
    assert await wallet.send(request)
    held = wallet.store.instruments(State.HELD)
    assert len(held) == 2
    assert all(is_valid(world, wallet, entry) for entry in held)


async def test_a_swap_that_two_members_served_is_taken_once_they_told_the_others(world, wallet):
    (held,) = await buy(wallet, 1)
    request = await wallet.order_swap(SwapOrder((held.slot,), ((6, 0),)))
    await too_late_for_two(world, wallet, request)
    world.office.pool()
    for member in world.office.members[1:]:
        member.mode = "silent"
    assert await wallet.send(request)
    (new,) = wallet.store.instruments(State.HELD)
    assert is_valid(world, wallet, new)


async def test_a_swap_that_stays_half_served_is_stuck_and_a_purchase_stays_disputable(
    world, wallet
):
    (held,) = await buy(wallet, 1)
    swap = await wallet.order_swap(SwapOrder((held.slot,), ((6, 0),)))
    purchase = await wallet.order_credits(1)
    await too_late_for_two(world, wallet, swap)
    world.time.now -= 10
    await too_late_for_two(world, wallet, purchase)
    world.time.now = CLOCK.bounds(0)[1] + 2 * TERMS.finish_s
    for request in (swap, purchase):
        with pytest.raises(IssuersRefusedError):
            await wallet.send(request)
    assert wallet.store.instrument(held.slot).state is State.STUCK
    assert wallet.store.request(purchase.number).state is RequestState.OPEN


async def test_one_token_is_taken_once_whoever_asks_at_the_same_time(wallet):
    await token(wallet)

    async def look_again():
        await asyncio.sleep(0)
        wallet.look()
        return await wallet.take(RELAY)

    taken = await asyncio.gather(wallet.take(RELAY), look_again(), wallet.take(RELAY))
    assert sum(one is not None for one in taken) == 1
