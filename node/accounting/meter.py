"""Counting what went over each link, by slot and direction.

The driver counts after the write (sent) and after the open (received), batch by batch; cells and
packets count alike, cover included.

Source: docs/spec/receipts.md, section Counting.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from qnet.epochs import EpochClock
from qnet.errors import DecodeError
from qnet.messages.fields import U32_MAX, U64_MAX

MAX_SNAPSHOT_ROWS: Final = 1 << 20


@dataclass(slots=True)
class Counts:
    """Cells and packets exchanged with one neighbour in one slot.

    Args:
        sent: written to the neighbour.
        received: opened from the neighbour.
    """

    sent: int = 0
    received: int = 0


class Meter:
    """Counters of one node; links to the same neighbour share theirs.

    Args:
        clock: the reward calendar.
    """

    __slots__ = ("_clock", "_slots")

    def __init__(self, clock: EpochClock) -> None:
        self._clock = clock
        self._slots: dict[int, dict[int, Counts]] = {}

    def count_sent(self, peer: int, cells: int, now: float) -> None:
        """Count cells written to a neighbour.

        Args:
            peer: its registry index.
            cells: how many.
            now: unix time of the write.
        """
        counts = self._counts(peer, now)
        if counts is not None:
            counts.sent += cells

    def count_received(self, peer: int, cells: int, now: float) -> None:
        """Count cells received from a neighbour (arguments as in `count_sent`)."""
        counts = self._counts(peer, now)
        if counts is not None:
            counts.received += cells

    def ended_slots(self, now: float) -> list[int]:
        """Global numbers of slots that are over and not closed yet, oldest first."""
        current = self._clock.slot_number_at(now)
        return sorted(slot for slot in self._slots if slot < current)

    def close(self, slot_number: int) -> Mapping[int, Counts]:
        """Return the counters of a slot by neighbour and forget them.

        Args:
            slot_number: global slot number.
        """
        return self._slots.pop(slot_number, {})

    def snapshot(self) -> list[tuple[int, int, int, int]]:
        """Return (slot number, peer, sent, received) of everything open, for the spool."""
        return [
            (slot, peer, counts.sent, counts.received)
            for slot, peers in sorted(self._slots.items())
            for peer, counts in sorted(peers.items())
        ]

    @classmethod
    def restore(cls, clock: EpochClock, rows: list[tuple[int, int, int, int]]) -> Self:
        """Continue from a snapshot after a restart.

        Raises:
            DecodeError: the rows are not a snapshot's.
        """
        if len(rows) > MAX_SNAPSHOT_ROWS:
            raise DecodeError("meter snapshot has too many rows")
        meter = cls(clock)
        for slot, peer, sent, received in rows:
            peers = meter._slots.setdefault(slot, {})
            if slot < 0 or not 0 < peer <= U32_MAX or peer in peers:
                raise DecodeError("meter snapshot names an impossible slot or peer")
            if not 0 <= sent <= U64_MAX or not 0 <= received <= U64_MAX:
                raise DecodeError("meter snapshot holds an impossible count")
            peers[peer] = Counts(sent, received)
        return meter

    def _counts(self, peer: int, now: float) -> Counts | None:
        slot = self._clock.slot_number_at(now)
        if slot < 0:
            return None
        peers = self._slots.get(slot)
        if peers is None:
            peers = self._slots[slot] = {}
        counts = peers.get(peer)
        if counts is None:
            counts = peers[peer] = Counts()
        return counts
