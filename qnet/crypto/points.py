"""Points of BLS12-381: G1 (signatures, messages) and G2 (keys), checked when they are decoded.

A `G1` or `G2` made by `decode` or `decode_eip2537` lies on the curve, in the subgroup of prime
order, and is not the identity; its encoding was the only one of that point. Sums may be the
identity, which is never encoded. Two encodings:

| | compressed (ZCash) | uncompressed (EIP-2537) |
|---|---|---|
| G1 | 48: flags in the top 3 bits, x | 128: 16 zero bytes and x, 16 zero bytes and y |
| G2 | 96: flags, x.c1, x.c0 | 256: x.c0, x.c1, y.c0, y.c1, each after 16 zero bytes |

The native library accepts several encodings of the identity and leaves the subgroup to its
caller, so flags and field elements are checked here. Arithmetic takes variable time; see
`scalars`.

Source: draft-irtf-cfrg-pairing-friendly-curves, appendix C (ZCash format); EIP-2537, "Fine
points and encoding of base elements"; RFC 9380, section 8.8.1 (G1 suite).
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final, Generic, Self, TypeVar

from py_arkworks_bls12381 import GT
from py_arkworks_bls12381 import G1Point as _NativeG1
from py_arkworks_bls12381 import G2Point as _NativeG2

from qnet.crypto.errors import (
    IdentityPointError,
    OffCurveError,
    PointEncodingError,
    SubgroupError,
)
from qnet.crypto.scalars import Scalar
from qnet.errors import LocalProtocolError

FIELD_MODULUS: Final = int(
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf"
    "6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab",
    16,
)
FIELD_BYTES: Final = 48
G1_BYTES: Final = 48
G2_BYTES: Final = 96
G1_EIP2537_BYTES: Final = 128
G2_EIP2537_BYTES: Final = 256
MIN_DST_BYTES: Final = 16
MAX_DST_BYTES: Final = 255

_WORD_BYTES: Final = 64
_PADDING: Final = bytes(_WORD_BYTES - FIELD_BYTES)
_COMPRESSED: Final = 0x80
_INFINITY: Final = 0x40
_FLAGS: Final = 0xE0

_Native = TypeVar("_Native", _NativeG1, _NativeG2)


def _check_compressed(data: bytes, size: int) -> None:
    if len(data) != size or not data[0] & _COMPRESSED:
        raise PointEncodingError
    if data[0] & _INFINITY:
        if data[0] & ~_FLAGS or data[0] & 0x20 or any(data[1:]):
            raise PointEncodingError
        raise IdentityPointError
    _check_fields(bytes([data[0] & ~_FLAGS]) + data[1:])


def _check_fields(fields: bytes) -> None:
    for start in range(0, len(fields), FIELD_BYTES):
        if int.from_bytes(fields[start : start + FIELD_BYTES], "big") >= FIELD_MODULUS:
            raise PointEncodingError


def _without_padding(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise PointEncodingError
    words = [data[start : start + _WORD_BYTES] for start in range(0, size, _WORD_BYTES)]
    if any(not word.startswith(_PADDING) for word in words):
        raise PointEncodingError
    fields = b"".join(word[len(_PADDING) :] for word in words)
    _check_fields(fields)
    if not any(fields):
        raise IdentityPointError
    return fields


def _in_subgroup(native: _Native) -> _Native:
    if not native.is_in_subgroup():
        raise SubgroupError
    return native


class _Point(Generic[_Native]):
    """What both groups share. `native` is taken to lie in the subgroup."""

    __slots__ = ("native",)
    native: _Native

    _Library: ClassVar[Any]
    """The native class."""
    _compressed_bytes: ClassVar[int]
    _eip2537_bytes: ClassVar[int]

    def __init__(self, native: _Native) -> None:
        self.native = native

    def __add__(self, other: Self) -> Self:
        return type(self)(self.native + other.native)

    def __neg__(self) -> Self:
        return type(self)(-self.native)

    def __mul__(self, scalar: Scalar) -> Self:
        return type(self)(self.native * scalar)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.native == other.native

    def __hash__(self) -> int:
        return hash(self.native.to_compressed_bytes())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.native.to_compressed_bytes().hex()})"

    @property
    def is_identity(self) -> bool:
        """Whether this is the identity; only a sum or a product with 0 can be."""
        return self.native == type(self.native).identity()

    def encode(self) -> bytes:
        """Return the compressed encoding, 48 (G1) or 96 bytes (G2).

        Raises:
            LocalProtocolError: the point is the identity.
        """
        if self.is_identity:
            raise LocalProtocolError("the identity is never encoded")
        return self.native.to_compressed_bytes()

    def encode_eip2537(self) -> bytes:
        """Return the uncompressed encoding of EIP-2537, 128 (G1) or 256 bytes (G2).

        Raises:
            LocalProtocolError: the point is the identity.
        """
        if self.is_identity:
            raise LocalProtocolError("the identity is never encoded")
        fields = self.native.to_xy_bytes_be()
        return b"".join(
            _PADDING + fields[start : start + FIELD_BYTES]
            for start in range(0, len(fields), FIELD_BYTES)
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the compressed encoding, 48 (G1) or 96 bytes (G2).

        Raises:
            PointError: not canonical, off the curve, outside the subgroup, or the identity.
        """
        _check_compressed(data, cls._compressed_bytes)
        try:
            native = cls._Library.from_compressed_bytes_unchecked(data)
        except ValueError:
            raise OffCurveError from None
        return cls(_in_subgroup(native))

    @classmethod
    def decode_eip2537(cls, data: bytes) -> Self:
        """Read the uncompressed encoding of EIP-2537, 128 (G1) or 256 bytes (G2).

        Raises:
            PointError: not canonical, off the curve, outside the subgroup, or the identity.
        """
        fields = _without_padding(data, cls._eip2537_bytes)
        try:
            native = cls._Library.from_xy_bytes_unchecked_be(fields)
        except ValueError:
            raise OffCurveError from None
        return cls(_in_subgroup(native))

    @classmethod
    def weighted_sum(cls, points: Iterable[Self], weights: Sequence[Scalar]) -> Self:
        """Sum of weight · point; fast for many points and for short weights.

        Raises:
            LocalProtocolError: not one weight for each point.
        """
        natives = [point.native for point in points]
        # the native sum silently leaves out what has no partner
        if len(natives) != len(weights):
            raise LocalProtocolError("a sum takes one weight for each point")
        return cls(cls._Library.multiexp_unchecked(natives, list(weights)))


