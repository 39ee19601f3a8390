from dataclasses import replace

import pytest
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet import cbor
from qnet.errors import CryptoError, DecodeError
from qnet.messages.consensus import (
    CONSENSUS_TYPE,
    MAX_CONSENSUS_BYTES,
    MAX_MEMBERS,
    CommitteeTrust,
    Consensus,
    SignedConsensus,
    decode_payload,
)
from tests.qnet.messages.typed_data import oracle_digest
from tests.support.signed_network import CHAIN_ID, COMMITTEE, PARAMETERS, PERIOD, make_network

NET = make_network()
SIGNED = NET.sign(NET.consensus)
WIRE = SIGNED.encode()


def changed_payload(change: dict[str, object]) -> bytes:
    value = cbor.loads(NET.consensus.payload, max_bytes=MAX_CONSENSUS_BYTES)
    assert isinstance(value, dict)
    return cbor.dumps({**value, **change})


def changed_node(change: dict[str, object]) -> bytes:
    nodes = [node.to_map() for node in NET.consensus.nodes]
    return changed_payload({"nodes": [{**nodes[0], **change}, *nodes[1:]]})


def test_round_trip() -> None:
    decoded = SignedConsensus.decode(WIRE, trust=NET.trust)
    assert decoded == SIGNED
    assert decoded.encode() == WIRE
    assert decoded.consensus.parameters == PARAMETERS
    assert decoded.hash == keccak(decoded.consensus.payload)


def test_lookups() -> None:
    node = NET.consensus.nodes[2]
    assert NET.consensus.by_index[node.index] is node
    assert NET.consensus.by_node_id[node.node_id] is node
    assert node.phase_key(node.first_phase) == node.phase_keys[0]
    assert node.phase_key(node.first_phase - 1) is None


def test_digest_is_the_typed_data_of_eth_account() -> None:
    consensus = NET.consensus
    expected = oracle_digest(
        CONSENSUS_TYPE,
        (consensus.valid_after, consensus.hash),
        chain_id=CHAIN_ID,
        contract=COMMITTEE,
    )
    assert consensus.digest == expected


def test_any_quorum_is_accepted() -> None:
    for members in [(0, 1, 2), (0, 1, 3), (1, 2, 3), (0, 1, 2, 3)]:
        wire = NET.sign(NET.consensus, members=members).encode()
        assert SignedConsensus.decode(wire, trust=NET.trust).consensus == NET.consensus


def test_less_than_a_quorum_is_refused() -> None:
    with pytest.raises(CryptoError):
        SignedConsensus.decode(NET.sign(NET.consensus, members=(0, 3)).encode(), trust=NET.trust)


def test_one_member_counts_once() -> None:
    signature = SIGNED.signatures[:65]
    for bitmap in (0b001, 0b111):
        forged = SignedConsensus(NET.consensus, bitmap, signature * 3).encode()
        with pytest.raises(CryptoError):
            SignedConsensus.decode(forged, trust=NET.trust)


def test_unknown_members_are_refused() -> None:
    forged = SignedConsensus(NET.consensus, SIGNED.bitmap | 1 << 4, SIGNED.signatures)
    with pytest.raises(CryptoError):
        SignedConsensus.decode(forged.encode(), trust=NET.trust)


def test_surplus_signatures_are_refused() -> None:
    padded = replace(SIGNED, signatures=SIGNED.signatures + bytes(65))
    with pytest.raises(CryptoError):
        SignedConsensus.decode(padded.encode(), trust=NET.trust)
    flood = replace(SIGNED, signatures=bytes(65 * (MAX_MEMBERS + 1)))
    with pytest.raises(DecodeError):
        SignedConsensus.decode(flood.encode(), trust=NET.trust)


def test_other_chain_or_committee_is_refused() -> None:
    for change in ({"chain_id": 1}, {"committee": b"\x01" * 20}):
        with pytest.raises(DecodeError, match="another"):
            SignedConsensus.decode(WIRE, trust=replace(NET.trust, **change))


def test_signers_of_another_committee_are_refused() -> None:
    trust = CommitteeTrust(CHAIN_ID, COMMITTEE, make_network().trust.signers, 3)
    with pytest.raises(CryptoError):
        SignedConsensus.decode(WIRE, trust=trust)


