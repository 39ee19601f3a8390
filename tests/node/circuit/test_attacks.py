"""What a hostile peer may try against a relay's circuits, and what comes of it."""

import secrets
from collections import Counter
from contextlib import suppress

import pytest

from node.circuit import link_ports, setups
from node.circuit.actions import CloseLink
from node.circuit.backward import BackwardLayer
from node.circuit.cell import (
    BODY_BYTES,
    CELL_BYTES,
    CONTENT_BYTES,
    TAG_BYTES,
    Command,
    decode_header,
    destroy_cell,
    encode_header,
    relay_header,
)
from node.circuit.keys.phase import PHASE_MODULUS, PhaseKeyring
from node.circuit.layer import CIPHERS, LayerKeys, build_forward
from node.circuit.link_ports import REFUSED_PARTS
from node.circuit.messages import EndReason, MessageType, encode_message
from node.circuit.rekey import encode_share
from node.circuit.setup import HopInfo, build_create, open_create
from node.circuit.streams import CONTROL_OVERHEAD_BYTES
from qnet.crypto.keys import DhKey
from qnet.errors import CryptoError, RemoteProtocolError
from tests.node.circuit.network import CLIENT, PARAMETERS, PHASE, Network


@pytest.fixture
def network():
    return Network()


def commands(cells):
    return [decode_header(cell)[1] for cell in cells]


def rekey():
    share = DhKey(secrets.token_bytes(32)).public
    return encode_message(MessageType.REKEY, 0, encode_share(1, share))


@pytest.mark.parametrize(
    "provoke", [rekey(), encode_message(MessageType.PAY, 1, b"")], ids=["rekey", "refused message"]
)
def test_a_circuit_that_ends_with_words_unsaid_does_not_stop_its_link(network, provoke):
    """The lane of the closed circuit still stands in the schedule, without keys to speak with."""
    circuit = network.built(0, 1, 2)
    core, link_id = network.cores[0], network.link_ids[CLIENT, 0]
    cell = build_forward(
        circuit._layers._sealers[:1], provoke, circuit._layers._filler, circuit.port.header
    )
    core.handle_cells(link_id, [cell, destroy_cell(circuit.circuit_id)], network.now)
    assert commands(core.pull(link_id, 100)) == [Command.DESTROY]
    assert core.ready_links() == [network.link_ids[0, 1]]


def create(circuit_id, body=bytes(BODY_BYTES)):
    return encode_header(circuit_id, Command.CREATE, PHASE) + body


def closes(actions):
    return [action for action in actions if isinstance(action, CloseLink)]


def waiting(core, link_id):
    return len(core._links[link_id]._scheduler._control)


def test_a_peer_that_reads_nothing_cannot_pile_up_refusals():
    """Each bad CREATE is answered with DESTROY; who never answers that has used up its ids."""
    limit = 8
    network = Network(parameters=PARAMETERS.with_value("circuits_per_link_max", limit))
    core, link_id = network.cores[0], network.link_ids[CLIENT, 0]
    refused = core.handle_cells(link_id, [create(number) for number in range(1, 17)], network.now)
    assert not closes(refused)
    assert waiting(core, link_id) == REFUSED_PARTS * limit
    assert closes(core.handle_cells(link_id, [create(17)], network.now))
    assert waiting(core, link_id) == REFUSED_PARTS * limit


def test_an_id_cannot_be_used_again_before_its_destroy_has_left(network):
    """Else CREATE, DESTROY, CREATE, … would queue an answer of 2 KB each time."""
    core, link_id = network.cores[0], network.link_ids[CLIENT, 0]

    def body():
        return build_create(network.hops(0), PHASE, secrets.token_bytes)[0]

    assert not core.handle_cells(link_id, [create(1, body()), destroy_cell(1)], network.now)
    assert closes(core.handle_cells(link_id, [create(1, body())], network.now))
    assert commands(core.pull(link_id, 10)) == [Command.CREATED, Command.DESTROY]
    assert not core.handle_cells(link_id, [create(1, body())], network.now)
    assert commands(core.pull(link_id, 10)) == [Command.CREATED]


def test_crossing_destroys_free_an_id_only_when_ours_has_left(network):
    core, link_id = network.cores[0], network.link_ids[CLIENT, 0]
    core.handle_cells(link_id, [create(1), destroy_cell(1)], network.now)
    assert closes(core.handle_cells(link_id, [create(1)], network.now))
    assert commands(core.pull(link_id, 10)) == [Command.DESTROY]
    assert not core.handle_cells(link_id, [create(1)], network.now)


def test_a_client_may_open_fewer_circuits_than_a_node(network, monkeypatch):
    monkeypatch.setattr(setups, "CLIENT_CIRCUITS", 2)
    core = network.cores[0]
    for link_id, client, most in ((70, True, 2), (71, False, 3)):
        core.link_opened(link_id, outgoing=False, client=client)
        core.set_parameters(PARAMETERS)
        bodies = [build_create(network.hops(0), PHASE, secrets.token_bytes)[0] for _ in range(3)]
        cells = [create(number, body) for number, body in enumerate(bodies, 1)]
        core.handle_cells(link_id, cells, network.now)
        assert commands(core.pull(link_id, 10)).count(Command.CREATED) == most


def test_a_process_bounds_its_circuits(network, monkeypatch):
    monkeypatch.setattr(setups, "MAX_CIRCUITS", 1)
    network.built(0, 1, 2)
    circuit = network.open_circuit(0, 1, 2)
    network.settle()
    assert not circuit.is_open
    assert network.cores[0].circuits == 1