class G1(_Point[_NativeG1]):
    """A point of G1: a message hashed to the curve, or a signature."""

    __slots__ = ()
    _Library = _NativeG1
    _compressed_bytes = G1_BYTES
    _eip2537_bytes = G1_EIP2537_BYTES

    @classmethod
    def hash(cls, message: bytes, dst: bytes) -> Self:
        """Hash to the curve with suite BLS12381G1_XMD:SHA-256_SSWU_RO_ (RFC 9380, 8.8.1).

        Args:
            message: any bytes.
            dst: domain separation tag, 16 to 255 bytes (RFC 9380, 3.1), one for each use.

        Raises:
            LocalProtocolError: the tag has another size.
        """
        if not MIN_DST_BYTES <= len(dst) <= MAX_DST_BYTES:
            raise LocalProtocolError("a domain separation tag has 16 to 255 bytes")
        return cls(_NativeG1.hash_to_curve(message, dst))


class G2(_Point[_NativeG2]):
    """A point of G2: a public key, of a group or of one share."""

    __slots__ = ()
    _Library = _NativeG2
    _compressed_bytes = G2_BYTES
    _eip2537_bytes = G2_EIP2537_BYTES

    @classmethod
    def generator(cls) -> Self:
        """Return g2, the base point of keys."""
        return cls(_NativeG2())


def pairings_agree(left: tuple[G1, G2], right: tuple[G1, G2]) -> bool:
    """Whether e(left) = e(right), as one product of two pairings."""
    return GT.pairing_check([left[0].native, -right[0].native], [left[1].native, right[1].native])
