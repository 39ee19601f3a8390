"""A client's link to one entry, and the circuits on it.

`EntryLink` is the driver of D's `OriginLink`: cells of one wake-up go in, events are handed to the
circuits and streams they belong to, and one pass per turn of the event loop sends what may leave.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from node.circuit.actions import (
    CircuitBuilt,
    CircuitFailed,
    Event,
    HopRekeyed,
    NameResolved,
    PaymentAnswered,
    ProbeAnswered,
    StreamConnected,
    StreamData,
    StreamEnded,
    StreamWritable,
)
from node.circuit.messages import Answer, EndReason
from node.circuit.origin import OriginLink
from node.circuit.setup import HopInfo
from node.client.paths.circuit import Circuit, failure_cause
from node.htx.events import CloseReason
from node.htx.record import RecordType
from node.io.driver import CELLS_PER_PULL
from node.io.endpoint import Link
from qnet.errors import RemoteProtocolError

_log = structlog.get_logger(__name__)


class EntryLink:
    """`LinkHandler` of a client for one link.

    Args:
        origin: The circuits' protocol core.
        name: The entry, for messages to people.
        now: Clock in seconds.
        on_closed: Called once when the link is gone.
        admits: Which of an exit's answers applications may hear.
    """

    def __init__(
        self,
        *,
        origin: OriginLink,
        name: str,
        now: Callable[[], float],
        on_closed: Callable[[EntryLink, str], None] = lambda _link, _cause: None,
        admits: Callable[[tuple[Answer, ...]], tuple[Answer, ...]] = lambda answers: answers,
    ) -> None:
        self.name = name
        self.admits = admits
        self.now = now
        self.circuits: dict[int, Circuit] = {}
        self.paying: set[Circuit] = set()
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
            ProbeAnswered: _probe_answered,
            PaymentAnswered: _payment_answered,
            CircuitBuilt: _circuit_built,
            CircuitFailed: _circuit_failed,
        }

    @property
    def is_open(self) -> bool:
        """Whether circuits can be opened."""
        return self.link is not None and not self.link.is_closed

    @property
    def queued_cells(self) -> int:
        """Cells that would hold what waits in streams, in either direction."""
        return self._origin.queued_cells

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

    def abandon(self, cause: str) -> None:
        """Cut the link without another word; no node is to blame for it."""
        for circuit in list(self.circuits.values()):
            circuit.lost(EndReason.CIRCUIT_DESTROYED, cause)
        if self.link is not None:
            self.link.abandon(CloseReason.LOST)

    # LinkHandler

    def link_opened(self, link: Link) -> None:
        """The link stands."""
        self.link = link

    def cells_received(self, link: Link, cells: list[bytes]) -> None:
        """Cells of one wake-up."""
        try:
            events = self._origin.handle_cells(cells, self.now())
        except RemoteProtocolError as error:
            self._broken(link, error)
            return
        self._dispatch(events)
        self.wake()

    def record_received(self, link: Link, kind: RecordType, content: bytes) -> None:
        """Credit goes to the core, directory data to its reader."""
        if kind is RecordType.CREDIT:
            try:
                events = self._origin.handle_credit(content, self.now())
            except RemoteProtocolError as error:
                self._broken(link, error)
                return
            self._dispatch(events)
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

    def _broken(self, link: Link, error: RemoteProtocolError) -> None:
        """The entry broke a rule of the link: it and nobody else loses its circuits."""
        cause = f"entry {self.name} broke a rule of the link: {error.message}"
        _log.warning("link closed", cause=cause)
        for circuit in list(self.circuits.values()):
            circuit.lost(EndReason.CIRCUIT_DESTROYED, cause, 0)
        link.close(CloseReason.PROTOCOL)

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
        for circuit in list(self.paying):
            if circuit.payments is not None:
                circuit.payments.look()

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
    circuit.connected(event.stream)
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
    if sink is None:
        return
    admitted = circuit.entry.admits(event.answers)
    if event.answers and not admitted:
        sink.stream_ended(EndReason.RESOLVE_FAILED)
    else:
        sink.name_resolved(admitted)


def _hop_rekeyed(circuit: Circuit, event: HopRekeyed) -> None:
    del event
    circuit.rekeys += 1


def _probe_answered(circuit: Circuit, event: ProbeAnswered) -> None:
    circuit.probe_answered(event.token, event.seconds)


def _payment_answered(circuit: Circuit, event: PaymentAnswered) -> None:
    if circuit.payments is not None:
        circuit.payments.told(event.hop, event.status)


def _circuit_built(circuit: Circuit, event: CircuitBuilt) -> None:
    if not circuit.built.done():
        circuit.built.set_result(event.seconds)


def _circuit_failed(circuit: Circuit, event: CircuitFailed) -> None:
    circuit.lost(event.reason, failure_cause(event.reason, event.hop), event.hop)
