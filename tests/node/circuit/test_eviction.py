import pytest

from node.circuit import eviction, setups
from node.circuit.eviction import EVICT_IDLE_S
from node.circuit.messages import EndReason
from tests.node.circuit.network import CLIENT, Network


@pytest.fixture
def network(monkeypatch):
    """Each node carries three circuits; its links stand already and may carry more."""
    network = Network()
    network.built(0, 1, 2).destroy()
    network.settle()
    monkeypatch.setattr(setups, "MAX_CIRCUITS", 3)
    return network


def wait(network, seconds):
    network.now += seconds
    for core in network.cores:
        core.tick(network.now)


def filled(network):
    circuits = []
    for _ in range(3):
        circuits.append(network.built(0, 1, 2))
        wait(network, 1)
    return circuits


def use(network, circuit):
    circuit.resolve("a.example")
    network.settle()


def test_the_longest_idle_circuit_makes_room(network):
    first, second, third = filled(network)
    wait(network, EVICT_IDLE_S)
    use(network, first)
    newcomer = network.built(0, 1, 2)
    assert not second.is_open
    assert [circuit.is_open for circuit in (first, third, newcomer)] == [True] * 3
    assert network.failure()[0] is EndReason.RESOURCE_LIMIT
    assert network.cores[0].evicted_circuits == 1
    assert [core.circuits for core in network.cores] == [3, 3, 3]


def test_circuits_in_use_are_not_evicted(network):
    circuits = filled(network)
    wait(network, EVICT_IDLE_S - 4)
    refused = network.open_circuit(0, 1, 2)
    network.settle()
    assert not refused.is_open
    assert all(circuit.is_open for circuit in circuits)
    assert network.cores[0].evicted_circuits == 0
    assert network.cores[0].setups_refused == 1


def test_a_circuit_with_a_stream_stays_at_its_end(monkeypatch):
    network = Network(relays=1, exits=(0,))
    monkeypatch.setattr(setups, "MAX_CIRCUITS", 3)
    for _ in range(3):
        network.built(0).open_stream("a.example", 80)
        network.settle()
    wait(network, 2 * EVICT_IDLE_S)
    refused = network.open_circuit(0)
    network.settle()
    assert not refused.is_open
    assert network.cores[0].circuits == 3


def test_one_look_serves_many_and_skips_what_moved_since(network):
    first, second, third = filled(network)
    wait(network, EVICT_IDLE_S)
    network.built(0, 1, 2)
    use(network, second)
    fifth = network.built(0, 1, 2)
    assert [first.is_open, second.is_open, third.is_open] == [False, True, False]
    assert fifth.is_open
    assert network.cores[0].evicted_circuits == 2


def test_a_client_that_reads_nothing_cannot_have_more_than_its_share(network, monkeypatch):
    """Evicted circuits wait to say why; the wait is bounded."""
    monkeypatch.setattr(eviction, "MAX_LEAVING", 1)
    filled(network)
    core = network.cores[0]
    wait(network, EVICT_IDLE_S)
    for handle in list(core._circuits.values()):
        handle.backward.credit = 0
    network.built(0, 1, 2)
    assert core.circuits == 4
    refused = network.open_circuit(0, 1, 2)
    network.settle()
    assert not refused.is_open
    core.link_closed(network.link_ids[CLIENT, 0], network.now)
    assert core.circuits == 0
    assert core._carried.evictions.staying == 0
