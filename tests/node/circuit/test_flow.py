import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.circuit.flow import (
    INITIAL_CELLS,
    MAX_CREDIT,
    MAX_ENTRIES,
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


def window(maximum=2048, now=0.0):
    return ReceiveWindow(INITIAL_CELLS, maximum, 0.1, now)


def test_more_than_the_credit_is_refused():
    held = window()
    held.receive(INITIAL_CELLS)
    assert held.held == INITIAL_CELLS
    with pytest.raises(RemoteProtocolError):
        held.receive(1)


def test_a_grant_waits_until_it_is_worth_a_message():
    held = window()
    held.receive(4)
    held.consume(3)
    assert held.grant(1.0, pressed=False) == 0
    held.consume(1)
    assert held.grant(1.0, pressed=False) == 4
    assert held.held == 0


def carry(held, cells, seconds, start, *, pressed=False):
    """Let `cells` per second pass for some seconds; return the time after."""
    now, sent, granted = start, 0, held.window
    while now < start + seconds:
        now += 0.01
        batch = min(granted, max(1, int(cells * 0.01)))
        held.receive(batch)
        held.consume(batch)
        sent += batch
        granted += held.grant(now, pressed=pressed) - batch
    return now


def test_a_fast_circuit_gets_a_wide_window_and_a_slow_one_does_not():
    fast, slow = window(), window()
    now = carry(fast, 30_000, 3, 0)
    carry(slow, 200, 3, 0)
    assert fast.window == 2048
    assert INITIAL_CELLS <= slow.window <= 80
    carry(fast, 200, 40, now)
    assert fast.window <= 80, "and loses it when it slows down"


def test_without_time_passing_the_window_doubles():
    held = window(maximum=100)
    for _ in range(10):
        held.receive(held.window // 2)
        held.consume(held.window // 2)
        held.grant(0.0, pressed=False)
    assert held.window == 100


def test_the_window_shrinks_when_memory_is_short():
    held = window()
    now = carry(held, 30_000, 3, 0)
    carry(held, 30_000, 3, now, pressed=True)
    assert held.window == INITIAL_CELLS


def test_a_maximum_below_the_first_credit_counts_as_the_first_credit():
    held = window(maximum=1)
    carry(held, 30_000, 1, 0)
    assert held.window == INITIAL_CELLS


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300), st.floats(0, 1)), max_size=60))
def test_a_polite_sender_is_never_refused_and_never_stuck(steps):
    held, credit, now = window(), INITIAL_CELLS, 0.0
    for wanted, drained, seconds in steps:
        sent = min(wanted, credit)
        held.receive(sent)
        credit -= sent
        held.consume(min(drained, held.held))
        now += seconds
        credit += held.grant(now, pressed=False)
        assert credit + held.held <= 2048 + held.window
    held.consume(held.held)
    credit += held.grant(now, pressed=False)
    assert credit > 0
