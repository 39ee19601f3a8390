"""What members sign blindly: every refusal, and that no value is served twice or made."""

import secrets
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger.domain.issuing import (
    ChannelFacts,
    EpochFacts,
    InputFacts,
    InputState,
    Why,
    input_place,
    serve_purchase,
    serve_swap,
    voucher_place,
)
from ledger.errors import IssuingRefusedError
from qnet.crypto.bls import hash_to_g1
from qnet.crypto.keys import ReceiptKey
from qnet.eip712 import qnet_domain
from qnet.messages.instruments import Place, units_of
from qnet.messages.swap import CreditInput, Output, Swap, TokenInput
from qnet.messages.voucher import Purchase

PLACE = Place(31337, b"\x0c" * 20)
DOMAIN = qnet_domain(PLACE.chain_id, PLACE.channels)
UNIT = 10**15
OWNER = ReceiptKey(b"\x11" * 32)
KEYS = [ReceiptKey(bytes([n]) * 32) for n in range(0x20, 0x30)]
EPOCH = EpochFacts(number=4, open=True, left_units=10_000, unit_wei=UNIT)
CHANNEL = ChannelFacts(deposit_wei=1000 * 64 * UNIT, closing=False)
POINTS = [hash_to_g1(bytes([n]) * 32).encode() for n in range(16)]
HOLDS = InputFacts(holds=True, state=InputState.TAKEN)


class Book:
    """A member's memory."""

    def __init__(self):
        self.places, self.vouchers = {}, {}

    def last_voucher(self, channel):
        return self.vouchers.get(channel, (0, 0))

    def request_at(self, place):
        return self.places.get(place)

    def keep(self, served, purchase=None):
        for place in served.places:
            assert self.places.setdefault(place, served.request) == served.request
        if purchase is not None and not served.again:
            voucher = purchase.voucher
            self.vouchers[voucher.channel] = (voucher.nonce, voucher.cumulative_wei)
        return served


def purchase(count=2, nonce=1, before=0, epoch=4, first=0, **changes):
    points = POINTS[first : first + count]
    price = changes.pop("price", 64 * count * UNIT)
    return Purchase.make(
        OWNER, DOMAIN, points, cumulative_wei=before + price, nonce=nonce, epoch=epoch
    )


def buy(book, made, epoch=EPOCH, channel=CHANNEL):
    return book.keep(serve_purchase(made, DOMAIN, epoch, channel, book), made)


def credit(number=0, class_=6, epoch=4):
    return CreditInput(epoch, class_, KEYS[number].address, POINTS[0])


def swap(entries, classes, epoch=4, keys=None, first=8):
    outs = tuple(Output(class_, POINTS[first + n]) for n, class_ in enumerate(classes))
    signers = keys or [next(k for k in KEYS if k.address == entry.owner) for entry in entries]
    return Swap(epoch, tuple(entries), outs).sign(signers, DOMAIN)


def trade(book, made, facts=HOLDS, epoch=EPOCH):
    found = {entry.message(PLACE): facts for entry in made.inputs}
    return book.keep(serve_swap(made, DOMAIN, PLACE, epoch, found, book))


def refused(why):
    return pytest.raises(IssuingRefusedError, check=lambda error: error.why == why.value)


# purchases


def test_a_purchase_is_served_and_the_same_one_again():
    book, made = Book(), purchase()
    served = buy(book, made)
    assert [class_ for class_, _ in served.points] == [6, 6]
    assert [point.encode() for _, point in served.points] == POINTS[:2]
    assert served.places == (voucher_place(OWNER.address, 1),)
    assert not served.again
    assert buy(book, made) == replace(served, again=True)
    # whatever has happened since
    late = replace(EPOCH, number=5, open=False, left_units=0)
    assert buy(book, made, late, ChannelFacts(0, closing=True)).again


