import secrets

import pytest

from node.circuit.actions import (
    CircuitBuilt,
    CircuitFailed,
    HopRekeyed,
    NameResolved,
    StreamConnected,
    StreamData,
    StreamEnded,
    StreamWritable,
)
from node.circuit.cell import BODY_BYTES, CELL_BYTES, Command, encode_header, relay_header
from node.circuit.flow import INITIAL_CELLS, MAX_CREDIT, encode_credits
from node.circuit.messages import Answer, EndReason, MessageType, encode_message
from node.circuit.origin_streams import MAX_STREAM
from node.circuit.states import OriginState
from qnet.errors import DecodeError, LocalProtocolError
from tests.node.circuit.network import CLIENT, ECHO_ADDRESS, PARAMETERS, Network

BODY = bytes(BODY_BYTES)


@pytest.fixture
def network():
    return Network()


def hop_says(network, index, *messages):
    """Let a hop say messages that its own code would not."""
    relay = network.handle_at(index)
    for message in messages:
        relay.ends.outbox.say(*message)
    relay.previous.activate()
    network.settle()


# building


@pytest.mark.parametrize("path", [(0,), (0, 1), (0, 1, 2), (0, 1, 2, 3), (4, 3, 2, 1, 0)])
@pytest.mark.parametrize("cipher", [1, 2])
def test_paths_of_one_to_five_hops_carry_data_both_ways(path, cipher):
    network = Network(relays=5, exits=range(5))
    network._link(CLIENT, path[0]) if path[0] else None
    if path[0]:
        path = path[::-1]
    network.echo = True
    circuit = network.built(*path, cipher=cipher)
    stream = circuit.open_stream("example.com", 443)
    data = secrets.token_bytes(300_000)
    network.send_all(circuit, stream, data)
    circuit.end(stream)
    network.settle()
    assert network.arrived[stream] == data
    assert network.events[-1] == StreamEnded(circuit.circuit_id, stream, EndReason.DONE)
    assert circuit.streams == 0
    assert all(core.streams == 0 and core.queued_cells == 0 for core in network.cores)
    assert network.client.circuit(circuit.circuit_id) is circuit


def test_the_event_says_how_long_it_took(network):
    circuit = network.open_circuit(0)
    network.pump(CLIENT)
    network.now += 0.25
    network.settle()
    assert network.events == [CircuitBuilt(circuit.circuit_id, 0.25)]
    assert circuit.opened_at == network.now - 0.25


def test_nothing_can_be_opened_before_the_circuit_is(network):
    circuit = network.open_circuit(0, 1, 2)
    with pytest.raises(LocalProtocolError):
        circuit.open_stream("a", 80)
    circuit.rekey(network.now)
    network.settle()
    assert network.events_of(HopRekeyed) == []


def test_a_build_that_takes_too_long_fails(network):
    circuit = network.open_circuit(0)
    network.note(network.client.tick(network.now + 1))
    network.note(network.client.tick(network.now + PARAMETERS.circuit_build_s))
    assert network.failure() == (EndReason.BUILD_TIMEOUT, None)
    assert circuit.state is OriginState.CLOSED


def test_the_reason_of_a_truncated_circuit_may_be_lost(network):
    network.refuse_links.add(2)
    circuit = network.open_circuit(0, 1, 2)
    network.pump(CLIENT)
    network.deliver(CLIENT, 0)
    network.pump(0)
    network.deliver(0, 1)
    network.pump(1)
    created, relayed = network.wires[1, 0].items[0][:2]
    network.carry_out(
        0, network.cores[0].handle_cells(network.link_ids[0, 1], [created], network.now)
    )
    network.pump(0)
    network.deliver(0, CLIENT)
    assert circuit.state is OriginState.TRUNCATED
    assert not circuit.is_open
    with pytest.raises(LocalProtocolError):
        circuit.resolve("a")
    network.note(
        network.client.handle_cells(
            [encode_header(circuit.circuit_id, Command.DESTROY) + BODY], network.now
        )
    )
    assert network.failure() == (EndReason.NEXT_DESTROYED, 2)
    assert relayed[4] == Command.RELAY


