"""The bench of parts: every byte arrives, and every part of every node is there."""

import pytest

from qnet.errors import NetworkError
from tools.bench import parts


def test_every_part_is_measured():
    rows = {row["name"]: row for row in parts.run(10)["results"]}
    assert set(rows) == {
        f"{role}, {part}" for role in parts.ROLES for part in ("TLS", "records", "circuit")
    }
    assert all(row["qnet"] > 0 and row["unit"] == "us per cell" for row in rows.values())


def test_a_lost_byte_fails_the_bench(monkeypatch):
    carry = parts.Joint.carry

    def lossy(joint, end, cells, now):
        return carry(joint, end, cells[:-1] if len(cells) > 100 else cells, now)

    monkeypatch.setattr(parts.Joint, "carry", lossy)
    with pytest.raises(NetworkError):
        parts.run(10)
