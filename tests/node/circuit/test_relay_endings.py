import pytest

from node.circuit.actions import CloseLink, EndStream, StreamEnded
from node.circuit.cell import (
    BODY_BYTES,
    decode_header,
)
from node.circuit.flow import MAX_CREDIT, encode_credits
from node.circuit.messages import EndReason, MessageType
from node.circuit.states import RelayState
from node.circuit.streams import MAX_CONTROL_MESSAGES
from tests.node.circuit.network import CLIENT, PARAMETERS, PHASE, Network

BODY = bytes(BODY_BYTES)


def close_links(actions):
    return [action for action in actions if isinstance(action, CloseLink)]


@pytest.fixture
def network():
    return Network()


@pytest.fixture
def entry(network):
    """Core 0 and the id of its link to the client."""
    return network.cores[0], network.link_ids[CLIENT, 0]


def commands(cells):
    return [decode_header(cell)[1] for cell in cells]


# setup
def test_the_clients_link_closes(network, entry):
    core, link_id = entry
    circuit = network.built()
    circuit.open_stream("a", 80)
    network.settle()
    core.link_closed(link_id, network.now)
    network.settle()
    assert [node.circuits for node in network.cores] == [0, 0, 0]
    ends = [action for _, action in network.actions if isinstance(action, EndStream)]
    assert [end.reason for end in ends] == [EndReason.CIRCUIT_DESTROYED]


@pytest.mark.parametrize("victim", [1, 2])
def test_a_killed_relay_is_named(network, victim):
    circuit = network.built()
    stream = circuit.open_stream("a", 80)
    network.settle()
    network.kill(victim)
    network.settle()
    assert StreamEnded(circuit.circuit_id, stream, EndReason.LINK_LOST) in network.events
    assert network.failure() == (EndReason.LINK_LOST, victim)
    assert network.cores[0].circuits == 0


def test_what_arrived_before_a_kill_is_still_delivered(network):
    circuit = network.built()
    stream = circuit.open_stream("a", 80)
    network.settle()
    key = (2, network.handle_at(2).handle, stream)
    network.respond(key, bytes(20_000))
    for _ in range(2):
        network.pump(2)
        while network.wires[2, 1].items:
            network.deliver(2, 1)
    network.kill(2)
    network.settle()
    assert len(network.arrived[stream]) == 20_000
    assert network.failure() == (EndReason.LINK_LOST, 2)


def test_a_circuit_through_the_same_link_twice_ends_once():
    network = Network(relays=2, exits=(0,))
    core, other = network.cores
    link = network._link(1, 0)
    hops = network.hops(0)
    client = network.client
    circuit = client.open_circuit(network.hops(0, 1), PHASE, network.now)
    (connect,) = core.handle_cells(network.link_ids[CLIENT, 0], client.pull(1), network.now)
    core.link_ready(connect.circuit, network.link_ids[CLIENT, 0], network.now)
    core.link_closed(network.link_ids[CLIENT, 0], network.now)
    assert core.circuits == 0
    assert core.ready_links() == []
    assert (link, hops, circuit.is_open, other.circuits) == (link, hops, False, 0)


def test_a_same_link_whose_far_side_is_seen_first():
    network = Network(relays=2)
    core = network.cores[0]
    link_id = network.link_ids[CLIENT, 0]
    network.client.open_circuit(network.hops(0, 1), PHASE, network.now)
    (connect,) = core.handle_cells(link_id, network.client.pull(1), network.now)
    core.link_ready(connect.circuit, link_id, network.now)
    link = core._links[link_id]
    link.ports = dict(reversed(link.ports.items()))
    core.link_closed(link_id, network.now)
    assert core.circuits == 0
    assert core.ready_links() == []


def test_a_next_hop_that_does_not_answer_is_named(network):
    network.open_circuit(0, 1, 2)
    network.pump(CLIENT)
    network.deliver(CLIENT, 0)
    network.pump(0)
    network.wires[0, 1].items.clear()
    network.now += PARAMETERS.circuit_build_s
    network.carry_out(0, network.cores[0].tick(network.now))
    network.settle()
    assert network.failure() == (EndReason.BUILD_TIMEOUT, 1)


