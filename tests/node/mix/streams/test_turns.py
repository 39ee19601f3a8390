"""Whose turn it is."""

import pytest

from node.mix.streams.turns import Turns


def test_those_that_are_ready_take_turns():
    turns = Turns()
    for handle in (1, 2, 1, 3):
        turns.ready(handle)
    assert [turns.take(), turns.take()] == [1, 2]
    turns.ready(1)
    assert [turns.take(), turns.take()] == [3, 1]
    assert not turns.is_ready
    with pytest.raises(KeyError):
        turns.take()


def test_an_earlier_alarm_replaces_a_later_one():
    turns = Turns()
    turns.alarm(1, 5.0)
    turns.alarm(1, 3.0)
    turns.alarm(1, 9.0)
    turns.alarm(2, 4.0)
    assert turns.next_at == 3.0
    turns.advance(3.5)
    assert turns.take() == 1
    turns.advance(6.0)
    assert turns.take() == 2
    assert not turns.is_ready
    assert turns.next_at is None


def test_who_is_gone_has_no_turn():
    turns = Turns()
    turns.ready(1)
    turns.alarm(2, 1.0)
    turns.forget(1)
    turns.forget(2)
    turns.advance(2.0)
    assert not turns.is_ready
