"""Sender and receiver, joined by anything that loses, doubles and reorders."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from node.mix.streams.channel import MAX_TRIES, Receiver, Sender
from node.mix.streams.wire import WINDOW, Seen
from qnet.errors import LocalProtocolError, RemoteProtocolError


class Channel(RuleBasedStateMachine):
    """Whatever happens, what is handed on is a beginning of what was sent."""

    def __init__(self):
        super().__init__()
        self.sender, self.receiver = Sender(), Receiver()
        self.now, self.under_way, self.acks = 0.0, [], []
        self.sent, self.got = [], []

    @precondition(lambda self: self.sender.has_room)
    @rule(data=st.binary(min_size=1, max_size=4))
    def send(self, data):
        self.under_way.append((self.sender.put(data, self.now), data))
        self.sent.append(data)

    @rule(seconds=st.floats(0, 5))
    def repeat(self, seconds):
        self.now += seconds
        again = self.sender.due(self.now)
        if again is not None:
            self.under_way.append(again)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), stays=st.booleans())
    def arrive(self, data, stays):
        place = data.draw(st.integers(0, len(self.under_way) - 1))
        frame = self.under_way[place] if stays else self.under_way.pop(place)
        self.got += self.receiver.receive(*frame)
        self.acks.append(self.receiver.seen)

    @precondition(lambda self: self.acks)
    @rule(data=st.data(), stays=st.booleans())
    def acknowledge(self, data, stays):
        place = data.draw(st.integers(0, len(self.acks) - 1))
        seen = self.acks[place] if stays else self.acks.pop(place)
        self.sender.acknowledged(seen, self.now)

    @invariant()
    def in_order(self):
        assert self.got == self.sent[: len(self.got)]
        assert self.receiver.seen.acked == len(self.got)

    @invariant()
    def bounded(self):
        assert len(self.sender) <= WINDOW
        assert self.sender.unacked_bytes >= 0
        assert self.receiver.waiting_bytes >= 0
        assert self.receiver.seen.held >> WINDOW == 0

    def teardown(self):
        """When everything arrives at last, everything was handed on."""
        while not self.sender.failed and len(self.sender):
            self.now += 100
            again = self.sender.due(self.now)
            if again is not None:
                self.got += self.receiver.receive(*again)
                self.sender.acknowledged(self.receiver.seen, self.now)
        if not self.sender.failed:
            assert self.got == self.sent
            assert self.sender.unacked_bytes == self.receiver.waiting_bytes == 0


TestChannel = Channel.TestCase
TestChannel.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


@given(st.integers(0, 300), st.integers(0, 300))
def test_seen_includes(acked, number):
    assert Seen(acked).includes(number) == (number <= acked)
    assert Seen(acked, 2).includes(acked + 2)
    assert not Seen(acked, 2).includes(acked + 1)
    assert not Seen(acked, 2).includes(acked + 3 + WINDOW)


def test_the_window_is_as_wide_as_an_answer_can_tell():
    sender, receiver = Sender(), Receiver()
    for number in range(1, WINDOW + 1):
        assert sender.put(b"x", 0.0) == number
    assert not sender.has_room
    with pytest.raises(LocalProtocolError):
        sender.put(b"x", 0.0)
    for number in range(WINDOW, 1, -1):
        assert receiver.receive(number, b"x") == []
    sender.acknowledged(receiver.seen, 1.0)
    assert len(sender) == 1
    assert receiver.receive(1, b"x") == [b"x"] * WINDOW
    sender.acknowledged(receiver.seen, 1.0)
    assert sender.has_room
    with pytest.raises(RemoteProtocolError):
        receiver.receive(2 * WINDOW + 1, b"x")


@pytest.mark.parametrize("seen", [Seen(2), Seen(0, 1 << 1), Seen(0, 1 << 100)])
def test_what_was_never_sent_cannot_be_acknowledged(seen):
    sender = Sender()
    sender.put(b"x", 0.0)
    with pytest.raises(RemoteProtocolError):
        sender.acknowledged(seen, 1.0)


def test_repetitions_wait_longer_each_time_and_end():
    sender = Sender()
    sender.put(b"x", 0.0)
    waits, now = [], 0.0
    while not sender.failed:
        at = sender.next_at
        waits.append(at - now)
        now = at
        sender.due(now)
    assert len(waits) == MAX_TRIES
    assert waits == sorted(waits)
    assert sender.repeated == MAX_TRIES - 1
    assert sender.due(now + 1000) is None


def test_only_frames_sent_once_are_measured():
    sender = Sender()
    first = sender.put(b"x", 0.0)
    sender.due(10.0)
    sender.acknowledged(Seen(first), 10.1)
    assert sender.round_trips.mean_s is None
    sender.put(b"y", 20.0)
    sender.acknowledged(Seen(2), 20.5)
    assert sender.round_trips.mean_s == pytest.approx(0.5)
    assert sender.next_at is None
