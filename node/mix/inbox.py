"""The receiving side of reliable messages: fragments put together, repetitions known.

What a stranger may make a recipient remember is bounded: begun messages by number, bytes and age.

Source: docs/spec/mixnet.md, QN-MIX-091 and 093.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from node.mix.frame import AckFrame, DataFrame, Fragment

MAX_PARTIAL: Final = 64
MAX_PARTIAL_BYTES: Final = 8 << 20
PARTIAL_S: Final = 900.0
MAX_COMPLETE: Final = 4096


class Ignored(StrEnum):
    """Why a fragment was not taken; the metric label."""

    FULL = "full"
    CONTRADICTS = "contradicts"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Received:
    """A whole message; store it before you carry out what follows.

    Args:
        message_id: 16 bytes.
        body: its bytes.
    """

    message_id: bytes
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """An acknowledgement to send with the reply block of the frame.

    Args:
        ack: the frame.
    """

    ack: AckFrame


@dataclass(slots=True)
class _Partial:
    """A message that is not complete."""

    count: int
    last_at: float
    parts: dict[int, bytes] = field(default_factory=dict)


class Assembly:
    """Puts fragments together.

    Attributes:
        ignored: fragments not taken, by cause.
        expired: begun messages forgotten.
    """

    __slots__ = ("_bytes", "_complete", "_partial", "expired", "ignored")

    def __init__(self) -> None:
        self._partial: OrderedDict[bytes, _Partial] = OrderedDict()
        self._complete: OrderedDict[bytes, int] = OrderedDict()
        self._bytes = 0
        self.ignored: Counter[Ignored] = Counter()
        self.expired = 0

    def add(self, fragment: Fragment, now: float) -> bytes | None:
        """Take a fragment at `now` (seconds); returns the message that it completes."""
        self._expire(now)
        if fragment.message_id in self._complete:
            self.ignored[Ignored.REPEATED] += 1
            return None
        partial = self._partial.get(fragment.message_id)
        if partial is None:
            if len(self._partial) >= MAX_PARTIAL:
                self.ignored[Ignored.FULL] += 1
                return None
            partial = _Partial(fragment.count, now)
        refusal = self._refusal(partial, fragment)
        if refusal:
            self.ignored[refusal] += 1
            return None
        partial.parts[fragment.index] = fragment.data
        partial.last_at = now
        self._bytes += len(fragment.data)
        self._partial[fragment.message_id] = partial
        self._partial.move_to_end(fragment.message_id)
        if len(partial.parts) < partial.count:
            return None
        self._forget(fragment.message_id)
        self._remember(fragment.message_id, partial.count)
        return b"".join(partial.parts[index] for index in range(partial.count))

    def held(self, message_id: bytes) -> frozenset[int]:
        """Indices of the fragments that are there."""
        if message_id in self._complete:
            return frozenset(range(self._complete[message_id]))
        partial = self._partial.get(message_id)
        return frozenset(partial.parts) if partial else frozenset()

    def _refusal(self, partial: _Partial, fragment: Fragment) -> Ignored | None:
        if partial.count != fragment.count:
            return Ignored.CONTRADICTS
        known = partial.parts.get(fragment.index)
        if known is not None:
            return Ignored.REPEATED if known == fragment.data else Ignored.CONTRADICTS
        if self._bytes + len(fragment.data) > MAX_PARTIAL_BYTES:
            return Ignored.FULL
        return None

    def _expire(self, now: float) -> None:
        while self._partial:
            message_id, partial = next(iter(self._partial.items()))
            if partial.last_at + PARTIAL_S > now:
                return
            self._forget(message_id)
            self.expired += 1

    def _forget(self, message_id: bytes) -> None:
        self._bytes -= sum(map(len, self._partial.pop(message_id).parts.values()))

    def _remember(self, message_id: bytes, count: int) -> None:
        self._complete[message_id] = count
        if len(self._complete) > MAX_COMPLETE:
            self._complete.popitem(last=False)


class Inbox:
    """Messages to an address.

    Attributes:
        assembly: what is begun, and its counters.
    """

    __slots__ = ("assembly",)

    def __init__(self) -> None:
        self.assembly = Assembly()

    def receive(self, frame: DataFrame, now: float) -> list[Received | Acknowledge]:
        """Take a frame at `now` (seconds); returns what to do, in this order."""
        fragment = frame.fragment
        body = self.assembly.add(fragment, now)
        todo: list[Received | Acknowledge] = []
        if body is not None:
            todo.append(Received(fragment.message_id, body))
        held = frozenset(
            index for index in self.assembly.held(fragment.message_id) if index < fragment.count
        )
        if held:
            todo.append(Acknowledge(AckFrame(fragment.message_id, fragment.count, held)))
        return todo
