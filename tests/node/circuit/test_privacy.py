"""What a relay and an observer of its links can learn from bytes."""

import secrets
from collections import Counter

import pytest

from node.circuit.cell import BODY_BYTES, CELL_BYTES
from node.circuit.keys.phase import PhaseKeyring
from node.circuit.layer import Filler, ForwardOpener, ForwardSealer, LayerKeys, build_forward
from node.circuit.setup import HopInfo, build_create, open_create
from tests.node.circuit.network import CLIENT, PHASE, Network

RUNS = 60
LENGTH = 4


def looks_random(samples):
    """Chi-square of byte values against the uniform distribution, far from any doubt."""
    counts = Counter(byte for sample in samples for byte in sample)
    total = sum(counts.values())
    expected = total / 256
    chi = sum((counts[value] - expected) ** 2 / expected for value in range(256))
    return 120 < chi < 420


def setups():
    """For every position, what that hop receives, opens and passes on, over many circuits."""
    seen = [[] for _ in range(LENGTH)]
    for _ in range(RUNS):
        ids = [secrets.token_bytes(32) for _ in range(LENGTH)]
        rings = [PhaseKeyring(PHASE, ahead=1) for _ in range(LENGTH)]
        hops = [
            HopInfo(index + 1, ids[index], rings[index].public(PHASE)) for index in range(LENGTH)
        ]
        body, _ = build_create(hops, PHASE, secrets.token_bytes)
        for position in range(LENGTH):
            opened = open_create(body, PHASE, ids[position], rings[position])
            seen[position].append((body, opened, ids))
            body = opened.next_body
    return seen


SETUPS = setups()


@pytest.mark.parametrize("position", range(LENGTH))
def test_create_looks_alike_at_every_position(position):
    bodies = [body for body, _, _ in SETUPS[position]]
    behind = [opened.next_body for _, opened, _ in SETUPS[position]]
    for sample in (bodies, behind):
        assert {len(body) for body in sample} == {BODY_BYTES}
        for part in (slice(0, 48), slice(48, 256), slice(1000, 1208), slice(-208, None)):
            assert looks_random([body[part] for body in sample])


@pytest.mark.parametrize("position", range(LENGTH))
def test_a_hop_learns_its_next_hop_and_nothing_else(position):
    for body, opened, ids in SETUPS[position]:
        routing = opened.routing
        known = routing.encode() + opened.next_body + body
        expected = {ids[position + 1]} if position + 1 < LENGTH else set()
        assert {node_id for node_id in ids if node_id in known} == expected
        assert routing.is_last == (position == LENGTH - 1)


@pytest.mark.parametrize("cipher", [1, 2])
@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("size", [0, 700, 1989])
def test_a_delivered_cell_looks_alike_at_every_position(position, cipher, size):
    """What follows the messages is noise at every hop, so the forced tail does not stand out."""
    tails, rests = [], []
    for _ in range(RUNS):
        keys = [LayerKeys(*(secrets.token_bytes(32) for _ in range(5))) for _ in range(3)]
        sealers = [ForwardSealer(cipher, key) for key in keys]
        openers = [ForwardOpener(cipher, key) for key in keys]
        cell = build_forward(
            sealers[: position + 1], b"\x03" * size, Filler(secrets.token_bytes), bytes(8)
        )
        for opener in openers[:position]:
            onward = []
            opener.pass_on(iter([cell]), bytes(8), onward)
            (cell,) = onward
        plain = openers[position].open(cell)
        tails.append(plain[1990:])
        rests.append(plain[2 + size : 1990])
    assert looks_random(tails)
    assert not any(rests) or looks_random(rests)
    assert size == 1989 or all(any(rest) for rest in rests)


def test_cells_of_one_circuit_have_nothing_in_common_from_link_to_link():
    network = Network()
    network.echo = True
    circuit = network.built()
    stream = circuit.open_stream("example.com", 80)
    network.send_all(circuit, stream, bytes(20_000))
    for links in (
        [(CLIENT, 0), (0, 1), (1, 2)],
        [(2, 1), (1, 0), (0, CLIENT)],
    ):
        seen = [network.wires[link].seen for link in links]
        assert len({len(cells) for cells in seen}) == 1
        assert {len(cell) for cells in seen for cell in cells} == {CELL_BYTES}
        pieces = [
            {cell[start : start + 8] for cell in cells for start in range(8, CELL_BYTES, 8)}
            for cells in seen
        ]
        assert not pieces[0] & pieces[1]
        assert not pieces[1] & pieces[2]
        assert not pieces[0] & pieces[2]
        relayed = [b"".join(cell[8:] for cell in cells[1:]) for cells in seen]
        assert all(looks_random([data]) for data in relayed)


def test_destroy_carries_no_reason():
    """Whatever ends a circuit, its neighbours see the same cell."""
    network = Network()
    network.built()
    network.cores[1].shutdown(network.now)
    network.settle()
    for link in ((1, 0), (1, 2), (0, CLIENT)):
        last = network.wires[link].seen[-1]
        assert last[4] == 4
        assert not any(last[5:])
