"""The relay's driver: moves cells between links and the circuit core, and carries out actions.

One wake-up: cells go into the core, its actions are carried out, and one pass (`_pump`), run once
per turn of the event loop, pulls what may leave on every ready link, sends it with one flush each
and returns credits. Nothing here is per cell, and nothing waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from node.circuit.actions import (
    Action,
    CloseLink,
    ConnectNext,
    DeliverData,
    EndPayments,
    EndStream,
    OpenDirectory,
    OpenStream,
    ResolveName,
    ResumeStream,
    TakeToken,
    TakeUnit,
)
from node.circuit.payment import PaymentStatus, Refusal
from node.circuit.relay import RelayCore
from node.exit.streams import ExitStreams
from node.htx.events import CloseReason
from node.htx.record import RecordType
from node.io.endpoint import Link
from node.io.pacing import Pacer
from node.io.pool import LinkPool

CELLS_PER_PULL = 256
"""Cells given to a writable link in one wake-up; the rest stays in the core's fair queues."""

_log = structlog.get_logger(__name__)


class Meter(Protocol):
    """Counts cells between nodes, after the write."""

    def sent(self, node_id: bytes, cells: Sequence[bytes]) -> None:
        """Cells left for a neighbour."""

    def received(self, node_id: bytes, cells: Sequence[bytes]) -> None:
        """Cells came from a neighbour."""


class DirectoryStreams(Protocol):
    """Serves directory data on links and streams."""

    def feed(self, link: Link) -> None:
        """A link has room for more of its answers."""

    def link_closed(self, link_id: int) -> None:
        """A link is gone."""

    def open(self, circuit: int, stream: int) -> None:
        """A stream for requests opened."""

    def deliver(self, action: DeliverData) -> bool:
        """Hand over data; False when the stream is not a directory stream."""

    def end(self, action: EndStream) -> bool:
        """The client ended it; False when it is not a directory stream."""

    def resume(self, circuit: int, stream: int) -> bool:
        """It has credit again; False when it is not a directory stream."""


class Census(Protocol):
    """Counts the links of clients."""

    def opened(self) -> None:
        """A client's link stands."""

    def closed(self) -> None:
        """A client's link is gone."""


class Toll(Protocol):
    """Takes payments for premium bandwidth."""

    def open(self, action: TakeToken, *, from_node: bool) -> None:
        """A circuit shows a token."""

    def pay(self, action: TakeUnit) -> None:
        """A circuit pays."""

    def ended(self, action: EndPayments) -> None:
        """A circuit that showed a token is gone."""

    def used(self, sizes: Mapping[int, int]) -> None:
        """Premium circuits carried so many bytes."""


class PacketHandler(Protocol):
    """Handles packets of the mixnet."""

    def received(self, link: Link, content: bytes) -> None:
        """One PACKETS record."""

    def link_closed(self, link: Link) -> None:
        """A link is gone."""


class RecordHandler(Protocol):
    """Handles records of links that are neither cells, credit nor packets."""

    def __call__(self, link: Link, kind: RecordType, content: bytes) -> None:
        """One RECEIPT, DIR_GET or DIR_DATA record."""


@dataclass(slots=True)
class DriverStats:
    """What passed through; read by metrics and status."""

    cells_received: int = 0
    cells_sent: int = 0
    wakes: int = 0
    links_opened: int = 0
    links_closed: int = 0
    link_violations: int = 0
    rekeys_of_closed: int = 0


