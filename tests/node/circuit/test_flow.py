from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.circuit.flow import (
    DELAY_MEMORY_S,
    GAIN,
    INITIAL_CELLS,
    MAX_CREDIT,
    MAX_ENTRIES,
    MAX_GRANT_CELLS,
    MIN_DELAY_S,
    SCARCE_PARTS,
    ReceiveWindow,
    add_credit,
    decode_credits,
    encode_credits,
)
from qnet.errors import DecodeError, RemoteProtocolError

GRANTS = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 2**16 - 1)), min_size=1)


@given(GRANTS)
def test_credits_round_trip(grants):
    (content,) = encode_credits(grants)
    assert decode_credits(content) == grants


def test_many_credits_fill_several_records():
    grants = [(number, 1) for number in range(MAX_ENTRIES + 1)]
    contents = encode_credits(grants)
    assert len(contents) == 2
    assert [grant for content in contents for grant in decode_credits(content)] == grants
    assert encode_credits([]) == []


@given(st.binary(max_size=100))
def test_credits_never_crash(content):
    try:
        grants = decode_credits(content)
    except DecodeError:
        return
    assert encode_credits(grants) == [content]


@pytest.mark.parametrize("content", [b"", bytes(5), bytes(6), bytes([1]) * 6 * (MAX_ENTRIES + 1)])
def test_malformed_credits_are_refused(content):
    with pytest.raises(DecodeError):
        decode_credits(content)


def test_credit_does_not_overflow():
    assert add_credit(MAX_CREDIT - 1, 1) == MAX_CREDIT
    with pytest.raises(RemoteProtocolError):
        add_credit(MAX_CREDIT, 1)


def window(maximum=2048):
    return ReceiveWindow(INITIAL_CELLS, maximum, MAX_GRANT_CELLS)


class Line:
    """A sender and a receiver some way apart, in steps of a millisecond.

    Args:
        delay_s: round trip.
        send: cells a second that the sender may send.
        read: cells a second that the receiver gets rid of.
    """

    def __init__(self, *, delay_s=0.1, send=1e9, read=1e9, maximum=2048):
        self.held = window(maximum)
        self.delay_s, self.send, self.read = delay_s, send, read
        self.credit, self.now, self.arrived = INITIAL_CELLS, 0.0, 0
        self.grants, self.cells = deque(), deque()
        self._can_send = self._can_read = 0.0
        self.pressed = False

    def run(self, seconds):
        """Let time pass; return the cells that arrived."""
        before, end = self.arrived, self.now + seconds
        while self.now < end:
            self._step()
        return self.arrived - before

    def _step(self):
        self.now += 0.001
        while self.grants and self.grants[0][0] <= self.now:
            self.credit += self.grants.popleft()[1]
        self._can_send = min(self._can_send + self.send * 0.001, self.send * 0.001 + 1)
        batch = min(self.credit, int(self._can_send))
        if batch:
            self._can_send -= batch
            self.credit -= batch
            self.cells.append((self.now + self.delay_s / 2, batch))
        while self.cells and self.cells[0][0] <= self.now:
            count = self.cells.popleft()[1]
            self.arrived += count
            self.held.receive(count, self.now)
        self._can_read = min(self._can_read + self.read * 0.001, self.read * 0.001 + 1)
        done = min(self.held.held, int(self._can_read))
        if done:
            self._can_read -= done
            self.held.consume(done)
            granted = self.held.grant(self.now, pressed=self.pressed)
            if granted:
                self.grants.append((self.now + self.delay_s / 2, granted))


def test_more_than_the_credit_is_refused():
    held = window()
    held.receive(INITIAL_CELLS, 0.0)
    assert held.held == INITIAL_CELLS
    with pytest.raises(RemoteProtocolError):
        held.receive(1, 0.0)


def test_a_grant_waits_until_it_is_worth_a_message():
    held = window()
    held.receive(4, 0.0)
    held.consume(3)
    assert held.grant(1.0, pressed=False) == 0
    held.consume(1)
    assert held.grant(1.0, pressed=False) == 4
    assert held.held == 0


@pytest.mark.parametrize("delay_s", [0.06, 0.1, 0.3, 1.0])
def test_the_round_trip_is_measured_and_filled(delay_s):
    rate = 600 / delay_s
    line = Line(delay_s=delay_s, send=rate)
    line.run(8 * delay_s)
    assert line.held._loop.delay_s == pytest.approx(delay_s, abs=0.003)
    assert 600 <= line.held.window <= 2048
    assert line.run(10 * delay_s) == pytest.approx(10 * 600, rel=0.05), "all that the sender has"


