import itertools
from collections import Counter
from math import sqrt

import pytest

from node.mix.schedule import MAX_CATCH_UP, Kind, Rates, SenderSchedule
from qnet.errors import LocalProtocolError
from tests.node.mix.seeded import seeded

RATES = Rates(5.0, 2.0, 1.0)


def run(schedule, until, supply):
    """All emissions with their times."""
    found = []
    while schedule.next_at <= until:
        at = schedule.next_at
        found += [(at, emission) for emission in schedule.take(at, supply)]
    return found


def test_times_do_not_depend_on_payloads():
    """A silent client and one with much to say send at the very same times."""
    silent = run(SenderSchedule(RATES, seeded(4), 0.0), 500.0, lambda: None)
    busy = run(SenderSchedule(RATES, seeded(4), 0.0), 500.0, lambda: b"text")
    assert [at for at, _ in silent] == [at for at, _ in busy]
    kinds = {emission.kind for _, emission in silent}
    assert kinds == {Kind.LOOP, Kind.DROP}
    for (_, left), (_, right) in zip(silent, busy, strict=True):
        assert left.kind == right.kind or (left.kind, right.kind) == (Kind.DROP, Kind.PAYLOAD)


def test_rates_and_independence_of_the_times_between():
    until = 5000.0
    found = run(SenderSchedule(RATES, seeded(5), 0.0), until, lambda: b"text")
    counts = Counter(emission.kind for _, emission in found)
    for kind, hz in zip(Kind, (5.0, 2.0, 1.0), strict=True):
        assert abs(counts[kind] - hz * until) < 5 * sqrt(hz * until)
    gaps = [right - left for (left, _), (right, _) in itertools.pairwise(found)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert abs(sqrt(variance) / mean - 1) < 0.03
    together = sum((a - mean) * (b - mean) for a, b in itertools.pairwise(gaps))
    assert abs(together / len(gaps) / variance) < 5 / sqrt(len(gaps))


def test_payloads_are_asked_for_when_it_is_their_turn_only():
    waiting = [b"one", b"two"]
    schedule = SenderSchedule(RATES, seeded(6), 0.0)
    found = run(schedule, 30.0, lambda: waiting.pop(0) if waiting else None)
    sent = [emission.payload for _, emission in found if emission.kind is Kind.PAYLOAD]
    assert sent == [b"one", b"two"]


def test_a_stall_is_not_caught_up():
    schedule = SenderSchedule(RATES, seeded(7), 0.0)
    assert len(schedule.take(10_000.0, lambda: None)) == MAX_CATCH_UP
    assert schedule.stalls == 1
    assert 10_000.0 < schedule.next_at < 10_010.0
    assert schedule.take(10_000.0, lambda: None) == []


@pytest.mark.parametrize("rates", [Rates(0, 0, 0), Rates(-1, 2, 2), Rates(1, -1, 0)])
def test_rates_that_are_none(rates):
    with pytest.raises(LocalProtocolError):
        SenderSchedule(rates, seeded(8), 0.0)
