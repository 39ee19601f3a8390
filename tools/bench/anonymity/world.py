"""Packets through three layers of mixes, for as long as an observer has to look back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from node.mix.packet import LAYERS
from tools.bench.anonymity.delays import HORIZON
from tools.bench.anonymity.setting import Crowd

FILLING: Final = 12.0
"""Mean delays until the pools hold what they hold on average."""
TARGETS_SPAN: Final = 4.0
"""Mean delays within which targets arrive."""

Places = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Window:
    """All packets of a stretch of time; latency of links is constant and left out.

    Attributes:
        crowd: Who sent.
        mixes: In each layer.
        senders: Of each packet.
        times: When each was sent and left layer 1, 2, 3: 4 rows.
        through: Mix that each passed in layer 1, 2, 3: 3 rows.
    """

    crowd: Crowd
    mixes: int
    senders: Places
    times: NDArray[np.float64]
    through: Places

    @property
    def count(self) -> int:
        """Packets."""
        return len(self.senders)

    def targets(self, random: np.random.Generator, count: int) -> NDArray[np.intp]:
        """Packets whose arrival somebody looks back from, by lot; fewer if there are fewer."""
        mean = self.crowd.mean_delay_s
        start = (FILLING + HORIZON) * mean
        arrived = self.times[-1]
        late = np.flatnonzero((arrived >= start) & (arrived < start + TARGETS_SPAN * mean))
        return random.permutation(late)[:count]


def simulate(random: np.random.Generator, crowd: Crowd, mixes: int) -> Window:
    """Let everybody send by a Poisson process of one rate, over mixes drawn for each packet."""
    mean = crowd.mean_delay_s
    span = (FILLING + HORIZON + TARGETS_SPAN) * mean
    count = int(random.poisson(crowd.load * span))
    times = np.empty((LAYERS + 1, count))
    times[0] = random.random(count) * span
    times[1:] = random.exponential(mean, (LAYERS, count))
    np.cumsum(times, axis=0, out=times)
    return Window(
        crowd=crowd,
        mixes=mixes,
        senders=random.integers(0, crowd.users, count, dtype=np.int32),
        times=times,
        through=random.integers(0, mixes, (LAYERS, count), dtype=np.int32),
    )
