"""A client, three relays and destinations under random interleavings."""

import secrets

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from node.circuit.actions import CircuitFailed, StreamConnected, StreamEnded
from node.circuit.flow import INITIAL_STREAM_BYTES
from node.circuit.messages import EndReason
from tests.node.circuit.network import CLIENT, PARAMETERS, Network

SIZES = st.one_of(st.integers(1, 10), st.integers(1000, 5000), st.integers(60_000, 200_000))


class Joined(RuleBasedStateMachine):
    """Links lose nothing and keep order; when things move is up to chance."""

    @initialize(cipher=st.sampled_from([1, 2]))
    def build(self, cipher):
        self.network = Network()
        self.network.consume_client = False
        self.network.auto_consume = False
        self.circuit = self.network.built(0, 1, 2, cipher=cipher)
        self.sent: dict[int, bytes] = {}
        self.answered: dict[int, bytes] = {}
        self.done: set[int] = set()
        self.exit_done: set[int] = set()
        self.taken: dict[int, int] = {}
        self.handle = self.network.handle_at(2).handle
        self.killed = None

    def key(self, stream):
        return 2, self.handle, stream

    def live(self):
        return [stream for stream in self.sent if stream not in self.done]

    @rule(source=st.integers(-1, 2), pump=st.booleans(), data=st.data())
    def move(self, source, pump, data):
        if pump:
            self.network.room = data.draw(st.sampled_from([1, 3, 64, 1000]))
            self.network.pump(source)
            return
        busy = sorted(ends for ends in self.network.busy() if ends[0] == source)
        if busy:
            self.network.deliver(*data.draw(st.sampled_from(busy)))

    @precondition(lambda self: self.circuit.is_open)
    @rule()
    def open_stream(self):
        stream = self.circuit.open_stream("example.com", 80)
        self.sent[stream] = self.answered[stream] = b""

    @precondition(lambda self: self.circuit.is_open and self.live())
    @rule(data=st.data(), size=SIZES)
    def send(self, data, size):
        stream = data.draw(st.sampled_from(self.live()))
        chunk = secrets.token_bytes(size)
        taken = self.circuit.send(stream, chunk)
        assert taken <= INITIAL_STREAM_BYTES * 20
        self.sent[stream] += chunk[:taken]

    @precondition(lambda self: self.circuit.is_open and self.live())
    @rule(data=st.data())
    def end(self, data):
        stream = data.draw(st.sampled_from(self.live()))
        self.circuit.end(stream)
        self.done.add(stream)

    def served(self):
        return [key[2] for key in self.network.served if key[2] not in self.exit_done]

    @precondition(lambda self: self.killed is None and self.served())
    @rule(data=st.data(), size=SIZES)
    def answer(self, data, size):
        stream = data.draw(st.sampled_from(self.served()))
        chunk = secrets.token_bytes(size)
        self.answered[stream] += chunk
        self.network.respond(self.key(stream), chunk)

    @precondition(lambda self: self.killed is None and self.served())
    @rule(data=st.data())
    def exit_ends(self, data):
        stream = data.draw(st.sampled_from(self.served()))
        self.exit_done.add(stream)
        self.network.served[self.key(stream)].done_after_backlog = True
        self.network.feed(self.key(stream))

    @rule(share=st.sampled_from([0.3, 1.0]))
    def applications_read(self, share):
        for stream, data in self.network.arrived.items():
            count = int((len(data) - self.taken.get(stream, 0)) * share)
            self.taken[stream] = self.taken.get(stream, 0) + count
            self.circuit.consumed(stream, count)
        for (_, circuit, stream), served in self.network.served.items():
            count = int((len(served.received) - getattr(served, "taken", 0)) * share)
            served.taken = getattr(served, "taken", 0) + count
            self.network.cores[2].stream_consumed(circuit, stream, count)

    @precondition(lambda self: self.killed is None)
    @rule(seconds=st.floats(0, 5))
    def time_passes(self, seconds):
        self.network.now += seconds

    @precondition(lambda self: self.circuit.is_open)
    @rule()
    def rekey(self):
        self.network.now += PARAMETERS.circuit_rekey_s / 5
        self.circuit.rekey(self.network.now)

    @precondition(lambda self: self.killed is None)
    @rule(victim=st.sampled_from([1, 2]), chance=st.integers(0, 30))
    def kill(self, victim, chance):
        if chance == 0:
            self.killed = victim
            self.network.kill(victim)

    @invariant()
    def nothing_is_made_up(self):
        if not hasattr(self, "network"):
            return
        for stream, data in self.network.arrived.items():
            assert self.answered[stream].startswith(data)
        for (_, _, stream), served in self.network.served.items():
            assert self.sent[stream].startswith(served.received)
        for event in self.network.events_of(StreamEnded):
            if event.reason is EndReason.DONE:
                assert event.stream in self.exit_done
                assert self.network.arrived[event.stream] == self.answered[event.stream]
            else:
                assert self.killed is not None
        if self.killed is None:
            assert not self.network.events_of(CircuitFailed)

    def teardown(self):
        network = self.network
        network.consume_client = network.auto_consume = True
        network.settle()
        for _ in range(200):
            self.applications_read(1.0)
            network.settle()
            if self.killed is not None or all(
                network.arrived[stream] == self.answered[stream]
                and network.served[self.key(stream)].received == self.sent[stream]
                for stream in self.sent
            ):
                break
        self.nothing_is_made_up()
        if self.killed is None:
            for stream in self.sent:
                assert network.arrived[stream] == self.answered[stream]
                assert network.served[self.key(stream)].received == self.sent[stream]
            assert len(network.events_of(StreamConnected)) == len(self.sent)
            ended = {event.stream for event in network.events_of(StreamEnded)}
            assert ended == self.exit_done
            assert self.circuit.is_open
        else:
            network.tick(1)
            (failed,) = network.events_of(CircuitFailed)
            assert failed.hop == self.killed
            assert failed.reason in {EndReason.LINK_LOST, EndReason.NEXT_DESTROYED}
            ended = [event.stream for event in network.events_of(StreamEnded)]
            assert set(self.sent) == set(ended), "every stream was told"
            assert CLIENT not in network.dead
        for index, core in enumerate(network.cores):
            if index not in network.dead:
                assert core.queued_cells == 0


Joined.TestCase.settings = settings(max_examples=50, stateful_step_count=50, deadline=None)
TestJoined = Joined.TestCase
