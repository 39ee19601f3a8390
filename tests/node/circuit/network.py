"""A client and relays joined without sockets: links are queues that a test moves by hand."""

import secrets
from collections import defaultdict, deque
from dataclasses import dataclass, field

from node.circuit.actions import (
    Action,
    CircuitFailed,
    CloseLink,
    ConnectNext,
    DeliverData,
    EndStream,
    Event,
    OpenDirectory,
    OpenStream,
    ResolveName,
    ResumeStream,
    StreamData,
)
from node.circuit.keys.phase import PhaseKeyring
from node.circuit.layer import build_forward
from node.circuit.messages import Answer, EndReason
from node.circuit.origin import HopInfo, OriginCircuit, OriginLink
from node.circuit.relay import RelayCore
from qnet.parameters import NetworkParameters

PHASE = 1000
PARAMETERS = NetworkParameters.profile("main")
CLIENT = -1
ECHO_ADDRESS = bytes([127, 0, 0, 1])


@dataclass
class Wire:
    """One direction of a link: cells and credits in the order they were sent."""

    items: deque = field(default_factory=deque)
    seen: list[bytes] = field(default_factory=list)


@dataclass
class ServedStream:
    """A destination at an exit."""

    host: str
    port: int
    received: bytearray = field(default_factory=bytearray)
    backlog: deque[bytes] = field(default_factory=deque)
    ended: EndReason | None = None
    done_after_backlog: bool = False


