import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnet.crypto.bls import DST
from qnet.crypto.dkg_messages import (
    MAX_DEALING_BYTES,
    PROOF_DST,
    Answer,
    Complaint,
    Dealing,
    decode,
    proof_point,
    prove,
)
from qnet.crypto.errors import PointError, SubgroupError
from qnet.crypto.points import G2
from qnet.crypto.scalars import random_scalar
from qnet.crypto.threshold import MAX_MEMBERS, Polynomial
from qnet.errors import DecodeError, ProtocolError
from tests.support import bls_oracle as oracle

sessions = st.binary(min_size=32, max_size=32)
bytes1 = st.integers(0, 255)
POLYNOMIAL = Polynomial.draw(3, secrets.token_bytes)
DEALING = Dealing(bytes(32), 2, POLYNOMIAL.commitment(), prove(bytes(32), 2, POLYNOMIAL.secret))


@given(sessions, bytes1, bytes1, st.binary(min_size=32, max_size=32))
def test_small_messages_round_trip(session, author, other, share):
    for message, size in (
        (Complaint(session, author, other), 35),
        (Answer(session, author, other, share), 67),
    ):
        assert decode(message.encode()) == message
        assert len(message.encode()) == size


@pytest.mark.parametrize("threshold", [1, 3, 11, MAX_MEMBERS])
def test_dealings_round_trip(threshold):
    polynomial = Polynomial.draw(threshold, secrets.token_bytes)
    proof = prove(bytes(32), 7, polynomial.secret)
    dealing = Dealing(bytes(32), 7, polynomial.commitment(), proof)
    assert decode(dealing.encode()) == dealing
    assert len(dealing.encode()) == 83 + 96 * threshold <= MAX_DEALING_BYTES


@given(st.binary(max_size=200), st.sampled_from([0, 1, 2, 3, 4]))
def test_decode_never_crashes(data, kind):
    raw = bytes([kind]) + data
    try:
        message = decode(raw)
    except ProtocolError:
        return
    assert message.encode() == raw


@given(st.integers(0, len(DEALING.encode()) * 8 - 1))
def test_a_flipped_bit_gives_another_dealing_or_none(bit):
    raw = bytearray(DEALING.encode())
    raw[bit // 8] ^= 1 << bit % 8
    try:
        message = decode(bytes(raw))
    except ProtocolError:
        return
    assert message != DEALING


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        DEALING.encode()[:-1],
        DEALING.encode() + b"\x00",
        Complaint(bytes(32), 1, 2).encode() + b"\x00",
        bytes(MAX_DEALING_BYTES + 1),
        bytes([1]) + bytes(33) + bytes([MAX_MEMBERS + 1]) + bytes(6000),
        bytes([9]) + bytes(60),
    ],
    ids=["empty", "cut", "longer", "trailing", "too long", "too many points", "unknown"],
)
def test_malformed(raw):
    with pytest.raises(DecodeError):
        decode(raw)


def test_commitments_and_proofs_are_checked_points():
    raw = DEALING.encode()
    identity = b"\xc0" + bytes(95)
    with pytest.raises(PointError):
        decode(raw[:35] + identity + raw[131:])
    with pytest.raises(PointError):
        decode(raw[:-48] + b"\xc0" + bytes(47))
    with pytest.raises(SubgroupError):
        decode(raw[:-48] + oracle.compress(oracle.low_order_g1(3)))


def test_proofs_bind_session_dealer_and_key_and_have_a_domain_of_their_own():
    key = G2.generator() * random_scalar(secrets.token_bytes)
    points = {
        proof_point(bytes(32), 1, key),
        proof_point(b"\x01" * 32, 1, key),
        proof_point(bytes(32), 2, key),
        proof_point(bytes(32), 1, key + key),
    }
    assert len(points) == 4
    assert PROOF_DST != DST
