import secrets

import pytest

from node.circuit.actions import CircuitBuilt, CloseLink, ConnectNext, StreamEnded
from node.circuit.cell import (
    BODY_BYTES,
    CELL_BYTES,
    RESPONDER_BIT,
    Command,
    decode_header,
    encode_header,
    relay_header,
)
from node.circuit.flow import INITIAL_CELLS, MAX_CREDIT, encode_credits
from node.circuit.layer import build_forward
from node.circuit.messages import EndReason, MessageType, encode_message
from node.circuit.setup import _onion, derive_setup_keys
from node.circuit.states import RelayState
from qnet.crypto.keys import DhKey
from qnet.errors import LocalProtocolError
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


def test_a_circuit_is_built_in_one_round_trip(network):
    circuit = network.built(0, 1, 2)
    (event,) = network.events_of(CircuitBuilt)
    assert event.circuit_id == circuit.circuit_id
    for ends, wire in network.wires.items():
        assert commands(wire.seen) == [Command.CREATE if ends[0] < ends[1] else Command.CREATED]
    assert [core.circuits for core in network.cores] == [1, 1, 1]
    connects = [a for _, a in network.actions if isinstance(a, ConnectNext)]
    assert [connect.node_id for connect in connects] == network.node_ids[1:]


def test_a_replayed_create_is_refused(network, entry):
    core, link_id = entry
    network.built(0, 1, 2)
    create = network.wires[CLIENT, 0].seen[0]
    again = encode_header(77, Command.CREATE, PHASE) + create[8:]
    assert core.handle_cells(link_id, [again], network.now) == []
    assert commands(core.pull(link_id, 10)) == [Command.DESTROY]
    assert core.setups_refused == 1
    assert core.circuits == 1


def test_a_setup_of_a_dead_phase_is_refused(network):
    hops = network.hops(0, 1, 2)
    network.keyrings[0].advance(PHASE + 2)
    circuit = network.client.open_circuit(hops, PHASE, network.now)
    network.settle()
    assert not circuit.is_open
    assert network.failure() == (EndReason.CIRCUIT_DESTROYED, 0)


def test_a_dead_phase_further_on_is_blamed_on_that_hop(network):
    hops = network.hops(0, 1, 2)
    network.keyrings[2].advance(PHASE + 2)
    network.client.open_circuit(hops, PHASE, network.now)
    network.settle()
    assert network.failure() == (EndReason.NEXT_DESTROYED, 2)


@pytest.mark.parametrize("missing", [1, 2])
def test_a_link_that_cannot_be_opened_is_told_to_the_client_only(network, missing):
    network.refuse_links.add(missing)
    circuit = network.open_circuit(0, 1, 2)
    network.settle()
    assert network.failure() == (EndReason.LINK_FAILED, missing)
    assert not circuit.is_open
    assert [core.circuits for core in network.cores] == [0, 0, 0]


def test_a_next_hop_that_is_the_node_itself_is_refused(network, entry):
    core, link_id = entry
    hops = network.hops(0, 0)
    with pytest.raises(LocalProtocolError, match="different"):
        network.client.open_circuit(hops, PHASE, network.now)
    ephemerals = [DhKey(secrets.token_bytes(32)) for _ in hops]
    keys = [
        derive_setup_keys(key.exchange(hop.phase_key), key.public, hop.node_id, PHASE)
        for key, hop in zip(ephemerals, hops, strict=True)
    ]
    body = _onion(hops, keys, [key.public for key in ephemerals], secrets.token_bytes)[0]
    actions = core.handle_cells(link_id, [encode_header(1, Command.CREATE, PHASE) + body], 1.0)
    assert actions == []
    assert commands(core.pull(link_id, 5)) == [Command.CREATED, Command.RELAY]
    assert commands(core.pull(link_id, 5)) == [Command.DESTROY]


def test_answers_for_a_circuit_that_is_gone_do_nothing(network, entry):
    core, link_id = entry
    assert core.link_ready(99, link_id, network.now) == []
    assert core.link_failed(99, network.now) == []
    circuit = network.built(0, 1)
    handle = network.handle_at(0).handle
    assert core.link_failed(handle, network.now) == []
    assert core.link_ready(handle, link_id, network.now) == []
    assert circuit.is_open


