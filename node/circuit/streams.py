"""Streams of a circuit at one of its ends, and the packing of their bytes into cells.

Both ends use the same parts: a hop has one `Outbox` towards the client, the client has one per hop.
An endpoint consumes every cell at once; what a stream may send is bounded by its own credit, so one
slow reader never stalls its circuit.

Source: docs/spec/circuits.md, sections "Messages" and "Flow control".
"""

from collections import deque
from enum import Enum
from typing import Final

from node.circuit.cell import CELL_BYTES
from node.circuit.flow import (
    INITIAL_STREAM_BYTES,
    MAX_CREDIT,
    ReceiveWindow,
    add_credit,
)
from node.circuit.messages import (
    HEADER_BYTES,
    EndReason,
    MessageType,
    data_header,
    encode_message,
)
from node.circuit.states import STREAM_TABLE, StreamInput, StreamState, step
from qnet.errors import RemoteProtocolError

SEND_BUFFER_BYTES: Final = 1 << 19
"""Bytes that a stream keeps between its application and the circuit."""
CONTROL_OVERHEAD_BYTES: Final = 64
"""Memory that a waiting small message takes besides its bytes."""
MAX_CONTROL_MESSAGES: Final = 4096
"""Small messages that may wait for credit; a peer that provokes more loses the circuit."""


class StreamKind(Enum):
    """What a stream is for."""

    TCP = "a connection to a destination"
    DIRECTORY = "directory data"
    NAME = "one look-up"


class Stream:
    """One stream at one end.

    Args:
        number: 1 to 65,535.
        kind: what it is for.
        window_bytes: largest receive window.
    """

    __slots__ = (
        "_chunks",
        "_offset",
        "buffered",
        "credit",
        "is_connected",
        "is_ending",
        "is_queued",
        "is_starved",
        "kind",
        "number",
        "state",
        "window",
    )

    def __init__(self, number: int, kind: StreamKind, window_bytes: int) -> None:
        self.number = number
        self.kind = kind
        self.state = StreamState.OPEN
        self.is_connected = kind is StreamKind.DIRECTORY
        self.credit = INITIAL_STREAM_BYTES
        self.window = ReceiveWindow(INITIAL_STREAM_BYTES, window_bytes, MAX_CREDIT)
        self._chunks: deque[bytes] = deque()
        self._offset = 0
        self.buffered = 0
        self.is_starved = False
        self.is_ending = False
        self.is_queued = False

    def change(self, change: StreamInput) -> None:
        """Step the state.

        Raises:
            RemoteProtocolError: this cannot happen now.
        """
        self.state = step(STREAM_TABLE, self.state, change)

    @property
    def may_send(self) -> bool:
        """Whether our direction is still open."""
        return not self.is_ending and self.state in {StreamState.OPEN, StreamState.REMOTE_DONE}

    @property
    def room(self) -> int:
        """Bytes that may be buffered now."""
        return min(SEND_BUFFER_BYTES, self.credit) - self.buffered

    @property
    def has_output(self) -> bool:
        """Whether there is data with credit, or an END whose turn has come."""
        return (self.buffered > 0 and self.credit > 0) or (self.is_ending and not self.buffered)

    def write(self, data: bytes) -> int:
        """Buffer as much as there is room for; return how much."""
        accepted = max(0, min(len(data), self.room))
        self.is_starved = accepted < len(data)
        if accepted:
            self._chunks.append(data if accepted == len(data) else data[:accepted])
            self.buffered += accepted
        return accepted

    def take(self, count: int) -> bytes:
        """Return up to `count` buffered bytes from one chunk and spend credit for them."""
        chunk = self._chunks[0]
        offset = self._offset
        data = chunk[offset : offset + min(count, self.credit)]
        if offset + len(data) == len(chunk):
            self._chunks.popleft()
            self._offset = 0
        else:
            self._offset = offset + len(data)
        self.buffered -= len(data)
        self.credit -= len(data)
        return data

    def take_whole(self, size: int) -> bytes:
        """Return DATA with `size` bytes and spend credit; nothing if that would not leave any.

        The short way of bulk data: a chunk of the application fills many cells.
        """
        if self.buffered <= size or self.credit <= size:
            return b""
        chunk, start = self._chunks[0], self._offset
        end = start + size
        if end >= len(chunk):
            return b""
        self._offset = end
        self.buffered -= size
        self.credit -= size
        return data_header(self.number, size) + chunk[start:end]

    def hear(self, size: int, now: float) -> None:
        """Count `size` bytes of data that arrived.

        Raises:
            RemoteProtocolError: beyond the credit, or on a stream that cannot carry data now.
        """
        state = self.state
        done = state is StreamState.REMOTE_DONE or state is StreamState.CLOSED
        if done or self.kind is StreamKind.NAME:
            raise RemoteProtocolError("DATA after the end of its direction")
        self.window.receive(size, now)