def test_a_nonce_serves_one_voucher():
    book = Book()
    buy(book, purchase())
    with refused(Why.ANOTHER):
        buy(book, purchase(first=4))
    with refused(Why.NONCE):
        buy(book, purchase(nonce=3, before=128 * UNIT))
    with refused(Why.NONCE):
        buy(Book(), purchase(nonce=2))
    assert not buy(book, purchase(nonce=2, before=128 * UNIT)).again


@pytest.mark.parametrize("price", [0, 128 * UNIT - 1, 128 * UNIT + 1, 2**127])
def test_the_price_is_exact(price):
    with refused(Why.PRICE):
        buy(Book(), purchase(price=price))


@pytest.mark.parametrize(
    ("epoch", "channel", "why"),
    [
        (replace(EPOCH, number=5), CHANNEL, Why.EPOCH),
        (replace(EPOCH, open=False), CHANNEL, Why.EPOCH),
        (EPOCH, None, Why.CHANNEL),
        (EPOCH, replace(CHANNEL, closing=True), Why.CHANNEL),
        (EPOCH, ChannelFacts(128 * UNIT - 1, closing=False), Why.FUNDS),
        (replace(EPOCH, left_units=127), CHANNEL, Why.SOLD_OUT),
    ],
)
def test_what_stands_against_a_purchase(epoch, channel, why):
    with refused(why):
        buy(Book(), purchase(), epoch, channel)


def test_the_last_unit_of_deposit_and_cap_can_be_bought():
    exact = ChannelFacts(128 * UNIT, closing=False)
    assert buy(Book(), purchase(), replace(EPOCH, left_units=128), exact)


def test_a_purchase_by_somebody_else_is_refused():
    made = purchase()
    with refused(Why.SIGNATURE):
        buy(Book(), replace(made, signature=KEYS[0].sign(made.voucher.digest(DOMAIN))))
    with refused(Why.SIGNATURE):
        buy(Book(), replace(made, points=made.points[::-1]))


IDENTITY = bytes([0xC0]) + bytes(47)


@pytest.mark.parametrize("point", [IDENTITY, bytes(48), b"\xff" * 48])
def test_no_bad_point_is_signed(point):
    points = [POINTS[0], point]
    made = Purchase.make(OWNER, DOMAIN, points, cumulative_wei=128 * UNIT, nonce=1, epoch=4)
    with refused(Why.POINT):
        buy(Book(), made)
    bad = Swap(4, (credit(),), (Output(6, point),)).sign([KEYS[0]], DOMAIN)
    with refused(Why.POINT):
        trade(Book(), bad)


# swaps


def test_a_swap_is_served_and_the_same_one_again():
    book, made = Book(), swap([credit(0), credit(1, class_=5)], [7, 4, 4])
    served = trade(book, made)
    assert [class_ for class_, _ in served.points] == [7, 4, 4]
    assert served.places == tuple(input_place(entry.message(PLACE)) for entry in made.inputs)
    assert trade(book, made) == replace(served, again=True)
    assert trade(book, made, replace(HOLDS, state=InputState.LATE)).again


def test_an_instrument_is_given_up_once():
    book = Book()
    trade(book, swap([credit(0), credit(1)], [7, 7]))
    for again in (
        swap([credit(0)], [6]),
        swap([credit(0), credit(1)], [7, 7], first=4),
        swap([credit(2), credit(1)], [7, 7]),
    ):
        with refused(Why.ANOTHER):
            trade(book, again)
    # a refused swap has taken nothing
    assert not trade(book, swap([credit(2)], [7])).again


@pytest.mark.parametrize("classes", [[6, 0], [5], [7, 6], [0], [5, 4, 3, 2, 1, 0]], ids=str)
def test_what_goes_out_is_worth_what_comes_in(classes):
    with refused(Why.BALANCE):
        trade(Book(), swap([credit()], classes))


