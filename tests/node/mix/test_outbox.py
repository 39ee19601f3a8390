import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.mix.frame import DATA_BYTES, AckFrame, DataFrame
from node.mix.inbox import Acknowledge, Inbox, Received
from node.mix.outbox import (
    FIRST_WAIT_S,
    MAX_MESSAGES,
    MAX_TRIES,
    MAX_WAIT_S,
    MIN_WAIT_S,
    Ended,
    Outbox,
    Outcome,
    RoundTrips,
    ToSend,
)
from node.mix.surb import SURB_BYTES
from qnet.errors import LocalProtocolError

SURB = bytes(SURB_BYTES)


def drained(outbox, now):
    """Everything to send at `now`."""
    steps = []
    while (step := outbox.take(now)) is not None:
        steps.append(step)
    return steps


def test_each_fragment_goes_once_and_again_only_after_its_wait():
    outbox = Outbox(secrets.token_bytes)
    outbox.submit("bob", bytes(2 * DATA_BYTES), 10.0)
    assert [step.fragment.index for step in drained(outbox, 10.0)] == [0, 1]
    assert outbox.next_at == 10.0 + FIRST_WAIT_S
    assert drained(outbox, 12.9) == []
    assert len(drained(outbox, 13.0)) == 2
    assert outbox.next_at == 13.0 + 2 * FIRST_WAIT_S
    assert outbox.repeated == 2


def test_a_message_of_one_fragment_is_timed_too():
    outbox = Outbox(secrets.token_bytes)
    name = outbox.submit("bob", b"text", 0.0)
    drained(outbox, 0.0)
    assert outbox.acknowledged(AckFrame(name, 1, frozenset({0})), 0.5) is not None
    assert outbox.round_trips.mean_s == 0.5


def test_acknowledged_fragments_are_not_repeated():
    outbox = Outbox(secrets.token_bytes)
    name = outbox.submit("bob", bytes(3 * DATA_BYTES), 0.0)
    drained(outbox, 0.0)
    assert outbox.acknowledged(AckFrame(name, 3, frozenset({0, 2})), 0.5) is None
    assert [step.fragment.index for step in drained(outbox, 60.0)] == [1]
    done = outbox.acknowledged(AckFrame(name, 3, frozenset({0, 1, 2})), 61.0)
    assert done == Ended(name, "bob", Outcome.DELIVERED)
    assert (outbox.next_at, len(outbox)) == (None, 0)
    assert outbox.acknowledged(AckFrame(name, 3, frozenset({0, 1, 2})), 62.0) is None


def test_a_message_fails_after_enough_tries():
    outbox, steps, now = Outbox(secrets.token_bytes), [], 0.0
    name = outbox.submit("bob", b"text", 0.0)
    while outbox.next_at is not None:
        now = outbox.next_at
        steps += drained(outbox, now)
    assert [type(step) for step in steps] == [ToSend] * MAX_TRIES + [Ended]
    assert steps[-1] == Ended(name, "bob", Outcome.FAILED)
    assert now <= MAX_TRIES * MAX_WAIT_S


def test_a_recipient_that_forgot_gets_what_it_lacks():
    outbox = Outbox(secrets.token_bytes)
    name = outbox.submit("bob", bytes(3 * DATA_BYTES), 0.0)
    drained(outbox, 0.0)
    outbox.acknowledged(AckFrame(name, 3, frozenset({0, 1})), 0.1)
    assert outbox.acknowledged(AckFrame(name, 3, frozenset({2})), 0.2) is None
    assert [step.fragment.index for step in drained(outbox, 0.2)] == [0, 1]


def test_acknowledgements_of_another_form_are_ignored():
    outbox = Outbox(secrets.token_bytes)
    name = outbox.submit("bob", b"text", 0.0)
    assert outbox.acknowledged(AckFrame(name, 2, frozenset({0, 1})), 0.1) is None
    assert outbox.acknowledged(AckFrame(bytes(16), 1, frozenset({0})), 0.1) is None
    assert len(outbox) == 1


def test_what_waits_is_bounded():
    outbox = Outbox(secrets.token_bytes)
    for _ in range(MAX_MESSAGES):
        outbox.submit("bob", b"text", 0.0)
    with pytest.raises(LocalProtocolError):
        outbox.submit("bob", b"text", 0.0)
    with pytest.raises(LocalProtocolError):
        Outbox(secrets.token_bytes).submit("bob", bytes(256 * DATA_BYTES + 1), 0.0)


def test_waits_follow_round_trips():
    trips = RoundTrips()
    assert trips.wait_s == FIRST_WAIT_S
    trips.measured(0.01)
    assert trips.wait_s == MIN_WAIT_S
    for _ in range(100):
        trips.measured(4.0)
    assert 4.0 < trips.wait_s < 4.5
    trips.measured(600.0)
    assert trips.wait_s == MAX_WAIT_S


@given(
    st.integers(0, 6 * DATA_BYTES),
    st.integers(0, 60),
    st.randoms(use_true_random=False),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_network_that_loses_and_a_recipient_that_forgets(size, loss, random, forgets):
    """Packets and acknowledgements are lost, and the recipient restarts once in the middle.

    A message that the sender believes delivered was received; it never comes twice to a recipient
    that did not forget.
    """
    outbox, inbox, body = Outbox(secrets.token_bytes), Inbox(), secrets.token_bytes(size)
    outbox.submit("bob", body, 0.0)
    received, outcome, restart_at = [], None, random.randint(1, 12)
    for number in range(2000):
        if outcome is not None or outbox.next_at is None:
            break
        now = outbox.next_at
        step = outbox.take(now)
        if isinstance(step, Ended):
            outcome = step.outcome
        if not isinstance(step, ToSend) or random.randint(0, 99) < loss:
            continue
        if forgets and number == restart_at:
            inbox = Inbox()
        for todo in inbox.receive(DataFrame(step.fragment, SURB), now):
            if isinstance(todo, Received):
                received.append(todo.body)
            if isinstance(todo, Acknowledge) and random.randint(0, 99) >= loss:
                ended = outbox.acknowledged(todo.ack, now + 0.2)
                outcome = ended.outcome if ended else outcome
    assert outcome is not None
    assert set(received) <= {body}
    assert forgets or len(received) <= 1
    assert outcome is Outcome.FAILED or received
    if loss == 0:
        assert outcome is Outcome.DELIVERED
