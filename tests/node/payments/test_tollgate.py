"""The tollgate's decisions: real signatures, and every way to cheat that costs no I/O."""

import secrets

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.payments.tollgate import (
    FAILURES_MAX,
    PENDING_MAX,
    UNIT_BYTES,
    Issued,
    Refusal,
    Refused,
    SetWeight,
    StoreToken,
    StoreUnit,
    Tollgate,
)
from qnet.crypto.bls import find_bad, hash_to_g1
from qnet.crypto.hash_chain import HashChain
from qnet.crypto.points import G1, G2
from qnet.crypto.scalars import random_scalar
from qnet.messages.instruments import Opening, Place, Unit, token_id_of

PLACE = Place(31337, b"\x0c" * 20)
RELAY, EPOCH, NOW, UNTIL = 5, 4, 1000.0, 2000.0
SECRET = random_scalar(secrets.token_bytes)
PUBLIC = G2.generator() * SECRET
REFUND = b"\x0f" * 20


def token(relay=RELAY, epoch=EPOCH, secret=SECRET, place=PLACE):
    """A token that its issuer signed, with its hash chain."""
    chain = HashChain(secrets.token_bytes(32))
    message = place.token(epoch, relay, token_id_of(chain.top, REFUND))
    signature = (hash_to_g1(message) * secret).encode()
    return chain, Opening(epoch, chain.top, REFUND, signature)


def gate(price=1):
    return Tollgate(PLACE, RELAY, price, {EPOCH: Issued(PUBLIC, UNTIL)})


def settle(tollgate):
    """Verify what waits and store what holds; what the gate said."""
    said = []
    for epoch, batch in tollgate.batches().items():
        pairs = [(pending.message, pending.signature) for pending in batch]
        bad = find_bad(pairs, tollgate.issued[epoch].key, secrets.token_bytes)
        said += tollgate.judged(batch, bad)
    for action in said:
        if isinstance(action, StoreToken):
            tollgate.stored(action.circuit, action.opening)
    return said


def opened(tollgate, circuit=1, link=1):
    chain, opening = token()
    assert tollgate.open(circuit, link, opening, NOW) == []
    assert settle(tollgate) == [StoreToken(circuit, opening)]
    return chain, opening


def reasons(actions):
    return [action.why for action in actions if isinstance(action, Refused)]


def unit(chain, k):
    return Unit(k, chain.preimage(k))


def test_a_unit_buys_a_mebibyte_of_premium_weight():
    tollgate = gate()
    chain, opening = opened(tollgate)
    (stored,) = tollgate.pay(1, unit(chain, 1))
    assert stored == StoreUnit(1, opening.token_id, unit(chain, 1), 1)
    assert tollgate.paid(1, stored.added) == [SetWeight(1, premium=True)]
    assert tollgate.used(1, UNIT_BYTES - 1) == []
    assert tollgate.used(1, 1) == [SetWeight(1, premium=False)]
    (stored,) = tollgate.pay(1, unit(chain, 64))
    assert stored.added == 63
    assert tollgate.paid(1, stored.added) == [SetWeight(1, premium=True)]
    assert tollgate.used(1, 62 * UNIT_BYTES) == []


def test_nothing_is_granted_before_it_is_stored():
    tollgate = gate()
    chain, _ = opened(tollgate)
    tollgate.pay(1, unit(chain, 5))
    assert tollgate.used(1, 1) == []
    assert tollgate.paid(1, 5) == [SetWeight(1, premium=True)]


def test_a_price_of_three_asks_for_three_units_a_mebibyte():
    tollgate = gate(price=3)
    chain, _ = opened(tollgate)
    (stored,) = tollgate.pay(1, unit(chain, 3))
    tollgate.paid(1, stored.added)
    assert tollgate.used(1, UNIT_BYTES) == [SetWeight(1, premium=False)]


@pytest.mark.parametrize(
    "change",
    [
        {"relay": RELAY + 1},
        {"place": Place(1, PLACE.channels)},
        {"place": Place(31337, b"\x0d" * 20)},
        {"secret": random_scalar(secrets.token_bytes)},
    ],
    ids=["another relay", "another chain", "another contract", "another key"],
)
def test_a_token_for_somebody_else_does_not_hold(change):
    tollgate = gate()
    _, opening = token(**change)
    assert tollgate.open(1, 1, opening, NOW) == []
    assert reasons(settle(tollgate)) == [Refusal.SIGNATURE]
    # who has the right one can still show it
    assert opening.token_id not in tollgate.known[EPOCH]


def test_tokens_of_other_epochs_and_late_ones_are_refused():
    tollgate = gate()
    assert reasons(tollgate.open(1, 1, token(epoch=EPOCH + 1)[1], NOW)) == [Refusal.EPOCH]
    _, opening = token()
    assert reasons(tollgate.open(1, 1, opening, UNTIL)) == [Refusal.EPOCH]
    assert tollgate.open(1, 1, opening, UNTIL - 1) == []


def test_a_token_is_taken_once():
    tollgate = gate()
    _, opening = token()
    assert tollgate.open(1, 1, opening, NOW) == []
    assert reasons(tollgate.open(2, 2, opening, NOW)) == [Refusal.KNOWN]
    settle(tollgate)
    assert reasons(tollgate.open(3, 3, opening, NOW)) == [Refusal.KNOWN]
    tollgate.closed(1)
    assert reasons(tollgate.open(1, 1, opening, NOW)) == [Refusal.KNOWN]
    later = Tollgate(PLACE, RELAY, 1, tollgate.issued, known={EPOCH: {opening.token_id}})
    assert reasons(later.open(1, 1, opening, NOW)) == [Refusal.KNOWN]