@given(st.integers(0, 64))
def test_a_token_is_worth_what_is_left_of_it(spent):
    token = TokenInput(3, 9, b"\x07" * 32, KEYS[0].address, POINTS[0])
    facts = replace(HOLDS, spent_units=spent)
    left = 64 - spent
    classes = [6] if left == 64 else [bit for bit in range(6) if left >> bit & 1]
    if left == 0:
        with refused(Why.BALANCE):
            trade(Book(), swap([token], [0]), facts)
        return
    assert sum(map(units_of, classes)) == left
    assert trade(Book(), swap([token], classes), facts)
    with refused(Why.BALANCE):
        trade(Book(), swap([token], [*classes, 0][-8:]), facts)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (replace(HOLDS, holds=False), Why.INSTRUMENT),
        (replace(HOLDS, state=InputState.EARLY), Why.TOO_EARLY),
        (replace(HOLDS, state=InputState.LATE), Why.TOO_OLD),
        (replace(HOLDS, state=InputState.EXITED), Why.GONE),
    ],
)
def test_what_stands_against_an_input(facts, why):
    with refused(why):
        trade(Book(), swap([credit()], [6]), facts)


def test_swaps_are_for_the_running_epoch():
    for epoch in (replace(EPOCH, number=5), replace(EPOCH, open=False)):
        with refused(Why.EPOCH):
            trade(Book(), swap([credit()], [6]), epoch=epoch)


def test_every_owner_must_sign():
    with refused(Why.SIGNATURE):
        trade(Book(), swap([credit(0), credit(1)], [7, 7], keys=[KEYS[0], KEYS[0]]))


# many members


@pytest.mark.parametrize(("n", "f", "t", "safe"), [(4, 1, 3, True), (4, 1, 2, False)])
def test_two_requests_in_one_place_never_both_reach_the_threshold(n, f, t, safe):
    """Each honest member sees one first; the dishonest serve both."""
    both = [swap([credit()], [7]), swap([credit()], [6], first=12)]
    doubled = False
    for liars in combinations(range(n), f):
        honest = [member for member in range(n) if member not in liars]
        for split in range(2 ** len(honest)):
            books = {member: Book() for member in honest}
            answers = [f, f]
            for place, member in enumerate(honest):
                first = split >> place & 1
                for which in (first, 1 - first):
                    try:
                        trade(books[member], both[which])
                    except IssuingRefusedError:
                        continue
                    answers[which] += 1
            doubled = doubled or min(answers) >= t
    assert doubled is not safe


class Market(RuleBasedStateMachine):
    """One member over any course of purchases and swaps: units out never exceed units paid."""

    def __init__(self):
        super().__init__()
        self.book = Book()
        self.nonce = self.paid = self.issued = 0
        self.spent = set()

    @rule(count=st.integers(1, 4), again=st.booleans())
    def buys(self, count, again):
        nonce = self.nonce + (0 if again and self.nonce else 1)
        made = purchase(count, nonce=nonce, before=64 * UNIT * self.paid)
        try:
            served = buy(self.book, made)
        except IssuingRefusedError:
            assert nonce == self.nonce
            return
        if not served.again:
            self.nonce, self.paid = nonce, self.paid + count
            self.issued += 64 * count

    @rule(
        numbers=st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True),
        classes=st.lists(st.integers(0, 7), min_size=1, max_size=8),
    )
    def swaps(self, numbers, classes):
        made = swap([credit(number) for number in numbers], classes)
        try:
            served = trade(self.book, made)
        except IssuingRefusedError:
            return
        assert sum(map(units_of, classes)) == 64 * len(numbers)
        if not served.again:
            assert not self.spent & set(numbers)
            self.spent |= set(numbers)

    @invariant()
    def every_place_holds_one_request(self):
        assert self.issued == 64 * self.paid
        assert len(self.book.places) == self.nonce + len(self.spent)


TestMarket = Market.TestCase
TestMarket.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)


def test_a_place_is_one_of_its_kind():
    message = secrets.token_bytes(32)
    assert voucher_place(OWNER.address, 1) != voucher_place(OWNER.address, 2)
    assert input_place(message) != voucher_place(message[:20], 1)
