"""Circuits as a link knows them: ids, ports, and ids that wait for the peer's DESTROY.

Source: docs/spec/circuits.md, section "Cells".
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Generic, TypeVar

from node.circuit.budget import Bucket
from node.circuit.cell import CircuitIds, relay_header
from node.circuit.flow import (
    INITIAL_CELLS,
    MAX_GRANT_CELLS,
    ReceiveWindow,
    encode_credits,
)
from node.circuit.scheduler import Lane, LinkScheduler
from qnet.errors import RemoteProtocolError
from qnet.parameters import NetworkParameters

REFUSED_PARTS: Final = 2
"""A peer with this many times the circuits it may have, refused ones included, loses its link."""
STRAY_BURST: Final = 1 << 15
"""Cells without a circuit that a link may bring at once: those on their way when circuits ended."""
STRAY_PER_S: Final = 1 << 10
"""Such cells that it may bring a second, on the whole; more close the link."""

C = TypeVar("C")


class Agenda(Generic[C]):
    """Links with something to send, and links that owe credit to their peer."""

    __slots__ = ("owing", "ready")

    def __init__(self) -> None:
        self.ready: dict[int, LinkPorts[C]] = {}
        self.owing: dict[int, LinkPorts[C]] = {}


class Side(Enum):
    """Which neighbour a port leads to."""

    PREVIOUS = "towards the client"
    NEXT = "towards the end of the circuit"


class Port(Generic[C]):
    """One circuit on one link: what arrives from there and what goes there.

    Args:
        link: the link.
        circuit_id: the circuit's id on it.
        side: which neighbour is there.
        circuit: the circuit.
        lane: what goes out.
        parameters: network parameters.
    """

    __slots__ = ("circuit", "circuit_id", "header", "lane", "link", "side", "window")

    def __init__(
        self,
        link: LinkPorts[C],
        circuit_id: int,
        side: Side,
        circuit: C,
        lane: Lane,
        parameters: NetworkParameters,
    ) -> None:
        self.link = link
        self.circuit_id = circuit_id
        self.header = relay_header(circuit_id)
        self.side = side
        self.circuit = circuit
        self.lane = lane
        self.window = ReceiveWindow(
            INITIAL_CELLS, parameters.circuit_window_max_cells, MAX_GRANT_CELLS
        )

    def consumed(self, cells: int) -> None:
        """Count RELAY cells written onward or used up; their credit goes back to the sender."""
        self.window.consume(cells)
        self.link.owe(self)

    def activate(self) -> None:
        """Let the lane take part in the link's schedule."""
        self.link.activate(self.lane)


