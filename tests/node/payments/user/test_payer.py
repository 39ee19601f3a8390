"""What a client decides to pay, alone and against the gate that it pays."""

import secrets

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.circuit.payment import PaymentState, PaymentStatus, Refusal
from node.payments.relay.tollgate import (
    PRICED_BYTES,
    Issued,
    Refused,
    SetWeight,
    StoreToken,
    StoreUnit,
    Tollgate,
)
from node.payments.user.payer import (
    AHEAD_MAX,
    RETRY_S,
    DropToken,
    PaidHop,
    Payer,
    ShowToken,
    SpendUnits,
    Stage,
    TakeToken,
)
from node.payments.user.purse import Spending
from qnet.crypto.bls import hash_to_g1
from qnet.crypto.hash_chain import HashChain
from qnet.crypto.points import G2
from qnet.crypto.scalars import random_scalar
from qnet.messages.instruments import Opening, Place, token_id_of

PLACE = Place(31337, b"\x0c" * 20)
RELAY, EPOCH, NOW, RTT = 5, 4, 1000.0, 0.1
SECRET = random_scalar(secrets.token_bytes)
PUBLIC = G2.generator() * SECRET
OPENED = PaymentStatus(PaymentState.USED_UP, 0)
PAID = PaymentStatus(PaymentState.PAID, 1024)


def spending(last=56, relay=RELAY):
    chain, refund = HashChain(secrets.token_bytes(32)), secrets.token_bytes(20)
    message = PLACE.token(EPOCH, relay, token_id_of(chain.top, refund))
    opening = Opening(EPOCH, chain.top, refund, (hash_to_g1(message) * SECRET).encode())
    return Spending(relay, opening, chain, last)


def payer(*prices):
    return Payer([PaidHop(place, price) for place, price in enumerate(prices)])


def opened(price=1, last=56):
    """A payer of one hop whose token is open."""
    paying = payer(price)
    token = spending(last)
    assert paying.look(NOW, [0], RTT) == [TakeToken(0)]
    assert paying.took(0, token, NOW) == [ShowToken(0, token)]
    assert paying.told(0, OPENED) == []
    return paying, token


def spend(paying, token, k):
    """The purse stores a payment."""
    added, token.k = k - token.k, k
    return paying.spent(0, added)


def test_a_unit_is_paid_ahead_and_the_next_when_it_is_begun():
    paying, token = opened()
    assert paying.look(NOW, [0], RTT) == [SpendUnits(0, token, 1)]
    assert paying.look(NOW, [0], RTT) == []  # one after the other
    spend(paying, token, 1)
    assert paying.look(NOW, [0], RTT) == []
    assert paying.look(NOW, [2048], RTT) == [SpendUnits(0, token, 2)]
    assert paying.hops[0].units == 1


def test_after_a_token_whose_time_is_over_the_next_follows():
    paying, _ = opened()
    paying.look(NOW, [0], RTT)
    assert paying.expired(0) == []
    assert paying.look(NOW, [0], RTT) == [TakeToken(0)]


def test_a_token_whose_time_is_over_ends_a_circuit_that_leaves():
    paying, token = opened()
    assert paying.leave() == [SpendUnits(0, token, token.last)]
    assert paying.expired(0) == []
    assert paying.is_settled
    assert paying.look(NOW, [0], RTT) == []


def test_free_hops_are_left_alone():
    paying = payer(0, 1, 0)
    assert paying.look(NOW, [0, 0, 0], RTT) == [TakeToken(1)]


def test_a_purse_without_a_token_is_asked_again_later():
    paying = payer(1)
    assert paying.look(NOW, [0], RTT) == [TakeToken(0)]
    assert paying.took(0, None, NOW) == []
    assert paying.look(NOW + RETRY_S / 2, [0], RTT) == []
    assert paying.look(NOW + RETRY_S, [0], RTT) == [TakeToken(0)]


def test_what_went_for_free_is_not_paid_later():
    paying = payer(1)
    paying.look(NOW, [50 * PRICED_BYTES], RTT)
    token = spending()
    paying.took(0, token, NOW)
    paying.told(0, OPENED)
    (order,) = paying.look(NOW + 1e9, [50 * PRICED_BYTES], RTT)
    assert order.k <= 2


@pytest.mark.parametrize(("rate", "units"), [(0, 1), (10, 3), (20, 4), (1000, AHEAD_MAX)])
def test_a_fast_circuit_is_paid_further_ahead(rate, units):
    """The round trip and the time to store, at so many MiB a second."""
    paying, _ = opened()
    carried = 0
    for step in range(1, 100):
        carried += rate * PRICED_BYTES // 20
        paying.look(NOW + step * 0.05, [carried], RTT)
    paying.hops[0].stage, paying.hops[0].left_bytes = Stage.OPEN, 0
    (order,) = paying.look(NOW + 5, [carried], RTT)
    assert abs(order.k - units) <= 1


def test_a_token_retires_at_its_last_and_the_next_follows():
    paying, token = opened(last=48)
    token.k = 47
    assert paying.look(NOW, [0], RTT) == [SpendUnits(0, token, 48)]
    spend(paying, token, 48)
    assert paying.look(NOW, [0], RTT) == [TakeToken(0)]
    fresh = spending()
    assert paying.took(0, fresh, NOW) == [ShowToken(0, fresh)]
    assert paying.look(NOW, [PRICED_BYTES], RTT) == []
    paying.told(0, PAID)
    assert paying.look(NOW, [PRICED_BYTES], RTT) == [SpendUnits(0, fresh, 1)]