@pytest.mark.parametrize("byte", [8, 40, 1000, 2047])
def test_a_flipped_bit_in_created_ends_the_circuit(network, byte):
    network.open_circuit(0, 1, 2)
    network.pump(CLIENT)
    while not network.wires[0, CLIENT].items:
        for ends in network.busy():
            network.deliver(*ends)
        network.pump_all()
    items = network.wires[0, CLIENT].items
    cell = bytearray(items[0][0])
    cell[byte] ^= 0x80
    items[0][0] = bytes(cell)
    network.settle()
    assert network.failure() == (EndReason.PROTOCOL, None)


# streams


def test_data_may_follow_at_once(network):
    circuit = network.built()
    network.auto_connect = False
    stream = circuit.open_stream("a", 80)
    assert circuit.send(stream, b"early") == 5
    network.settle()
    key = (2, network.handle_at(2).handle, stream)
    assert network.served[key].received == b"early"
    network.cores[2].stream_connected(key[1], stream, b"", network.now)
    network.cores[2].stream_connected(key[1], stream, b"", network.now)
    network.settle()
    assert network.events_of(StreamConnected) == [StreamConnected(circuit.circuit_id, stream, b"")]


def test_names_are_resolved_at_the_exit(network):
    circuit = network.built()
    stream = circuit.resolve("example.com")
    network.settle()
    assert network.events[-1] == NameResolved(
        circuit.circuit_id, stream, (Answer(ECHO_ADDRESS, 60),)
    )
    assert circuit.streams == network.cores[2].streams == 0


def test_directory_streams_work_at_every_hop(network):
    circuit = network.built()
    for hop in range(3):
        stream = circuit.begin_directory(hop=hop)
        circuit.send(stream, b"GET")
        network.settle()
        key = (hop, network.handle_at(hop).handle, stream)
        assert network.served[key].received == b"GET"
        network.respond(key, b"d" * 30_000)
        network.settle()
        assert network.arrived[stream] == b"d" * 30_000


def test_directory_and_exit_traffic_share_a_middle_hop(network):
    network.echo = True
    circuit = network.built()
    exits, middle = circuit.open_stream("a", 80), circuit.begin_directory(hop=1)
    network.settle()
    network.respond((1, network.handle_at(1).handle, middle), bytes(100_000))
    circuit.send(exits, bytes(100_000))
    network.settle()
    assert len(network.arrived[exits]) == len(network.arrived[middle]) == 100_000


def test_hops_that_are_no_exits_refuse(network):
    circuit = network.built()
    streams = [circuit.open_stream("a", 80, hop=0), circuit.resolve("a", hop=1)]
    network.settle()
    assert network.events[1:] == [
        StreamEnded(circuit.circuit_id, stream, EndReason.POLICY) for stream in streams
    ]
    with pytest.raises(IndexError):
        circuit.open_stream("a", 80, hop=3)


def test_a_slow_reader_stalls_only_its_own_stream(network):
    circuit = network.built()
    slow, fast = circuit.open_stream("slow", 80), circuit.open_stream("fast", 80)
    network.settle()
    network.auto_consume = False
    taken = circuit.send(slow, bytes(10**6))
    network.settle()
    assert 0 < taken < 10**6
    assert circuit.send(slow, b"more") == 0
    network.auto_consume = True
    network.send_all(circuit, fast, bytes(10**6))
    handle = network.handle_at(2).handle
    assert len(network.served[2, handle, fast].received) == 10**6
    assert circuit.send(slow, b"more") == 0
    network.cores[2].stream_consumed(handle, slow, taken)
    network.settle()
    assert StreamWritable(circuit.circuit_id, slow) in network.events
    assert circuit.send(slow, b"more") == 4


def test_a_slow_client_stalls_only_its_own_stream(network):
    circuit = network.built()
    slow, fast = circuit.open_stream("slow", 80), circuit.open_stream("fast", 80)
    network.settle()
    handle = network.handle_at(2).handle
    network.consume_client = False
    network.respond((2, handle, slow), bytes(10**6))
    network.settle()
    arrived = len(network.arrived[slow])
    assert 0 < arrived < 10**6
    network.consume_client = True
    network.respond((2, handle, fast), bytes(10**6))
    network.settle()
    assert len(network.arrived[fast]) == 10**6
    assert len(network.arrived[slow]) == arrived
    circuit.consumed(slow, arrived)
    network.settle()
    assert len(network.arrived[slow]) == 10**6


