"""Flow control of whole circuits over lines with delay and rate."""

from collections import deque
from dataclasses import replace

import pytest

from node.circuit.actions import CircuitFailed, StreamData
from node.circuit.cell import CELL_BYTES
from node.circuit.flow import GAIN, INITIAL_STREAM_BYTES
from node.circuit.messages import EndReason
from tests.node.circuit.delayed import BATCH, DelayedNetwork
from tests.node.circuit.network import CLIENT, PARAMETERS

CHUNK = bytes(65536)
RATE = 2000
"""Cells a second of a line."""
BYTES_PER_S = RATE * 1984
"""Payload of a full line."""


class Endless(deque):
    """A destination that always has more to say."""

    def __init__(self):
        super().__init__([CHUNK])

    def popleft(self):
        return self[0]

    def __setitem__(self, index, rest):
        """What was not taken is said again: the source never ends."""


def downloading(network, streams=1):
    """Return a circuit with so many streams that receive without end."""
    circuit = network.built()
    numbers = [circuit.open_stream("a.example", 443) for _ in range(streams)]
    network.run(8 * network.delay_s)
    for key in list(network.served):
        network.served[key].backlog = Endless()
        pump(network, key)
    return circuit, numbers


def pump(network, key):
    """Let a destination fill its stream's buffer."""
    index, circuit, stream = key
    while network.cores[index].stream_data(circuit, stream, CHUNK) == len(CHUNK):
        pass


@pytest.fixture(autouse=True)
def feed_from_endless_sources(monkeypatch):
    def feed(self, key):
        if isinstance(self.served[key].backlog, Endless):
            pump(self, key)

    monkeypatch.setattr(DelayedNetwork, "feed", feed)


@pytest.mark.parametrize("delay_s", [0.05, 0.1])
def test_one_stream_fills_three_links(delay_s):
    network = DelayedNetwork(delay_s=delay_s, cells_per_s=RATE)
    circuit, (stream,) = downloading(network)
    network.run(20 * delay_s)
    before = len(network.arrived[stream])
    network.run(2)
    assert len(network.arrived[stream]) - before > 0.95 * 2 * BYTES_PER_S
    link, whole = circuit.port.window, circuit._starts.find(stream)[1].window
    transit = BATCH / RATE
    assert delay_s <= link._loop.delay_s <= delay_s + 2 * transit
    assert 3 * delay_s <= whole._loop.delay_s <= 3 * delay_s + 6 * transit
    product = RATE * (delay_s + transit)
    assert RATE * delay_s <= link.window <= GAIN * max(product, RATE * 0.05) * 2
    assert BYTES_PER_S * 3 * delay_s <= whole.window
    assert whole.window <= GAIN * BYTES_PER_S * (3 * delay_s + 6 * transit) * 2


def test_an_upload_fills_three_links_as_well():
    network = DelayedNetwork(delay_s=0.1, cells_per_s=RATE)
    circuit = network.built()
    stream = circuit.open_stream("a.example", 443)
    network.run(0.8)
    (served,) = network.served.values()
    for seconds in (3, 2):
        before = len(served.received)
        for _ in range(seconds * 20):
            while circuit.send(stream, CHUNK) == len(CHUNK):
                pass
            network.run(0.05)
    assert len(served.received) - before > 0.95 * 2 * RATE * 1980
    window = network.handle_at(2).ends.outbox.streams[stream].window
    assert BYTES_PER_S * 0.3 <= window.window <= 2 * GAIN * BYTES_PER_S * 0.4


def test_a_later_stream_begins_where_the_one_before_was():
    network = DelayedNetwork(delay_s=0.1, cells_per_s=RATE)
    circuit, (first,) = downloading(network)
    network.run(1)
    early = len(network.arrived[first])
    network.run(2)
    circuit.end(first, EndReason.RESET)
    network.run(1)
    later = circuit.open_stream("b.example", 443)
    network.run(0.8)
    window = circuit._starts.find(later)[1].window
    assert window.window >= 0.9 * BYTES_PER_S * 0.3
    (key,) = [key for key in network.served if key[2] == later]
    network.served[key].backlog = Endless()
    pump(network, key)
    network.run(1)
    assert len(network.arrived[later]) > 1.5 * early
    others = [circuit.open_stream("c.example", 443) for _ in range(9)]
    assert circuit._starts.find(others[-1])[1].window.window <= window.window / 10 + 1


