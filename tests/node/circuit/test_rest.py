"""Idle circuits hold keys but no ciphers, and go on where they were when a cell comes."""

import secrets

import pytest

from node.circuit.backward import BackwardLayer, BackwardOpener, ContentKey
from node.circuit.cell import CONTENT_BYTES
from node.circuit.layer import (
    CIPHERS,
    REST_S,
    Filler,
    ForwardOpener,
    ForwardSealer,
    LayerKeys,
    build_forward,
)
from node.circuit.messages import MessageType, decode_messages
from node.circuit.streams import Outbox, Stream, StreamKind
from tests.node.circuit.network import Network

HEADER = bytes(8)


def fresh_keys():
    return LayerKeys(*(secrets.token_bytes(32) for _ in range(5)))


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("counter", [0, (1 << 16) - 2])
def test_layers_go_on_after_a_rest(cipher, counter):
    keys = fresh_keys()
    sealer, opener = (kind(cipher, keys, counter) for kind in (ForwardSealer, ForwardOpener))
    layer = BackwardLayer(cipher, keys, counter)
    content = ContentKey(cipher, keys.backward, counter)
    client = BackwardOpener(
        [(BackwardLayer(cipher, keys, counter), ContentKey(cipher, keys.backward, counter))]
    )
    filler = Filler(secrets.token_bytes)
    for _ in range(5):
        cell = build_forward([sealer], b"\x0e\x00\x00\x00\x00", filler, HEADER)
        assert opener.open(cell)[1:6] == b"\x0e\x00\x00\x00\x00"
        said = secrets.token_bytes(CONTENT_BYTES)
        assert client.open(layer.wrap(*content.seal(said), HEADER)) == (0, said)
        for part in (sealer, opener, layer, content, client, filler):
            part.rest()


@pytest.mark.parametrize("cipher", CIPHERS)
def test_a_run_of_cells_gets_the_same_layers_as_single_ones(cipher):
    keys, start = fresh_keys(), (1 << 16) - 3
    one, many = (BackwardLayer(cipher, keys, start) for _ in range(2))
    cells = [secrets.token_bytes(2048) for _ in range(6)]
    assert many.wrap_all(cells[:1], HEADER) + many.wrap_all(cells[1:], HEADER) == [
        one.wrap(cell[8:24], cell[24:], HEADER) for cell in cells
    ]
    assert one.counter == many.counter == start + 6


def ciphers_of(network, index):
    relay = network.handle_at(index)
    return [relay._opener._aead, relay._layer._tools, relay._content._aead]


def test_a_relays_idle_circuit_drops_its_ciphers():
    network = Network()
    circuit = network.built()
    assert ciphers_of(network, 2) == [None] * 3
    stream = circuit.open_stream("notes.example", 80)
    network.settle()
    assert all(ciphers_of(network, 2))
    network.tick(REST_S - 1)
    assert all(ciphers_of(network, 2))
    network.tick(1)
    for index in range(3):
        assert ciphers_of(network, index) == [None] * 3
        assert not network.cores[index]._carried.around.awake
    outbox = network.handle_at(2).ends.outbox
    assert (outbox._control, outbox._ready) == (None, None)
    network.echo = True
    network.send_all(circuit, stream, b"after the rest")
    assert bytes(network.arrived[stream]) == b"after the rest"


def held_by(circuit):
    layers = circuit._layers
    return [
        layers._filler._context,
        *(sealer._aead for sealer in layers._sealers),
        *(part._tools for part, _ in layers.opener._layers),
        *(part._aead for _, part in layers.opener._layers),
    ]


def test_a_clients_idle_circuit_drops_its_ciphers():
    network = Network()
    circuit = network.built()
    assert held_by(circuit) == [None] * 10
    stream = circuit.open_stream("notes.example", 80)
    network.settle()
    network.tick(REST_S - 1)
    assert [part is None for part in held_by(circuit)] == [False] * 7 + [True, True, False]
    network.tick(1)
    assert held_by(circuit) == [None] * 10
    assert all(outbox._control is None for outbox in circuit._starts.outboxes)
    network.tick(REST_S)
    network.echo = True
    network.send_all(circuit, stream, b"after the rest")
    assert bytes(network.arrived[stream]) == b"after the rest"


def test_a_closed_circuit_is_not_kept_by_the_list_of_those_awake():
    network = Network()
    circuit = network.built()
    circuit.open_stream("notes.example", 80)
    network.settle()
    circuit.destroy()
    network.settle()
    assert not any(core._carried.around.awake for core in network.cores)


def test_what_waits_is_kept_through_a_rest():
    outbox = Outbox()
    stream = outbox.streams[1] = Stream(1, StreamKind.TCP, 1 << 20)
    outbox.write(stream, b"data")
    outbox.say(MessageType.END, 2, b"\x00")
    outbox.rest()
    content = outbox.next_content(100)
    kinds = [m.kind for m in decode_messages(content, 0, len(content), forward=True)]
    assert kinds == [MessageType.END, MessageType.DATA]