def test_half_closed_streams(network):
    circuit = network.built()
    stream = circuit.open_stream("a", 80)
    circuit.send(stream, b"request")
    circuit.end(stream)
    circuit.end(stream)
    network.settle()
    key = (2, network.handle_at(2).handle, stream)
    assert network.served[key].ended is EndReason.DONE
    assert circuit.send(stream, b"too late") == 0
    network.respond(key, b"answer")
    network.settle()
    assert network.arrived[stream] == b"answer"
    network.cores[2].stream_ended(key[1], stream, EndReason.DONE)
    network.cores[2].stream_ended(key[1], stream, EndReason.DONE)
    network.settle()
    assert network.events[-1] == StreamEnded(circuit.circuit_id, stream, EndReason.DONE)
    assert circuit.streams == network.cores[2].streams == 0


def test_the_exit_may_be_done_first(network):
    circuit = network.built()
    stream = circuit.open_stream("a", 80)
    network.settle()
    handle = network.handle_at(2).handle
    network.cores[2].stream_ended(handle, stream, EndReason.DONE)
    network.settle()
    assert network.events[-1] == StreamEnded(circuit.circuit_id, stream, EndReason.DONE)
    assert circuit.send(stream, b"still open") == 10
    circuit.end(stream)
    network.settle()
    assert network.served[2, handle, stream].received == b"still open"
    assert circuit.streams == network.cores[2].streams == 0


@pytest.mark.parametrize("side", ["client", "exit"])
def test_an_abort_is_an_error_at_the_other_end(network, side):
    circuit = network.built()
    stream = circuit.open_stream("a", 80)
    network.settle()
    handle = network.handle_at(2).handle
    if side == "client":
        circuit.end(stream, EndReason.RESET)
        network.settle()
        assert network.served[2, handle, stream].ended is EndReason.RESET
    else:
        network.cores[2].stream_ended(handle, stream, EndReason.CONNECT_REFUSED)
        network.settle()
        assert network.events[-1] == StreamEnded(
            circuit.circuit_id, stream, EndReason.CONNECT_REFUSED
        )
    assert circuit.streams == network.cores[2].streams == 0
    circuit.end(stream)
    circuit.consumed(stream, 5)
    assert circuit.send(stream, b"x") == 0
    network.cores[2].stream_consumed(handle, stream, 5)
    network.settle()
    assert circuit.is_open


def test_late_messages_for_ended_streams_are_ignored(network):
    circuit = network.built()
    stream = circuit.open_stream("a", 80)
    network.settle()
    for kind, data in ((MessageType.DATA, b"x"), (MessageType.CREDIT, bytes(4))):
        network.inject(circuit, 2, encode_message(kind, 99, data))
    network.inject(circuit, 2, encode_message(MessageType.END, 99, b"\x00"))
    network.inject(circuit, 2, encode_message(MessageType.PADDING, 0, b"p"))
    hop_says(
        network,
        2,
        (MessageType.DATA, 99, b"x"),
        (MessageType.END, 99, b"\x00"),
        (MessageType.PADDING, 0, b"p"),
    )
    assert circuit.is_open
    assert circuit.streams == 1
    assert stream == 1


@pytest.mark.parametrize("asked", ["open_stream", "resolve", "begin_directory"])
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (MessageType.CONNECTED, b""),
        (MessageType.RESOLVED, b"\x00"),
        (MessageType.DATA, b"x"),
        (MessageType.END, b"\x00"),
    ],
)
def test_answers_that_do_not_fit_end_the_circuit(network, asked, kind, data):
    network.auto_connect = False
    circuit = network.built()
    network.cores[2].resolved = lambda *_: None
    arguments = {"open_stream": ("a", 80), "resolve": ("a",), "begin_directory": ()}[asked]
    stream = getattr(circuit, asked)(*arguments)
    network.settle()
    hop_says(network, 2, (kind, stream, data))
    fits = {
        "open_stream": {MessageType.CONNECTED},
        "resolve": {MessageType.RESOLVED},
        "begin_directory": {MessageType.DATA, MessageType.END},
    }[asked]
    assert circuit.is_open == (kind in fits)
    if not circuit.is_open:
        assert network.failure() == (EndReason.PROTOCOL, 2)
        assert StreamEnded(circuit.circuit_id, stream, EndReason.PROTOCOL) in network.events