@pytest.mark.parametrize(
    "payload",
    [
        changed_payload({"v": 2}),
        changed_payload({"valid_after": PERIOD + 1}),
        changed_payload({"interval": 31}),
        changed_payload({"interval": 0}),
        changed_payload({"params": {}}),
        changed_payload({"params": dict.fromkeys(PARAMETERS.to_map(), -1)}),
        changed_payload({"params": dict.fromkeys(PARAMETERS.to_map(), 0)}),
        changed_payload({"params": [1]}),
        changed_payload({"min_version": ""}),
        changed_payload({"users": -1}),
        changed_payload({"nodes": {}}),
        changed_payload({"nodes": [1]}),
        changed_payload({"chain": 1}),
        changed_node({"id": b"\0" * 32}),
        changed_node({"i": 0}),
        changed_node({"i": 2}),
        changed_node({"phases": b""}),
        changed_node({"phases": b"\0" * 33}),
        changed_node({"phases": b"\0" * 32 * 65}),
        changed_node({"phases": [b"\0" * 32]}),
        changed_node({"w": 1 << 32}),
        changed_node({"flags": 4}),
        changed_node({"tid": b"1234567"}),
        changed_node({"more": 0}),
    ],
)
def test_payloads_out_of_bounds_are_refused(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_payload(payload)


def test_large_parameters_are_bytes_in_one_form_only() -> None:
    value = cbor.loads(NET.consensus.payload, max_bytes=MAX_CONSENSUS_BYTES)
    assert isinstance(value, dict)
    packed = value["params"]
    assert packed["slot_s"] == PARAMETERS.slot_s
    assert isinstance(packed["emission_wei"], bytes)
    assert int.from_bytes(packed["emission_wei"], "big") == PARAMETERS.emission_wei
    padded = {**packed, "emission_wei": b"\0" + packed["emission_wei"]}
    with pytest.raises(DecodeError):
        decode_payload(changed_payload({"params": padded}))
    short = {**packed, "slot_s": bytes([PARAMETERS.slot_s])}
    with pytest.raises(DecodeError):
        decode_payload(changed_payload({"params": short}))


def test_nodes_listed_twice_are_refused() -> None:
    nodes = [node.to_map() for node in NET.consensus.nodes]
    twin = {**nodes[0], "i": 99}
    with pytest.raises(DecodeError, match="twice"):
        decode_payload(changed_payload({"nodes": [*nodes, twin]}))


def test_devnet_periods_are_refused_on_other_chains() -> None:
    moved = replace(NET.consensus, chain_id=1)
    with pytest.raises(DecodeError, match="refused on chain 1"):
        decode_payload(moved.payload)


@pytest.mark.parametrize("data", [b"", b"\x02", WIRE[:-1], WIRE + b"\0"])
def test_malformed_wire_is_refused(data: bytes) -> None:
    with pytest.raises((DecodeError, CryptoError)):
        SignedConsensus.decode(data, trust=NET.trust)


def test_oversized_is_refused_before_reading() -> None:
    with pytest.raises(DecodeError, match="exceeds"):
        SignedConsensus.decode(bytes(MAX_CONSENSUS_BYTES + 1), trust=NET.trust)


@given(st.binary(max_size=300))
def test_never_crashes_on_noise(data: bytes) -> None:
    with pytest.raises((DecodeError, CryptoError)):
        SignedConsensus.decode(data, trust=NET.trust)


@settings(max_examples=150)
@given(st.integers(0, len(WIRE) - 1), st.integers(1, 255))
def test_every_flipped_byte_is_refused(place: int, flip: int) -> None:
    mutated = bytearray(WIRE)
    mutated[place] ^= flip
    with pytest.raises((DecodeError, CryptoError)):
        SignedConsensus.decode(bytes(mutated), trust=NET.trust)


@settings(max_examples=100)
@given(st.integers(0, len(NET.consensus.payload) - 1), st.integers(1, 255))
def test_mutated_payloads_never_crash_and_never_decode_to_the_same(place: int, flip: int) -> None:
    mutated = bytearray(NET.consensus.payload)
    mutated[place] ^= flip
    try:
        decoded: Consensus = decode_payload(bytes(mutated))
    except DecodeError:
        return
    assert decoded != NET.consensus
    assert decoded.payload == bytes(mutated)
