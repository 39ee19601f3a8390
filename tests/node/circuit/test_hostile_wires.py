"""A client, three relays and destinations whose wires are in an attacker's hands.

The attacker drops, repeats, moves, changes and invents cells and credit on every link, in any
order. Nothing wrong may ever be delivered, no end may look orderly that is not, no core may raise
or keep anything, and everything ends by itself.
"""

import secrets

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run

from node.circuit.actions import CircuitFailed, StreamEnded
from node.circuit.cell import BODY_BYTES, CELL_BYTES
from node.circuit.messages import EndReason
from qnet.errors import RemoteProtocolError
from tests.node.circuit.network import CLIENT, PARAMETERS, Network

SMALL_POOL = 1 << 20
COMMANDS = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 255])


class Attacked(RuleBasedStateMachine):
    """Wires lose, repeat, reorder and forge."""

    @initialize(start=st.sampled_from(["asked", "built", "in use", "in use", "in use"]))
    def begin(self, start):
        self.network = Network(parameters=PARAMETERS.with_value("pool_bytes", SMALL_POOL))
        self.network.echo = True
        self.circuit = self.network.open_circuit(0, 1, 2)
        self.sent: dict[int, bytes] = {}
        self.done: set[int] = set()
        self.link_is_cut = False
        if start != "asked":
            self.network.settle()
        if start == "in use":
            stream = self.circuit.open_stream("a.example", 80)
            self.network.settle()
            self.sent[stream] = secrets.token_bytes(90_000)
            assert self.circuit.send(stream, self.sent[stream]) == 90_000

    # the honest parties

    @precondition(lambda self: self.circuit.is_open)
    @rule(kind=st.sampled_from(["stream", "name", "directory"]))
    def open(self, kind):
        if kind == "stream":
            self.sent[self.circuit.open_stream("a.example", 80)] = b""
        elif kind == "name":
            self.circuit.resolve("a.example")
        else:
            self.circuit.begin_directory(hop=1)

    @precondition(lambda self: self.circuit.is_open and self.sent)
    @rule(data=st.data(), size=st.sampled_from([1, 1984, 5000, 90_000]))
    def send(self, data, size):
        stream = data.draw(st.sampled_from(sorted(self.sent)))
        chunk = secrets.token_bytes(size)
        taken = self.circuit.send(stream, chunk)
        self.sent[stream] += chunk[:taken]

    @precondition(lambda self: self.circuit.is_open and self.sent)
    @rule(data=st.data())
    def end(self, data):
        stream = data.draw(st.sampled_from(sorted(self.sent)))
        self.circuit.end(stream)
        self.done.add(stream)

    @precondition(lambda self: self.circuit.is_open)
    @rule()
    def rekey_or_probe(self):
        self.network.now += PARAMETERS.circuit_rekey_s / 5
        self.circuit.rekey(self.network.now)
        self.circuit.probe(self.network.now, 1)

    @rule(seconds=st.sampled_from([0.1, 2, 16]))
    def time_passes(self, seconds):
        self.network.now += seconds
        for index, core in enumerate(self.network.cores):
            self.network.carry_out(index, core.tick(self.network.now))
        self.to_client(lambda client: client.tick(self.network.now))

    @rule(rounds=st.integers(1, 8))
    def move(self, rounds):
        for _ in range(rounds):
            self.network.pump_all()
            for ends in self.network.busy():
                self.deliver(ends)

    def deliver(self, ends):
        source, target = ends
        if target != CLIENT:
            self.network.deliver(source, target)
            return
        item = self.network.wires[ends].items.popleft()
        if isinstance(item, list):
            self.to_client(lambda client: client.handle_cells(item, self.network.now))
        else:
            self.to_client(lambda client: client.handle_credit(item, self.network.now))

    def to_client(self, act):
        """What `EntryLink` does: a broken rule of the link closes it."""
        if self.link_is_cut:
            return
        try:
            self.network.note(act(self.network.client))
        except RemoteProtocolError:
            self.link_is_cut = True
            self.network.note(self.network.client.link_closed(self.network.now))

    # the attacker

    def wire(self, data):
        """Some wire with something on it, pumped first."""
        self.network.pump_all()
        busy = sorted(self.network.busy())
        if not busy:
            return None
        return self.network.wires[data.draw(st.sampled_from(busy))].items

    @rule(data=st.data(), what=st.sampled_from(["drop", "repeat", "swap", "flip", "cut short"]))
    def spoil(self, data, what):
        items = self.wire(data)
        if not items:
            return
        place = data.draw(st.integers(0, len(items) - 1))
        item = items[place]
        if what == "drop":
            del items[place]
        elif what == "repeat":
            items.insert(place, list(item) if isinstance(item, list) else item)
        elif what == "swap":
            items.rotate(1)
        elif isinstance(item, list):
            items[place] = self.spoilt(data, item, what)
        else:
            items[place] = item[:-1] if what == "cut short" else bytes([item[0] ^ 1]) + item[1:]

    @staticmethod
    def spoilt(data, cells, what):
        number = data.draw(st.integers(0, len(cells) - 1))
        cell = bytearray(cells[number])
        if what == "cut short":
            del cell[-1:]
        else:
            cell[data.draw(st.integers(0, len(cell) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        return [*cells[:number], bytes(cell), *cells[number + 1 :]]

    @rule(
        data=st.data(),
        command=COMMANDS,
        known=st.booleans(),
        aux=st.sampled_from([b"\0\0\0", b"\0\x03\xe8", b"\0\0\x01"]),
        count=st.sampled_from([1, 2, 40]),
    )
    def invent(self, data, command, known, aux, count):
        items = self.wire(data)
        if items is None:
            return
        ids = [c[:4] for item in items if isinstance(item, list) for c in item]
        number = ids[0] if known and ids else data.draw(st.binary(min_size=4, max_size=4))
        body = secrets.token_bytes(BODY_BYTES)
        items.insert(
            data.draw(st.integers(0, len(items))),
            [number + bytes([command]) + aux + body for _ in range(count)],
        )

    @rule(data=st.data(), cells=st.sampled_from([0, 1, 65_535]), known=st.booleans())
    def grant(self, data, cells, known):
        items = self.wire(data)
        if items is None:
            return
        number = self.circuit.circuit_id if known else data.draw(st.integers(0, (1 << 32) - 1))
        entry = number.to_bytes(4, "big") + cells.to_bytes(2, "big")
        items.append(entry * data.draw(st.sampled_from([1, 3, 400])))

    # what always holds

    @invariant()
    def nothing_is_made_up(self):
        if not hasattr(self, "network"):
            return
        network = self.network
        for stream, data in network.arrived.items():
            assert self.sent[stream].startswith(data)
        for (_, _, stream), served in network.served.items():
            assert self.sent.get(stream, b"").startswith(served.received)
            if served.ended is EndReason.DONE:
                assert stream in self.done
                assert served.received == self.sent[stream], "an end that only looks orderly"
        for event in network.events_of(StreamEnded):
            if event.reason is EndReason.DONE:
                assert network.arrived[event.stream] == self.sent[event.stream]

    @invariant()
    def memory_is_bounded(self):
        if hasattr(self, "network"):
            for core in self.network.cores:
                assert 0 <= core.queued_cells <= SMALL_POOL // CELL_BYTES

    def teardown(self):
        """Left alone, everything ends: by a deadline at the latest."""
        if not hasattr(self, "network"):
            return
        for _ in range(4):
            self.move(3)
            self.time_passes(16)
        self.nothing_is_made_up()
        self.circuit.destroy()
        for _ in range(4):
            self.move(3)
            self.network.now += PARAMETERS.circuit_idle_s
            self.time_passes(16)
        for core in self.network.cores:
            assert core.circuits == 0
            assert core.queued_cells == 0
            assert core.streams == 0
        failed = self.network.events_of(CircuitFailed)
        assert len(failed) <= 1


def test_wires_in_an_attackers_hands():
    run(Attacked, settings=settings(max_examples=40, stateful_step_count=30, deadline=None))


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_wires_in_an_attackers_hands_for_long():
    run(Attacked, settings=settings(max_examples=4000, stateful_step_count=60, deadline=None))
