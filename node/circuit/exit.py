"""A hop's end of streams: BEGIN, RESOLVE and directory requests, and what becomes of them.

Every hop serves directory streams; only exits connect and resolve. The hop consumes every cell at
once; what waits for a slow destination is bounded by the credit of its stream.

Source: docs/spec/circuits.md, section "Streams".
"""

from collections.abc import Callable
from typing import Final

from node.circuit.actions import (
    Action,
    EndStream,
    OpenDirectory,
    OpenStream,
    ResolveName,
)
from node.circuit.cell import CELL_BYTES
from node.circuit.journal import Journal
from node.circuit.messages import (
    Answer,
    EndReason,
    Message,
    MessageType,
    decode_begin,
    decode_end,
    decode_host,
    encode_answers,
)
from node.circuit.states import StreamInput, StreamState
from node.circuit.streams import Outbox, Stream, StreamKind
from qnet.errors import RemoteProtocolError
from qnet.parameters import NetworkParameters


class StreamEnds:
    """All streams of one circuit at one hop.

    Args:
        circuit: handle of the circuit.
        exits: whether connections and names are served.
        parameters: network parameters in force, as a call because holders may change them.
        actions: where actions go.
        watch: called with a stream's number and kind of deadline when it opens.
    """

    __slots__ = ("_actions", "_circuit", "_exits", "_last", "_parameters", "_watch", "outbox")

    def __init__(
        self,
        circuit: int,
        *,
        exits: bool,
        parameters: Callable[[], NetworkParameters],
        actions: Journal[Action],
        watch: Callable[[int], None],
    ) -> None:
        self._circuit = circuit
        self._exits = exits
        self._parameters = parameters
        self._actions = actions
        self._watch = watch
        self._last = 0
        self.outbox = Outbox()

    def __len__(self) -> int:
        return len(self.outbox.streams)

    def handle(self, message: Message, now: float) -> None:
        """Take one message of the client.

        Raises:
            RemoteProtocolError: it is not allowed now; the circuit must be destroyed.
        """
        kind, number, data = message
        if kind is MessageType.DATA:
            stream = self.outbox.streams.get(number)
            if stream is not None:
                self.outbox.hear(stream, len(data), now)
                self._actions.deliver(self._circuit, number, data)
        elif kind is MessageType.CREDIT:
            stream = self.outbox.streams.get(number)
            if stream is not None:
                self.outbox.grant(stream, data)
        elif kind is MessageType.END:
            self._end(number, decode_end(data))
        else:
            self._open(kind, number, data)

    def _open(self, kind: MessageType, number: int, data: bytes) -> None:
        if number <= self._last:
            raise RemoteProtocolError("stream numbers must rise")
        self._last = number
        action = self._action(kind, number, data)
        if kind is not MessageType.BEGIN_DIR and not self._exits:
            self._refuse(number, EndReason.POLICY)
            return
        if len(self) >= self._parameters().streams_per_circuit_max:
            self._refuse(number, EndReason.RESOURCE_LIMIT)
            return
        window = self._parameters().stream_window_cells * CELL_BYTES
        self.outbox.streams[number] = Stream(number, _KINDS[kind], window)
        if kind is not MessageType.BEGIN_DIR:
            self._watch(number)
        self._actions.add(action)

    def _action(self, kind: MessageType, number: int, data: bytes) -> Action:
        if kind is MessageType.BEGIN:
            return OpenStream(self._circuit, number, *decode_begin(data))
        if kind is MessageType.RESOLVE:
            return ResolveName(self._circuit, number, decode_host(data))
        return OpenDirectory(self._circuit, number)

    def _refuse(self, number: int, reason: EndReason) -> None:
        self.outbox.say(MessageType.END, number, bytes([reason]))

    def _end(self, number: int, reason: EndReason) -> None:
        stream = self.outbox.streams.get(number)
        if stream is None:
            return
        if reason is EndReason.DONE and stream.kind is not StreamKind.NAME:
            stream.change(StreamInput.HEAR_DONE)
            if stream.state is StreamState.CLOSED:
                self.outbox.forget(stream)
        else:
            self.outbox.forget(stream)
        self._actions.add(EndStream(self._circuit, number, reason))

    # what the node does

    def connected(self, number: int, address: bytes) -> None:
        """The destination answered."""
        stream = self.outbox.streams.get(number)
        if stream is not None and not stream.is_connected:
            stream.is_connected = True
            self.outbox.say(MessageType.CONNECTED, number, address)

    def send(self, number: int, data: bytes) -> int:
        """Queue data for the client; return how much was taken."""
        stream = self.outbox.streams.get(number)
        return 0 if stream is None else self.outbox.write(stream, data)

    def consumed(self, number: int, count: int, now: float, *, pressed: bool) -> None:
        """The destination took data."""
        stream = self.outbox.streams.get(number)
        if stream is not None:
            self.outbox.consumed(stream, count, now, pressed=pressed)

    def ended(self, number: int, reason: EndReason) -> None:
        """The destination ended one direction (DONE) or the stream."""
        stream = self.outbox.streams.get(number)
        if stream is not None and (reason is not EndReason.DONE or stream.may_send):
            self.outbox.end(stream, reason)

    def resolved(self, number: int, answers: tuple[Answer, ...]) -> None:
        """A name has these addresses."""
        stream = self.outbox.streams.get(number)
        if stream is not None:
            self.outbox.forget(stream)
            self.outbox.say(MessageType.RESOLVED, number, encode_answers(answers))

    def expire(self, number: int) -> None:
        """The deadline of a connection or a look-up passed."""
        stream = self.outbox.streams.get(number)
        if stream is None or stream.is_connected:
            return
        reason = _EXPIRED[stream.kind]
        self.outbox.end(stream, reason)
        self._actions.add(EndStream(self._circuit, number, reason))

    def abandon(self, reason: EndReason) -> None:
        """The circuit is gone: every stream ends with an error."""
        for number in list(self.outbox.streams):
            self._actions.add(EndStream(self._circuit, number, reason))
        self.outbox = Outbox()


_KINDS: Final = {
    MessageType.BEGIN: StreamKind.TCP,
    MessageType.RESOLVE: StreamKind.NAME,
    MessageType.BEGIN_DIR: StreamKind.DIRECTORY,
}
_EXPIRED: Final = {
    StreamKind.TCP: EndReason.CONNECT_TIMEOUT,
    StreamKind.NAME: EndReason.RESOLVE_FAILED,
}
