"""The client's end of streams: one outbox per hop of a circuit, and what hops say on streams.

Source: docs/spec/circuits.md, section "Streams".
"""

from typing import Final

from node.circuit.actions import (
    Event,
    NameResolved,
    StreamConnected,
    StreamData,
    StreamEnded,
    StreamWritable,
)
from node.circuit.journal import Journal
from node.circuit.messages import (
    EndReason,
    Message,
    MessageType,
    decode_address,
    decode_answers,
    decode_end,
)
from node.circuit.states import StreamInput, StreamState
from node.circuit.streams import Outbox, Stream, StreamKind
from qnet.errors import LocalProtocolError, RemoteProtocolError

MAX_STREAM: Final = (1 << 16) - 1


class StreamStarts:
    """All streams of one circuit at its client.

    Args:
        circuit_id: the circuit's id on its link.
        hops: number of hops.
        events: where events go.
    """

    __slots__ = (
        "_asked",
        "_events",
        "_last",
        "_learned",
        "_positions",
        "_turn",
        "circuit_id",
        "outboxes",
    )

    def __init__(self, circuit_id: int, hops: int, events: Journal[Event]) -> None:
        self.circuit_id = circuit_id
        self._events = events
        self._last = self._turn = self._learned = 0
        self._positions: dict[int, int] = {}
        self._asked: dict[int, float] = {}
        self.outboxes = [Outbox() for _ in range(hops)]

    def __len__(self) -> int:
        return sum(len(outbox.streams) for outbox in self.outboxes)

    @property
    def has_content(self) -> bool:
        """Whether a hop is to hear something."""
        return any(outbox.has_content for outbox in self.outboxes)

    @property
    def buffered_cells(self) -> int:
        """Cells that the waiting data fill."""
        return sum(outbox.cells for outbox in self.outboxes)

    def open(
        self,
        message: MessageType,
        data: bytes,
        position: int,
        window_bytes: int,
        now: float,
        *,
        pressed: bool,
    ) -> int:
        """Open a stream to the hop at `position`; return its number.

        It begins with its share of the window that the streams before it have grown to.

        Raises:
            LocalProtocolError: out of stream numbers.
        """
        if self._last == MAX_STREAM:
            raise LocalProtocolError("the circuit has used all its stream numbers")
        self._last = number = self._last + 1
        outbox = self.outboxes[position]
        outbox.say(message, number, data)
        stream = outbox.streams[number] = Stream(number, _KINDS[message], window_bytes)
        self._positions[number] = position
        if stream.kind is not StreamKind.NAME and not pressed:
            stream.window.widen(self._learned // len(self))
            outbox.consumed(stream, 0, now, pressed=False)
        self._asked[number] = now
        return number

    def overdue(self, before: float) -> int | None:
        """Return the hop that still owes an answer to what was asked before a time."""
        asked = self._asked
        while asked:
            number, at = next(iter(asked.items()))
            if at > before:
                break
            del asked[number]
            found = self.find(number)
            if found is not None and not found[1].is_connected:
                return self._positions[number]
        return None

    def find(self, number: int) -> tuple[Outbox, Stream] | None:
        """Return a stream that has not ended, with its outbox."""
        position = self._positions.get(number)
        if position is None:
            return None
        outbox = self.outboxes[position]
        stream = outbox.streams.get(number)
        if stream is None:
            del self._positions[number]
            return None
        return outbox, stream

    def send(self, number: int, data: bytes) -> int:
        """Queue data; return how much was taken."""
        found = self.find(number)
        return 0 if found is None else found[0].write(found[1], data)

    def end(self, number: int, reason: EndReason) -> None:
        """Say END."""
        found = self.find(number)
        if found is not None and (reason is not EndReason.DONE or found[1].may_send):
            found[0].end(found[1], reason)

    def consumed(self, number: int, count: int, now: float, *, pressed: bool) -> None:
        """The application took data."""
        found = self.find(number)
        if found is not None:
            found[0].consumed(found[1], count, now, pressed=pressed)
            self._learned = found[1].window.window

    def next_outbox(self) -> int:
        """Return the position of the next hop to hear something; hops take turns."""
        count = len(self.outboxes)
        position = next(
            candidate % count
            for candidate in range(self._turn, self._turn + count)
            if self.outboxes[candidate % count].has_content
        )
        self._turn = position + 1
        return position

    def report(self, outbox: Outbox) -> None:
        """Tell which streams take data again."""
        for number in outbox.resumed:
            self._events.add(StreamWritable(self.circuit_id, number))
        outbox.resumed.clear()

    def handle(self, position: int, message: Message, now: float) -> None:
        """Take a message about a stream.

        Raises:
            RemoteProtocolError: it is not allowed now; the circuit must be destroyed.
        """
        outbox = self.outboxes[position]
        kind, number, data = message
        stream = outbox.streams.get(number)
        if stream is None:
            return
        if kind is MessageType.DATA:
            self.hear(position, number, [data], now)
        elif kind is MessageType.CREDIT:
            outbox.grant(stream, data)
            self.report(outbox)
        elif kind is MessageType.END:
            self._end(outbox, stream, decode_end(data))
        elif kind is MessageType.CONNECTED:
            self._connected(stream, data)
        else:
            self._resolved(outbox, stream, data)

    def hear(self, position: int, number: int, chunks: list[bytes], now: float) -> None:
        """Take the data of DATA messages of one stream that came in a row.

        Raises:
            RemoteProtocolError: it is not allowed now; the circuit must be destroyed.
        """
        outbox = self.outboxes[position]
        stream = outbox.streams.get(number)
        if stream is None:
            return
        if not stream.is_connected:
            raise RemoteProtocolError("DATA before CONNECTED")
        outbox.hear(stream, sum(map(len, chunks)), now)
        self._events.deliver_all(self.circuit_id, number, chunks)

    def _connected(self, stream: Stream, data: bytes) -> None:
        if stream.is_connected or stream.kind is not StreamKind.TCP:
            raise RemoteProtocolError("CONNECTED was not expected")
        stream.is_connected = True
        self._events.add(StreamConnected(self.circuit_id, stream.number, decode_address(data)))

    def _resolved(self, outbox: Outbox, stream: Stream, data: bytes) -> None:
        if stream.kind is not StreamKind.NAME:
            raise RemoteProtocolError("RESOLVED was not expected")
        answers = decode_answers(data)
        outbox.forget(stream)
        self._events.add(NameResolved(self.circuit_id, stream.number, answers))

    def _end(self, outbox: Outbox, stream: Stream, reason: EndReason) -> None:
        if reason is EndReason.DONE:
            if not stream.is_connected:
                raise RemoteProtocolError("DONE before CONNECTED")
            stream.change(StreamInput.HEAR_DONE)
            if stream.state is StreamState.CLOSED:
                outbox.forget(stream)
        else:
            outbox.forget(stream)
        self._events.add(StreamEnded(self.circuit_id, stream.number, reason))

    def rest(self) -> None:
        """Let go of queues in which nothing waits."""
        for outbox in self.outboxes:
            outbox.rest()

    def abandon(self, reason: EndReason | None) -> None:
        """The circuit is gone: every stream ends, with an error if there is a reason to tell."""
        for outbox in self.outboxes:
            for number in outbox.streams if reason is not None else ():
                assert reason is not None
                self._events.add(StreamEnded(self.circuit_id, number, reason))
        self.outboxes = [Outbox() for _ in self.outboxes]
        self._positions.clear()


def new_events() -> Journal[Event]:
    """Return an empty journal of a client's events."""
    return Journal(StreamData)


_KINDS: Final = {
    MessageType.BEGIN: StreamKind.TCP,
    MessageType.RESOLVE: StreamKind.NAME,
    MessageType.BEGIN_DIR: StreamKind.DIRECTORY,
}