def test_a_window_grows_by_the_gain_in_a_round_trip_while_credit_is_what_limits():
    line = Line(delay_s=0.1)
    sizes = []
    for _ in range(8):
        line.run(0.11)
        sizes.append(line.held.window)
    assert sizes[-1] == 2048
    assert all(after <= GAIN * before for before, after in pairwise([INITIAL_CELLS, *sizes]))
    assert sizes[5] == 2048, "in six round trips"


def test_a_sender_with_little_to_say_gets_no_large_window():
    slow = Line(delay_s=0.1, send=200)
    slow.run(20)
    assert slow.held.window <= GAIN * 200 * 0.1 * 1.5
    assert slow.run(5) == pytest.approx(1000, rel=0.02)


def test_a_slow_reader_loses_the_window_and_gets_it_back():
    line = Line(delay_s=0.1, send=10_000)
    line.run(2)
    assert line.held.window >= 1000
    line.read = 300
    line.run(60)
    assert line.held.window <= 2 * GAIN * 300 * 0.1
    assert line.held.held <= line.held.window
    line.read = 1e9
    line.run(2)
    assert line.run(1) == pytest.approx(10_000, rel=0.05)


def test_a_pause_of_the_sender_neither_counts_as_a_round_trip_nor_shrinks_the_window():
    line = Line(delay_s=0.1, send=5000)
    line.run(2)
    before, known = line.held.window, line.held._loop.delay_s
    for _ in range(3):
        line.send = 0
        line.run(2.1)
        line.send = 5000
        line.run(0.5)
    assert line.held.window >= before
    assert line.held._loop.delay_s == known


def test_a_path_that_became_longer_is_measured_anew():
    line = Line(delay_s=0.1, send=2000)
    line.run(2)
    line.delay_s = 0.4
    line.run(2 * DELAY_MEMORY_S + 3)
    assert line.held._loop.delay_s >= 0.39
    assert line.run(2) == pytest.approx(4000, rel=0.05)


def test_processes_that_share_a_processor_get_a_window_all_the_same():
    line = Line(delay_s=0.002, send=20_000)
    line.run(3)
    assert line.held.window >= 20_000 * MIN_DELAY_S


def test_without_time_passing_the_window_still_grows():
    held, credit = window(maximum=100), INITIAL_CELLS
    for _ in range(10):
        held.receive(credit, 0.0)
        held.consume(credit)
        credit = held.grant(0.0, pressed=False)
    assert held.window == 100


def test_windows_shrink_when_memory_is_short_but_not_to_nothing():
    line = Line(send=30_000)
    line.run(3)
    assert line.held.window == 2048
    line.pressed = True
    line.run(5)
    assert line.held.window == 2048 // SCARCE_PARTS
    late = Line(send=30_000)
    late.pressed = True
    late.run(3)
    assert late.held.window == 2048 // SCARCE_PARTS, "grows as far as all others"


def test_who_does_not_read_while_memory_is_short_loses_the_whole_window():
    slow = Line(send=30_000)
    slow.run(3)
    slow.pressed, slow.read = True, 100
    slow.run(60)
    assert slow.held.window <= 4 * INITIAL_CELLS
    assert slow.held.held <= slow.held.window


def test_a_maximum_below_the_first_credit_counts_as_the_first_credit():
    line = Line(maximum=1)
    line.run(2)
    assert line.held.window == INITIAL_CELLS


def test_a_grant_never_exceeds_what_a_record_can_say():
    held = ReceiveWindow(1000, 1 << 16, 400)
    held.receive(1000, 0.0)
    held.consume(1000)
    assert [held.grant(0.0, pressed=False) for _ in range(3)] == [400, 400, 0]


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300), st.floats(0, 1)), max_size=60))
def test_a_polite_sender_is_never_refused_and_never_stuck(steps):
    held, credit, now = window(), INITIAL_CELLS, 0.0
    for wanted, drained, seconds in steps:
        sent = min(wanted, credit)
        held.receive(sent, now)
        credit -= sent
        held.consume(min(drained, held.held))
        now += seconds
        credit += held.grant(now, pressed=False)
        assert credit + held.held <= 2048 + held.window
    held.consume(held.held)
    credit += held.grant(now, pressed=False)
    assert credit > 0
