"""What an operator lets a node send: a token bucket over cells and packets, for all links together.

The rate is that of cells; records, TLS and TCP add some 3 %. While there is room for everything
nothing is delayed. When there is not, links take turns, and cells wait in the core's fair queues.
Packets of the mixnet have waited for their time already: they go before cells, up to an overdraft,
and beyond it they are dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

CELL_BITS: Final = 8 * 2_048
BURST_S: Final = 0.05
"""Time whose cells may leave at once."""
LEAST_BURST_CELLS: Final = 16
OVERDRAFT_S: Final = 0.5
"""Time whose cells packets may take in advance."""


class Pacer:
    """Tells how many cells may leave now.

    Args:
        rate_kbps: kbit/s of cells that leave; 0 for no limit.
        now: Clock in seconds.
        most: Cells that one link may send in one turn.
    """

    def __init__(self, rate_kbps: int, now: Callable[[], float], most: int) -> None:
        self._per_s = rate_kbps * 1000 / CELL_BITS
        self._burst = max(self._per_s * BURST_S, LEAST_BURST_CELLS)
        self._level = self._burst
        self._now = now
        self._at = now()
        self._most = most
        self._turn = 0
        self._timer: asyncio.TimerHandle | None = None

    def in_turn(self, links: Sequence[int]) -> Sequence[int]:
        """The links, another one first each time, so that none gets all there is."""
        if not self._per_s or len(links) < 2:
            return links
        self._turn = (self._turn + 1) % len(links)
        return [*links[self._turn :], *links[: self._turn]]

    def room(self, wake: Callable[[], None]) -> int:
        """Cells that the next link may send; if there are none, wakes the driver when there are."""
        if not self._per_s:
            return self._most
        self._earn()
        if self._level >= 1:
            return min(self._most, int(self._level))
        if self._timer is None:
            wait_s = min(self._burst / 2, LEAST_BURST_CELLS) / self._per_s
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._woken, wake)
        return 0

    def overdraw(self, cells: float) -> bool:
        """Take room for what cannot wait; false if too much was taken in advance."""
        if not self._per_s:
            return True
        self._earn()
        if self._level < -OVERDRAFT_S * self._per_s:
            return False
        self._level -= cells
        return True

    def spent(self, cells: int) -> None:
        """So many left."""
        if self._per_s:
            self._level -= cells

    def _earn(self) -> None:
        now = self._now()
        self._level = min(self._burst, self._level + (now - self._at) * self._per_s)
        self._at = now

    def _woken(self, wake: Callable[[], None]) -> None:
        self._timer = None
        wake()