def test_answers_that_a_client_does_not_take_count_into_the_pool(network):
    """One cell asks for 397 streams; each answer takes more memory than its question."""
    network.built(0, 1, 2)
    handle = network.handle_at(0)
    handle.backward.credit = 0
    asks = b"".join(encode_message(MessageType.RESOLVE, number, b"x") for number in range(1, 300))
    network.inject(network.client.circuit(1), 0, asks)
    assert network.cores[0].queued_cells * CELL_BYTES >= 299 * CONTROL_OVERHEAD_BYTES
    handle.backward.credit = 100
    handle.speak_up()
    network.settle()
    assert network.cores[0].queued_cells == 0


def test_data_that_a_destination_does_not_take_counts_into_the_pool():
    network = Network()
    network.auto_consume = False
    circuit = network.built(0, 1, 2)
    stream = circuit.open_stream("slow.example", 80)
    network.send_all(circuit, stream, bytes(100_000))
    exit_core = network.cores[2]
    assert exit_core.queued_cells == -(-100_000 // CELL_BYTES)
    exit_core.stream_consumed(network.handle_at(2).handle, stream, 60_000)
    assert exit_core.queued_cells == -(-40_000 // CELL_BYTES)
    circuit.end(stream, EndReason.RESET)
    network.settle()
    assert exit_core.queued_cells == 0


def test_a_destination_that_stalls_costs_its_own_circuit_when_memory_is_short():
    network = Network(parameters=PARAMETERS.with_value("pool_bytes", 1 << 20))
    network.auto_consume = False
    circuit = network.built(0, 1, 2)
    for _ in range(11):
        stream = circuit.open_stream("slow.example", 80)
        circuit.send(stream, bytes(100_000))
        network.settle()
    assert network.failure() == (EndReason.RESOURCE_LIMIT, 2)
    assert network.cores[2].queued_cells == 0


def test_a_setup_is_refused_again_in_every_phase_of_its_life():
    ring, node_id = PhaseKeyring(PHASE, ahead=3), secrets.token_bytes(32)
    for phase, moves in ((PHASE, (0, 1, 2)), (PHASE + 3, (2, 3, 4, 5, PHASE_MODULUS + 4))):
        hop = HopInfo(1, node_id, ring.public(phase))
        body, _ = build_create([hop], phase, secrets.token_bytes)
        opened = 0
        for move in moves:
            ring.advance(PHASE + move)
            for claimed in (phase - 1, phase, phase + 1):
                with suppress(CryptoError):
                    open_create(body, claimed, node_id, ring)
                    opened += 1
        assert opened == 1


def test_hops_around_an_honest_one_see_nothing_they_sent_twice():
    """The next hop repeats a body; neither the initial counter block nor the key stream repeats."""
    keys = LayerKeys(*(secrets.token_bytes(32) for _ in range(5)))
    for cipher in CIPHERS:
        layer = BackwardLayer(cipher, keys)
        left, right = secrets.token_bytes(TAG_BYTES), secrets.token_bytes(CONTENT_BYTES)
        cells = [layer.wrap(left, right, bytes(8)) for _ in range(200)]
        assert len({cell[8:24] for cell in cells}) == 200
        blocks = Counter(cell[at : at + 16] for cell in cells for at in range(24, 2048, 16))
        assert max(blocks.values()) == 1


@pytest.mark.parametrize("target", [1, 2])
def test_a_mark_on_a_forward_cell_ends_the_circuit_at_the_next_honest_hop(network, target):
    circuit = network.built(0, 1, 2)
    stream = circuit.open_stream("a.example", 80)
    (cell,) = network.client.pull(1)
    network.wires[CLIENT, 0].items.append([cell])
    for hop in range(target):
        network.deliver(hop - 1, hop)
        network.pump(hop)
    wire = network.wires[target - 1, target].items
    (marked,) = wire.pop()
    wire.append([marked[:100] + bytes([marked[100] ^ 1]) + marked[101:]])
    network.settle()
    assert network.failure() == (EndReason.PROTOCOL, target)
    assert not [served for served in network.served if served[2] == stream]


def padding(count):
    return [encode_header(0, Command.PADDING) + bytes(BODY_BYTES)] * count


@pytest.mark.parametrize("side", ["relay", "client"])
def test_cells_without_a_circuit_and_without_end_close_the_link(network, monkeypatch, side):
    monkeypatch.setattr(link_ports, "STRAY_BURST", 100)
    monkeypatch.setattr(link_ports, "STRAY_PER_S", 10)
    core, link_id = network.cores[0], network.link_ids[CLIENT, 0]

    def broken(cells):
        if side == "relay":
            return bool(closes(core.handle_cells(link_id, cells, network.now)))
        try:
            network.client.handle_cells(cells, network.now)
        except RemoteProtocolError:
            return True
        return False

    unknown = [relay_header(77) + bytes(BODY_BYTES)] * 30 + [destroy_cell(78)] * 20
    assert not broken(padding(50) + unknown)
    network.now += 1
    assert not broken(padding(10)), "a second's worth"
    assert broken(padding(1))


def test_what_a_circuit_leaves_behind_is_within_the_budget():
    assert PARAMETERS.circuit_window_max_cells * 16 <= link_ports.STRAY_BURST
