"""OriginLink: a client's circuits over one link to its entry, without I/O.

Source: docs/spec/circuits.md.
"""

from collections.abc import Callable, Sequence
from typing import Final

from node.circuit.actions import Event
from node.circuit.cell import CELL_BYTES, HEADER_BYTES, Command, decode_header, encode_header
from node.circuit.flow import add_credit, decode_credits
from node.circuit.link_ports import Agenda, LinkPorts, Port, Side
from node.circuit.messages import EndReason
from node.circuit.origin_circuit import OriginCircuit
from node.circuit.origin_lane import OriginSurroundings
from node.circuit.pool import CellPool
from node.circuit.setup import HopInfo, build_create
from qnet.errors import DecodeError, RemoteProtocolError
from qnet.parameters import NetworkParameters

__all__ = ["HopInfo", "OriginCircuit", "OriginLink"]

_LINK: Final = 0


class OriginLink:
    """All circuits of a client over one link to its entry.

    One wake-up of the driver:

    ```
    events = link.handle_cells(cells, now)  # or handle_credit, tick, link_closed
    while link.has_cells() and room:
        send(link.pull(room))
    for content in link.take_credits():
        send_record(CREDIT, content)
    events += link.take_events()  # streams that `pull` made room for
    ```

    A cell or record that breaks the rules of the link raises RemoteProtocolError from `handle_*`:
    close the link then.

    Args:
        random: source of secret bytes.
        parameters: network parameters in force.
    """

    def __init__(self, *, random: Callable[[int], bytes], parameters: NetworkParameters) -> None:
        self._agenda: Agenda[OriginCircuit] = Agenda()
        limit = parameters.circuits_per_link_max
        self._link = LinkPorts[OriginCircuit](_LINK, limit, self._agenda, outgoing=True)
        self._pool: CellPool[OriginCircuit] = CellPool(parameters.pool_bytes)
        self._around = OriginSurroundings(
            random=random, parameters=parameters, pool=self._pool, ended=self._ended
        )

    @property
    def queued_cells(self) -> int:
        """Cells that would hold what waits in streams, in either direction."""
        return self._pool.used

    def set_parameters(self, parameters: NetworkParameters) -> None:
        """Obey new parameters from now on."""
        self._around.parameters = parameters
        self._pool.set_limit(parameters.pool_bytes)
        self._link.set_limit(parameters.circuits_per_link_max)

    def open_circuit(self, hops: Sequence[HopInfo], phase: int, now: float) -> OriginCircuit:
        """Start a circuit; CircuitBuilt or CircuitFailed follows.

        Args:
            hops: the path, entry first, with onion keys of `phase`.
            phase: key phase, u24.
            now: time in seconds.

        Raises:
            LocalProtocolError: no hop, too many, a hop twice, or no circuit id left.
            CryptoError: an onion key is not valid.
        """
        around = self._around
        around.now = now
        body, pending = build_create(hops, phase, around.random)
        circuit_id = self._link.ids.take()
        circuit = OriginCircuit(circuit_id, hops, pending, around)
        circuit.port = Port(
            self._link,
            circuit_id,
            Side.NEXT,
            circuit,
            circuit.lane,
            around.parameters,
        )
        self._link.add(circuit.port)
        self._link.push_control(encode_header(circuit_id, Command.CREATE, phase) + body)
        return circuit

    def circuit(self, circuit_id: int) -> OriginCircuit | None:
        """Return a circuit that has not ended."""
        port = self._link.ports.get(circuit_id)
        return None if port is None else port.circuit

    def handle_cells(self, cells: Sequence[bytes], now: float) -> list[Event]:
        """Take the cells of one wake-up, in order.

        Raises:
            DecodeError: a cell of a wrong size or with an unknown command.
            RemoteProtocolError: cells without a circuit and without end.
        """
        self._around.now = now
        if cells and set(map(len, cells)) != {CELL_BYTES}:
            raise DecodeError("a cell of a wrong size")
        position, end = 0, len(cells)
        while position < end:
            header = cells[position][:HEADER_BYTES]
            port = self._link.port_of(header)
            if port is None:
                self._handle_control(cells[position])
                position += 1
                continue
            start = position
            while position < end and cells[position].startswith(header):
                position += 1
            try:
                port.circuit.handle_relay(cells[start:position])
            except RemoteProtocolError:
                port.circuit.fail(EndReason.PROTOCOL, None)
        return self.take_events()

    def _handle_control(self, cell: bytes) -> None:
        circuit_id, command, _ = decode_header(cell)
        port = self._link.ports.get(circuit_id)
        if command is Command.DESTROY and self._link.knows(circuit_id):
            self._link.destroyed(circuit_id)
            if port is not None:
                port.circuit.destroyed()
        elif port is None or command is Command.PADDING:
            self._link.stray(self._around.now)
        else:
            body = cell[HEADER_BYTES:] if command is Command.CREATED else b""
            try:
                port.circuit.handle_created(body)
            except RemoteProtocolError:
                port.circuit.fail(EndReason.PROTOCOL, None)

    def handle_credit(self, content: bytes, now: float) -> list[Event]:
        """Take the content of a CREDIT record.

        Raises:
            DecodeError: malformed.
        """
        self._around.now = now
        for circuit_id, cells in decode_credits(content):
            port = self._link.ports.get(circuit_id)
            if port is None:
                continue
            try:
                port.lane.credit = add_credit(port.lane.credit, cells)
                port.activate()
            except RemoteProtocolError:
                port.circuit.fail(EndReason.PROTOCOL, 0)
        return self.take_events()

    def has_cells(self) -> bool:
        """Whether `pull` may return something now."""
        return bool(self._agenda.ready)

    def pull(self, max_cells: int) -> list[bytes]:
        """Return up to `max_cells` cells to send now, fairly over circuits."""
        return self._link.pull(max_cells)

    def take_credits(self) -> list[bytes]:
        """Return contents of the CREDIT records that are due."""
        self._agenda.owing.clear()
        return self._link.take_credits(self._around.now, pressed=self._pool.is_pressed)

    def take_events(self) -> list[Event]:
        """Return events that came up since the last call."""
        while self._pool.is_over:
            self._pool.dropped_circuits += 1
            self._pool.oldest().fail(EndReason.RESOURCE_LIMIT, None)
        return self._around.events.drain()

    def tick(self, now: float) -> list[Event]:
        """Act on deadlines; call about once a second."""
        self._around.now = now
        for port in list(self._link.ports.values()):
            port.circuit.tick()
        return self.take_events()

    def link_closed(self, now: float) -> list[Event]:
        """The link is gone, and all circuits with it."""
        self._around.now = now
        for port in self._link.close():
            port.circuit.fail(EndReason.LINK_LOST, 0)
        return self.take_events()

    def _ended(self, circuit: OriginCircuit) -> None:
        if self._link.ports.get(circuit.circuit_id) is circuit.port:
            self._link.destroy(circuit.circuit_id)
