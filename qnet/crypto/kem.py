"""ML-KEM-768, the post-quantum half of the link handshake. Source: FIPS 203."""

from typing import Final

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey

from qnet.errors import CryptoError

PUBLIC_BYTES: Final = 1184
CIPHERTEXT_BYTES: Final = 1088
SHARED_BYTES: Final = 32
SEED_BYTES: Final = 64


class KemKey:
    """A decapsulation key.

    Args:
        seed: 64 bytes (d ‖ z of FIPS 203, section 7.1).
    """

    __slots__ = ("_key", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise CryptoError
        self._key = MLKEM768PrivateKey.from_seed_bytes(seed)
        self.public: Final[bytes] = self._key.public_key().public_bytes_raw()

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """Return the 32-byte shared secret of a 1,088-byte ciphertext.

        Raises:
            CryptoError: the ciphertext has a wrong size.
        """
        if len(ciphertext) != CIPHERTEXT_BYTES:
            raise CryptoError
        return self._key.decapsulate(ciphertext)


def encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """Return (shared secret 32 bytes, ciphertext 1,088 bytes) for a 1,184-byte public key.

    The randomness is drawn inside the library, from the operating system.

    Raises:
        CryptoError: the public key is not valid.
    """
    try:
        return MLKEM768PublicKey.from_public_bytes(public).encapsulate()
    except ValueError as error:
        raise CryptoError from error
