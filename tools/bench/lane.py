"""One direction of a wire: a queue in front of a rate, then a delay with jitter and loss.

Holds packets and decides when each is due; reads no clock and no socket.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

QUEUE_BYTES = 4 * 2**20
"""Bytes that wait in front of the rate before packets are dropped."""

HELD_BYTES = 64 * 2**20
"""Bytes that one lane holds altogether."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a lane does to packets.

    Attributes:
        delay_s: Seconds each packet takes.
        jitter_s: Up to so many seconds more, drawn for each packet; order is kept.
        loss: Share of packets lost, 0 to 1.
        rate_bytes_s: Bytes a second; 0 for no limit.
        queue_bytes: Bytes that may wait for the rate.
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    rate_bytes_s: float = 0.0
    queue_bytes: int = QUEUE_BYTES


@dataclass(slots=True)
class Lane:
    """Packets on their way in one direction.

    Attributes:
        shape: What happens to them.
        random: Draws from [0, 1).
        passed: Packets delivered.
        passed_bytes: Bytes delivered.
        lost: Packets lost on purpose.
        dropped: Packets for which there was no room.
    """

    shape: Shape
    random: Callable[[], float]
    passed: int = 0
    passed_bytes: int = 0
    lost: int = 0
    dropped: int = 0
    _held: int = 0
    _free_at: float = 0.0
    _last_due: float = 0.0
    _line: deque[tuple[float, bytes]] = field(default_factory=deque)

    def offer(self, packet: bytes, now: float) -> None:
        """Take a packet, lose it or drop it.

        Args:
            packet: The packet.
            now: Monotonic seconds.
        """
        shape = self.shape
        size = len(packet)
        if shape.loss and self.random() < shape.loss:
            self.lost += 1
            return
        sent_at = now
        if shape.rate_bytes_s:
            start = max(now, self._free_at)
            if (start - now) * shape.rate_bytes_s > shape.queue_bytes:
                self.dropped += 1
                return
            self._free_at = sent_at = start + size / shape.rate_bytes_s
        if self._held + size > HELD_BYTES:
            self.dropped += 1
            return
        due = sent_at + shape.delay_s
        if shape.jitter_s:
            due += self.random() * shape.jitter_s
        self._last_due = max(self._last_due, due)
        self._held += size
        self._line.append((self._last_due, packet))

    def due(self, now: float) -> Iterator[bytes]:
        """Packets whose time has come, in order."""
        line = self._line
        while line and line[0][0] <= now:
            _, packet = line.popleft()
            self._held -= len(packet)
            self.passed += 1
            self.passed_bytes += len(packet)
            yield packet

    @property
    def next_due(self) -> float | None:
        """When the next packet is due; None while there is none."""
        return self._line[0][0] if self._line else None

    def counts(self) -> dict[str, int]:
        """Counters by name."""
        return {
            "passed": self.passed,
            "passed_bytes": self.passed_bytes,
            "lost": self.lost,
            "dropped": self.dropped,
        }
