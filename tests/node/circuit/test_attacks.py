"""What a hostile peer may try against a relay's circuits, and what comes of it."""

import secrets

import pytest

from node.circuit import relay
from node.circuit.actions import CloseLink
from node.circuit.cell import BODY_BYTES, Command, decode_header, destroy_cell, encode_header
from node.circuit.layer import build_forward
from node.circuit.link_ports import REFUSED_PARTS
from node.circuit.messages import MessageType, encode_message
from node.circuit.rekey import encode_share
from node.circuit.setup import build_create
from qnet.crypto.keys import DhKey
from tests.node.circuit.network import CLIENT, PARAMETERS, PHASE, Network


@pytest.fixture
def network():
    return Network()


def commands(cells):
    return [decode_header(cell)[1] for cell in cells]


def rekey():
    share = DhKey(secrets.token_bytes(32)).public
    return encode_message(MessageType.REKEY, 0, encode_share(1, share))


@pytest.mark.parametrize("provoke", [rekey(), encode_message(MessageType.PAY, 1, b"")])
def test_a_circuit_that_ends_with_words_unsaid_does_not_stop_its_link(network, provoke):
    """The lane of the closed circuit still stands in the schedule, without keys to speak with."""
    circuit = network.built(0, 1, 2)
    core, link_id = network.cores[0], network.link_ids[CLIENT, 0]
    cell = build_forward(circuit._sealers[:1], provoke, circuit._filler, circuit.port.header)
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
    monkeypatch.setattr(relay, "CLIENT_CIRCUITS", 2)
    core = network.cores[0]
    for link_id, client, most in ((70, True, 2), (71, False, 3)):
        core.link_opened(link_id, outgoing=False, client=client)
        core.set_parameters(PARAMETERS)
        bodies = [build_create(network.hops(0), PHASE, secrets.token_bytes)[0] for _ in range(3)]
        cells = [create(number, body) for number, body in enumerate(bodies, 1)]
        core.handle_cells(link_id, cells, network.now)
        assert commands(core.pull(link_id, 10)).count(Command.CREATED) == most


def test_a_process_bounds_its_circuits(network, monkeypatch):
    monkeypatch.setattr(relay, "MAX_CIRCUITS", 1)
    network.built(0, 1, 2)
    circuit = network.open_circuit(0, 1, 2)
    network.settle()
    assert not circuit.is_open
    assert network.cores[0].circuits == 1