def test_a_look_up_may_fail_or_be_dropped(network):
    network.cores[2].resolved = lambda *_: None
    circuit = network.built()
    streams = [circuit.resolve("a"), circuit.resolve("b"), circuit.resolve("c")]
    network.settle()
    handle = network.handle_at(2).handle
    network.cores[2].stream_ended(handle, streams[0], EndReason.RESOLVE_FAILED)
    circuit.end(streams[1], EndReason.RESET)
    network.tick(PARAMETERS.stream_connect_s + 1)
    ends = network.events_of(StreamEnded)
    assert [end.stream for end in ends] == [streams[0], streams[2]]
    assert {end.reason for end in ends} == {EndReason.RESOLVE_FAILED}
    type(network.cores[2]).resolved(network.cores[2], handle, 99, [])
    assert network.cores[2].streams == 0


def test_stream_numbers_run_out(network):
    circuit = network.built()
    circuit._starts._last = MAX_STREAM
    with pytest.raises(LocalProtocolError, match="numbers"):
        circuit.open_stream("a", 80)


# rekey


def test_all_hops_get_fresh_keys_while_data_flows(network):
    network.echo = True
    circuit = network.built()
    stream = circuit.open_stream("a", 80)
    data = secrets.token_bytes(200_000)
    for start in range(0, len(data), 20_000):
        circuit.send(stream, data[start : start + 20_000])
        network.now += PARAMETERS.circuit_rekey_s / 2
        circuit.rekey(network.now)
        circuit.rekey(network.now)
        network.settle()
    assert network.arrived[stream] == data
    assert circuit.generations == (10, 10, 10)
    assert len(network.events_of(HopRekeyed)) == 30


def test_rekeys_start_by_themselves_with_jitter(network):
    starts = {network.built()._rekeys.due_at - network.now for _ in range(5)}
    period = PARAMETERS.circuit_rekey_s
    assert len(starts) == 5
    assert all(0.8 * period <= start <= period for start in starts)
    circuit = network.built()
    circuit.open_stream("a", 80)
    network.settle()
    for _ in range(10):
        network.tick(period / 8)
    assert circuit.generations == (1, 1, 1)


def test_a_rekey_that_was_not_asked_for_ends_the_circuit(network):
    network.built()
    hop_says(network, 1, (MessageType.REKEYED, 0, bytes(36)))
    assert network.failure() == (EndReason.PROTOCOL, 1)


# deadlines and ends


def test_an_unused_circuit_ends_and_rekeys_do_not_keep_it(network):
    fast = PARAMETERS.with_value("circuit_rekey_s", 20)
    network = Network(parameters=fast)
    circuit = network.built()
    for _ in range(31):
        network.tick(10)
    assert network.failure() == (EndReason.IDLE, None)
    assert len(network.events_of(HopRekeyed)) > 15
    assert not circuit.is_open
    assert all(core.circuits == 0 for core in network.cores)


def test_padding_keeps_a_circuit_with_a_quiet_stream(network):
    circuit = network.built()
    circuit.open_stream("a", 80)
    network.settle()
    for _ in range(20):
        network.tick(PARAMETERS.circuit_idle_s / 4)
    assert circuit.is_open
    assert all(core.circuits == 1 for core in network.cores)


def test_closing_the_link_ends_everything(network):
    circuits = [network.built(), network.built(0)]
    streams = [
        circuit.open_stream("a", 80) if circuit is circuits[0] else 0 for circuit in circuits
    ]
    network.settle()
    events = network.client.link_closed(network.now)
    assert events == [
        StreamEnded(circuits[0].circuit_id, streams[0], EndReason.LINK_LOST),
        CircuitFailed(circuits[0].circuit_id, EndReason.LINK_LOST, 0),
        CircuitFailed(circuits[1].circuit_id, EndReason.LINK_LOST, 0),
    ]
    assert not network.client.has_cells()