def test_a_link_that_closed_before_it_was_used(network, entry):
    core, link_id = entry
    network.client.open_circuit(network.hops(0, 1), PHASE, network.now)
    (connect,) = core.handle_cells(link_id, network.client.pull(1), network.now)
    core.link_ready(connect.circuit, 12345, network.now)
    network.settle()
    assert network.failure() == (EndReason.LINK_FAILED, 1)


# caps


def test_circuits_per_link_are_capped(network, entry):
    core, link_id = entry
    core.set_parameters(PARAMETERS.with_value("circuits_per_link_max", 2))
    network.built(0, 1)
    network.built(0)
    assert core.circuits_on(link_id) == 2
    assert core.circuits_on(12345) == 0
    network.open_circuit(0)
    network.settle()
    assert network.failure() == (EndReason.CIRCUIT_DESTROYED, 0)
    assert core.circuits == 2
    assert core.setups_refused == 1


def test_a_relay_opens_no_more_circuits_than_its_own_link_may_carry(network):
    network.built(0, 1)
    network.cores[0]._links[network.link_ids[0, 1]].ids._limit = 1
    network.open_circuit(0, 1)
    network.settle()
    assert network.failure() == (EndReason.RESOURCE_LIMIT, 0)


def test_streams_per_circuit_obey_new_parameters_at_run_time(network):
    circuit = network.built()
    first = circuit.open_stream("a", 80)
    network.settle()
    network.cores[2].set_parameters(PARAMETERS.with_value("streams_per_circuit_max", 1))
    second = circuit.open_stream("b", 80)
    network.settle()
    assert network.events[-1] == StreamEnded(circuit.circuit_id, second, EndReason.RESOURCE_LIMIT)
    assert network.cores[2].streams == 1
    circuit.end(first, EndReason.RESET)
    third = circuit.open_stream("c", 80)
    network.settle()
    assert network.served[2, network.handle_at(2).handle, third].host == "c"


def test_the_circuit_with_the_oldest_cell_goes_when_the_pool_is_full(network):
    network.built(), network.built()
    core = network.cores[0]
    core.set_parameters(PARAMETERS.with_value("pool_bytes", 1 << 20))
    slow, fast = core._circuits.values()

    def arrive(circuit, count):
        circuit.next.window._granted += count
        cells = [circuit.next.header + secrets.token_bytes(BODY_BYTES) for _ in range(count)]
        return core.handle_cells(network.link_ids[0, 1], cells, network.now)

    arrive(slow, 16)
    arrive(fast, 16)
    assert core.queued_cells == 32
    assert core.dropped_circuits == 0
    assert close_links(arrive(fast, 490)) == []
    assert core.dropped_circuits == 1
    assert slow.state is RelayState.DRAINING
    assert fast.state is RelayState.OPEN
    assert core.queued_cells == 506


def test_stream_data_counts_into_the_pool(network):
    circuit = network.built()
    stream = circuit.open_stream("a", 80)
    network.settle()
    core, handle = network.cores[2], network.handle_at(2).handle
    core.set_parameters(PARAMETERS.with_value("pool_bytes", 1 << 20))
    assert core.stream_data(handle, stream, bytes(100_000)) == 100_000
    assert core.queued_cells == 49
    core._pool.set_limit(2048)
    core.stream_data(handle, stream, bytes(10_000))
    assert core.dropped_circuits == 1
    network.settle()
    assert network.failure() == (EndReason.RESOURCE_LIMIT, 2)
    assert core.queued_cells == 0


# rules of the link


def test_broken_rules_of_the_link_close_it(network, entry):
    core, link_id = entry
    network.built()
    used = network.client._link.ports
    (circuit_id,) = used
    for cells in (
        [bytes(CELL_BYTES - 1)],
        [encode_header(1, Command.RELAY)[:4] + bytes([99, 0, 0, 0]) + BODY],
        [encode_header(RESPONDER_BIT | 1, Command.CREATE, PHASE) + BODY],
        [encode_header(circuit_id, Command.CREATE, PHASE) + BODY],
        [encode_header(1, Command.DESTROY)[:7] + b"\x01" + BODY],
    ):
        (close,) = core.handle_cells(link_id, cells, network.now)
        assert isinstance(close, CloseLink)
        assert close.link_id == link_id
    assert isinstance(core.handle_credit(link_id, b"", network.now)[0], CloseLink)