class Outbox:
    """What one end of a circuit has to say to one hop, cut into cells as credit allows."""

    __slots__ = ("_control", "_control_bytes", "_ready", "buffered", "held", "resumed", "streams")

    def __init__(self) -> None:
        self.streams: dict[int, Stream] = {}
        self.resumed: list[int] = []
        self.buffered = 0
        self.held = 0
        """Bytes of streams that arrived and that no application has taken."""
        self._control_bytes = 0
        self._control: deque[bytes] | None = None
        """Small messages; no queue while there never was one, an idle circuit has many outboxes."""
        self._ready: deque[Stream] | None = None

    @property
    def has_content(self) -> bool:
        """Whether `next_content` would return something."""
        return bool(self._control or self._ready)

    @property
    def cells(self) -> int:
        """Cells that would hold what waits here in either direction, for the pool."""
        return -(-(self.buffered + self.held + self._control_bytes) // CELL_BYTES)

    def say(self, kind: MessageType, stream: int, data: bytes = b"") -> None:
        """Queue a small message; it goes before data.

        Raises:
            RemoteProtocolError: the peer provoked too many.
        """
        control = self._control
        if control is None:
            self._control = control = deque()
        elif len(control) >= MAX_CONTROL_MESSAGES:
            raise RemoteProtocolError("too many answers wait for credit")
        control.append(encode_message(kind, stream, data))
        self._control_bytes += HEADER_BYTES + len(data) + CONTROL_OVERHEAD_BYTES

    def hear(self, stream: Stream, size: int, now: float) -> None:
        """Count `size` bytes of data that arrived.

        Raises:
            RemoteProtocolError: beyond the credit, or on a stream that cannot carry data now.
        """
        stream.hear(size, now)
        self.held += size

    def write(self, stream: Stream, data: bytes) -> int:
        """Buffer data of a stream; return how much was taken."""
        accepted = stream.write(data) if stream.may_send else 0
        self.buffered += accepted
        self._queue(stream)
        return accepted

    def end(self, stream: Stream, reason: EndReason) -> None:
        """Say END: DONE after the data that waits, any other reason at once.

        Raises:
            RemoteProtocolError: too many answers wait.
        """
        if reason is EndReason.DONE:
            stream.is_ending = True
            self._queue(stream)
        else:
            self.forget(stream)
            self.say(MessageType.END, stream.number, bytes([reason]))

    def forget(self, stream: Stream) -> None:
        """Drop a stream and what it still had to send."""
        if stream.state is not StreamState.CLOSED:
            stream.change(StreamInput.ABORT)
        self.buffered -= stream.buffered
        self.held -= stream.window.held
        stream.window.consume(stream.window.held)
        stream.buffered = 0
        stream.is_ending = False
        self.streams.pop(stream.number, None)

    def grant(self, stream: Stream, data: bytes) -> None:
        """Add credit that the peer gave to a stream.

        Raises:
            RemoteProtocolError: the credit overflows.
        """
        stream.credit = add_credit(stream.credit, int.from_bytes(data, "big"))
        self._queue(stream)
        self._resume(stream)

    def consumed(self, stream: Stream, count: int, now: float, *, pressed: bool) -> None:
        """Count data that the application took and give credit back when it is worth it.

        Raises:
            RemoteProtocolError: too many answers wait.
        """
        count = min(count, stream.window.held)
        stream.window.consume(count)
        self.held -= count
        if stream.state in {StreamState.OPEN, StreamState.LOCAL_DONE}:
            grant = stream.window.grant(now, pressed=pressed)
            if grant:
                self.say(MessageType.CREDIT, stream.number, grant.to_bytes(4, "big"))

    def next_content(self, room: int) -> bytes:
        """Return the messages of the next cell, at most `room` bytes; empty if there are none."""
        parts: list[bytes] = []
        control, ready = self._control, self._ready
        if ready and not control and room > HEADER_BYTES:
            stream = ready[0]
            whole = stream.take_whole(room - HEADER_BYTES)
            if whole:
                self.buffered -= room - HEADER_BYTES
                self._resume(stream)
                ready.rotate(-1)
                return whole
        while control and len(control[0]) <= room:
            message = control.popleft()
            parts.append(message)
            room -= len(message)
            self._control_bytes -= len(message) + CONTROL_OVERHEAD_BYTES
        while ready and not control and room > HEADER_BYTES:
            stream = ready.popleft()
            stream.is_queued = False
            if stream.buffered and stream.credit:
                data = stream.take(room - HEADER_BYTES)
                parts += (data_header(stream.number, len(data)), data)
                room -= HEADER_BYTES + len(data)
                self.buffered -= len(data)
                self._resume(stream)
            elif stream.is_ending:
                parts.append(encode_message(MessageType.END, stream.number, b"\x00"))
                room -= HEADER_BYTES + 1
                self._said_done(stream)
            self._queue(stream)
        return b"".join(parts)

    def _said_done(self, stream: Stream) -> None:
        stream.is_ending = False
        stream.change(StreamInput.SAY_DONE)
        if stream.state is StreamState.CLOSED:
            self.forget(stream)

    def _queue(self, stream: Stream) -> None:
        if not stream.is_queued and stream.has_output:
            stream.is_queued = True
            if self._ready is None:
                self._ready = deque()
            self._ready.append(stream)

    def rest(self) -> None:
        """Let go of queues in which nothing waits."""
        if not self._control:
            self._control = None
        if not self._ready:
            self._ready = None

    def _resume(self, stream: Stream) -> None:
        if stream.is_starved and 2 * stream.room >= min(SEND_BUFFER_BYTES, INITIAL_STREAM_BYTES):
            stream.is_starved = False
            self.resumed.append(stream.number)
