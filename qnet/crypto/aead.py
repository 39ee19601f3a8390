"""ChaCha20-Poly1305 with counter nonces: one owner for each (key, nonce) pair.

A key object hands out every counter once and cannot be told a nonce, so a pair never repeats.
Source: RFC 8439.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from qnet.errors import CryptoError, LocalProtocolError

TAG_BYTES: Final = 16
NONCE_BYTES: Final = 12
MAX_COUNTER: Final = (1 << 64) - 1


def counter_nonce(counter: int) -> bytes:
    """Nonce of a message: four zero bytes and the counter, little-endian (12 bytes)."""
    return b"\x00\x00\x00\x00" + counter.to_bytes(8, "little")


class SealingKey:
    """Encrypts messages 0, 1, 2, … under one key.

    Args:
        key: 32 bytes.
    """

    __slots__ = ("_cipher", "counter")

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self.counter = 0

    def seal(self, plaintext: bytes | memoryview, associated: bytes | None = None) -> bytes:
        """Return ciphertext ‖ tag (16 bytes) and step the counter.

        Raises:
            LocalProtocolError: the counter is used up.
        """
        counter = self.counter
        if counter >= MAX_COUNTER:
            raise LocalProtocolError("the key is used up")
        self.counter = counter + 1
        nonce = b"\x00\x00\x00\x00" + counter.to_bytes(8, "little")
        return self._cipher.encrypt(nonce, plaintext, associated)


class OpeningKey:
    """Decrypts messages 0, 1, 2, … under one key.

    Args:
        key: 32 bytes.
    """

    __slots__ = ("_cipher", "counter")

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self.counter = 0

    def open(self, ciphertext: bytes | memoryview, associated: bytes | None = None) -> bytes:
        """Return the plaintext of the next message; a failure leaves the counter as it was.

        Raises:
            CryptoError: the tag does not verify.
        """
        nonce = b"\x00\x00\x00\x00" + self.counter.to_bytes(8, "little")
        try:
            plaintext = self._cipher.decrypt(nonce, ciphertext, associated)
        except InvalidTag:
            raise CryptoError from None
        self.counter += 1
        return plaintext