def test_strays_are_counted_and_padding_ignored(network, entry):
    core, link_id = entry
    cells = [
        relay_header(5) + BODY,
        encode_header(5, Command.CREATED) + BODY,
        encode_header(5, Command.DESTROY) + BODY,
        encode_header(0, Command.PADDING) + BODY,
    ]
    assert core.handle_cells(link_id, cells, network.now) == []
    assert core.stray_cells == 2
    assert core.ready_links() == []
    assert core.handle_credit(link_id, encode_credits([(5, 1)])[0], network.now) == []


def test_unknown_links_do_nothing(network, entry):
    core, _ = entry
    assert core.handle_cells(99, [relay_header(5) + BODY], network.now) == []
    assert core.handle_credit(99, encode_credits([(5, 1)])[0], network.now) == []
    assert core.pull(99, 5) == []
    assert core.link_closed(99, network.now) == []


def test_an_id_is_free_again_only_after_destroy_both_ways(network, entry):
    core, link_id = entry
    circuit = network.built()
    circuit.destroy()
    circuit.destroy()
    cells = network.client.pull(10)
    core.handle_cells(link_id, cells, network.now)
    assert commands(core.pull(link_id, 10)) == [Command.DESTROY]
    network.settle()
    assert [node.circuits for node in network.cores] == [0, 0, 0]
    assert all(not link.closing for node in network.cores for link in node._links.values())
    assert circuit.circuit_id in network.client._link.closing
    network.note(
        network.client.handle_cells(
            [encode_header(circuit.circuit_id, Command.DESTROY) + BODY], network.now
        )
    )
    assert circuit.circuit_id not in network.client._link.closing


def test_crossing_destroys_settle(network):
    circuit = network.built()
    network.cores[0].shutdown(network.now)
    circuit.destroy()
    network.settle()
    assert not network.client._link.closing
    assert not network.cores[0]._links[network.link_ids[CLIENT, 0]].closing


# rules of the circuit


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("byte", [8, 23, 24, 1000, 2047])
def test_a_flipped_bit_in_a_forward_cell_destroys_the_circuit(network, index, byte):
    circuit = network.built()
    circuit.open_stream("a", 80)
    network.pump(CLIENT)
    for source in range(-1, index - 1):
        network.deliver(source, source + 1)
        network.pump(source + 1)
    items = network.wires[index - 1, index].items
    cell = bytearray(items[0][0])
    cell[byte] ^= 1
    items[0][0] = bytes(cell)
    network.settle()
    assert network.failure() == (EndReason.PROTOCOL, index)
    assert [core.circuits for core in network.cores] == [0, 0, 0]
    assert network.cores[2].streams == 0


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("byte", [8, 23, 24, 1000, 2047])
def test_a_flipped_bit_in_a_backward_cell_destroys_the_circuit(network, index, byte):
    circuit = network.built()
    circuit.open_stream("a", 80)
    network.auto_connect = True
    while not network.wires[index, index - 1].items or not isinstance(
        network.wires[index, index - 1].items[0], list
    ):
        network.pump_all()
        for source, target in network.busy():
            if (source, target) != (index, index - 1) or not isinstance(
                network.wires[source, target].items[0], list
            ):
                network.deliver(source, target)
        network.pump_all()
    items = network.wires[index, index - 1].items
    cell = bytearray(items[0][0])
    cell[byte] ^= 1
    items[0][0] = bytes(cell)
    network.settle()
    assert network.failure() == (EndReason.PROTOCOL, None)
    assert not circuit.is_open
    assert [core.circuits for core in network.cores] == [0, 0, 0]


def test_a_cell_to_forward_at_the_last_hop_is_refused(network):
    circuit = network.built(0)
    sealer = circuit._layers._sealers[0]
    sealed = sealer.seal(bytes(2024))
    cell = circuit.port.header + sealed[2024:] + sealed[:2024]
    network.wires[CLIENT, 0].items.append([cell])
    network.settle()
    assert network.failure() == (EndReason.PROTOCOL, 0)


