"""RelayCore: all circuits of a node, without I/O.

The driver hands in what arrives and pulls what leaves; randomness and time are arguments. A broken
rule of a circuit ends that circuit, a broken rule of a link ends the link.

Source: docs/spec/circuits.md.
"""

from collections.abc import Callable, Sequence

from node.circuit.actions import Action, CloseLink
from node.circuit.carried import Carried
from node.circuit.cell import CELL_BYTES, HEADER_BYTES, Command, decode_header
from node.circuit.flow import add_credit, decode_credits
from node.circuit.keys.phase import PhaseKeyring
from node.circuit.link_ports import Agenda, LinkPorts, Port, Side
from node.circuit.messages import Answer, EndReason
from node.circuit.payment import PaymentStatus
from node.circuit.relay_circuit import RelayCircuit
from node.circuit.setups import Setups
from node.circuit.states import RelayState
from qnet.errors import DecodeError, RemoteProtocolError
from qnet.parameters import NetworkParameters


class RelayCore:
    """All circuits of a node.

    One wake-up of the driver:

    ```
    actions = core.handle_cells(link_id, cells, now)  # or handle_credit, link_closed, tick …
    for link_id in core.ready_links():  # links that may have something to send
        cells = core.pull(link_id, room_in_cells)  # fair over circuits, control cells first
    for link_id, content in core.take_credits():  # contents of CREDIT records
        ...
    actions += core.take_actions()  # streams that `pull` made room for
    ```

    Calls about a circuit, link or stream that is already gone do nothing.

    Args:
        node_id: 32 bytes.
        phase_keys: the node's onion keys, shared by all its workers.
        random: source of secret bytes.
        parameters: network parameters in force.
        exits: whether BEGIN and RESOLVE are served (role exit).
    """

    def __init__(
        self,
        *,
        node_id: bytes,
        phase_keys: PhaseKeyring,
        random: Callable[[int], bytes],
        parameters: NetworkParameters,
        exits: bool,
    ) -> None:
        self._links: dict[int, LinkPorts[RelayCircuit]] = {}
        self._agenda: Agenda[RelayCircuit] = Agenda()
        self._carried = Carried(random, parameters, exits=exits)
        self._around = self._carried.around
        self._circuits = self._carried.circuits
        self._pool = self._around.pool
        self._setups = Setups(node_id, phase_keys, self._carried)
        self.stray_cells = 0

    def set_parameters(self, parameters: NetworkParameters) -> None:
        """Obey new parameters from now on."""
        self._around.parameters = parameters
        self._pool.set_limit(parameters.pool_bytes)
        for link in self._links.values():
            link.set_limit(parameters.circuits_per_link_max)
        for circuit in self._circuits.values():
            circuit.set_premium(premium=circuit.is_premium)

    def set_premium(self, circuit: int, *, premium: bool) -> None:
        """Give a circuit `premium_weight` times the share of a free one, or take it away."""
        found = self._circuits.get(circuit)
        if found is not None:
            found.set_premium(premium=premium)

    def tell_payment(self, circuit: int, status: PaymentStatus) -> None:
        """Tell the client what became of its payment (PAY_STATUS)."""
        found = self._circuits.get(circuit)
        if found is not None:
            self._carried.with_circuit(circuit, lambda one: one.tell_payment(status))

    def take_used(self) -> dict[int, int]:
        """Return the bytes of RELAY cells that premium circuits sent on since the last call."""
        around = self._around
        if not around.used:
            return {}
        used, around.used = around.used, {}
        return used

    @property
    def circuits(self) -> int:
        """Circuits that are open or being built."""
        return len(self._circuits)

    @property
    def streams(self) -> int:
        """Streams that end at this node."""
        return sum(len(circuit.ends) for circuit in self._circuits.values())

    @property
    def queued_cells(self) -> int:
        """Cells that wait for credit or for their link."""
        return self._pool.used

    @property
    def dropped_circuits(self) -> int:
        """Circuits destroyed because the pool was full and theirs was the oldest cell."""
        return self._pool.dropped_circuits

    @property
    def evicted_circuits(self) -> int:
        """Idle circuits ended because the process carried as many as it may."""
        return self._carried.evictions.count

    @property
    def setups_refused(self) -> int:
        """CREATE cells answered with DESTROY."""
        return self._setups.refused

    @property
    def setups_over_budget(self) -> int:
        """Those refused because their peer had asked for too many."""
        return self._setups.over_budget

    # links

    def link_opened(
        self, link_id: int, *, outgoing: bool, client: bool = False, node_id: bytes | None = None
    ) -> None:
        """A link stands.

        Args:
            link_id: the driver's number for it.
            outgoing: whether this node dialled it (its circuit ids have top bit 0).
            client: whether the peer did not prove to be a node.
            node_id: the id it proved, 32 bytes.
        """
        most = self._setups.link_opened(link_id, client=client, node_id=node_id)
        limit = self._around.parameters.circuits_per_link_max
        self._links[link_id] = LinkPorts(link_id, limit, self._agenda, outgoing=outgoing, most=most)

    def link_closed(self, link_id: int, now: float) -> list[Action]:
        """A link is gone, and with it what its circuits were on this side."""
        self._around.now = now
        link = self._links.pop(link_id, None)
        self._setups.link_closed(link_id)
        for port in link.close() if link is not None else ():
            if port.circuit.state is RelayState.CLOSED:
                continue  # it came and went by this same link
            if port.side is Side.PREVIOUS:
                self._carried.close(port.circuit, EndReason.LINK_LOST, tell_previous=False)
            else:
                port.circuit.next = None
                self._carried.fail(port.circuit, EndReason.LINK_LOST)
        return self.take_actions()

    def link_ready(self, circuit: int, link_id: int, now: float) -> list[Action]:
        """Answer to ConnectNext: the link (already opened) leads to the node asked for."""
        self._around.now = now
        found, link = self._circuits.get(circuit), self._links.get(link_id)
        if found is not None and found.state is RelayState.CONNECTING:
            if link is None:
                self._carried.fail(found, EndReason.LINK_FAILED)
            else:
                self._setups.extend(found, link)
        return self.take_actions()

    def link_failed(self, circuit: int, now: float) -> list[Action]:
        """Answer to ConnectNext: there is no link to that node."""
        self._around.now = now
        found = self._circuits.get(circuit)
        if found is not None and found.state is RelayState.CONNECTING:
            self._carried.fail(found, EndReason.LINK_FAILED)
        return self.take_actions()

    def circuits_on(self, link_id: int) -> int:
        """Return how many circuits use the link."""
        link = self._links.get(link_id)
        return 0 if link is None else len(link.ports)

    # cells and credits

    def handle_cells(self, link_id: int, cells: Sequence[bytes], now: float) -> list[Action]:
        """Take the cells of one wake-up of a link, in order."""
        around = self._around
        around.now = now
        link = self._links.get(link_id)
        position, end = 0, len(cells)
        if cells and set(map(len, cells)) != {CELL_BYTES}:
            around.actions.add(CloseLink(link_id, "a cell of a wrong size"))
            end = 0
        while link is not None and position < end:
            header = cells[position][:HEADER_BYTES]
            port = link.port_of(header)
            if port is None:
                try:
                    self._handle_control(link, cells[position])
                except RemoteProtocolError as error:
                    around.actions.add(CloseLink(link_id, error.message))
                    break
                position += 1
                continue
            start = position
            while position < end and cells[position].startswith(header):
                position += 1
            self._handle_run(port, cells[start:position])
        self._carried.relieve()
        return self.take_actions()

    def _handle_run(self, port: Port[RelayCircuit], cells: Sequence[bytes]) -> None:
        circuit = port.circuit
        if circuit.state is RelayState.DRAINING:
            return
        try:
            if port.side is Side.PREVIOUS:
                circuit.receive_forward(cells)
            else:
                circuit.receive_backward(port, cells)
        except RemoteProtocolError:
            self._carried.fail(circuit, EndReason.PROTOCOL)

    def _handle_control(self, link: LinkPorts[RelayCircuit], cell: bytes) -> None:
        circuit_id, command, phase = decode_header(cell)
        if command is Command.CREATE:
            self._setups.create(link, circuit_id, phase, cell[HEADER_BYTES:])
        elif command is Command.DESTROY and link.knows(circuit_id):
            self._destroyed(link, circuit_id)
        elif command is Command.CREATED and circuit_id in link.ports:
            self._setups.created(link.ports[circuit_id], cell[HEADER_BYTES:])
        else:
            link.stray(self._around.now)
            self.stray_cells += command in {Command.RELAY, Command.CREATED}

    def _destroyed(self, link: LinkPorts[RelayCircuit], circuit_id: int) -> None:
        port = link.destroyed(circuit_id)
        if port is None:
            return
        if port.side is Side.PREVIOUS:
            self._carried.close(port.circuit, EndReason.CIRCUIT_DESTROYED, tell_previous=False)
        else:
            port.circuit.next = None
            self._carried.fail(port.circuit, EndReason.NEXT_DESTROYED)

    def handle_credit(self, link_id: int, content: bytes, now: float) -> list[Action]:
        """Take the content of a CREDIT record."""
        self._around.now = now
        link = self._links.get(link_id)
        try:
            grants = decode_credits(content)
        except DecodeError as error:
            self._around.actions.add(CloseLink(link_id, error.message))
            grants = []
        for circuit_id, cells in grants:
            port = link.ports.get(circuit_id) if link is not None else None
            if port is None:
                continue
            try:
                port.lane.credit = add_credit(port.lane.credit, cells)
                port.activate()
            except RemoteProtocolError:
                self._carried.fail(port.circuit, EndReason.PROTOCOL)
        return self.take_actions()

    def ready_links(self) -> list[int]:
        """Return the links that may have something to send."""
        return list(self._agenda.ready)

    def pull(self, link_id: int, max_cells: int) -> list[bytes]:
        """Return up to `max_cells` cells to send on a link now."""
        link = self._links.get(link_id)
        if link is None:
            return []
        cells = link.pull(max_cells)
        self._carried.close_told()
        return cells

    def take_credits(self) -> list[tuple[int, bytes]]:
        """Return (link, content) of the CREDIT records that are due."""
        owing, self._agenda.owing = self._agenda.owing, {}
        pressed = self._pool.is_pressed
        return [
            (link_id, content)
            for link_id, link in owing.items()
            for content in link.take_credits(self._around.now, pressed=pressed)
        ]

    def take_actions(self) -> list[Action]:
        """Return actions that came up since the last call."""
        return self._around.actions.drain()

    def tick(self, now: float) -> list[Action]:
        """Act on deadlines (build, idle, stream connect); call about once a second."""
        self._around.now = now
        self._carried.tick()
        return self.take_actions()

    def shutdown(self, now: float) -> list[Action]:
        """End every circuit because the node stops; pull once more afterwards."""
        self._around.now = now
        self._carried.shutdown()
        return self.take_actions()

    # the node's end of streams (connections and directory alike)

    def stream_connected(
        self, circuit: int, stream: int, address: bytes, now: float
    ) -> list[Action]:
        """The destination answered; `address` is 4 or 16 bytes, or empty."""
        self._around.now = now
        self._carried.with_circuit(circuit, lambda found: found.ends.connected(stream, address))
        return self.take_actions()

    def stream_data(self, circuit: int, stream: int, data: bytes) -> int:
        """Queue data for the client.

        Returns:
            Bytes taken. If fewer than given, keep the rest, stop reading and wait for ResumeStream.
        """
        found = self._circuits.get(circuit)
        if found is None:
            return 0
        accepted = found.ends.send(stream, data)
        found.speak_up()
        self._carried.relieve()
        return accepted

    def stream_consumed(self, circuit: int, stream: int, count: int) -> None:
        """The destination took `count` bytes of DeliverData."""
        now, pressed = self._around.now, self._pool.is_pressed
        self._carried.with_circuit(
            circuit, lambda found: found.ends.consumed(stream, count, now, pressed=pressed)
        )

    def stream_ended(self, circuit: int, stream: int, reason: EndReason) -> None:
        """The destination ended its direction (DONE, after queued data) or broke the stream."""
        self._carried.with_circuit(circuit, lambda found: found.ends.ended(stream, reason))

    def resolved(self, circuit: int, stream: int, answers: Sequence[Answer]) -> None:
        """Answer to ResolveName."""
        kept = tuple(answers)
        self._carried.with_circuit(circuit, lambda found: found.ends.resolved(stream, kept))
