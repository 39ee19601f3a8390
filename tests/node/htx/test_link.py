"""Two link cores joined without sockets: from the first HTTP/2 byte to CLOSE."""

import secrets
from dataclasses import replace

import pytest

from node.htx.events import CLIENT, CloseReason, PeerIdentity, RecordReceived
from node.htx.link import LinkStage
from node.htx.record import CELL_BYTES, SIZES, RecordType
from qnet.crypto.keys import DhKey
from qnet.errors import LocalProtocolError
from tests.node.htx.pair import PARAMETERS, Pair, address_of, fresh_identity, fresh_keys


def cells(count):
    return [secrets.token_bytes(CELL_BYTES) for _ in range(count)]


def test_client_and_server_open_and_exchange_cells():
    pair = Pair().pump()
    assert pair.opened("server")[0].peer == CLIENT
    assert pair.opened("client")[0].peer.role == 1
    up, down = cells(17), cells(9)
    pair.client.send_cells(up)
    pair.server.send_cells(down)
    pair.pump()
    assert pair.cells("server") == up
    assert pair.cells("client") == down


def test_node_is_known_by_its_link_key():
    identity = fresh_identity()
    pair = Pair(identity=identity, known={identity.node_id: (identity.link_key.public,)}).pump()
    assert pair.opened("server")[0].peer == PeerIdentity(identity.role, identity.node_id)