def test_a_client_that_ends_a_circuit_hears_no_more_of_it(network):
    circuit = network.built()
    stream = circuit.open_stream("a", 80)
    network.settle()
    network.respond((2, network.handle_at(2).handle, stream), bytes(50_000))
    network.pump(2)
    known = len(network.events)
    circuit.destroy()
    network.settle()
    assert len(network.events) == known
    assert network.client.circuit(circuit.circuit_id) is None


def test_waiting_data_is_dropped_when_memory_runs_out(network):
    network.client.set_parameters(PARAMETERS.with_value("pool_bytes", 1 << 20))
    circuits = [network.built() for _ in range(9)]
    for circuit in circuits:
        stream = circuit.open_stream("a", 80)
        circuit.send(stream, bytes(130_000))
    network.note(network.client.take_events())
    failed = network.events_of(CircuitFailed)
    assert [event.circuit_id for event in failed] == [circuits[0].circuit_id]
    assert failed[0].reason is EndReason.RESOURCE_LIMIT


# rules


def test_broken_rules_of_the_link_are_raised(network):
    client, now = network.client, network.now
    with pytest.raises(DecodeError):
        client.handle_cells([bytes(CELL_BYTES + 1)], now)
    with pytest.raises(DecodeError):
        client.handle_cells([bytes(CELL_BYTES)], now)
    with pytest.raises(DecodeError):
        client.handle_credit(b"", now)


def test_strays_and_padding_are_ignored(network):
    cells = [
        relay_header(9) + BODY,
        encode_header(9, Command.CREATED) + BODY,
        encode_header(9, Command.DESTROY) + BODY,
        encode_header(0, Command.PADDING) + BODY,
    ]
    assert network.client.handle_cells(cells, network.now) == []
    assert network.client.handle_credit(encode_credits([(9, 1)])[0], network.now) == []
    circuit = network.built(0)
    padding = encode_header(circuit.circuit_id, Command.PADDING) + BODY
    assert network.client.handle_cells([padding], network.now) == []
    assert circuit.is_open


@pytest.mark.parametrize("command", [Command.CREATE, Command.CREATED])
def test_setup_cells_on_an_open_circuit_end_it(network, command):
    circuit = network.built(0)
    cell = encode_header(circuit.circuit_id, command) + BODY
    (event,) = network.client.handle_cells([cell], network.now)
    assert event == CircuitFailed(circuit.circuit_id, EndReason.PROTOCOL, None)


def test_relay_before_created_ends_the_circuit(network):
    circuit = network.open_circuit(0)
    (event,) = network.client.handle_cells([relay_header(circuit.circuit_id) + BODY], 1.0)
    assert event == CircuitFailed(circuit.circuit_id, EndReason.PROTOCOL, None)


def test_an_entry_that_sends_without_credit_loses_the_circuit(network):
    circuit = network.built(0)
    cells = [circuit.port.header + BODY] * (INITIAL_CELLS + 1)
    (event,) = network.client.handle_cells(cells, network.now)
    assert event.reason is EndReason.PROTOCOL


def test_credit_that_overflows_ends_the_circuit(network):
    circuit = network.built(0)
    circuit.lane.credit = MAX_CREDIT
    (event,) = network.client.handle_credit(
        encode_credits([(circuit.circuit_id, 1)])[0], network.now
    )
    assert event.reason is EndReason.PROTOCOL


def test_cells_for_a_circuit_that_just_ended_are_ignored(network):
    circuit = network.built()
    circuit.open_stream("a", 80)
    network.settle()
    relay = network.handle_at(2)
    content = b"".join(
        encode_message(*message)
        for message in ((MessageType.END, 0, b"\x02"), (MessageType.END, 1, b"\x00"))
    )
    relay.ends.outbox._control.append(content)
    relay.previous.activate()
    network.settle()
    assert network.failure() == (EndReason.PROTOCOL, 2)
    assert network.events_of(StreamData) == []
