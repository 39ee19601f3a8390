"""What is told about nodes follows from a report's data alone."""

import pytest

from ledger.domain.statistics import node_rows
from qnet.errors import DecodeError
from tests.ledger.domain.material import DEVNET, epoch_data, reveal

SLOTS = DEVNET.slots_per_epoch
GOOD, BAD, NONE = (4, 4), (4, 1), (4, 0)


def rows_of(first: tuple[int, int], second: tuple[int, int], third: tuple[int, int]):
    """Node 1 is found so in every slot, 2 in the first half, 3 in all but the first."""
    reveals = []
    for slot in range(SLOTS):
        for auditor in range(4):
            found = {
                1: first,
                2: second if slot < SLOTS // 2 else GOOD,
                3: GOOD if slot == 0 else third,
            }
            reveals.append(reveal(3, slot, auditor, found))
    return node_rows(epoch_data([], reveals).encode())


def test_uptime_is_the_share_of_audited_slots_that_were_good():
    rows = rows_of(GOOD, BAD, NONE)
    assert [row["index"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["uptime_ppm"] for row in rows[:4]] == [1_000_000, 500_000, 166_666, None]
    assert [row["slots_audited"] for row in rows[:4]] == [SLOTS, SLOTS, SLOTS, 0]


def test_latency_rate_and_reputation_are_those_of_the_report():
    rows = rows_of(GOOD, GOOD, GOOD)
    assert rows[0]["latency_ms"] == 12
    assert rows[0]["measured_kbps"] == (1 << 20) * 8000 // 400_001
    assert rows[3]["measured_kbps"] is None
    assert rows[0]["role"] == "entry"
    assert rows[0]["state"] == "active"
    assert 0 < rows[0]["reputation_ppm"] <= 1_000_000
    assert rows[0]["performance_ppm"] == 1_000_000


def test_garbage_is_refused():
    with pytest.raises(DecodeError):
        node_rows(b"garbage")
