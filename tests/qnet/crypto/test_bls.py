import hashlib
import json
import secrets
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.crypto import bls
from qnet.crypto.bls import SignedPoint, find_bad, hash_to_g1, verify, verify_batch
from qnet.crypto.errors import SignatureError
from qnet.crypto.points import G1, G2, pairings_agree
from qnet.crypto.scalars import Scalar, random_scalar
from qnet.errors import LocalProtocolError
from tests.support import bls_oracle as oracle

VECTORS = Path(__file__).parents[2] / "vectors/crypto"
HASHES = json.loads((VECTORS / "hash_to_g1.json").read_text())
DRAND = json.loads((VECTORS / "drand_quicknet.json").read_text())

SECRET = random_scalar(secrets.token_bytes)
PUBLIC = G2.generator() * SECRET
messages32 = st.binary(min_size=32, max_size=32)


def message_of(number):
    return hashlib.sha256(bytes([number])).digest()


def signature_of(message, secret=SECRET):
    return hash_to_g1(message) * secret


def blind_oracle(point, secret=SECRET):
    """A blind signer: it signs any point, because it cannot see what it signs."""
    return G1.decode(point.encode()) * secret


@pytest.mark.parametrize("vector", HASHES["vectors"], ids=lambda vector: vector["message"][:8])
def test_rfc9380_appendix_j91(vector):
    point = G1.hash(vector["message"].encode(), HASHES["dst"].encode())
    assert point.encode_eip2537().hex() == "0" * 32 + vector["x"] + "0" * 32 + vector["y"]


def test_drand_rounds_verify_singly_and_as_a_batch(monkeypatch):
    monkeypatch.setattr(bls, "DST", DRAND["dst"].encode())
    public = G2.decode(bytes.fromhex(DRAND["public"]))
    signed = [
        (
            hashlib.sha256(entry["round"].to_bytes(8, "big")).digest(),
            G1.decode(bytes.fromhex(entry["signature"])),
        )
        for entry in DRAND["rounds"]
    ]
    for message, signature in signed:
        verify(public, message, signature)
    verify_batch(signed, public, secrets.token_bytes)
    swapped = [(signed[0][0], signed[1][1]), (signed[1][0], signed[0][1]), *signed[2:]]
    with pytest.raises(SignatureError):
        verify_batch(swapped, public, secrets.token_bytes)
    assert find_bad(swapped, public, secrets.token_bytes) == (0, 1)


def test_the_domain_is_fixed():
    assert bls.DST == b"QNET-V01-BLS12381G1_XMD:SHA-256_SSWU_RO_"
    message = message_of(0)
    assert hash_to_g1(message).encode_eip2537() == oracle.hash_g1(message, bls.DST)


@settings(max_examples=20)
@given(messages32, messages32)
def test_signatures_verify_for_their_message_and_key_only(message, other):
    verify(PUBLIC, message, signature_of(message))
    if message != other:
        with pytest.raises(SignatureError):
            verify(PUBLIC, other, signature_of(message))
    with pytest.raises(SignatureError):
        verify(PUBLIC + PUBLIC, message, signature_of(message))
    with pytest.raises(SignatureError):
        verify(PUBLIC, message, -signature_of(message))


@pytest.mark.parametrize("message", [b"", bytes(31), bytes(33)])
def test_messages_have_32_bytes(message):
    with pytest.raises(LocalProtocolError):
        hash_to_g1(message)
    with pytest.raises(LocalProtocolError):
        verify(PUBLIC, message, signature_of(bytes(32)))


def test_an_empty_batch_holds():
    verify_batch([], PUBLIC, secrets.token_bytes)
    assert find_bad([], PUBLIC, secrets.token_bytes) == ()


@settings(max_examples=15)
@given(st.integers(1, 20), st.sets(st.integers(0, 19)))
def test_find_bad_names_exactly_the_bad_ones(count, bad):
    bad = {place for place in bad if place < count}
    signed = [
        (message_of(place), signature_of(message_of(place + 100 * (place in bad))))
        for place in range(count)
    ]
    assert find_bad(signed, PUBLIC, secrets.token_bytes) == tuple(sorted(bad))
    if bad:
        with pytest.raises(SignatureError):
            verify_batch(signed, PUBLIC, secrets.token_bytes)
    else:
        verify_batch(signed, PUBLIC, secrets.token_bytes)


