"""One direction of a tunnel: numbered frames, repeated until they are there, handed on in order.

Mixes reorder whatever passes them, so a gap says nothing; only time does. A frame that is not
acknowledged after a wait by measured round trips goes again, with the same content.

Source: docs/spec/mixnet.md, QN-MIX-112 and 113; RFC 6298.
"""

from dataclasses import dataclass, field
from typing import Final

from node.mix.outbox import MAX_WAIT_S, RoundTrips
from node.mix.streams.wire import WINDOW, Seen
from qnet.errors import LocalProtocolError, RemoteProtocolError

MAX_TRIES: Final = 8
_LAST_NUMBER: Final = (1 << 32) - 1


@dataclass(slots=True)
class _Sent:
    """A frame that is not acknowledged."""

    content: bytes = field(repr=False)
    sent_at: float
    due_at: float
    tries: int = 1


class Sender:
    """Frames of one end that the other may not have.

    Attributes:
        round_trips: what was measured.
        unacked_bytes: content that may have to go again.
        repeated: frames sent again.
        failed: whether a frame was sent so often in vain that the tunnel is of no use.
    """

    __slots__ = ("_last", "_sent", "failed", "repeated", "round_trips", "unacked_bytes")

    def __init__(self) -> None:
        self._sent: dict[int, _Sent] = {}
        self._last = 0
        self.round_trips = RoundTrips()
        self.unacked_bytes = 0
        self.repeated = 0
        self.failed = False

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def has_room(self) -> bool:
        """Whether a new frame may go."""
        first = next(iter(self._sent), self._last + 1)
        return self._last + 1 < first + WINDOW and self._last < _LAST_NUMBER

    @property
    def next_at(self) -> float | None:
        """When `due` has something to give; None if everything is acknowledged."""
        return min((sent.due_at for sent in self._sent.values()), default=None)

    def put(self, content: bytes, now: float) -> int:
        """Send new content at `now` (seconds); returns its number.

        Raises:
            LocalProtocolError: there is no room.
        """
        if not self.has_room:
            raise LocalProtocolError("too many frames are under way")
        self._last += 1
        self._sent[self._last] = _Sent(content, now, now + self.round_trips.wait_s)
        self.unacked_bytes += len(content)
        return self._last

    def due(self, now: float) -> tuple[int, bytes] | None:
        """Return number and content of a frame to send again, which counts as sent."""
        for number, sent in self._sent.items():
            if sent.due_at <= now:
                return self._again(number, sent, now)
        return None

    def _again(self, number: int, sent: _Sent, now: float) -> tuple[int, bytes] | None:
        if sent.tries >= MAX_TRIES:
            self.failed = True
            return None
        sent.due_at = now + min(self.round_trips.wait_s * 2**sent.tries, MAX_WAIT_S)
        sent.tries += 1
        self.repeated += 1
        return number, sent.content

    def acknowledged(self, seen: Seen, now: float) -> None:
        """Learn what the other end holds.

        Raises:
            RemoteProtocolError: it holds what was never sent.
        """
        if seen.acked > self._last or seen.acked + seen.held.bit_length() > self._last:
            raise RemoteProtocolError("a frame was acknowledged that was never sent")
        for number in [number for number in self._sent if seen.includes(number)]:
            sent = self._sent.pop(number)
            self.unacked_bytes -= len(sent.content)
            if sent.tries == 1:
                self.round_trips.measured(now - sent.sent_at)


class Receiver:
    """Frames of the other end, put in order.

    Attributes:
        repeated: frames that came again.
        waiting_bytes: content that waits for frames before it.
    """

    __slots__ = ("_acked", "_held", "repeated", "waiting_bytes")

    def __init__(self) -> None:
        self._acked = 0
        self._held: dict[int, bytes] = {}
        self.repeated = 0
        self.waiting_bytes = 0

    @property
    def seen(self) -> Seen:
        """What is here."""
        held = sum(1 << number - self._acked - 1 for number in self._held)
        return Seen(self._acked, held)

    def receive(self, number: int, content: bytes) -> list[bytes]:
        """Take a numbered frame; returns the contents whose turn has come.

        Raises:
            RemoteProtocolError: the number lies beyond the window.
        """
        if number > self._acked + WINDOW:
            raise RemoteProtocolError("a frame lies beyond the window")
        if number <= self._acked or number in self._held:
            self.repeated += 1
            return []
        self._held[number] = content
        self.waiting_bytes += len(content)
        ready = []
        while (following := self._held.pop(self._acked + 1, None)) is not None:
            self._acked += 1
            self.waiting_bytes -= len(following)
            ready.append(following)
        return ready
