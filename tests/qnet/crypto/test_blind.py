import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.crypto import blind as blind_module
from qnet.crypto.blind import blind, blind_with, blinding_factor, sign_blinded, unblind
from qnet.crypto.bls import hash_to_g1, verify
from qnet.crypto.errors import SignatureError
from qnet.crypto.points import G1, G2
from qnet.crypto.scalars import ORDER, Scalar, SecretScalar, random_scalar
from qnet.errors import LocalProtocolError

SECRET = random_scalar(secrets.token_bytes)
SHARE = SecretScalar(SECRET)
PUBLIC = G2.generator() * SECRET
messages32 = st.binary(min_size=32, max_size=32)
seeds = st.binary(min_size=32, max_size=32)
counters = st.integers(0, (1 << 64) - 1)


@settings(max_examples=20)
@given(messages32)
def test_a_blind_signature_is_the_signature(message):
    blinded, factor = blind(message, secrets.token_bytes)
    signed = sign_blinded(SHARE, G1.decode(blinded.encode()), secrets.token_bytes)
    signature = unblind(message, factor, signed, PUBLIC)
    assert signature == hash_to_g1(message) * SECRET
    verify(PUBLIC, message, signature)
    assert blinded != hash_to_g1(message)


@settings(max_examples=20)
@given(seeds, counters, messages32)
def test_a_restored_wallet_unblinds_the_same_answer(seed, counter, message):
    factor = blinding_factor(seed, counter, b"CR 64")
    assert 1 <= int(factor) < ORDER
    signed = sign_blinded(SHARE, blind_with(message, factor), secrets.token_bytes)
    again = blinding_factor(seed, counter, b"CR 64")
    assert unblind(message, again, signed, PUBLIC) == hash_to_g1(message) * SECRET


def test_factors_differ_by_seed_counter_and_context():
    seed, other = bytes(32), bytes(31) + b"\x01"
    factors = {
        int(blinding_factor(*arguments))
        for arguments in (
            (seed, 0, b""),
            (other, 0, b""),
            (seed, 1, b""),
            (seed, 0, b"a"),
            (seed, 0, b"\x00"),
            (seed, 256, b""),
        )
    }
    assert len(factors) == 6


@pytest.mark.parametrize(
    ("seed", "counter"), [(bytes(31), 0), (bytes(33), 0), (bytes(32), -1), (bytes(32), 1 << 64)]
)
def test_seeds_and_counters_out_of_bounds(seed, counter):
    with pytest.raises(LocalProtocolError):
        blinding_factor(seed, counter, b"")


def test_a_factor_is_never_zero(monkeypatch):
    message = bytes(32)
    with pytest.raises(LocalProtocolError):
        blind_with(message, Scalar(0))
    with pytest.raises(LocalProtocolError):
        unblind(message, Scalar(0), hash_to_g1(message), PUBLIC)
    monkeypatch.setattr(blind_module, "derive_key", lambda label, material, length: bytes(length))
    assert int(blinding_factor(bytes(32), 0, b"")) == 1
    assert int(blind(message, bytes)[1]) == 1


def test_a_wrong_answer_is_never_returned():
    message = bytes(32)
    blinded, factor = blind(message, secrets.token_bytes)
    signed = sign_blinded(SHARE, blinded, secrets.token_bytes)
    for wrong in (blinded, -signed, signed + signed, hash_to_g1(message) * SECRET):
        with pytest.raises(SignatureError):
            unblind(message, factor, wrong, PUBLIC)
    with pytest.raises(SignatureError):
        unblind(b"\x01" * 32, factor, signed, PUBLIC)
    with pytest.raises(SignatureError):
        unblind(message, factor + factor, signed, PUBLIC)
    with pytest.raises(SignatureError):
        unblind(message, factor, signed, PUBLIC + PUBLIC)


def test_what_a_signer_sees_fits_every_message():
    """Perfect blindness: for any B and any message there is a factor that explains B."""
    blinded, factor = blind(bytes(32), secrets.token_bytes)
    secret_of_point = random_scalar(secrets.token_bytes)
    other = hash_to_g1(bytes(32)) * secret_of_point
    assert other * (factor / secret_of_point) == blinded


def test_each_signature_masks_the_share_afresh_and_gives_the_same_answer():
    drawn = []

    def recorded(size):
        drawn.append(secrets.token_bytes(size))
        return drawn[-1]

    blinded, _ = blind(bytes(32), secrets.token_bytes)
    answers = {sign_blinded(SHARE, blinded, recorded) for _ in range(5)}
    assert answers == {blinded * SECRET}
    assert len(set(drawn)) == 5
    assert {len(each) for each in drawn} == {64}


def test_an_erased_share_signs_nothing():
    share = SecretScalar(SECRET)
    share.erase()
    with pytest.raises(LocalProtocolError):
        sign_blinded(share, hash_to_g1(bytes(32)), secrets.token_bytes)
