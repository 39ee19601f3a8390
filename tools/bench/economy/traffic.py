"""Users' circuits: guards kept for months, relays and exits drawn anew by selection weight."""

from __future__ import annotations

import math
from bisect import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import Final

from ledger.domain.rewards import Pair
from node.directory.guard import DAY_S, LIFETIME_MAX_S, LIFETIME_MIN_S, MAX_FAILED_PERCENT
from qnet.messages.receipt import bucket_round

USERS: Final = 1_000
"""Each keeps guards of its own."""
CIRCUITS: Final = 300
"""Of an epoch; each stands for many. They are drawn so that every node gets its part of them but
for less than one: with many users chance evens out, and a handful must not look like more."""
CELLS: Final = 3_000_000_000
"""Cells of all users in an epoch: 6 TB."""
DAY_SPREAD: Final = 0.1
"""The volume of a day differs from the mean by at most this share."""
REDRAWS: Final = 32

Hops = tuple[int, int, int]
"""Registry indexes of entry, relay and exit."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Nodes of one role with running sums of their weights."""

    indexes: tuple[int, ...]
    sums: tuple[int, ...]

    @classmethod
    def of(cls, weights: Mapping[int, int]) -> Lane:
        """From weights by registry index; nodes of weight 0 are never drawn."""
        usable = {index: weight for index, weight in weights.items() if weight > 0}
        return cls(tuple(usable), tuple(accumulate(usable.values())))

    def draw(self, random: Random) -> int:
        """One node by weight."""
        place = bisect(self.sums, random.randrange(self.sums[-1]))
        return self.indexes[place]

    def spread(self, count: int, random: Random) -> list[int]:
        """Many nodes by weight, evenly: each gets its part rounded up or down, in any order."""
        step = self.sums[-1] / count
        start = random.random() * step
        drawn: list[int] = []
        for index, end in zip(self.indexes, self.sums, strict=True):
            upto = min(count, math.ceil((end - start) / step))
            drawn += [index] * (upto - len(drawn))
        drawn += [self.indexes[-1]] * (count - len(drawn))
        drawn.sort(key=lambda _: random.random())
        return drawn


@dataclass(slots=True)
class Flow:
    """What went through the network in an epoch.

    Attributes:
        pairs: Cells between two neighbours, lower index first.
        cells: Cells that each node carried.
    """

    pairs: Counter[Pair] = field(default_factory=Counter)
    cells: Counter[int] = field(default_factory=Counter)

    def add(self, hops: Hops, cells: int) -> None:
        """Count cells on a path."""
        entry, relay, end = hops
        self.pairs[(entry, relay) if entry < relay else (relay, entry)] += cells
        self.pairs[(relay, end) if relay < end else (end, relay)] += cells
        for index in hops:
            self.cells[index] += cells

    def receipts(self) -> dict[Pair, int]:
        """Matched cells of each pair: both sides round down to their bucket."""
        return {pair: bucket_round(cells) for pair, cells in self.pairs.items()}


class Users:
    """All users.

    Args:
        random: Source of their choices.
        circuits: How many stand for all of an epoch.
        cells: Of all of them in an epoch.
    """

    def __init__(self, random: Random, circuits: int = CIRCUITS, cells: int = CELLS) -> None:
        self._random = random
        self._circuits = circuits
        self._cells = cells
        self._guards = [0] * USERS
        self._until = [0.0] * USERS

    def circuits(
        self,
        epoch: int,
        lanes: Sequence[Lane],
        owners: Mapping[int, bytes],
        failing: Mapping[int, float],
    ) -> Counter[Hops]:
        """The paths of an epoch, counted.

        Args:
            epoch: Days since the start.
            lanes: Entries, relays and exits in the consensus.
            owners: By registry index; no two hops share one.
            failing: Share of circuits that an entry lets die.
        """
        entries, relays, ends = lanes
        self._keep_guards(epoch, entries, failing)
        guards = Lane.of(Counter(self._guards))
        drawn = [lane.spread(self._circuits, self._random) for lane in (guards, relays, ends)]
        paths: Counter[Hops] = Counter()
        for hops in zip(*drawn, strict=True):
            fits = len({owners[index] for index in hops}) == len(hops)
            path = hops if fits else self._redrawn(hops[0], relays, ends, owners)
            if path is not None:
                paths[path] += 1
        return paths

    def volume(self) -> int:
        """Cells of each circuit today."""
        share = self._random.uniform(1 - DAY_SPREAD, 1 + DAY_SPREAD)
        return int(share * self._cells / self._circuits)

    def _keep_guards(self, epoch: int, entries: Lane, failing: Mapping[int, float]) -> None:
        """Draw a guard where there is none, where it expired, left, or failed too often."""
        listed = set(entries.indexes)
        bad = {index for index, share in failing.items() if 100 * share > MAX_FAILED_PERCENT}
        usable = listed - bad or listed
        first = epoch == 0
        held = zip(self._guards, self._until, strict=True)
        moving = [n for n, (guard, end) in enumerate(held) if end <= epoch or guard not in usable]
        if not moving:
            return
        for place, guard in zip(moving, entries.spread(len(moving), self._random), strict=True):
            self._guards[place] = guard
            days = self._random.uniform(LIFETIME_MIN_S, LIFETIME_MAX_S) / DAY_S
            self._until[place] = epoch + days * (self._random.random() if first else 1)

    def _redrawn(
        self, entry: int, relays: Lane, ends: Lane, owners: Mapping[int, bytes]
    ) -> Hops | None:
        for _ in range(REDRAWS):
            hops = (entry, relays.draw(self._random), ends.draw(self._random))
            if len({owners[index] for index in hops}) == len(hops):
                return hops
        return None