def test_an_idle_circuit_ends_and_traffic_keeps_it(network):
    circuit = network.built()
    for _ in range(3):
        network.tick(PARAMETERS.circuit_idle_s * 0.4)
        circuit.resolve("a")
        network.settle()
    assert circuit.is_open
    slow = PARAMETERS.with_value("circuit_idle_s", 3600).with_value("circuit_rekey_s", 3600)
    network.client.set_parameters(slow)
    circuit._rekeys.due_at = network.now + 3600
    network.tick(PARAMETERS.circuit_idle_s + 1)
    reason, hop = network.failure()
    assert reason is EndReason.IDLE
    assert hop in {0, 1, 2}


def test_an_exit_that_does_not_connect_in_time(network):
    network.auto_connect = False
    circuit = network.built()
    stream = circuit.open_stream("a", 80)
    network.settle()
    network.tick(PARAMETERS.stream_connect_s - 1)
    assert not network.events_of(StreamEnded)
    network.tick(2)
    assert network.events[-1] == StreamEnded(circuit.circuit_id, stream, EndReason.CONNECT_TIMEOUT)
    ends = [action for _, action in network.actions if isinstance(action, EndStream)]
    assert [end.reason for end in ends] == [EndReason.CONNECT_TIMEOUT]
    assert circuit.is_open


def test_last_words_without_credit_do_not_wait_for_ever(network, entry):
    core, link_id = entry
    network.built(0, 1)
    relay = network.handle_at(0)
    relay.backward.credit = 0
    core.shutdown(network.now)
    core.shutdown(network.now)
    assert relay.state is RelayState.DRAINING
    assert core.pull(link_id, 10) == []
    core.tick(network.now + PARAMETERS.circuit_build_s)
    assert core.circuits == 0
    network.settle()
    assert network.failure() == (EndReason.CIRCUIT_DESTROYED, 0)


def test_a_second_failure_while_draining_closes_at_once(network, entry):
    core, link_id = entry
    circuit = network.built(0, 1)
    relay = network.handle_at(0)
    relay.backward.credit = 0
    core.shutdown(network.now)
    relay.backward.credit = MAX_CREDIT
    (content,) = encode_credits([(circuit.circuit_id, 1)])
    core.handle_credit(link_id, content, network.now)
    assert core.circuits == 0


def test_shutdown_tells_every_client(network):
    network.built()
    network.cores[1].shutdown(network.now)
    network.settle()
    assert network.failure() == (EndReason.SHUTDOWN, 1)


def test_calls_about_circuits_that_are_gone_do_nothing(network):
    core = network.cores[2]
    assert core.stream_connected(9, 1, b"", network.now) == []
    assert core.stream_data(9, 1, b"x") == 0
    core.stream_consumed(9, 1, 5)
    core.stream_ended(9, 1, EndReason.DONE)
    core.resolved(9, 1, [])
    assert core.take_actions() == []


def test_answers_that_nobody_takes_destroy_the_circuit(network):
    circuit = network.built()
    stream = circuit.open_stream("a", 80)
    network.settle()
    relay = network.handle_at(2)
    relay.backward.credit = 0
    for number in range(MAX_CONTROL_MESSAGES):
        relay.ends.outbox.say(MessageType.END, number, b"\x04")
    network.cores[2].stream_ended(relay.handle, stream, EndReason.RESET)
    assert relay.state is RelayState.DRAINING


def test_a_closed_circuit_keeps_no_keys(network):
    circuit = network.built()
    relays = [network.handle_at(index) for index in range(3)]
    circuit.destroy()
    network.settle()
    for relay in relays:
        assert relay.state is RelayState.CLOSED
        for name in ("_opener", "_layer", "_content", "_rekey"):
            assert not hasattr(relay, name)
    assert not circuit._layers._sealers
    assert not circuit._layers.opener._layers
    assert circuit.generations == ()
