"""Which packets a mix has opened: one table of fingerprints for each key phase.

A table has a fixed number of 8-byte slots in anonymous memory, of which the system hands out only
the pages that are used. It forgets nothing; when it is full, packets are dropped.

Source: docs/spec/mixnet.md, QN-MIX-021 to 023.
"""

from collections.abc import Callable
from enum import IntEnum
from mmap import mmap
from typing import Final

SLOTS: Final = 1 << 24
CAPACITY: Final = SLOTS // 4 * 3
"""Beyond three quarters, looking a tag up would take long."""
_SLOT_BYTES: Final = 8


class Admission(IntEnum):
    """What a table says about a packet."""

    FRESH = 0
    REPLAYED = 1
    FULL = 2


class ReplayTable:
    """Fingerprints of one phase.

    Args:
        slots: a power of two.
    """

    __slots__ = ("_mask", "_slots", "capacity", "count")

    def __init__(self, slots: int = SLOTS) -> None:
        self._mask = slots - 1
        self._slots = memoryview(mmap(-1, slots * _SLOT_BYTES)).cast("Q")
        self.capacity: Final = slots // 4 * 3
        self.count = 0

    def admit(self, replay_tag: bytes) -> Admission:
        """Remember a packet whose header verified.

        Args:
            replay_tag: 16 bytes, of which the first 8 are kept.
        """
        slots, mask = self._slots, self._mask
        fingerprint = int.from_bytes(replay_tag[:_SLOT_BYTES], "little") or 1
        place = fingerprint & mask
        while held := slots[place]:
            if held == fingerprint:
                return Admission.REPLAYED
            place = (place + 1) & mask
        if self.count >= self.capacity:
            return Admission.FULL
        slots[place] = fingerprint
        self.count += 1
        return Admission.FRESH


class ReplayFilter:
    """Tables of the phases whose keys are held.

    Args:
        slots: of each table, a power of two.
    """

    __slots__ = ("_slots", "_tables")

    def __init__(self, slots: int = SLOTS) -> None:
        self._slots = slots
        self._tables: dict[int, ReplayTable] = {}

    def forget_unless(self, is_held: Callable[[int], bool]) -> None:
        """Forget the phases (u24) whose onion keys are gone: their packets open no more.

        A table lives as long as its key, also when the clock is set back and forth.
        """
        for phase in [phase for phase in self._tables if not is_held(phase)]:
            del self._tables[phase]

    def admit(self, phase: int, replay_tag: bytes) -> Admission:
        """Remember a packet whose header verified, of a phase that is accepted now."""
        table = self._tables.get(phase)
        if table is None:
            table = self._tables[phase] = ReplayTable(self._slots)
        return table.admit(replay_tag)

    def count(self, phase: int) -> int:
        """Packets remembered of a phase."""
        table = self._tables.get(phase)
        return table.count if table is not None else 0
