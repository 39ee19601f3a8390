import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from qnet.crypto import kdf, kem
from qnet.crypto.aead import OpeningKey, SealingKey
from qnet.crypto.keys import (
    DhKey,
    ReceiptKey,
    SigningKey,
    constant_time_equal,
    keccak256,
    recover,
    verify_ed25519,
)
from qnet.errors import CryptoError, LocalProtocolError

secrets32 = st.binary(min_size=32, max_size=32)
HALF = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
ORDER = 2 * HALF + 1


def test_rfc8032_vector_1():
    key = SigningKey(
        bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )
    assert key.public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    signature = key.sign(b"")
    assert signature.hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065")
    verify_ed25519(key.public, signature, b"")


@given(secrets32, st.binary(max_size=50), st.integers(0, 511))
def test_ed25519_refuses_every_flipped_bit(secret, message, bit):
    key = SigningKey(secret)
    signature = bytearray(key.sign(message))
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CryptoError):
        verify_ed25519(key.public, bytes(signature), message)


def test_rfc7748_vector():
    alice = DhKey(bytes.fromhex("77076d0a7318a57d3c16c17251b26645edb44cf5a42f1e42a5a2b2a5f5a5a5a5"))
    bob = DhKey(bytes(range(32)))
    assert alice.exchange(bob.public) == bob.exchange(alice.public)
    scalar = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    point = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    expected = "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    assert DhKey(scalar).exchange(point).hex() == expected


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31), b"short"])
def test_points_of_low_order_are_refused(point):
    with pytest.raises(CryptoError):
        DhKey(bytes(range(32))).exchange(point)


@pytest.mark.parametrize("kind", [SigningKey, DhKey, ReceiptKey])
def test_secrets_of_a_wrong_size(kind):
    with pytest.raises(CryptoError):
        kind(b"short")


def test_receipt_key_agrees_with_ethereum():
    key = ReceiptKey.generate()
    assert key.address == bytes.fromhex(Account.from_key(key.secret).address[2:])
    digest = keccak256(b"digest")
    signed = Account.unsafe_sign_hash(digest, key.secret)
    assert recover(digest, bytes(signed.signature)) == key.address
    assert recover(digest, key.sign(digest)) == key.address
    with pytest.raises(CryptoError):
        key.sign(b"short")
    with pytest.raises(CryptoError):
        ReceiptKey(bytes(32))


def test_malleable_and_malformed_signatures():
    key = ReceiptKey.generate()
    digest = keccak256(b"digest")
    signature = key.sign(digest)
    s = int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + (ORDER - s).to_bytes(32, "big") + bytes([55 - signature[64]])
    for wrong in (twin, signature[:64], signature[:64] + b"\x05", bytes(64) + b"\x1b"):
        with pytest.raises(CryptoError):
            recover(digest, wrong)
    off_curve = bytes([0xFF] * 32) + (1).to_bytes(32, "big") + b"\x1b"
    with pytest.raises(CryptoError):
        recover(digest, off_curve)


def test_kem_round_trip_and_sizes():
    key = kem.KemKey(bytes(range(64)))
    assert len(key.public) == kem.PUBLIC_BYTES
    shared, ciphertext = kem.encapsulate(key.public)
    assert len(ciphertext) == kem.CIPHERTEXT_BYTES
    assert key.decapsulate(ciphertext) == shared
    with pytest.raises(CryptoError):
        key.decapsulate(ciphertext[:-1])
    with pytest.raises(CryptoError):
        kem.encapsulate(b"short")
    with pytest.raises(CryptoError):
        kem.KemKey(b"short")


def test_aead_counters_never_repeat_and_order_matters():
    sealing, opening = SealingKey(bytes(32)), OpeningKey(bytes(32))
    first, second = sealing.seal(b"a", b"x"), sealing.seal(b"a", b"x")
    assert first != second
    with pytest.raises(CryptoError):
        opening.open(second, b"x")
    assert opening.open(first, b"x") == b"a"
    with pytest.raises(CryptoError):
        opening.open(second, b"y")
    assert opening.open(second, b"x") == b"a"
    sealing.counter = (1 << 64) - 1
    with pytest.raises(LocalProtocolError):
        sealing.seal(b"a")


def test_labels_are_distinct_and_separate_keys():
    values = [label.value for label in kdf.Label]
    assert len(set(values)) == len(values)
    outputs = {kdf.derive_key(label, b"same") for label in kdf.Label}
    assert len(outputs) == len(values)
    assert kdf.derive_key(kdf.Label.HTX_ROOT, b"m", 64)[:32] == kdf.derive_key(
        kdf.Label.HTX_ROOT, b"m"
    )
    assert kdf.keyed(bytes(32), b"a") != kdf.blake3(b"a")
    assert kdf.node_id_of(b"k" * 32) == kdf.blake3(b"k" * 32)


def test_keccak_is_not_sha3():
    assert keccak256(b"").hex() == (
        "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    )
    assert constant_time_equal(b"a", b"a")
    assert not constant_time_equal(b"a", b"b")
