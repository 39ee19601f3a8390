"""Key pairs of the protocol: Ed25519, X25519 and secp256k1, each behind a small type."""

import hmac
from typing import Final, Self

import coincurve
from Crypto.Hash import keccak
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from qnet.errors import CryptoError

PUBLIC_BYTES: Final = 32
SECRET_BYTES: Final = 32
ED25519_SIGNATURE_BYTES: Final = 64
EVM_SIGNATURE_BYTES: Final = 65
ADDRESS_BYTES: Final = 20

_SECP256K1_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_HALF_ORDER: Final = _SECP256K1_ORDER // 2


def keccak256(data: bytes) -> bytes:
    """Keccak-256 as the EVM uses it (not SHA3-256), 32 bytes."""
    return keccak.new(digest_bits=256, data=data).digest()


def constant_time_equal(left: bytes, right: bytes) -> bool:
    """Compare two byte strings without revealing where they differ."""
    return hmac.compare_digest(left, right)


class SigningKey:
    """An Ed25519 key.

    Args:
        secret: 32-byte seed.
    """

    __slots__ = ("_key", "public")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise CryptoError
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.public: Final[bytes] = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of `message` (RFC 8032)."""
        return self._key.sign(message)


def verify_ed25519(public: bytes, signature: bytes, message: bytes) -> None:
    """Check an Ed25519 signature.

    Raises:
        CryptoError: the key or the signature is not valid.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise CryptoError from error


class DhKey:
    """An X25519 key.

    Args:
        secret: 32 bytes.
    """

    __slots__ = ("_key", "public")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise CryptoError
        self._key = X25519PrivateKey.from_private_bytes(secret)
        self.public: Final[bytes] = self._key.public_key().public_bytes_raw()

    def exchange(self, peer: bytes) -> bytes:
        """Return the 32-byte shared secret (RFC 7748).

        Raises:
            CryptoError: the peer's point has low order (all-zero result) or a wrong size.
        """
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(peer))
        except ValueError as error:
            raise CryptoError from error


class ReceiptKey:
    """A secp256k1 key whose signatures the EVM verifies.

    Args:
        secret: 32 bytes, between 1 and the group order.
    """

    __slots__ = ("_key", "address")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise CryptoError
        try:
            self._key = coincurve.PrivateKey(secret)
        except ValueError as error:
            raise CryptoError from error
        self.address: Final[bytes] = address_of(self._key.public_key.format(compressed=False))

    @classmethod
    def generate(cls) -> Self:
        """Return a fresh key from the operating system's randomness."""
        return cls(coincurve.PrivateKey().secret)

    @property
    def secret(self) -> bytes:
        """The 32-byte secret, for the keystore only."""
        return self._key.secret

    def sign(self, digest: bytes) -> bytes:
        """Sign a 32-byte digest: r ‖ s ‖ v, 65 bytes, s in the lower half, v 27 or 28."""
        if len(digest) != 32:
            raise CryptoError
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([signature[64] + 27])


def address_of(uncompressed: bytes) -> bytes:
    """EVM address (20 bytes) of a 65-byte uncompressed secp256k1 point."""
    return keccak256(uncompressed[1:])[12:]


def recover(digest: bytes, signature: bytes) -> bytes:
    """Return the 20-byte address that signed a 32-byte digest.

    Raises:
        CryptoError: malformed, or s in the upper half (every message has one signature).
    """
    if len(signature) != EVM_SIGNATURE_BYTES or len(digest) != 32 or signature[64] not in {27, 28}:
        raise CryptoError
    if int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        raise CryptoError
    compact = signature[:64] + bytes([signature[64] - 27])
    try:
        point = coincurve.PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except Exception as error:  # coincurve raises bare Exception for points off the curve
        raise CryptoError from error
    return address_of(point.format(compressed=False))
