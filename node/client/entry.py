"""A client's link to one entry, and the circuits on it.

`EntryLink` is the driver of D's `OriginLink`: cells of one wake-up go in, events are handed to the
circuits and streams they belong to, and one pass per turn of the event loop sends what may leave.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from node.circuit.actions import (
    CircuitBuilt,
    CircuitFailed,
    Event,
    HopRekeyed,
    NameResolved,
    StreamConnected,
    StreamData,
    StreamEnded,
    StreamWritable,
)
from node.circuit.messages import Answer, EndReason
from node.circuit.origin import OriginLink
from node.circuit.origin_circuit import OriginCircuit
from node.circuit.setup import HopInfo
from node.errors import CircuitError, Stage
from node.htx.events import CloseReason
from node.htx.record import RecordType
from node.io.driver import CELLS_PER_PULL
from node.io.endpoint import Link

_log = structlog.get_logger(__name__)


class StreamSink(Protocol):
    """What owns one stream of a circuit."""

    def stream_connected(self, address: bytes) -> None:
        """The exit is connected."""

    def stream_data(self, chunks: tuple[bytes, ...]) -> None:
        """Data arrived; return its credit with `Circuit.consumed`."""

    def stream_ended(self, reason: EndReason) -> None:
        """DONE: no more data comes; anything else: the stream is gone."""

    def stream_writable(self) -> None:
        """The stream takes data again."""

    def name_resolved(self, answers: tuple[Answer, ...]) -> None:
        """Answers to a RESOLVE."""


@dataclass(slots=True, eq=False)
class Circuit:
    """One circuit as the client sees it.

    Attributes:
        entry: The link it runs on.
        origin: Its protocol core.
        opened_at: When CREATE was sent.
        built: Set to the build time in seconds, or to the cause of the failure.
        closed: Whether it is gone.
        failure: Cause of its end, for people.
        failed_reason: The same as the protocol says it; None while it stands.
        failed_hop: Position of the hop that failed, 0 for the entry; None when unknown.
        rekeys: Hops that got fresh keys so far.
        streams: Sinks by stream number.
        on_closed: Called once when it is gone.
    """

    entry: EntryLink
    origin: OriginCircuit
    opened_at: float
    built: asyncio.Future[float]
    closed: bool = False
    failure: str = ""
    failed_reason: EndReason | None = None
    failed_hop: int | None = None
    rekeys: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    streams: dict[int, StreamSink] = field(default_factory=dict)
    on_closed: Callable[[Circuit], None] = lambda _circuit: None

    @property
    def is_open(self) -> bool:
        """Whether streams can be opened now."""
        return not self.closed and self.origin.is_open

    def open_stream(self, host: str, port: int, sink: StreamSink) -> int:
        """Send BEGIN; data may follow at once."""
        return self._added(self.origin.open_stream(host, port), sink)

    def begin_directory(self, sink: StreamSink, *, hop: int = -1) -> int:
        """Open a directory stream at a hop."""
        return self._added(self.origin.begin_directory(hop=hop), sink)

    def resolve(self, host: str, sink: StreamSink) -> int:
        """Ask the exit for the addresses of a name."""
        return self._added(self.origin.resolve(host), sink)

    def send(self, stream: int, data: bytes) -> int:
        """Queue data; returns how much was taken."""
        taken = self.origin.send(stream, data)
        self.bytes_sent += taken
        self.entry.wake()
        return taken

    def consumed(self, stream: int, count: int) -> None:
        """The application took received bytes."""
        self.origin.consumed(stream, count)
        self.entry.wake()

    def end(self, stream: int, reason: EndReason = EndReason.DONE) -> None:
        """Close our direction (DONE) or drop the stream."""
        self.origin.end(stream, reason)
        if reason is not EndReason.DONE:
            self.streams.pop(stream, None)
        self.entry.wake()

    def released(self, stream: int) -> None:
        """Both directions of a stream are over."""
        self.streams.pop(stream, None)

    def rekey(self) -> None:
        """Ask every hop for fresh keys now."""
        self.origin.rekey(self.entry.now())
        self.entry.wake()

    def destroy(self, cause: str = "no longer needed") -> None:
        """Close the circuit and its streams."""
        if self.closed:
            return
        self.origin.destroy()
        self.entry.wake()
        self.lost(EndReason.CIRCUIT_DESTROYED, cause)

    def lost(self, reason: EndReason, cause: str, hop: int | None = None) -> None:
        """The circuit is gone: tell streams, waiters and the owner."""
        if self.closed:
            return
        self.closed, self.failure = True, cause
        self.failed_reason, self.failed_hop = reason, hop
        self.entry.circuits.pop(self.origin.circuit_id, None)
        if not self.built.done():
            self.built.set_exception(CircuitError(Stage.CIRCUIT, "circuit not built", why=cause))
            self.built.exception()  # a circuit nobody waits for is no unhandled error
        streams, self.streams = self.streams, {}
        for sink in streams.values():
            sink.stream_ended(reason)
        self.on_closed(self)

    def _added(self, stream: int, sink: StreamSink) -> int:
        self.streams[stream] = sink
        self.entry.wake()
        return stream


class EntryLink:
    """`LinkHandler` of a client for one link.

    Args:
        origin: The circuits' protocol core.
        name: The entry, for messages to people.
        now: Clock in seconds.
        on_closed: Called once when the link is gone.
    """

    def __init__(
        self,
        *,
        origin: OriginLink,
        name: str,
        now: Callable[[], float],
        on_closed: Callable[[EntryLink, str], None] = lambda _link, _cause: None,
    ) -> None:
        self.name = name
        self.now = now
        self.circuits: dict[int, Circuit] = {}
        self.link: Link | None = None
        self._origin = origin
        self._readers: list[Callable[[RecordType, bytes], None]] = []
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._awake = False
        self._steps: dict[type, Callable[[Circuit, Any], None]] = {
            StreamData: _stream_data,
            StreamWritable: _stream_writable,
            StreamConnected: _stream_connected,
            StreamEnded: _stream_ended,
            NameResolved: _name_resolved,
            HopRekeyed: _hop_rekeyed,
            CircuitBuilt: _circuit_built,
            CircuitFailed: _circuit_failed,
        }

    @property
    def is_open(self) -> bool:
        """Whether circuits can be opened."""
        return self.link is not None and not self.link.is_closed

    def open_circuit(self, hops: list[HopInfo], phase: int) -> Circuit:
        """Send CREATE for a path that starts at this entry."""
        now = self.now()
        origin = self._origin.open_circuit(hops, phase, now)
        circuit = Circuit(self, origin, now, self._loop.create_future())
        self.circuits[origin.circuit_id] = circuit
        self.wake()
        return circuit

    def send_record(self, kind: RecordType, content: bytes) -> None:
        """Send a directory record."""
        if self.link is not None:
            self.link.send_record(kind, content)
            self.link.flush()

    @contextmanager
    def reading(self, reader: Callable[[RecordType, bytes], None]) -> Iterator[None]:
        """Give directory records to `reader` for as long as the context lasts."""
        self._readers.append(reader)
        try:
            yield
        finally:
            self._readers.remove(reader)

    def close(self) -> None:
        """Close the link; its circuits end."""
        if self.link is not None and not self.link.is_closed:
            self.link.close(CloseReason.DONE)

    # LinkHandler

    def link_opened(self, link: Link) -> None:
        """The link stands."""
        self.link = link

    def cells_received(self, link: Link, cells: list[bytes]) -> None:
        """Cells of one wake-up."""
        del link
        self._dispatch(self._origin.handle_cells(cells, self.now()))
        self.wake()

    def record_received(self, link: Link, kind: RecordType, content: bytes) -> None:
        """Credit goes to the core, directory data to its reader."""
        del link
        if kind is RecordType.CREDIT:
            self._dispatch(self._origin.handle_credit(content, self.now()))
            self.wake()
        else:
            for reader in self._readers:
                reader(kind, content)

    def link_writable(self, link: Link) -> None:
        """The link took what was queued."""
        del link
        self.wake()

    def link_closed(self, link: Link, reason: CloseReason) -> None:
        """The link is gone, and with it every circuit on it."""
        if self.link is not link:
            return
        self.link = None
        cause = f"link to entry {self.name} closed: {reason.name.lower().replace('_', ' ')}"
        for circuit in list(self.circuits.values()):
            circuit.lost(EndReason.LINK_LOST, cause, 0)
        self._origin.link_closed(self.now())
        self._on_closed(self, cause)

    # the loop

    def wake(self) -> None:
        """Move cells once, at the end of this turn of the event loop."""
        if not self._awake:
            self._awake = True
            self._loop.call_soon(self._pump)

    def tick(self) -> None:
        """Deadlines; call about once a second."""
        self._dispatch(self._origin.tick(self.now()))
        self.wake()

    def _pump(self) -> None:
        self._awake = False
        link = self.link
        if link is None or link.is_closed:
            return
        if link.is_writable and self._origin.has_cells():
            cells = self._origin.pull(CELLS_PER_PULL)
            link.send_cells(cells)
            if len(cells) == CELLS_PER_PULL:
                self.wake()
        for content in self._origin.take_credits():
            link.send_record(RecordType.CREDIT, content)
        link.flush()
        self._dispatch(self._origin.take_events())

    def _dispatch(self, events: list[Event]) -> None:
        for event in events:
            circuit = self.circuits.get(event.circuit_id)
            if circuit is not None:
                self._steps[type(event)](circuit, event)


def _stream_data(circuit: Circuit, event: StreamData) -> None:
    circuit.bytes_received += sum(map(len, event.chunks))
    sink = circuit.streams.get(event.stream)
    if sink is not None:
        sink.stream_data(event.chunks)


def _stream_writable(circuit: Circuit, event: StreamWritable) -> None:
    sink = circuit.streams.get(event.stream)
    if sink is not None:
        sink.stream_writable()


def _stream_connected(circuit: Circuit, event: StreamConnected) -> None:
    sink = circuit.streams.get(event.stream)
    if sink is not None:
        sink.stream_connected(event.address)


def _stream_ended(circuit: Circuit, event: StreamEnded) -> None:
    sink = circuit.streams.get(event.stream)
    if sink is not None:
        if event.reason is not EndReason.DONE:
            circuit.streams.pop(event.stream)
        sink.stream_ended(event.reason)


def _name_resolved(circuit: Circuit, event: NameResolved) -> None:
    sink = circuit.streams.pop(event.stream, None)
    if sink is not None:
        sink.name_resolved(event.answers)


def _hop_rekeyed(circuit: Circuit, event: HopRekeyed) -> None:
    del event
    circuit.rekeys += 1


def _circuit_built(circuit: Circuit, event: CircuitBuilt) -> None:
    if not circuit.built.done():
        circuit.built.set_result(event.seconds)


def _circuit_failed(circuit: Circuit, event: CircuitFailed) -> None:
    circuit.lost(event.reason, failure_cause(event.reason, event.hop), event.hop)


_CAUSES: dict[EndReason, str] = {
    EndReason.BUILD_TIMEOUT: "did not answer in time",
    EndReason.LINK_FAILED: "could not be reached by the hop before it",
    EndReason.LINK_LOST: "its link from the hop before it broke",
    EndReason.NEXT_DESTROYED: "refused the circuit",
    EndReason.CIRCUIT_DESTROYED: "destroyed the circuit",
    EndReason.PROTOCOL: "a cell did not verify",
    EndReason.IDLE: "nothing passed for too long",
    EndReason.SHUTDOWN: "the node stopped",
    EndReason.RESOURCE_LIMIT: "the node is full",
}
_HOPS = ("entry", "second hop", "third hop")


def failure_cause(reason: EndReason, hop: int | None) -> str:
    """Why a circuit failed, in words."""
    what = _CAUSES.get(reason, reason.name.lower().replace("_", " "))
    if hop is None:
        return what
    where = _HOPS[hop] if hop < len(_HOPS) else f"hop {hop + 1}"
    return f"{where}: {what}"
