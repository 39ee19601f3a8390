from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.accounting.meter import Counts, Meter
from qnet.epochs import EpochClock
from qnet.errors import DecodeError

CLOCK = EpochClock(genesis_s=1000, slot_s=5, slots_per_epoch=6)


def test_counts_by_slot_neighbour_and_direction() -> None:
    meter = Meter(CLOCK)
    meter.count_sent(7, 3, 1000.0)
    meter.count_sent(7, 2, 1004.9)
    meter.count_received(7, 1, 1004.9)
    meter.count_received(8, 4, 1005.0)
    assert meter.ended_slots(1004.9) == []
    assert meter.ended_slots(1005.0) == [0]
    assert meter.ended_slots(1010.0) == [0, 1]
    assert meter.close(0) == {7: Counts(5, 1)}
    assert meter.close(0) == {}
    assert meter.close(1) == {8: Counts(0, 4)}


def test_nothing_counts_before_genesis() -> None:
    meter = Meter(CLOCK)
    meter.count_sent(7, 3, 999.9)
    meter.count_received(7, 3, 0.0)
    assert meter.snapshot() == []


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.booleans(), st.integers(0, 9), st.floats(1000, 1040)),
        max_size=40,
    )
)
def test_nothing_is_lost_or_doubled_by_a_restart(
    events: list[tuple[int, bool, int, float]],
) -> None:
    meter, expected = Meter(CLOCK), Counter[tuple[int, int, bool]]()
    for peer, is_sent, cells, now in events:
        (meter.count_sent if is_sent else meter.count_received)(peer, cells, now)
        expected[CLOCK.slot_number_at(now), peer, is_sent] += cells
        meter = Meter.restore(CLOCK, meter.snapshot())
    for slot in meter.ended_slots(2000):
        for peer, counts in meter.close(slot).items():
            assert counts.sent == expected[slot, peer, True]
            assert counts.received == expected[slot, peer, False]
    assert meter.snapshot() == []


@pytest.mark.parametrize(
    "rows",
    [
        [(-1, 7, 0, 0)],
        [(0, 0, 0, 0)],
        [(0, 1 << 32, 0, 0)],
        [(0, 7, -1, 0)],
        [(0, 7, 0, 1 << 64)],
        [(0, 7, 1, 1), (0, 7, 1, 1)],
    ],
)
def test_impossible_snapshots_are_refused(rows: list[tuple[int, int, int, int]]) -> None:
    with pytest.raises(DecodeError):
        Meter.restore(CLOCK, rows)


def test_snapshots_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.accounting.meter.MAX_SNAPSHOT_ROWS", 1)
    with pytest.raises(DecodeError):
        Meter.restore(CLOCK, [(0, 7, 0, 0), (0, 8, 0, 0)])
