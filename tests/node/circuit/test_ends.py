"""Every reason of END: who says it, and that only the client learns who failed."""

import pytest

from node.circuit.actions import CircuitFailed, EndStream, ResolveName, StreamEnded
from node.circuit.cell import BODY_BYTES, Command, decode_header
from node.circuit.messages import EndReason, MessageType, encode_message
from node.circuit.relay_circuit import RelayCircuit
from tests.node.circuit.network import CLIENT, PARAMETERS, PHASE, Network

NO_HOP = "only a stream ended"


def streaming(network):
    """Return a circuit, its stream and the handle of the circuit at the exit."""
    circuit = network.built()
    stream = circuit.open_stream("a.example", 443)
    network.settle()
    return circuit, stream, network.handle_at(2).handle


def said_by_the_exit(reason):
    """The exit's driver says so about a stream."""

    def provoke(network):
        network.auto_connect = reason in {EndReason.DONE, EndReason.RESET}
        _, stream, handle = streaming(network)
        network.cores[2].stream_ended(handle, stream, reason)
        network.settle()
        return NO_HOP

    return provoke


def protocol(network):
    circuit = network.built()
    network.inject(circuit, 1, encode_message(MessageType.REKEY_SWITCH, 0, bytes(4)))
    return 1


def resource_limit(network):
    network.built()
    network.cores[2]._pool.set_limit(1)
    handle = network.handle_at(2)
    handle.backward.queue.push([bytes(2048)] * 2)
    network.cores[2].stream_data(handle.handle, 9, b"x")
    network.settle()
    return 2


def policy(network):
    circuit = network.built()
    circuit.open_stream("a.example", 443, hop=1)
    network.settle()
    return NO_HOP


def connect_timeout(network):
    network.auto_connect = False
    streaming(network)
    network.tick(PARAMETERS.stream_connect_s)
    return NO_HOP


def resolve_failed(network):
    circuit = network.built()
    network.cores[2].resolved = lambda *_: None
    circuit.resolve("a.example")
    network.settle()
    assert any(isinstance(action, ResolveName) for _, action in network.actions)
    network.tick(PARAMETERS.stream_connect_s)
    return NO_HOP


def build_timeout(network):
    network.open_circuit(0, 1, 2)
    network.pump(CLIENT)
    network.deliver(CLIENT, 0)
    network.pump(0)
    network.wires[0, 1].items.clear()
    network.now += PARAMETERS.circuit_build_s
    network.carry_out(0, network.cores[0].tick(network.now))
    network.settle()
    return 1


def idle(network):
    network.built()
    network.now += PARAMETERS.circuit_idle_s
    network.carry_out(1, network.cores[1].tick(network.now))
    network.settle()
    return 1


def link_failed(network):
    network.refuse_links.add(2)
    network.open_circuit(0, 1, 2)
    network.settle()
    return 2


def link_lost(network):
    network.built()
    network.kill(2)
    network.settle()
    return 2


def next_destroyed(network):
    hops = network.hops(0, 1, 2)
    network.keyrings[2].advance(PHASE + 100)
    network.client.open_circuit(hops, PHASE, network.now)
    network.settle()
    return 2


def circuit_destroyed(network):
    circuit = network.built()
    core = network.cores[0]
    handle = network.handle_at(0)
    core._carried.close(handle, EndReason.SHUTDOWN, tell_previous=False)
    handle.previous.link.destroy(circuit.circuit_id)
    network.settle()
    return 0


def shutdown(network):
    network.built()
    network.cores[1].shutdown(network.now)
    network.settle()
    return 1


SCENES = {
    EndReason.DONE: said_by_the_exit(EndReason.DONE),
    EndReason.INTERNAL: said_by_the_exit(EndReason.INTERNAL),
    EndReason.PROTOCOL: protocol,
    EndReason.RESOURCE_LIMIT: resource_limit,
    EndReason.POLICY: policy,
    EndReason.RESOLVE_FAILED: resolve_failed,
    EndReason.CONNECT_REFUSED: said_by_the_exit(EndReason.CONNECT_REFUSED),
    EndReason.CONNECT_TIMEOUT: connect_timeout,
    EndReason.UNREACHABLE: said_by_the_exit(EndReason.UNREACHABLE),
    EndReason.RESET: said_by_the_exit(EndReason.RESET),
    EndReason.BUILD_TIMEOUT: build_timeout,
    EndReason.IDLE: idle,
    EndReason.LINK_FAILED: link_failed,
    EndReason.LINK_LOST: link_lost,
    EndReason.NEXT_DESTROYED: next_destroyed,
    EndReason.CIRCUIT_DESTROYED: circuit_destroyed,
    EndReason.SHUTDOWN: shutdown,
    EndReason.NAME_NOT_FOUND: said_by_the_exit(EndReason.NAME_NOT_FOUND),
}


@pytest.mark.parametrize("reason", EndReason, ids=lambda reason: reason.name)
def test_the_client_hears_the_reason_and_the_hop(reason):
    network = Network()
    hop = SCENES[reason](network)
    if hop is NO_HOP:
        assert [event.reason for event in network.events_of(StreamEnded)] == [reason]
        assert not network.events_of(CircuitFailed)
    else:
        assert network.failure() == (reason, hop)


def test_a_reason_of_a_later_version_reads_as_internal():
    network = Network()
    network.built()
    relay = network.handle_at(1)
    network.cores[1]._carried.fail(relay, EndReason.SHUTDOWN)
    relay._last_words = encode_message(MessageType.END, 0, b"\xc8")
    network.settle()
    assert network.failure() == (EndReason.INTERNAL, 1)


def test_neighbours_see_the_same_whatever_the_reason():
    seen = set()
    for reason in EndReason:
        network = Network()
        circuit = network.built()
        before = {ends: len(wire.seen) for ends, wire in network.wires.items()}
        network.cores[1]._carried.fail(network.handle_at(1), reason)
        network.settle()
        assert not circuit.is_open
        told = []
        for ends in sorted(network.wires):
            for cell in network.wires[ends].seen[before.get(ends, 0) :]:
                command = decode_header(cell)[1]
                assert command is not Command.DESTROY or cell.endswith(bytes(BODY_BYTES))
                told.append((ends, command, len(cell)))
        seen.add(tuple(told))
    assert len(seen) == 1


def test_a_hop_that_gives_no_fresh_keys_is_named(monkeypatch):
    network = Network(parameters=PARAMETERS.with_value("circuit_rekey_s", 100))
    circuit = network.built()
    silent, start = network.handle_at(1), RelayCircuit._start_rekey
    monkeypatch.setattr(
        RelayCircuit,
        "_start_rekey",
        lambda relay, data: None if relay is silent else start(relay, data),
    )
    network.tick(100)
    assert circuit.generations == (1, 0, 1)
    network.tick(79)
    assert circuit.is_open
    network.tick(22)
    assert network.failure() == (EndReason.PROTOCOL, 1)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_streams_at_the_exit_never_end_in_an_orderly_way_with_their_circuit(index):
    network = Network()
    streaming(network)
    network.carry_out(index, network.cores[index].shutdown(network.now))
    network.settle()
    (ended,) = [action for _, action in network.actions if isinstance(action, EndStream)]
    assert ended.reason is not EndReason.DONE