def test_a_sum_of_signatures_does_not_pass_for_two():
    """The plain sum of the two forged signatures is that of two right ones."""
    tollgate = gate()
    (_, first), (_, second) = token(), token()
    shift = hash_to_g1(b"\x01" * 32)
    forged = [
        Opening(EPOCH, first.top, REFUND, (G1.decode(first.signature) + shift).encode()),
        Opening(EPOCH, second.top, REFUND, (G1.decode(second.signature) + -shift).encode()),
    ]
    for circuit, opening in enumerate(forged):
        assert tollgate.open(circuit, 1, opening, NOW) == []
    assert reasons(settle(tollgate)) == [Refusal.SIGNATURE, Refusal.SIGNATURE]


def test_bad_ones_do_not_spoil_a_batch():
    tollgate = gate()
    right = [token()[1] for _ in range(5)]
    wrong = token(relay=RELAY + 1)[1]
    for circuit, opening in enumerate([*right[:2], wrong, *right[2:]]):
        tollgate.open(circuit, circuit, opening, NOW)
    said = settle(tollgate)
    assert [type(action) for action in said].count(StoreToken) == 5
    assert said[2] == Refused(2, Refusal.SIGNATURE)


def test_a_link_that_failed_often_solves_puzzles():
    tollgate = gate()
    for _ in range(FAILURES_MAX):
        _, opening = token()
        junk = Opening(EPOCH, opening.top, REFUND, bytes(48))
        assert reasons(tollgate.open(1, 7, junk, NOW)) == [Refusal.POINT]
    _, opening = token()
    assert reasons(tollgate.open(1, 7, opening, NOW)) == [Refusal.PUZZLE]
    assert tollgate.open(1, 8, opening, NOW) == []
    assert tollgate.open(1, 7, token()[1], NOW, solved=True) == []


def test_the_queue_has_an_end():
    tollgate = gate()
    _, opening = token()
    for number in range(PENDING_MAX):
        other = Opening(EPOCH, number.to_bytes(32, "big"), REFUND, opening.signature)
        assert tollgate.open(number, number, other, NOW) == []
    assert reasons(tollgate.open(1, 1, opening, NOW)) == [Refusal.BUSY]
    assert tollgate.refused == {Refusal.BUSY: 1}


def test_payments_follow_the_chain():
    tollgate = gate()
    assert reasons(tollgate.pay(1, Unit(1, bytes(32)))) == [Refusal.CLOSED]
    chain, _ = opened(tollgate)
    other = HashChain(secrets.token_bytes(32))
    assert reasons(tollgate.pay(1, unit(other, 1))) == [Refusal.CHAIN]
    tollgate.pay(1, unit(chain, 3))
    for k in (1, 3):
        assert reasons(tollgate.pay(1, unit(chain, k))) == [Refusal.CHAIN]
    assert reasons(tollgate.pay(1, Unit(4, chain.preimage(5)))) == [Refusal.CHAIN]
    (stored,) = tollgate.pay(1, unit(chain, 4))
    assert stored.added == 1


def test_a_second_token_goes_on_where_the_first_ended():
    tollgate = gate()
    chain, _ = opened(tollgate)
    (stored,) = tollgate.pay(1, unit(chain, 50))
    tollgate.paid(1, stored.added)
    tollgate.used(1, 49 * UNIT_BYTES)
    fresh, _ = opened(tollgate)
    assert tollgate.used(1, UNIT_BYTES - 1) == []
    (stored,) = tollgate.pay(1, unit(fresh, 1))
    assert tollgate.paid(1, stored.added) == []
    assert tollgate.used(1, UNIT_BYTES + 1) == [SetWeight(1, premium=False)]


def test_an_epoch_is_forgotten_when_it_is_over():
    tollgate = gate()
    opened(tollgate)
    assert tollgate.known[EPOCH]
    tollgate.forget(EPOCH)
    assert tollgate.known == {}


class Paying(RuleBasedStateMachine):
    """A circuit never carries more premium bytes than were paid and stored."""

    def __init__(self):
        super().__init__()
        self.gate = gate(price=2)
        self.chain, _ = opened(self.gate)
        self.k = self.granted = self.carried = 0
        self.premium = False

    def note(self, actions):
        for action in actions:
            if isinstance(action, SetWeight):
                assert action.premium is not self.premium
                self.premium = action.premium

    @rule(k=st.integers(0, 70))
    def pay(self, k):
        if not 1 <= k <= 64:
            return
        actions = self.gate.pay(1, unit(self.chain, k))
        if k > self.k:
            (stored,) = actions
            assert stored.added == k - self.k
            self.k = k
            self.granted += stored.added * UNIT_BYTES // 2
            self.note(self.gate.paid(1, stored.added))
        else:
            assert reasons(actions) == [Refusal.CHAIN]

    @rule(size=st.integers(1, 3 * UNIT_BYTES))
    def carry(self, size):
        if self.premium:
            self.carried += min(size, self.granted - self.carried)
        self.note(self.gate.used(1, size))

    @invariant()
    def premium_is_what_was_paid(self):
        assert self.carried <= self.granted
        assert self.premium is (self.carried < self.granted)


TestPaying = Paying.TestCase
TestPaying.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
