"""What a wallet wants: never worth from nothing, never an instrument twice."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.issuing import Why
from node.payments.user.derivation import Slot
from node.payments.user.policy import Marks, Situation, guesses, jitter_s, plan
from node.payments.user.states import Instrument, State
from node.payments.user.stock import (
    BuyOrder,
    Holdings,
    SwapOrder,
    compose,
    for_token,
    merged,
    refund,
)
from node.payments.user.wallet import ANOTHER, WRONG_AMOUNT
from qnet.errors import LocalProtocolError
from qnet.messages.instruments import TOKEN_CLASS, units_of
from qnet.messages.swap import INPUTS_MAX, OUTPUTS_MAX
from tests.support.issuing import CLOCK, TERMS

SIGNATURE = b"s" * 48


def at(epoch=3, after_s=10.0, **values):
    return Situation(CLOCK, CLOCK.bounds(epoch)[0] + after_s, **values)


def held(class_, counter=0, epoch=3, relay=0, state=State.HELD, k=0):
    return Instrument(Slot(epoch, class_, counter), state, relay, SIGNATURE, k, 50 if k else 0)


@st.composite
def stocks(draw):
    counters = {}
    entries = []
    for _ in range(draw(st.integers(0, 30))):
        class_, epoch = draw(st.integers(0, 7)), draw(st.integers(0, 3))
        counter = counters[epoch, class_] = counters.get((epoch, class_), -1) + 1
        state = draw(st.sampled_from(State))
        k = draw(st.integers(0, 64)) if class_ == TOKEN_CLASS and state is State.SPENT else 0
        entries.append(held(class_, counter, epoch, 7 if class_ == TOKEN_CLASS else 0, state, k))
    return entries


@given(
    stocks(),
    st.floats(0, 59),
    st.dictionaries(st.integers(1, 9), st.integers(0, 100), max_size=5),
    st.integers(0, 100),
)
def test_whatever_it_holds_it_asks_for_what_members_would_serve(stock, after_s, relays, may_buy):
    situation = at(after_s=after_s, relays=relays, may_buy=may_buy)
    orders = plan(stock, situation, secrets.token_bytes)
    by_slot = {entry.slot: entry for entry in stock}
    used = [slot for order in orders if isinstance(order, SwapOrder) for slot in order.inputs]
    assert len(used) == len(set(used))
    for order in orders:
        if isinstance(order, BuyOrder):
            assert 1 <= order.credits <= min(64, may_buy)
            continue
        entries = [by_slot[slot] for slot in order.inputs]
        assert 1 <= len(order.inputs) <= INPUTS_MAX
        assert 1 <= len(order.outputs) <= OUTPUTS_MAX
        assert all(situation.is_free(entry.slot) for entry in entries)
        if any(entry.is_token for entry in entries):
            assert len(entries) == 1
            assert CLOCK.elapsed(entries[0].slot.epoch, situation.now) >= TERMS.token_s
        assert sum(units_of(class_) for class_, _ in order.outputs) == sum(
            entry.units for entry in entries
        )
        for class_, relay in order.outputs:
            assert (class_ == TOKEN_CLASS) == bool(relay)
            assert not relay or relays[relay] > 0


@given(st.integers(1, 2000))
def test_credits_are_composed_of_the_fewest(units):
    classes = compose(units)
    assert sum(units_of(class_) for class_ in classes) == units
    assert len(classes) == units // 64 + (units % 64).bit_count()


@pytest.mark.parametrize("units", [0, -1])
def test_nothing_is_composed_of_nothing(units):
    with pytest.raises(LocalProtocolError):
        compose(units)


def test_a_token_is_one_credit_for_one_where_possible():
    order = for_token([held(5), held(6, 1), held(6, 0, epoch=2)], 7)
    assert order == SwapOrder((Slot(2, 6, 0),), ((TOKEN_CLASS, 7),))


def test_a_token_is_made_of_small_credits_with_change():
    order = for_token([held(5), held(4), held(4, 1), held(3)], 7)
    assert len(order.inputs) == 3
    assert order.outputs == ((TOKEN_CLASS, 7),)
    change = for_token([held(5), held(4), held(3), held(3, 1), held(2)], 7)
    assert change.outputs == ((TOKEN_CLASS, 7),)
    assert for_token([held(5), held(4)], 7) is None
    assert for_token([], 7) is None
    assert for_token([held(3, i) for i in range(9)], 7).outputs == ((TOKEN_CLASS, 7),)


def test_small_credits_are_merged_into_few():
    order = merged([held(4, i) for i in range(8)])
    assert order.outputs == ((6, 0), (6, 0))
    assert merged([]) is None
    odd = [held(class_, i) for i, class_ in enumerate((5, 4, 3, 2, 1, 0))]
    assert merged(odd) is not None


def test_tokens_are_made_for_relays_as_often_as_paths_take_them():
    credits_ = [held(6, i) for i in range(400)]
    marks = Marks(tokens=1)
    drawn = [
        plan(credits_, at(relays={3: 90, 5: 10}, marks=marks), secrets.token_bytes)[0].outputs
        for _ in range(300)
    ]
    often = sum(outputs == ((TOKEN_CLASS, 3),) for outputs in drawn)
    assert 230 < often < 300


def test_every_relay_on_a_path_has_a_token_before_one_has_two():
    credits_, likely = [held(6, i) for i in range(20)], {3: 10**9, 5: 10**9, 7: 10**9, 9: 1}
    for _ in range(30):
        orders = plan(credits_, at(relays=likely, marks=Marks(tokens=6)), secrets.token_bytes)
        made = [order.outputs[0][1] for order in orders]
        assert sorted(made[:3]) == [3, 5, 7]
        assert sorted(made) == [3, 3, 5, 5, 7, 7]


def test_no_more_than_two_tokens_for_one_relay():
    orders = plan([held(6, i) for i in range(20)], at(relays={3: 1}), secrets.token_bytes)
    assert sum(order.outputs[0][0] == TOKEN_CLASS for order in orders) == 2


def test_tokens_of_an_ended_epoch_do_not_count_as_stock():
    stock = [held(6), held(TOKEN_CLASS, 0, epoch=2, relay=3), held(TOKEN_CLASS, 1, 2, 3)]
    orders = plan(stock, at(relays={3: 1}, marks=Marks(tokens=1)), secrets.token_bytes)
    assert orders == [SwapOrder((Slot(3, 6, 0),), ((TOKEN_CLASS, 3),))]


def test_credits_that_expire_soon_are_left_for_the_chain():
    late = at(epoch=3, after_s=0)
    assert late.is_free(Slot(2, 6, 0))
    safety = TERMS.exit_s - TERMS.exit_s // 35
    edge = Situation(CLOCK, CLOCK.bounds(3)[1] + safety)
    assert not edge.is_free(Slot(3, 6, 0))
    assert Situation(CLOCK, edge.now - 1).is_free(Slot(3, 6, 0))


def test_what_was_refused_rests():
    slot = Slot(2, 6, 0)
    assert plan([held(6, epoch=2)], at(resting={slot}), secrets.token_bytes) == []


def test_guesses_begin_with_what_is_likely_and_end():
    spent = held(TOKEN_CLASS, state=State.SPENT, k=50)
    assert guesses(spent)[:3] == [50, 49, 0]
    assert sorted(guesses(spent)) == list(range(51))
    assert guesses(held(TOKEN_CLASS)) == [0]
    assert guesses(held(TOKEN_CLASS, state=State.SPENT, k=64)) == []
    unsure = guesses(held(TOKEN_CLASS, state=State.UNSURE))
    assert unsure[:2] == [0, 48]
    assert sorted(unsure) == list(range(64))


def test_the_rest_of_a_token_is_tried_until_every_guess_was_refused():
    token = held(TOKEN_CLASS, 0, epoch=1, relay=7, state=State.SPENT, k=2)
    seen = []
    for tries in range(5):
        orders = plan(
            [token], at(epoch=3, after_s=30, tries={token.slot: tries}), secrets.token_bytes
        )
        seen += [sum(units_of(class_) for class_, _ in order.outputs) for order in orders]
    assert seen == [62, 63, 64]
    assert refund(token, 2).inputs == (token.slot,)


def test_swaps_of_a_wallet_without_tokens_wait_less():
    some = [held(TOKEN_CLASS, relay=3)]
    waits = [jitter_s(at(), some, secrets.token_bytes) for _ in range(200)]
    urgent = [jitter_s(at(), [], secrets.token_bytes) for _ in range(200)]
    assert 5 < max(waits) <= 60 / 8
    assert max(urgent) <= 60 / 64


def test_holdings_count_what_there_is():
    stock = [
        held(6),
        held(5, state=State.REQUESTED),
        held(4, state=State.STUCK),
        held(TOKEN_CLASS, 0, relay=3),
        held(TOKEN_CLASS, 1, relay=3),
        held(TOKEN_CLASS, 2, relay=3, state=State.SPENT, k=60),
        held(6, 9, state=State.SWAPPED),
    ]
    assert Holdings.of(stock) == Holdings(96, {3: 2}, 4, 16)


def test_the_members_words_are_understood():
    assert Why.ANOTHER == ANOTHER
    assert Why.BALANCE == WRONG_AMOUNT