class Network:
    """Client, relays and destinations.

    The client's link leads to relay 0; relays dial each other when asked. `step` carries out one
    thing on one wire, `settle` everything until nothing moves.
    """

    def __init__(self, relays=3, *, exits=(2,), parameters=PARAMETERS, random=secrets.token_bytes):
        self.now = 1_000_000.0
        self.random = random
        self.node_ids = [secrets.token_bytes(32) for _ in range(relays)]
        self.keyrings = [PhaseKeyring(PHASE) for _ in range(relays)]
        self.cores = [
            RelayCore(
                node_id=self.node_ids[index],
                phase_keys=self.keyrings[index],
                random=secrets.token_bytes,
                parameters=parameters,
                exits=index in exits,
            )
            for index in range(relays)
        ]
        self.client = OriginLink(random=random, parameters=parameters)
        self.wires: dict[tuple[int, int], Wire] = defaultdict(Wire)
        self.link_ids: dict[tuple[int, int], int] = {}
        self.dead: set[int] = set()
        self.refuse_links: set[int] = set()
        self.events: list[Event] = []
        self.actions: list[tuple[int, Action]] = []
        self.served: dict[tuple[int, int, int], ServedStream] = {}
        self.auto_connect = True
        self.auto_consume = True
        self.echo = False
        self.consume_client = True
        self.arrived: dict[int, bytearray] = defaultdict(bytearray)
        self.room = 1000
        self._next_link = 1
        self._link(CLIENT, 0)

    # links

    def _link(self, source, target):
        link_id = self._next_link
        self._next_link += 1
        self.link_ids[source, target] = self.link_ids[target, source] = link_id
        if source != CLIENT:
            self.cores[source].link_opened(link_id, outgoing=True)
        self.cores[target].link_opened(link_id, outgoing=False)
        return link_id

    def hops(self, *indexes, cipher=1):
        return [
            HopInfo(index + 1, self.node_ids[index], self.keyrings[index].public(PHASE), cipher)
            for index in indexes
        ]

    def open_circuit(self, *indexes, cipher=1) -> OriginCircuit:
        return self.client.open_circuit(self.hops(*indexes, cipher=cipher), PHASE, self.now)

    def built(self, *indexes, cipher=1) -> OriginCircuit:
        circuit = self.open_circuit(*(indexes or (0, 1, 2)), cipher=cipher)
        self.settle()
        assert circuit.is_open, self.events
        return circuit

    def kill(self, index):
        """A relay is gone: its links close at the other ends."""
        self.dead.add(index)
        for (source, target), link_id in list(self.link_ids.items()):
            if target == index:
                self.wires[source, target].items.clear()
                self.wires[target, source].items.clear()
                del self.link_ids[source, target], self.link_ids[target, source]
                if source == CLIENT:
                    self.note(self.client.link_closed(self.now))
                elif source not in self.dead:
                    self.carry_out(source, self.cores[source].link_closed(link_id, self.now))

    # moving

    def pump(self, index):
        """Pull everything a party may send now onto its wires."""
        if index == CLIENT:
            self._pump_client()
        elif index not in self.dead:
            self._pump_relay(index)

    def _pump_client(self):
        while self.client.has_cells() and (cells := self.client.pull(self.room)):
            self._put(CLIENT, 0, cells)
        for content in self.client.take_credits():
            self.wires[CLIENT, 0].items.append(content)
        self.note(self.client.take_events())

    def _pump_relay(self, index):
        core = self.cores[index]
        for (source, target), link_id in list(self.link_ids.items()):
            if source == index and link_id in core.ready_links():
                while cells := core.pull(link_id, self.room):
                    self._put(source, target, cells)
        for link_id, content in core.take_credits():
            for (source, target), known in self.link_ids.items():
                if source == index and known == link_id:
                    self.wires[source, target].items.append(content)
        self.carry_out(index, core.take_actions())

    def _put(self, source, target, cells):
        wire = self.wires[source, target]
        wire.items.append(cells)
        wire.seen += cells

    def busy(self):
        return [ends for ends, wire in self.wires.items() if wire.items]

    def deliver(self, source, target):
        """Hand one wake-up's worth of one wire to its receiver."""
        item = self.wires[source, target].items.popleft()
        if target in self.dead:
            return
        if target == CLIENT:
            if isinstance(item, list):
                self.note(self.client.handle_cells(item, self.now))
            else:
                self.note(self.client.handle_credit(item, self.now))
            return
        link_id = self.link_ids[source, target]
        core = self.cores[target]
        if isinstance(item, list):
            self.carry_out(target, core.handle_cells(link_id, item, self.now))
        else:
            self.carry_out(target, core.handle_credit(link_id, item, self.now))

    def parties(self):
        return [CLIENT, *range(len(self.cores))]

    def pump_all(self):
        for index in self.parties():
            self.pump(index)

    def settle(self, limit=100_000):
        self.pump_all()
        while ends := self.busy():
            for source, target in ends:
                if self.wires[source, target].items:
                    self.deliver(source, target)
            self.pump_all()
            limit -= 1
            assert limit, "the network does not come to rest"

    def tick(self, seconds):
        self.now += seconds
        for index, core in enumerate(self.cores):
            if index not in self.dead:
                self.carry_out(index, core.tick(self.now))
        self.note(self.client.tick(self.now))
        self.settle()

    # client

    def note(self, events):
        for event in events:
            self.events.append(event)
            if isinstance(event, StreamData):
                data = b"".join(event.chunks)
                self.arrived[event.stream] += data
                circuit = self.client.circuit(event.circuit_id)
                if circuit is not None and self.consume_client:
                    circuit.consumed(event.stream, len(data))

    def events_of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def send_all(self, circuit, stream, data):
        """Send data of any size, moving cells whenever the stream is full."""
        position = 0
        while position < len(data):
            taken = circuit.send(stream, data[position : position + 65536])
            position += taken
            if not taken:
                self.settle()
        self.settle()

    # attacks

    def inject(self, circuit, position, messages):
        """Send messages from the client that its own code would not send."""
        cell = build_forward(
            circuit._layers._sealers[: position + 1],
            messages,
            circuit._layers._filler,
            circuit.port.header,
        )
        self.wires[CLIENT, 0].items.append([cell])
        self.settle()

    def handle_at(self, index):
        """The only circuit at a relay."""
        (circuit,) = self.cores[index]._circuits.values()
        return circuit

    def failure(self):
        """(reason, hop) of the only circuit that failed."""
        (event,) = self.events_of(CircuitFailed)
        return event.reason, event.hop

    # relays

    def carry_out(self, index, actions):
        core = self.cores[index]
        for action in actions:
            self.actions.append((index, action))
            if isinstance(action, ConnectNext):
                self._connect(index, action)
            elif isinstance(action, OpenStream | OpenDirectory):
                host, port = getattr(action, "host", ""), getattr(action, "port", 0)
                key = (index, action.circuit, action.stream)
                self.served[key] = ServedStream(host, port)
                if isinstance(action, OpenStream) and self.auto_connect:
                    self.carry_out(
                        index,
                        core.stream_connected(
                            action.circuit, action.stream, ECHO_ADDRESS, self.now
                        ),
                    )
            elif isinstance(action, ResolveName):
                answers = [Answer(ECHO_ADDRESS, 60)]
                core.resolved(action.circuit, action.stream, answers)
            elif isinstance(action, DeliverData):
                self._serve(index, action)
            elif isinstance(action, EndStream):
                self._end(index, action)
            elif isinstance(action, ResumeStream):
                self.feed((index, action.circuit, action.stream))
            elif isinstance(action, CloseLink):
                self.carry_out(index, core.link_closed(action.link_id, self.now))

    def _connect(self, index, action):
        target = action.node_index - 1
        core = self.cores[index]
        if target in self.dead or target in self.refuse_links:
            self.carry_out(index, core.link_failed(action.circuit, self.now))
            return
        assert self.node_ids[target] == action.node_id
        link_id = self.link_ids.get((index, target)) or self._link(index, target)
        self.carry_out(index, core.link_ready(action.circuit, link_id, self.now))

    def _serve(self, index, action):
        served = self.served[index, action.circuit, action.stream]
        data = b"".join(action.chunks)
        served.received += data
        if self.auto_consume:
            self.cores[index].stream_consumed(action.circuit, action.stream, len(data))
        if self.echo:
            served.backlog.append(data)
            self.feed((index, action.circuit, action.stream))

    def _end(self, index, action):
        served = self.served.get((index, action.circuit, action.stream))
        if served is None:
            return
        served.ended = action.reason
        if self.echo and action.reason is EndReason.DONE:
            served.done_after_backlog = True
            self.feed((index, action.circuit, action.stream))

    def respond(self, key, data):
        """Let a destination send data."""
        self.served[key].backlog.append(data)
        self.feed(key)

    def feed(self, key):
        served, (index, circuit, stream) = self.served[key], key
        while served.backlog:
            data = served.backlog[0]
            taken = self.cores[index].stream_data(circuit, stream, data)
            if taken == len(data):
                served.backlog.popleft()
            else:
                served.backlog[0] = data[taken:]
                return
        if served.done_after_backlog:
            served.done_after_backlog = False
            self.cores[index].stream_ended(circuit, stream, EndReason.DONE)