def test_an_unknown_flag_is_refused(network):
    circuit = network.built(0)
    sealed = circuit._layers._sealers[0].seal(b"\x02" + bytes(2023))
    network.wires[CLIENT, 0].items.append([circuit.port.header + sealed[2024:] + sealed[:2024]])
    network.settle()
    assert network.failure() == (EndReason.PROTOCOL, 0)


def test_relay_before_the_circuit_is_open_is_refused(network, entry):
    core, link_id = entry
    circuit = network.client.open_circuit(network.hops(0, 1), PHASE, network.now)
    (connect,) = core.handle_cells(link_id, network.client.pull(1), network.now)
    core.handle_cells(link_id, [circuit.port.header + BODY], network.now)
    assert core.link_failed(connect.circuit, network.now) == []
    core.handle_cells(link_id, [circuit.port.header + BODY], network.now)
    network.settle()
    assert network.failure() == (EndReason.PROTOCOL, 0)


def test_relay_from_behind_before_created_is_refused(network):
    network.client.open_circuit(network.hops(0, 1), PHASE, network.now)
    network.pump(CLIENT)
    network.deliver(CLIENT, 0)
    port = network.handle_at(0).next
    network.cores[0].handle_cells(network.link_ids[0, 1], [port.header + BODY], network.now)
    network.settle()
    assert network.failure() == (EndReason.PROTOCOL, 0)


def test_created_out_of_turn_is_refused(network, entry):
    core, link_id = entry
    circuit = network.built(0, 1)
    core.handle_cells(
        link_id, [encode_header(circuit.circuit_id, Command.CREATED) + BODY], network.now
    )
    network.settle()
    assert network.failure() == (EndReason.PROTOCOL, 0)


def test_sending_without_credit_destroys_the_circuit(network):
    circuit = network.built(0, 1)
    cells = [
        build_forward(circuit._layers._sealers, b"", circuit._layers._filler, circuit.port.header)
        for _ in range(INITIAL_CELLS + 1)
    ]
    network.wires[CLIENT, 0].items.append(cells)
    network.settle()
    assert network.failure() == (EndReason.PROTOCOL, 0)


def test_a_next_hop_that_sends_without_credit_loses_the_circuit(network):
    network.built(0, 1)
    port = network.handle_at(0).next
    network.cores[0].handle_cells(
        network.link_ids[0, 1], [port.header + BODY] * (INITIAL_CELLS + 1), network.now
    )
    network.settle()
    assert network.failure() == (EndReason.PROTOCOL, 0)


def test_credit_that_overflows_destroys_the_circuit(network, entry):
    core, link_id = entry
    circuit = network.built(0)
    network.handle_at(0).backward.credit = MAX_CREDIT
    (content,) = encode_credits([(circuit.circuit_id, 1)])
    core.handle_credit(link_id, content, network.now)
    network.settle()
    assert network.failure() == (EndReason.PROTOCOL, 0)


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (encode_message(MessageType.PAY, 0, b""), EndReason.PROTOCOL),
        (encode_message(MessageType.CONNECTED, 1, b""), EndReason.PROTOCOL),
        (encode_message(MessageType.BEGIN, 1, b"\x00\x00a"), EndReason.PROTOCOL),
        (encode_message(MessageType.REKEY_SWITCH, 0, bytes(4)), EndReason.PROTOCOL),
        (encode_message(MessageType.REKEY, 0, bytes(36)), EndReason.PROTOCOL),
        (encode_message(MessageType.BEGIN_DIR, 1, b"") * 2, EndReason.PROTOCOL),
    ],
)
def test_messages_that_must_not_be_destroy_the_circuit(network, messages, reason):
    circuit = network.built()
    network.inject(circuit, 1, messages)
    assert network.failure() == (reason, 1)


def test_rekeys_that_come_too_fast_are_refused(network):
    circuit = network.built(0)
    circuit.rekey(network.now)
    network.settle()
    assert circuit.generations == (1,)
    circuit.rekey(network.now + 1)
    network.settle()
    assert network.failure() == (EndReason.PROTOCOL, 0)


# links end, deadlines
