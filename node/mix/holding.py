"""The pool of a mix: packets that wait until their sender's delay is over.

Source: docs/spec/mixnet.md, section Delays and the pool of a mix.
"""

from collections import Counter
from enum import StrEnum
from heapq import heappop, heappush
from typing import Final, Generic, TypeVar

CAPACITY: Final = 32_768
LONG_MS: Final = 1000
LONG_PARTS: Final = 2
_MS: Final = 1000

T = TypeVar("T")


class Refusal(StrEnum):
    """Why a packet found no place; the metric label."""

    FULL = "pool_full"
    LONG = "pool_full_of_long_delays"


class Holding(Generic[T]):
    """Holds things until they are due.

    Args:
        capacity: how many.

    Attributes:
        refused: things dropped, by cause.
    """

    __slots__ = ("_capacity", "_heap", "_inserted", "_long", "refused")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._heap: list[tuple[float, int, bool, T]] = []
        self._inserted = 0
        self._long = 0
        self.refused: Counter[Refusal] = Counter()

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_at(self) -> float | None:
        """When the next one is due, in seconds; None if nothing is held."""
        return self._heap[0][0] if self._heap else None

    def insert(self, now: float, delay_ms: int, item: T) -> bool:
        """Hold something for `delay_ms` from `now` (seconds); false if it found no place."""
        is_long = delay_ms > LONG_MS
        if len(self._heap) >= self._capacity:
            self.refused[Refusal.FULL] += 1
            return False
        if is_long and self._long >= self._capacity // LONG_PARTS:
            self.refused[Refusal.LONG] += 1
            return False
        self._long += is_long
        self._inserted += 1
        heappush(self._heap, (now + delay_ms / _MS, self._inserted, is_long, item))
        return True

    def due(self, now: float) -> list[T]:
        """Return what is due by `now` (seconds), in the order in which it is."""
        heap, items = self._heap, []
        while heap and heap[0][0] <= now:
            _, _, is_long, item = heappop(heap)
            self._long -= is_long
            items.append(item)
        return items
