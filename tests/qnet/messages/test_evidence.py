"""Proofs of double consensuses: complete, minimal, and never of something harmless."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.errors import CryptoError, DecodeError, RemoteProtocolError
from qnet.messages.evidence import MAX_EVIDENCE_BYTES, DoubleConsensus, Statement
from qnet.messages.trust import MAX_MEMBERS
from tests.support.signed_network import PERIOD, make_network

NET = make_network()
ONE = NET.sign(NET.consensus)
OTHER = NET.sign(replace(NET.consensus, users=7), members=(1, 2, 3))
PROOF = DoubleConsensus.of(ONE, OTHER)


def test_a_proof_needs_no_documents_and_names_who_signed_both() -> None:
    wire = PROOF.encode()
    assert len(wire) < 700
    again = DoubleConsensus.decode(wire)
    assert again == PROOF
    again.verify(NET.trust)
    assert again.culprits == (1, 2)
    assert again.period == PERIOD


def test_the_order_does_not_matter() -> None:
    assert DoubleConsensus.of(OTHER, ONE) == PROOF
    by_others = DoubleConsensus.of(NET.sign(NET.consensus, members=(0, 2, 3)), OTHER)
    assert by_others.digest == PROOF.digest
    assert by_others != PROOF


@settings(max_examples=30, deadline=None)
@given(
    st.sets(st.integers(0, 3), min_size=1),
    st.sets(st.integers(0, 3), min_size=1),
    st.sampled_from([7, NET.consensus.users]),
)
def test_exactly_two_quorums_for_two_documents_prove_something(
    first: set[int], second: set[int], users: int
) -> None:
    document = replace(NET.consensus, users=users)
    same = users == NET.consensus.users
    one = NET.sign(NET.consensus, members=tuple(sorted(first)))
    two = NET.sign(document, members=tuple(sorted(second)))
    try:
        proof = DoubleConsensus.of(one, two)
        DoubleConsensus.decode(proof.encode()).verify(NET.trust)
    except RemoteProtocolError:
        assert same or len(first) < 3 or len(second) < 3
        return
    assert not same
    assert min(len(first), len(second)) >= 3
    assert set(proof.culprits) == first & second
    assert len(proof.culprits) >= 2


def test_consensuses_of_other_periods_or_networks_prove_nothing() -> None:
    for change in ({"valid_after": PERIOD + 3600}, {"chain_id": 1}, {"committee": b"\1" * 20}):
        with pytest.raises(DecodeError):
            DoubleConsensus.of(ONE, NET.sign(replace(NET.consensus, users=7, **change)))
    with pytest.raises(DecodeError):
        PROOF.verify(replace(NET.trust, chain_id=1))
    with pytest.raises(CryptoError):
        PROOF.verify(make_network().trust)


def test_statements_in_the_wrong_order_are_refused() -> None:
    swapped = replace(PROOF, first=PROOF.second, second=PROOF.first)
    twice = replace(PROOF, second=PROOF.first)
    for bad in (swapped, twice):
        with pytest.raises(DecodeError, match="order"):
            DoubleConsensus.decode(bad.encode())


@settings(max_examples=100)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_byte_never_proves_anything(place: int, flip: int) -> None:
    wire = bytearray(PROOF.encode())
    wire[place % len(wire)] ^= flip
    with pytest.raises(RemoteProtocolError):
        DoubleConsensus.decode(bytes(wire)).verify(NET.trust)


@given(st.binary(max_size=100))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        DoubleConsensus.decode(data)


def test_a_committee_of_every_seat_can_be_accused() -> None:
    said = (1 << MAX_MEMBERS) - 1, bytes(65) * MAX_MEMBERS
    first, second = (Statement(bytes([name]) * 32, *said) for name in (1, 2))
    proof = replace(PROOF, first=first, second=second)
    assert DoubleConsensus.decode(proof.encode()) == proof
    assert proof.culprits == tuple(range(MAX_MEMBERS))


def test_size_is_bounded() -> None:
    with pytest.raises(DecodeError):
        DoubleConsensus.decode(bytes(MAX_EVIDENCE_BYTES + 1))
