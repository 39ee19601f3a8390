"""What a hostile peer may try against a relay's circuits, and what comes of it."""

import secrets

import pytest

from node.circuit.cell import BODY_BYTES, Command, decode_header, destroy_cell
from node.circuit.layer import build_forward
from node.circuit.messages import MessageType, encode_message
from node.circuit.rekey import encode_share
from qnet.crypto.keys import DhKey
from tests.node.circuit.network import CLIENT, Network


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