class LinkPorts(Generic[C]):
    """All circuits of one link.

    Args:
        link_id: the driver's number for the link.
        outgoing: whether this side opened it.
        limit: most circuits, per side.
        agenda: where the link reports that it has something to send.
        most: most circuits that the peer may open, whatever the limit; None for no such bound.
    """

    __slots__ = (
        "_agenda",
        "_claimed",
        "_headers",
        "_most",
        "_owing",
        "_scheduler",
        "_strays",
        "closing",
        "ids",
        "limit",
        "link_id",
        "ports",
    )

    def __init__(
        self,
        link_id: int,
        limit: int,
        agenda: Agenda[C],
        *,
        outgoing: bool,
        most: int | None = None,
    ) -> None:
        self.link_id = link_id
        self._agenda = agenda
        self._most = most
        self.set_limit(limit)
        self.ids = CircuitIds(initiator=outgoing, limit=limit)
        self.ports: dict[int, Port[C]] = {}
        self.closing: set[int] = set()
        self._claimed: set[int] = set()
        self._owing: set[Port[C]] = set()
        self._scheduler = LinkScheduler()
        self._headers: dict[bytes, Port[C]] = {}
        self._strays: Bucket | None = None

    def set_limit(self, limit: int) -> None:
        """Change how many circuits the peer may open."""
        self.limit = limit if self._most is None else min(limit, self._most)

    @property
    def is_full(self) -> bool:
        """Whether the peer may open no further circuit."""
        return len(self._claimed) >= self.limit

    def port_of(self, header: bytes) -> Port[C] | None:
        """Return the port whose RELAY cells begin with these 8 bytes."""
        return self._headers.get(header)

    def add(self, port: Port[C]) -> None:
        """Take a circuit in."""
        self.ports[port.circuit_id] = port
        self._headers[port.header] = port

    def claim(self, circuit_id: int) -> None:
        """Take an id that the peer chose; it is free again when DESTROY went both ways.

        Raises:
            RemoteProtocolError: ours to choose, in use, or far more than the peer may have.
        """
        claimed = self._claimed
        if self.ids.is_ours(circuit_id) or circuit_id in claimed:
            raise RemoteProtocolError("a circuit id that may not be used")
        if len(claimed) >= REFUSED_PARTS * self.limit:
            raise RemoteProtocolError("more circuits than the link may carry")
        claimed.add(circuit_id)

    def knows(self, circuit_id: int) -> bool:
        """Whether an id is in use, or waits for the peer's DESTROY."""
        return circuit_id in self.ports or circuit_id in self.closing

    def stray(self, now: float) -> None:
        """Count a cell that belongs to no circuit.

        Raises:
            RemoteProtocolError: far more than circuits that end leave behind.
        """
        if self._strays is None:
            self._strays = Bucket(STRAY_PER_S, STRAY_BURST, STRAY_BURST, now)
        if not self._strays.take(now):
            raise RemoteProtocolError("cells without a circuit and without end")

    def destroy(self, circuit_id: int) -> None:
        """Send DESTROY for a circuit; its id stays taken until the peer's comes."""
        self._remove(circuit_id)
        self.closing.add(circuit_id)
        self._push_destroy(circuit_id)

    def destroyed(self, circuit_id: int) -> Port[C] | None:
        """Take the peer's DESTROY for an id it `knows`; answer it unless ours is out.

        Returns:
            The circuit's port, None if ours was out.
        """
        if circuit_id in self.closing:
            self.closing.discard(circuit_id)
            self.ids.release(circuit_id)
            if circuit_id not in self._scheduler.destroying:
                self._claimed.discard(circuit_id)
            return None
        self._push_destroy(circuit_id)
        self.ids.release(circuit_id)
        return self._remove(circuit_id)

    def _remove(self, circuit_id: int) -> Port[C] | None:
        port = self.ports.pop(circuit_id, None)
        if port is not None:
            del self._headers[port.header]
            self._owing.discard(port)
        return port

    def push_control(self, cell: bytes) -> None:
        """Queue CREATE or CREATED."""
        self._scheduler.push_control(cell)
        self._agenda.ready[self.link_id] = self

    def _push_destroy(self, circuit_id: int) -> None:
        self._scheduler.push_destroy(circuit_id)
        self._agenda.ready[self.link_id] = self

    def activate(self, lane: Lane) -> None:
        """Let a lane take part in the schedule if it is ready."""
        self._scheduler.activate(lane)
        if lane.is_queued:
            self._agenda.ready[self.link_id] = self

    def pull(self, max_cells: int) -> list[bytes]:
        """Return up to `max_cells` cells, control first, then fairly over circuits."""
        scheduler = self._scheduler
        cells = scheduler.pull(max_cells)
        if scheduler.destroyed:
            self._claimed.difference_update(set(scheduler.destroyed) - self.closing)
            scheduler.destroyed.clear()
        if not scheduler.is_ready:
            self._agenda.ready.pop(self.link_id, None)
        return cells

    def owe(self, port: Port[C]) -> None:
        """Remember a port whose peer may get credit."""
        self._owing.add(port)
        self._agenda.owing[self.link_id] = self

    def take_credits(self, now: float, *, pressed: bool) -> list[bytes]:
        """Return contents of CREDIT records that are due."""
        grants = [
            (port.circuit_id, port.window.grant(now, pressed=pressed)) for port in self._owing
        ]
        self._owing.clear()
        return encode_credits((circuit_id, cells) for circuit_id, cells in grants if cells)

    def close(self) -> list[Port[C]]:
        """Forget everything, since the link is gone; return what was open."""
        self._agenda.ready.pop(self.link_id, None)
        self._agenda.owing.pop(self.link_id, None)
        self._agenda = Agenda()
        ports = list(self.ports.values())
        self.ports.clear()
        self._headers.clear()
        return ports