class RelayDriver:
    """`LinkHandler` of a node.

    Args:
        core: All circuits.
        meter: Counts traffic with other nodes.
        records: Handles receipts and directory records.
        census: Counts the links of clients.
        now: Clock in seconds.
        rate_kbps: Most that leaves, 0 for no limit.
    """

    def __init__(
        self,
        *,
        core: RelayCore,
        meter: Meter,
        records: RecordHandler,
        census: Census,
        now: Callable[[], float],
        rate_kbps: int = 0,
    ) -> None:
        self.core = core
        self.pacer = Pacer(rate_kbps, now, CELLS_PER_PULL)
        self.stats = DriverStats()
        self.links: dict[int, Link] = {}
        self._meter = meter
        self._records = records
        self._census = census
        self._now = now
        self._pool: LinkPool | None = None
        self._exits: ExitStreams | None = None
        self._directory: DirectoryStreams | None = None
        self._toll: Toll | None = None
        self._packets: PacketHandler | None = None
        self._loop = asyncio.get_running_loop()
        self._awake = False
        self._steps: dict[type, Callable[[Any], None]] = {
            DeliverData: self._deliver,
            ResumeStream: self._resume,
            ConnectNext: self._connect,
            EndStream: self._end,
            OpenStream: self._open,
            ResolveName: self._resolve,
            OpenDirectory: self._open_directory,
            TakeToken: self._take_token,
            TakeUnit: self._take_unit,
            EndPayments: self._end_payments,
            CloseLink: self._close,
        }

    def attach(self, pool: LinkPool, exits: ExitStreams, directory: DirectoryStreams) -> None:
        """Connect the parts that need the driver themselves; call once, before links open."""
        self._pool, self._exits, self._directory = pool, exits, directory

    def charge(self, toll: Toll) -> None:
        """Take payments from now on; before, they are refused."""
        self._toll = toll

    def mix(self, packets: PacketHandler) -> None:
        """Carry packets of the mixnet from now on; before, they end the link."""
        self._packets = packets

    # links

    def link_opened(self, link: Link) -> None:
        """A link stands."""
        self.stats.links_opened += 1
        self.links[link.link_id] = link
        self.core.link_opened(
            link.link_id,
            outgoing=link.outgoing,
            client=link.peer.node_id is None,
            node_id=link.peer.node_id,
        )
        if link.peer.node_id is None:
            self._census.opened()
        elif self._pool is not None:
            self._pool.added(link)

    def cells_received(self, link: Link, cells: list[bytes]) -> None:
        """Cells of one wake-up of a link."""
        self.stats.cells_received += len(cells)
        if link.peer.node_id is not None:
            self._meter.received(link.peer.node_id, cells)
        self.carry_out(self.core.handle_cells(link.link_id, cells, self._now()))
        self.wake()

    def record_received(self, link: Link, kind: RecordType, content: bytes) -> None:
        """Credit goes to the core, packets to the mixnet, everything else to its handler."""
        if kind is RecordType.CREDIT:
            self.carry_out(self.core.handle_credit(link.link_id, content, self._now()))
            self.wake()
        elif kind is RecordType.PACKETS and self._packets is not None:
            self._packets.received(link, content)
        else:
            self._records(link, kind, content)

    def link_writable(self, link: Link) -> None:
        """A link took what was queued."""
        if self._directory is not None:
            self._directory.feed(link)
        self.wake()

    def link_closed(self, link: Link, reason: CloseReason) -> None:
        """A link is gone; its circuits hear of it."""
        if self.links.pop(link.link_id, None) is None:
            return
        self.stats.links_closed += 1
        self.stats.rekeys_of_closed += link.stats.rekeys
        _log.info("link closed", link=link.link_id, reason=reason.name)
        if link.peer.node_id is None:
            self._census.closed()
        if self._pool is not None:
            self._pool.removed(link)
        if self._directory is not None:
            self._directory.link_closed(link.link_id)
        if self._packets is not None:
            self._packets.link_closed(link)
        self.carry_out(self.core.link_closed(link.link_id, self._now()))
        self.wake()

    # the loop

    def wake(self) -> None:
        """Move cells once, at the end of this turn of the event loop."""
        if not self._awake:
            self._awake = True
            self._loop.call_soon(self._pump)

    def tick(self) -> None:
        """Deadlines; call about once a second."""
        self.carry_out(self.core.tick(self._now()))
        self.wake()

    def _pump(self) -> None:
        self._awake = False
        self.stats.wakes += 1
        core = self.core
        touched: dict[int, Link] = {}
        for link_id in self.pacer.in_turn(core.ready_links()):
            link = self.links.get(link_id)
            if link is None or not link.is_writable:
                continue
            room = self.pacer.room(self.wake)
            cells = core.pull(link_id, room) if room else []
            if cells:
                self.pacer.spent(len(cells))
                link.send_cells(cells)
                self.stats.cells_sent += len(cells)
                touched[link_id] = link
                if len(cells) == room:
                    self.wake()
                if link.peer.node_id is not None:
                    self._meter.sent(link.peer.node_id, cells)
        for link_id, content in core.take_credits():
            link = self.links.get(link_id)
            if link is not None:
                link.send_record(RecordType.CREDIT, content)
                touched[link_id] = link
        for link in touched.values():
            link.flush()
        used = core.take_used()
        if used and self._toll is not None:
            self._toll.used(used)
        self.carry_out(core.take_actions())

    # actions

    def carry_out(self, actions: Sequence[Action]) -> None:
        """Do what the core asks."""
        for action in actions:
            self._steps[type(action)](action)

    def _open(self, action: OpenStream) -> None:
        if self._exits is not None:
            self._exits.open(action)

    def _resolve(self, action: ResolveName) -> None:
        if self._exits is not None:
            self._exits.resolve(action)

    def _open_directory(self, action: OpenDirectory) -> None:
        if self._directory is not None:
            self._directory.open(action.circuit, action.stream)

    def _deliver(self, action: DeliverData) -> None:
        if self._directory is not None and self._directory.deliver(action):
            return
        if self._exits is not None:
            self._exits.deliver(action)

    def _resume(self, action: ResumeStream) -> None:
        if self._directory is not None and self._directory.resume(action.circuit, action.stream):
            return
        if self._exits is not None:
            self._exits.resume(action.circuit, action.stream)

    def _end(self, action: EndStream) -> None:
        if self._directory is not None and self._directory.end(action):
            return
        if self._exits is not None:
            self._exits.end(action)

    def _take_token(self, action: TakeToken) -> None:
        if self._toll is None:
            self.core.tell_payment(action.circuit, PaymentStatus.refused(Refusal.FREE))
            return
        link = self.links.get(action.link)
        from_node = link is not None and link.peer.node_id is not None
        self._toll.open(action, from_node=from_node)

    def _take_unit(self, action: TakeUnit) -> None:
        if self._toll is not None:
            self._toll.pay(action)

    def _end_payments(self, action: EndPayments) -> None:
        if self._toll is not None:
            self._toll.ended(action)

    def _connect(self, action: ConnectNext) -> None:
        circuit = action.circuit

        def connected(link: Link | None, cause: str) -> None:
            del cause
            if link is None:
                self.carry_out(self.core.link_failed(circuit, self._now()))
            else:
                self.carry_out(self.core.link_ready(circuit, link.link_id, self._now()))
            self.wake()

        if self._pool is None:
            connected(None, "no pool")
        else:
            self._pool.want(action.node_index, action.node_id, connected)

    def _close(self, action: CloseLink) -> None:
        link = self.links.get(action.link_id)
        if link is not None:
            self.stats.link_violations += 1
            _log.warning("peer broke a rule of the link", link=action.link_id, why=action.why)
            link.close(CloseReason.PROTOCOL)
            self.link_closed(link, CloseReason.PROTOCOL)
