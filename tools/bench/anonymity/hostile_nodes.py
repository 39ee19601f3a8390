"""Rows on hostile nodes, and on what covers cost."""

from __future__ import annotations

from typing import Final

import numpy as np

from node.mix.packet import LAYERS
from tools.bench.anonymity import corrupt
from tools.bench.anonymity.rows import Row, generator, percent, rounded
from tools.bench.anonymity.setting import (
    LINKS,
    LOAD_TARGET,
    MIX_LOOPS_PER_S,
    MIXES_MAX,
    NODE_PACKETS_PER_S,
    RECORD_BYTES,
)
from tools.bench.economy.account import Interval

_DAY_S: Final = 86_400


def circuits(share: float, users: int, worlds: int) -> Row:
    """Hostile entries and exits, with guards and without, over a year."""
    free = [
        corrupt.free_entries(generator("free", share, number), users, share)
        for number in range(worlds)
    ]
    kept = [
        corrupt.kept_guards(generator("kept", share, number), users, share)
        for number in range(worlds)
    ]
    circuits_hit = Interval.of([year.circuits for year in kept])
    users_hit = Interval.of([year.users for year in kept])
    count = corrupt.CIRCUITS_PER_DAY * corrupt.DAYS
    return {
        "hostile %": percent(share),
        "circuits %": percent(circuits_hit.mean),
        "ci95": percent(circuits_hit.half),
        "c² %": percent(share**2),
        "users hit, no guards %": percent(float(np.mean([year.users for year in free]))),
        "closed form %": percent(1 - (1 - share**2) ** count),
        "users hit, guards %": percent(users_hit.mean),
        "users ci95": percent(users_hit.half),
        "worlds": worlds,
    }


def paths(share: float, mixes: int, packets: int, worlds: int) -> Row:
    """Packets that meet no honest mix."""
    found = Interval.of(
        [
            corrupt.traced(generator("paths", share, mixes, number), mixes, share, packets)
            for number in range(worlds)
        ]
    )
    return {
        "hostile %": percent(share),
        "mixes in a layer": mixes,
        "packets %": rounded(100 * found.mean),
        "ci95": rounded(100 * found.half),
        "c³ %": rounded(100 * share**3),
        "closed form %": rounded(100 * corrupt.all_hostile(mixes, share)),
        "one of 100 packets %": percent(1 - (1 - corrupt.all_hostile(mixes, share)) ** 100),
        "worlds": worlds,
    }


def cost(name: str, rate: float) -> Row:
    """What a schedule costs a user and the network."""
    return {
        "client": name,
        "packets per s": rate,
        "KB per s": rounded(rate * RECORD_BYTES / 1000),
        "MB per day": rounded(rate * RECORD_BYTES * _DAY_S / 1e6),
        "GB in 30 days": rounded(30 * rate * RECORD_BYTES * _DAY_S / 1e9),
        "KB per s of the network": rounded(LINKS * rate * RECORD_BYTES / 1000),
        "users of 1,500 mixes": round(
            MIXES_MAX * (LOAD_TARGET * NODE_PACKETS_PER_S - LAYERS * MIX_LOOPS_PER_S) / rate
        ),
    }
