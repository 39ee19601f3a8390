"""The tollgate's decisions: real signatures, and every way to cheat that costs no I/O."""

import secrets

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.circuit.payment import Refusal
from node.payments.relay.tollgate import (
    CLIENT_PATIENCE,
    NODE_PATIENCE,
    PENDING_MAX,
    PRICED_BYTES,
    REFUSALS_MAX,
    Issued,
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
        said += tollgate.judged(batch, bad, NOW)
    for action in said:
        if isinstance(action, StoreToken):
            told = tollgate.stored(action.circuit, action.opening)
            assert [type(one) for one in told] == [SetWeight]
    return said


def opened(tollgate, circuit=1, link=1):
    chain, opening = token()
    assert tollgate.open(circuit, link, opening, NOW) == []
    assert settle(tollgate) == [StoreToken(circuit, opening)]
    return chain, opening


def reasons(actions):
    return [action.why for action in actions if isinstance(action, Refused)]


def weights(actions):
    return [action.premium for action in actions if isinstance(action, SetWeight)]


def unit(chain, k):
    return Unit(k, chain.preimage(k))


def test_a_unit_buys_a_mebibyte_of_premium_weight():
    tollgate = gate()
    chain, opening = opened(tollgate)
    (stored,) = tollgate.pay(1, unit(chain, 1), NOW)
    assert stored == StoreUnit(1, opening.token_id, unit(chain, 1), 1)
    assert weights(tollgate.paid(1, stored.added)) == [True]
    assert tollgate.used(1, PRICED_BYTES - 1) == []
    assert weights(tollgate.used(1, 1)) == [False]
    (stored,) = tollgate.pay(1, unit(chain, 64), NOW)
    assert stored.added == 63
    assert weights(tollgate.paid(1, stored.added)) == [True]
    assert tollgate.used(1, 62 * PRICED_BYTES) == []


def test_nothing_is_granted_before_it_is_stored():
    tollgate = gate()
    chain, _ = opened(tollgate)
    tollgate.pay(1, unit(chain, 5), NOW)
    assert tollgate.used(1, 1) == []
    assert tollgate.paid(1, 5) == [SetWeight(1, premium=True, left_bytes=5 * PRICED_BYTES)]


def test_a_price_of_three_asks_for_three_units_a_mebibyte():
    tollgate = gate(price=3)
    chain, _ = opened(tollgate)
    (stored,) = tollgate.pay(1, unit(chain, 3), NOW)
    tollgate.paid(1, stored.added)
    assert weights(tollgate.used(1, PRICED_BYTES)) == [False]


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


def junk():
    return Opening(EPOCH, secrets.token_bytes(32), REFUND, bytes(48))


@pytest.mark.parametrize("patience", [CLIENT_PATIENCE, NODE_PATIENCE])
def test_a_link_that_failed_often_waits(patience):
    tollgate = gate()
    for circuit in range(patience.failures):
        said = tollgate.open(circuit, 7, junk(), NOW, patience=patience)
        assert reasons(said) == [Refusal.POINT]
    _, opening = token()
    refused = tollgate.open(1000, 7, opening, NOW, patience=patience)
    assert reasons(refused) == [Refusal.FAILURES]
    assert tollgate.open(1001, 8, token()[1], NOW, patience=patience) == []
    later = NOW + patience.forgive_s
    assert tollgate.open(1000, 7, opening, later, patience=patience) == []


def test_a_circuit_that_showed_a_bad_signature_shows_no_other():
    tollgate = gate()
    assert reasons(tollgate.open(1, 1, junk(), NOW)) == [Refusal.POINT]
    assert reasons(tollgate.open(1, 1, token()[1], NOW)) == [Refusal.FAILURES]
    assert tollgate.open(2, 1, token()[1], NOW) == []


def test_a_circuit_has_one_opening_in_the_queue():
    tollgate = gate()
    assert tollgate.open(1, 1, token()[1], NOW) == []
    assert reasons(tollgate.open(1, 1, token()[1], NOW)) == [Refusal.BUSY]


def test_whoever_goes_on_is_not_answered():
    tollgate = gate()
    said = [tollgate.open(1, 1, junk(), NOW) for _ in range(100)]
    assert sum(map(len, said)) == REFUSALS_MAX
    assert sum(tollgate.refused.values()) == 100


def test_a_token_of_a_circuit_that_went_is_kept_and_opens_nothing():
    tollgate = gate()
    chain, opening = token()
    tollgate.open(1, 1, opening, NOW)
    (batch,) = tollgate.batches().values()
    tollgate.closed(1)
    assert tollgate.judged(batch, (), NOW) == [StoreToken(1, opening)]
    assert tollgate.stored(1, opening) == []
    assert tollgate.pay(1, unit(chain, 1), NOW) == []
    assert tollgate.paid(1, 1) == tollgate.used(1, 1) == []
    assert reasons(tollgate.open(2, 1, opening, NOW)) == [Refusal.KNOWN]


def test_units_are_taken_as_long_as_tokens():
    tollgate = gate()
    chain, _ = opened(tollgate)
    assert reasons(tollgate.pay(1, unit(chain, 1), UNTIL)) == [Refusal.EPOCH]
    assert tollgate.pay(1, unit(chain, 1), UNTIL - 1) != []


def test_the_queue_has_an_end():
    tollgate = gate()
    _, opening = token()
    for number in range(PENDING_MAX):
        other = Opening(EPOCH, number.to_bytes(32, "big"), REFUND, opening.signature)
        assert tollgate.open(number, number, other, NOW) == []
    assert reasons(tollgate.open(PENDING_MAX, 1, opening, NOW)) == [Refusal.BUSY]
    assert tollgate.refused == {Refusal.BUSY: 1}


def test_payments_follow_the_chain():
    tollgate = gate()
    assert tollgate.pay(1, Unit(1, bytes(32)), NOW) == []
    assert tollgate.refused == {Refusal.CLOSED: 1}
    chain, _ = opened(tollgate)
    tollgate.pay(1, unit(chain, 3), NOW)
    (stored,) = tollgate.pay(1, unit(chain, 4), NOW)
    assert stored.added == 1


@pytest.mark.parametrize("k", [0, 1, 3, 5, 65])
def test_a_preimage_that_does_not_fit_ends_the_token(k):
    """0 and 65 are refused where they are decoded, before; here as well."""
    tollgate = gate()
    chain, _ = opened(tollgate)
    tollgate.pay(1, unit(chain, 3), NOW)
    wrong = Unit(k, chain.preimage(k if k in {1, 3} else 4))
    assert reasons(tollgate.pay(1, wrong, NOW)) == [Refusal.CHAIN]
    assert reasons(tollgate.pay(1, unit(chain, 4), NOW)) == [Refusal.CLOSED]


def test_a_second_token_goes_on_where_the_first_ended():
    tollgate = gate()
    chain, _ = opened(tollgate)
    (stored,) = tollgate.pay(1, unit(chain, 50), NOW)
    tollgate.paid(1, stored.added)
    tollgate.used(1, 49 * PRICED_BYTES)
    fresh, _ = opened(tollgate)
    assert tollgate.used(1, PRICED_BYTES - 1) == []
    (stored,) = tollgate.pay(1, unit(fresh, 1), NOW)
    assert tollgate.paid(1, stored.added) == []
    assert weights(tollgate.used(1, PRICED_BYTES + 1)) == [False]


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
        if k <= self.k:
            return
        (stored,) = self.gate.pay(1, unit(self.chain, k), NOW)
        assert stored.added == k - self.k
        self.k = k
        self.granted += stored.added * PRICED_BYTES // 2
        self.note(self.gate.paid(1, stored.added))

    @rule(size=st.integers(1, 3 * PRICED_BYTES))
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
