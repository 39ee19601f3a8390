import asyncio
import secrets
from itertools import product

import pytest
import pytest_asyncio

from node.circuit.actions import ProbeAnswered
from node.circuit.messages import EndReason
from node.client.paths.circuit import Circuit
from node.client.paths.liveness import ANSWER_S, LATE_S, QUIET_MAX_S, QUIET_S, Liveness
from tests.node.circuit.network import CLIENT, Network


class Entry:
    """Stands for the EntryLink of a circuit."""

    def __init__(self, network):
        self.network = network
        self.circuits = {}

    def now(self):
        return self.network.now

    def wake(self):
        pass


class Sink:
    """A stream's owner that remembers its end."""

    def __init__(self):
        self.ended = None

    def stream_ended(self, reason):
        self.ended = reason


class World:
    """A built circuit of three hops, a stream on it, and its watcher."""

    def __init__(self):
        self.network = Network(random=secrets.token_bytes)
        origin = self.network.built(0, 1, 2)
        built = asyncio.get_running_loop().create_future()
        self.circuit = Circuit(Entry(self.network), origin, self.network.now, built)
        self.sink = Sink()
        self.liveness = Liveness(lambda: self.network.now)

    def settle(self):
        self.network.settle()
        for event in self.network.events:
            if type(event).__name__ == "ProbeAnswered":
                self.circuit.probe_answered(event.token, event.seconds)
        self.network.events.clear()

    def wait(self, seconds, *, until=lambda: False):
        """Let time pass in ticks of a second; returns how much passed."""
        for passed in range(1, int(seconds) + 1):
            self.network.now += 1
            self.liveness.tick([self.circuit])
            self.settle()
            if until():
                return passed
        return seconds

    def sent(self):
        return len(self.network.wires[CLIENT, 0].seen)


@pytest_asyncio.fixture
async def world():
    return World()


async def test_a_circuit_without_streams_is_left_alone(world):
    before = world.sent()
    world.wait(100)
    assert world.sent() == before
    assert len(world.liveness) == 0


async def test_a_quiet_circuit_that_answers_lives_and_is_asked_less_and_less(world):
    world.circuit.open_stream("a.example", 80, world.sink)
    world.settle()
    before = world.sent()
    world.wait(300)
    assert world.circuit.is_open
    probes = (world.sent() - before) / 3
    assert 300 / QUIET_MAX_S <= probes <= 300 / QUIET_MAX_S + 6
    assert world.liveness.silent == 0


@pytest.mark.parametrize(("dead", "hop"), [(0, 0), (1, 1), (2, 2)])
async def test_a_black_hole_is_found_in_time_and_the_first_silent_hop_named(world, dead, hop):
    world.circuit.open_stream("a.example", 80, world.sink)
    world.settle()
    world.network.dead.add(dead)  # takes cells and says nothing; its links stay
    limit = 1 + QUIET_S + ANSWER_S + 1
    passed = world.wait(60, until=lambda: world.circuit.closed)
    assert passed <= limit
    assert world.circuit.failed_hop == hop
    assert world.circuit.failed_reason is EndReason.BUILD_TIMEOUT
    assert "did not answer in time when asked for an echo" in world.circuit.failure
    assert world.sink.ended is EndReason.BUILD_TIMEOUT, "an error, never an orderly end"
    assert world.liveness.silent == 1
    world.wait(1)
    assert len(world.liveness) == 0


async def test_a_silence_after_a_long_quiet_is_found_as_soon_as_the_application_asks(world):
    number = world.circuit.open_stream("a.example", 80, world.sink)
    world.settle()
    world.wait(200)
    world.network.dead.add(1)
    world.circuit.send(number, b"anybody there?")
    assert world.wait(60, until=lambda: world.circuit.closed) <= 2 + QUIET_S + ANSWER_S


async def test_data_counts_as_an_answer(world):
    world.circuit.open_stream("a.example", 80, world.sink)
    world.settle()
    world.network.dead.add(1)
    for _ in range(30):
        world.circuit.bytes_received += 1
        world.wait(QUIET_S)
    assert world.circuit.is_open


async def test_a_late_echo_makes_it_ask_circuits_that_nobody_uses_yet(world):
    spare = Circuit(
        world.circuit.entry,
        world.network.built(0, 1, 2),
        world.network.now,
        asyncio.get_running_loop().create_future(),
    )
    world.circuit.open_stream("a.example", 80, world.sink)
    world.settle()
    world.network.dead.add(1)
    ended = {}
    for passed in range(1, 20):
        world.network.now += 1
        world.liveness.tick([world.circuit, spare])
        world.network.settle()
        for event, circuit in product(world.network.events, (world.circuit, spare)):
            if isinstance(event, ProbeAnswered):
                circuit.probe_answered(event.token, event.seconds)
        world.network.events.clear()
        for circuit in (world.circuit, spare):
            if circuit.closed:
                ended.setdefault(circuit, passed)
    assert ended[spare] <= ended[world.circuit] + LATE_S + 1
    assert spare.failed_hop == 1