def test_windows_grow_no_further_than_the_parameters_allow():
    parameters = replace(PARAMETERS, circuit_window_max_cells=64, stream_window_cells=100)
    network = DelayedNetwork(delay_s=0.1, cells_per_s=RATE, parameters=parameters)
    circuit, (stream,) = downloading(network)
    network.run(3)
    assert circuit.port.window.window == 64
    assert circuit._starts.find(stream)[1].window.window == max(
        INITIAL_STREAM_BYTES, 100 * CELL_BYTES
    )
    before = len(network.arrived[stream])
    network.run(2)
    assert len(network.arrived[stream]) - before <= 2 * 64 / 0.1 * CELL_BYTES
    assert network.most_queued <= 4 * 64


def test_a_slow_reader_stalls_no_other_stream_of_its_circuit():
    network = DelayedNetwork(delay_s=0.1, cells_per_s=RATE)
    network.consume_client = False
    circuit, (slow, fast) = downloading(network, streams=2)
    taken = 0
    for _ in range(40):
        network.run(0.1)
        circuit.consumed(fast, len(network.arrived[fast]) - taken)
        taken = len(network.arrived[fast])
    before = taken
    for _ in range(10):
        network.run(0.1)
        circuit.consumed(fast, len(network.arrived[fast]) - taken)
        taken = len(network.arrived[fast])
    assert len(network.arrived[slow]) == INITIAL_STREAM_BYTES, "what it may hold unread"
    assert taken - before > 0.9 * BYTES_PER_S
    assert circuit.is_open


def test_a_reader_that_stops_bounds_memory_everywhere():
    network = DelayedNetwork(delay_s=0.1, cells_per_s=RATE)
    circuit, (stream,) = downloading(network)
    network.run(3)
    network.consume_client = False
    window = circuit._starts.find(stream)[1].window
    network.run(5)
    arrived = len(network.arrived[stream])
    assert window.held <= window.window
    network.run(5)
    assert len(network.arrived[stream]) == arrived, "nothing more comes"
    assert network.cores[0].queued_cells == network.cores[1].queued_cells == 0
    assert circuit.is_open


def test_a_link_that_becomes_slow_holds_a_window_and_loses_no_cell():
    network = DelayedNetwork(delay_s=0.1, cells_per_s=RATE)
    circuit, (stream,) = downloading(network)
    network.run(3)
    network.rates[1, 0] = 100
    network.run(2)
    at_middle = network.handle_at(1)
    assert 0 < network.cores[1].queued_cells <= at_middle.next.window.window
    network.run(20)
    assert network.cores[1].queued_cells <= 2 * GAIN * RATE * 0.1
    before = len(network.arrived[stream])
    network.rates[1, 0] = RATE
    network.run(8)
    assert len(network.arrived[stream]) - before > 4 * BYTES_PER_S
    assert circuit.is_open
    assert not network.events_of(CircuitFailed)


def test_many_circuits_stay_within_a_small_pool():
    limit = 1 << 20
    parameters = replace(PARAMETERS, pool_bytes=limit)
    network = DelayedNetwork(delay_s=0.1, cells_per_s=RATE, parameters=parameters)
    for _ in range(6):
        downloading(network)
    network.run(2)
    network.rates[1, 0] = 200
    network.run(10)
    assert network.most_queued * CELL_BYTES <= limit
    dropped = sum(core.dropped_circuits for core in network.cores)
    assert len(network.events_of(CircuitFailed)) == dropped < 6


def test_a_premium_circuit_has_its_weight_on_a_full_link():
    network = DelayedNetwork(delay_s=0.1, cells_per_s=RATE)
    streams = [
        (circuit.circuit_id, numbers[0]) for circuit, numbers in map(downloading, [network] * 2)
    ]
    entry = network.cores[0]
    handles = list(entry._circuits)
    entry.set_premium(handles[0], premium=True)
    network.rates[0, CLIENT] = 1000
    network.run(4)
    first, second = received_in(network, streams, 4)
    assert first / second == pytest.approx(PARAMETERS.premium_weight, rel=0.1)
    entry.set_parameters(replace(PARAMETERS, premium_weight=2))
    network.run(2)
    first, second = received_in(network, streams, 4)
    assert first / second == pytest.approx(2, rel=0.1)
    entry.set_premium(handles[0], premium=False)
    entry.set_premium(999, premium=True)
    network.run(2)
    first, second = received_in(network, streams, 4)
    assert first == pytest.approx(second, rel=0.1)


def received_in(network, streams, seconds):
    """Bytes of each (circuit, stream) in so much time."""
    before = len(network.events)
    network.run(seconds)
    count = dict.fromkeys(streams, 0)
    for event in network.events[before:]:
        if isinstance(event, StreamData):
            count[event.circuit_id, event.stream] += sum(map(len, event.chunks))
    return list(count.values())
