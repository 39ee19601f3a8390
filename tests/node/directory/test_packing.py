"""Compression and differences: sizes saved, and what is refused before it is unpacked."""

import os
import random
from dataclasses import replace

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from node.directory.packing import apply_diff, compress, decompress, make_diff
from qnet.crypto.kdf import node_id_of
from qnet.errors import DecodeError, RemoteProtocolError
from qnet.messages.consensus import Consensus, ConsensusNode, SignedConsensus, payload_of
from qnet.parameters import NetworkParameters
from tests.support.signed_network import PERIOD, TestNetwork, make_network

DOCUMENT = b"consensus " * 5000
MAIN = NetworkParameters.profile("main")
NODES = 3_000


def listed(base: ConsensusNode, index: int) -> ConsensusNode:
    """A node whose every key is random, as real ones are."""
    identity = os.urandom(32)
    return replace(
        base,
        index=index,
        identity=identity,
        node_id=node_id_of(identity),
        host=f"10.{index >> 8}.{index & 255}.7",
        sni=f"site-{index}.example",
        spki_hash=os.urandom(32),
        link_key=os.urandom(32),
        ticket_key=os.urandom(32),
        ticket_id=os.urandom(8),
        owner=os.urandom(20),
        receipt_address=os.urandom(20),
        bandwidth_kbps=random.randrange(10**6),
        phase_keys=tuple(os.urandom(32) for _ in base.phase_keys),
    )


def an_hour_later(consensus: Consensus) -> Consensus:
    """The next consensus: six fresh onion keys a node, weights moved, one node in 100 gone."""
    nodes = tuple(
        replace(
            node,
            first_phase=node.first_phase + 6,
            phase_keys=node.phase_keys[6:] + tuple(os.urandom(32) for _ in range(6)),
            weight=node.weight + random.randrange(100),
        )
        for node in consensus.nodes
        if random.random() > 0.01
    )
    return replace(consensus, valid_after=consensus.valid_after + 3600, nodes=nodes)


@pytest.fixture(scope="module")
def large() -> tuple[TestNetwork, SignedConsensus, SignedConsensus]:
    network = make_network(period=PERIOD, parameters=MAIN)
    base = network.consensus.nodes[0]
    nodes = tuple(listed(base, index) for index in range(1, NODES + 1))
    older = replace(network.consensus, nodes=nodes)
    return network, network.sign(older), network.sign(an_hour_later(older))


def test_the_next_consensus_of_thousands_of_nodes_is_a_third_of_its_size(large) -> None:
    network, older, newer = large
    document = newer.encode()
    full, diff = compress(document), make_diff(older.consensus.payload, document)
    fresh = sum(6 * 32 for _ in newer.consensus.nodes)
    assert len(full) > 1_500_000
    assert fresh < len(diff) < 0.36 * len(full)
    again = apply_diff(older.consensus.payload, diff, 1 << 23)
    assert SignedConsensus.decode(again, trust=network.trust) == newer
    assert payload_of(again) == newer.consensus.payload


def test_a_difference_to_another_document_is_never_taken_for_the_right_one(large) -> None:
    network, older, newer = large
    diff = make_diff(older.consensus.payload, newer.encode())
    wrong = bytearray(older.consensus.payload)
    for place in range(5_000, len(wrong), 50_000):
        wrong[place] ^= 1
    with pytest.raises(RemoteProtocolError):
        SignedConsensus.decode(apply_diff(bytes(wrong), diff, 1 << 23), trust=network.trust)


@settings(max_examples=60)
@given(st.binary(max_size=3_000), st.binary(max_size=3_000), st.binary(max_size=200))
def test_differences_round_trip(base: bytes, middle: bytes, end: bytes) -> None:
    document = base[: len(base) // 2] + middle + base[len(base) // 2 :] + end + b"."
    assert apply_diff(base or b"0", make_diff(base or b"0", document), 1 << 20) == document


def test_differences_that_burst_are_refused() -> None:
    bomb = make_diff(bytes(1000), bytes(10_000_000))
    assert len(bomb) < 2_000
    with pytest.raises(DecodeError, match="exceeds"):
        apply_diff(bytes(1000), bomb, 1_000_000)


def test_bombs_are_refused_before_they_burst() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(10_000_000))
    with pytest.raises(DecodeError, match="exceeds"):
        decompress(bomb, 1_000_000)
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(10_000))
    with pytest.raises(DecodeError, match="hides"):
        decompress(unsized, 1_000_000)


@pytest.mark.parametrize(
    "data", [b"", b"zstd?", compress(DOCUMENT)[:-3], compress(DOCUMENT) + b"x"]
)
def test_malformed_compression_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decompress(data, 1 << 20)


@given(st.integers(0, 200), st.integers(1, 255))
def test_mutated_compression_never_crashes(place: int, flip: int) -> None:
    data = bytearray(compress(os.urandom(300)))
    data[place % len(data)] ^= flip
    try:
        decompress(bytes(data), 1 << 16)
    except DecodeError:
        return