def test_a_circuit_that_ends_is_paid_up():
    paying, token = opened(last=60)
    assert paying.leave() == [SpendUnits(0, token, 60)]
    assert not paying.is_settled
    assert spend(paying, token, 60) == []
    assert paying.is_settled
    assert paying.look(NOW, [0], RTT) == []


def test_what_is_under_way_when_it_ends_is_paid_up_then():
    paying, token = opened(last=60)
    paying.look(NOW, [0], RTT)
    assert paying.leave() == []
    assert spend(paying, token, 1) == [SpendUnits(0, token, 60)]
    waiting = payer(1)
    waiting.look(NOW, [0], RTT)
    waiting.leave()
    (dropped,) = waiting.took(0, token, NOW)
    assert isinstance(dropped, DropToken)
    assert waiting.is_settled
    shown = payer(1)
    other = spending(48)
    shown.shown(0, other)
    assert shown.leave() == []
    assert not shown.is_settled
    assert shown.told(0, OPENED) == [SpendUnits(0, other, 48)]


def test_a_refusal_ends_it():
    paying, token = opened()
    (dropped,) = paying.told(0, PaymentStatus.refused(Refusal.KNOWN))
    assert dropped == DropToken(token, Refusal.KNOWN.words)
    assert paying.look(NOW + 100, [PRICED_BYTES], RTT) == []
    assert paying.hops[0].problem == Refusal.KNOWN.words
    assert paying.told(0, PaymentStatus.refused(Refusal.BUSY)) == []
    assert paying.is_settled


def test_a_purse_that_fails_is_asked_no_more():
    paying = payer(1)
    paying.look(NOW, [0], RTT)
    paying.give_up(0, "disk full")
    assert paying.look(NOW + 100, [PRICED_BYTES], RTT) == []


def test_a_hop_cannot_ask_for_more_than_was_carried():
    """Whatever it says of what is left: the client counts."""
    paying, token = opened()
    spend(paying, token, paying.look(NOW, [0], RTT)[0].k)
    for _ in range(100):
        paying.told(0, OPENED)
        assert paying.look(NOW, [0], RTT) == []
    assert token.k == 1


class Paying(RuleBasedStateMachine):
    """A payer and the gate it pays, with payments, answers and bytes under way."""

    def __init__(self):
        super().__init__()
        self.price = 2
        self.gate = Tollgate(PLACE, RELAY, self.price, {EPOCH: Issued(PUBLIC, NOW * 2)})
        self.payer = payer(self.price)
        self.now = NOW
        self.orders = []
        self.answers = []
        self.stored = []
        self.carried = self.seen = self.premium_bytes = self.paid_units = 0
        self.premium = False
        self.tokens = []

    def note(self, actions):
        for action in actions:
            if isinstance(action, SetWeight):
                self.premium = action.premium
                self.answers.append(PaymentStatus.of(action.left_bytes))
            else:
                assert not isinstance(action, Refused)
                self.stored.append(action)

    @rule()
    def look(self):
        self.now += 0.01
        self.orders += self.payer.look(self.now, [self.seen], RTT)

    @rule()
    def carry_out(self):
        if not self.orders:
            return
        order = self.orders.pop(0)
        if isinstance(order, TakeToken):
            token = spending(last=48 + secrets.randbelow(17))
            self.tokens.append(token)
            self.orders += self.payer.took(0, token, self.now)
        elif isinstance(order, ShowToken):
            assert self.gate.open(1, 1, order.token.opening, NOW) == []
            (batch,) = self.gate.batches().values()
            self.note(self.gate.judged(batch, (), NOW))
        else:
            added, order.token.k = order.k - order.token.k, order.k
            assert added > 0  # nothing is paid twice
            self.paid_units += added
            self.note(self.gate.pay(1, order.token.unit(order.k), NOW))
            self.orders += self.payer.spent(0, added)

    @rule()
    def store(self):
        if not self.stored:
            return
        action = self.stored.pop(0)
        if isinstance(action, StoreToken):
            self.note(self.gate.stored(1, action.opening))
        else:
            assert isinstance(action, StoreUnit)
            self.note(self.gate.paid(1, action.added))

    @rule()
    def answer(self):
        if self.answers:
            self.orders += self.payer.told(0, self.answers.pop(0))

    @rule(cells=st.integers(1, 256))
    def carry(self, cells):
        self.carried += cells * 2048
        if self.premium:
            self.premium_bytes += cells * 2048
            self.note(self.gate.used(1, cells * 2048))

    @rule()
    def see(self):
        self.seen = self.carried

    @invariant()
    def at_most_what_is_ahead_is_lost(self):
        value = self.paid_units * PRICED_BYTES // self.price
        unit = PRICED_BYTES // self.price
        # the relay: what it carried for premium was paid, but for the last cells of a turn
        assert self.premium_bytes <= value + 256 * 2048
        # the client: it pays for what it saw, and is never further ahead than it may be
        assert value <= self.seen + (AHEAD_MAX + 1) * unit

    @invariant()
    def tokens_are_spent_one_after_the_other(self):
        assert all(token.k == token.last for token in self.tokens[:-1])


TestPaying = Paying.TestCase
TestPaying.settings = settings(max_examples=30, stateful_step_count=120, deadline=None)
