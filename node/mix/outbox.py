"""The sending side of reliable messages: fragments, repetitions, acknowledgements.

The owner asks for the next fragment when its schedule lets it send a payload, puts a fresh reply
block beside it, and tells what acknowledgements say.

Source: docs/spec/mixnet.md, QN-MIX-091 and 092; RFC 6298 (waits by measured round trips).
"""

from dataclasses import dataclass, field
from enum import Enum
from heapq import heappop, heappush
from typing import Final, Generic, TypeVar

from node.mix.frame import DATA_BYTES, MESSAGE_ID_BYTES, AckFrame, Fragment, fragments_of
from qnet.errors import LocalProtocolError
from qnet.sampling import RandomBytes

MAX_MESSAGES: Final = 256
MAX_TRIES: Final = 8
FIRST_WAIT_S: Final = 3.0
MIN_WAIT_S: Final = 1.0
MAX_WAIT_S: Final = 60.0

T = TypeVar("T")


class Outcome(Enum):
    """How a message ended."""

    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Ended(Generic[T]):
    """A message that needs nothing more.

    Args:
        message_id: 16 bytes.
        recipient: whom it was for.
        outcome: how it ended.
    """

    message_id: bytes
    recipient: T
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ToSend(Generic[T]):
    """A fragment to send now.

    Args:
        recipient: whom it is for.
        fragment: to put into a DATA frame.
    """

    recipient: T
    fragment: Fragment


@dataclass(slots=True)
class _Part:
    """State of one fragment."""

    fragment: Fragment
    tries: int = 0
    due_at: float = 0.0
    sent_at: float = 0.0


@dataclass(slots=True)
class _Message(Generic[T]):
    """A message under way; `open` are the fragments that are not known to have arrived."""

    recipient: T
    parts: tuple[_Part, ...]
    open: set[int] = field(default_factory=set)


class RoundTrips:
    """How long to wait for an acknowledgement (RFC 6298)."""

    __slots__ = ("_deviation_s", "_mean_s")

    def __init__(self) -> None:
        self._mean_s: float | None = None
        self._deviation_s = 0.0

    @property
    def mean_s(self) -> float | None:
        """Smoothed round trip; None until one was measured."""
        return self._mean_s

    @property
    def wait_s(self) -> float:
        """Before the first repetition."""
        if self._mean_s is None:
            return FIRST_WAIT_S
        return min(max(self._mean_s + 4 * self._deviation_s, MIN_WAIT_S), MAX_WAIT_S)

    def measured(self, seconds: float) -> None:
        """Learn from a fragment that was sent once."""
        if self._mean_s is None:
            self._mean_s, self._deviation_s = seconds, seconds / 2
            return
        self._deviation_s += (abs(self._mean_s - seconds) - self._deviation_s) / 4
        self._mean_s += (seconds - self._mean_s) / 8


class Outbox(Generic[T]):
    """Messages under way.

    Args:
        random: source of random bytes.

    Attributes:
        round_trips: what was measured.
        repeated: fragments sent again.
    """

    __slots__ = ("_entries", "_messages", "_queue", "_random", "repeated", "round_trips")

    def __init__(self, random: RandomBytes) -> None:
        self._random = random
        self._messages: dict[bytes, _Message[T]] = {}
        self._queue: list[tuple[float, int, bytes, int]] = []
        self._entries = 0
        self.round_trips = RoundTrips()
        self.repeated = 0

    def __len__(self) -> int:
        return len(self._messages)

    def submit(self, recipient: T, body: bytes, now: float, message_id: bytes = b"") -> bytes:
        """Take a message; returns its id (16 bytes).

        Args:
            recipient: whom it is for.
            body: up to 256 x 1,713 bytes.
            now: seconds.
            message_id: of one that was sent before with this body, 16 bytes; a new one by default.

        Raises:
            LocalProtocolError: too long, or too many are under way.
        """
        if len(self._messages) >= MAX_MESSAGES:
            raise LocalProtocolError("too many messages are under way")
        message_id = message_id or self._random(MESSAGE_ID_BYTES)
        fragments = fragments_of(message_id, body, DATA_BYTES)
        parts = tuple(_Part(fragment) for fragment in fragments)
        self._messages[message_id] = _Message(recipient, parts, set(range(len(parts))))
        for part in parts:
            self._enqueue(part, now)
        return message_id

    @property
    def next_at(self) -> float | None:
        """When `take` has something to give; None if nothing is under way."""
        while self._queue:
            due_at, _, message_id, index = self._queue[0]
            if self._is_open(due_at, message_id, index):
                return due_at
            heappop(self._queue)
        return None

    def take(self, now: float) -> ToSend[T] | Ended[T] | None:
        """Return a fragment to send at once, which counts as sent, or a message that failed."""
        due_at = self.next_at
        if due_at is None or due_at > now:
            return None
        _, _, message_id, index = heappop(self._queue)
        message = self._messages[message_id]
        part = message.parts[index]
        if part.tries >= MAX_TRIES:
            del self._messages[message_id]
            return Ended(message_id, message.recipient, Outcome.FAILED)
        self.repeated += part.tries > 0
        wait_s = min(self.round_trips.wait_s * 2**part.tries, MAX_WAIT_S)
        part.tries += 1
        part.sent_at = now
        self._enqueue(part, now + wait_s)
        return ToSend(message.recipient, part.fragment)

    def acknowledged(self, ack: AckFrame, now: float) -> Ended[T] | None:
        """Learn what a recipient holds; returns the message if it is delivered."""
        message = self._messages.get(ack.message_id)
        if message is None or len(message.parts) != ack.count:
            return None
        for index in ack.held & message.open:
            part = message.parts[index]
            if part.tries == 1:
                self.round_trips.measured(now - part.sent_at)
        if ack.is_complete:
            del self._messages[ack.message_id]
            return Ended(ack.message_id, message.recipient, Outcome.DELIVERED)
        message.open -= ack.held
        if not message.open:
            # each fragment arrived at some time, not all are held: the recipient began anew
            message.open = set(range(ack.count)) - ack.held
            for index in message.open:
                self._enqueue(message.parts[index], now)
        return None

    def _enqueue(self, part: _Part, due_at: float) -> None:
        part.due_at = due_at
        self._entries += 1
        entry = (due_at, self._entries, part.fragment.message_id, part.fragment.index)
        heappush(self._queue, entry)

    def _is_open(self, due_at: float, message_id: bytes, index: int) -> bool:
        """Whether an entry of the queue still stands."""
        message = self._messages.get(message_id)
        if message is None or index not in message.open:
            return False
        return message.parts[index].due_at == due_at