def plain_aggregate_holds(signed):
    points = [hash_to_g1(message) for message, _ in signed]
    signatures = [signature for _, signature in signed]
    ones = [Scalar(1)] * len(signed)
    return pairings_agree(
        (G1.weighted_sum(signatures, ones), G2.generator()),
        (G1.weighted_sum(points, ones), PUBLIC),
    )


def test_one_blind_signature_on_a_sum_passes_a_plain_aggregate_and_fails_the_batch():
    first, second = message_of(1), message_of(2)
    signed_sum = blind_oracle(hash_to_g1(first) + hash_to_g1(second))
    split = hash_to_g1(message_of(3)) * random_scalar(secrets.token_bytes)
    forged = [(first, signed_sum + -split), (second, split)]
    assert plain_aggregate_holds(forged)
    with pytest.raises(SignatureError):
        verify_batch(forged, PUBLIC, secrets.token_bytes)
    assert find_bad(forged, PUBLIC, secrets.token_bytes) == (0, 1)


@pytest.mark.parametrize("seeded_by", ["messages", "nothing"])
def test_coefficients_known_before_the_signatures_are_chosen_are_forged(seeded_by):
    """The attack works against foreseeable coefficients, so the fresh ones are needed."""
    first, second = message_of(1), message_of(2)
    seed = first + second if seeded_by == "messages" else b""

    def foreseeable():
        counter = iter(range(100))
        return lambda size: hashlib.sha256(seed + bytes([next(counter)])).digest()[:size]

    weights = bls.fresh_weights(2, foreseeable())
    combined = hash_to_g1(first) * weights[0] + hash_to_g1(second) * weights[1]
    signed = blind_oracle(combined)
    split = hash_to_g1(message_of(3))
    forged = [
        (first, (signed + -(split * weights[1])) * weights[0].inverse()),
        (second, split),
    ]
    verify_batch(forged, PUBLIC, foreseeable())
    with pytest.raises(SignatureError):
        verify_batch(forged, PUBLIC, secrets.token_bytes)
    for message, signature in forged:
        with pytest.raises(SignatureError):
            verify(PUBLIC, message, signature)


def test_an_adaptive_forger_gains_nothing_from_coefficients_of_earlier_batches():
    first, second = message_of(1), message_of(2)
    split = hash_to_g1(message_of(3))
    drawn = [bytes([1]) * 16, bytes([2]) * 16]

    def recorded(size):
        drawn.append(secrets.token_bytes(size))
        return drawn[-1]

    for _ in range(10):
        last = drawn[-2:]
        weights = [Scalar(int.from_bytes(each, "big")) for each in last]
        signed = blind_oracle(hash_to_g1(first) * weights[0] + hash_to_g1(second) * weights[1])
        forged = [
            (first, (signed + -(split * weights[1])) * weights[0].inverse()),
            (second, split),
        ]
        replay = iter(last)
        verify_batch(forged, PUBLIC, lambda _size, replay=replay: next(replay))
        with pytest.raises(SignatureError):
            verify_batch(forged, PUBLIC, recorded)
    assert len(set(drawn)) == 22


def test_coefficients_are_drawn_after_the_last_input():
    order = []

    def inputs():
        for number in range(3):
            order.append("input")
            yield message_of(number), signature_of(message_of(number))

    def source(size):
        order.append(size)
        return secrets.token_bytes(size)

    verify_batch(inputs(), PUBLIC, source)
    assert order == ["input"] * 3 + [16] * 3


def test_swapped_signatures_pass_neither_alone_nor_together():
    first, second = message_of(1), message_of(2)
    swapped = [(first, signature_of(second)), (second, signature_of(first))]
    assert plain_aggregate_holds(swapped)
    with pytest.raises(SignatureError):
        verify_batch(swapped, PUBLIC, secrets.token_bytes)


def test_points_of_one_key():
    points = [hash_to_g1(message_of(number)) for number in range(4)]
    signed = [SignedPoint(point, blind_oracle(point)) for point in points]
    assert bls.all_hold(PUBLIC, signed, secrets.token_bytes)
    assert bls.all_hold(PUBLIC, [], secrets.token_bytes)
    signed[2] = SignedPoint(points[2], points[2])
    assert not bls.all_hold(PUBLIC, signed, secrets.token_bytes)
    assert not bls.holds(PUBLIC, signed[2])
