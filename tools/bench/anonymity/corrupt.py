"""What an adversary learns that runs a share of all nodes, and watches no other link."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from node.directory.guard import DAY_S, LIFETIME_MAX_S, LIFETIME_MIN_S, PRIMARY_GUARDS
from node.mix.packet import LAYERS

SHARES: Final = (0.05, 0.1, 0.2, 0.3)
CIRCUITS_PER_DAY: Final = 50
DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class Year:
    """What became of users of circuits.

    Attributes:
        circuits: Share of circuits whose first and last hop were hostile.
        users: Share of users with at least one such circuit.
    """

    circuits: float
    users: float


def free_entries(random: np.random.Generator, users: int, share: float, days: int = DAYS) -> Year:
    """Every circuit draws its entry anew."""
    caught = random.binomial(CIRCUITS_PER_DAY * days, share**2, users)
    return _year(caught, days)


def kept_guards(random: np.random.Generator, users: int, share: float, days: int = DAYS) -> Year:
    """Two guards kept for 60 to 120 days, each used by half of the circuits.

    Args:
        random: Source of chance.
        users: How many.
        share: Of entries and of exits that are hostile.
        days: How long.
    """
    caught = np.zeros(users, np.int64)
    for _ in range(PRIMARY_GUARDS):
        ends = np.zeros(users)
        while (ends < days).any():
            starts = ends
            ends = starts + random.uniform(LIFETIME_MIN_S, LIFETIME_MAX_S, users) / DAY_S
            served = np.clip(np.minimum(ends, days) - starts, 0, None)
            circuits = np.round(served * CIRCUITS_PER_DAY / PRIMARY_GUARDS).astype(np.int64)
            hostile = random.random(users) < share
            caught += np.where(hostile, random.binomial(circuits, share), 0)
    return _year(caught, days)


def _year(caught: NDArray[np.int64], days: int) -> Year:
    return Year(float(caught.mean()) / (CIRCUITS_PER_DAY * days), float((caught > 0).mean()))


def hostile_mixes(random: np.random.Generator, mixes: int, share: float) -> NDArray[np.bool_]:
    """Which mixes are hostile when the beacon deals them to the layers.

    Args:
        random: Source of chance.
        mixes: In each layer.
        share: Of all mixes that are hostile.
    """
    total = LAYERS * mixes
    hostile = np.zeros(total, np.bool_)
    hostile[random.permutation(total)[: round(share * total)]] = True
    return hostile.reshape(LAYERS, mixes)


def all_hostile(mixes: int, share: float) -> float:
    """Chance that three mixes of different layers are hostile; share cubed where there are many."""
    total = LAYERS * mixes
    hostile = round(share * total)
    return math.perm(hostile, LAYERS) / math.perm(total, LAYERS)


def traced(random: np.random.Generator, mixes: int, share: float, packets: int) -> float:
    """Share of packets that met no honest mix, in one epoch."""
    hostile = hostile_mixes(random, mixes, share)
    through = random.integers(0, mixes, (LAYERS, packets))
    return float(np.all(np.take_along_axis(hostile, through, axis=1), axis=0).mean())
