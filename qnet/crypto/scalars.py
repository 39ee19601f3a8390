"""Scalars of BLS12-381: integers modulo the prime group order q (255 bits).

Arithmetic is the native library's (arkworks). It is **not** constant-time: neither its field
inversion nor its scalar multiplication promises it, and Python integers never do. What follows
from that is said where a secret meets a point that an adversary chose (`blind.sign_blinded`).
Scalars of the library and Python's `bytes` cannot be wiped; a `SecretScalar` keeps the one
long-lived copy of a secret in memory that can.

Source: draft-irtf-cfrg-pairing-friendly-curves, section 4.2.1 (the order r, here q);
draft-irtf-cfrg-bls-signature, section 2.3 (uniform scalars from more bits than the order has).
"""

from typing import Final, TypeAlias

from py_arkworks_bls12381 import Scalar as _NativeScalar

from qnet.crypto.errors import ScalarError
from qnet.errors import LocalProtocolError
from qnet.sampling import RandomBytes

ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""q, the number of points of G1 and of G2."""
SCALAR_BYTES: Final = 32
WIDE_BYTES: Final = 64
"""Bytes that are reduced to one scalar; its bias is below 2^-256."""

Scalar: TypeAlias = _NativeScalar


def reduce_wide(wide: bytes) -> Scalar:
    """Map 64 uniform bytes to a scalar from 1 to q - 1, never 0.

    Raises:
        LocalProtocolError: not 64 bytes.
    """
    if len(wide) != WIDE_BYTES:
        raise LocalProtocolError(f"a scalar is reduced from {WIDE_BYTES} bytes")
    return Scalar(1 + int.from_bytes(wide, "big") % (ORDER - 1))


def random_scalar(random: RandomBytes) -> Scalar:
    """Draw a scalar from 1 to q - 1.

    Args:
        random: the operating system's source (`secrets.token_bytes`), never a seeded one.
    """
    return reduce_wide(random(WIDE_BYTES))


def encode_scalar(scalar: Scalar) -> bytes:
    """Return 32 bytes, big-endian."""
    return scalar.to_be_bytes()


def decode_scalar(data: bytes) -> Scalar:
    """Read a scalar from 1 to q - 1.

    Args:
        data: 32 bytes, big-endian.

    Raises:
        ScalarError: another size, zero, or q and above.
    """
    if len(data) != SCALAR_BYTES:
        raise ScalarError
    try:
        scalar = Scalar.from_be_bytes(data)
    except ValueError:
        raise ScalarError from None
    if scalar.is_zero():
        raise ScalarError
    return scalar


class SecretScalar:
    """A secret kept for long, erasable; it never shows in a `repr`.

    Args:
        scalar: the secret, any value.
    """

    __slots__ = ("_bytes",)

    def __init__(self, scalar: Scalar) -> None:
        self._bytes = bytearray(encode_scalar(scalar))

    @property
    def erased(self) -> bool:
        """Whether `erase` was called."""
        return not self._bytes

    def reveal(self) -> Scalar:
        """Return the secret for one computation; the caller keeps no reference to it.

        Raises:
            LocalProtocolError: it was erased.
        """
        if self.erased:
            raise LocalProtocolError("the secret was erased")
        return Scalar.from_be_bytes(bytes(self._bytes))

    def erase(self) -> None:
        """Overwrite the secret with zeros and forget it; a second call does nothing."""
        self._bytes[:] = bytes(len(self._bytes))
        self._bytes.clear()
