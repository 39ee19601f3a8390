"""X25519 shares that look like 32 random bytes (Elligator 2).

A share as RFC 7748 writes it is the coordinate of a point of the curve's prime subgroup, which
random bytes are in one of 32 cases only. Here a random point of low order is added, and the
result is written as its representative. Big integers of Python do not take constant time; the
values they work on here are sent in the clear or used once.

Source: docs/spec/mixnet.md, QN-MIX-081 and 082; Bernstein, Hamburg, Krasnova, Lange: Elligator
(2013), section 5; RFC 7748, section 4.1.
"""

from typing import Final

from qnet.crypto.keys import DhKey
from qnet.errors import CryptoError
from qnet.sampling import RandomBytes

REPRESENTATIVE_BYTES: Final = 32

_P: Final = 2**255 - 19
_A: Final = 486662
_ROOT_OF_MINUS_ONE: Final = pow(2, (_P - 1) // 4, _P)
_ORDER_8: Final = 325606250916557431795983626356110631294008115727848805560023387167927233504
_HALF: Final = (_P - 1) // 2
_KEPT: Final = (1 << 254) - 1
"""Bits of a representative; the two above are random."""


def _root(square: int) -> int | None:
    """A square root modulo p, or None."""
    root = pow(square, (_P + 3) // 8, _P)
    if root * root % _P != square % _P:
        root = root * _ROOT_OF_MINUS_ONE % _P
    return root if root * root % _P == square % _P else None


def _curve(u: int) -> int:
    """v² for a coordinate u."""
    return (u * u * u + _A * u * u + u) % _P


def _other_coordinate(u: int) -> int:
    """One of the two v of a point.

    Raises:
        CryptoError: no point of the curve has that u.
    """
    v = _root(_curve(u))
    if v is None:
        raise CryptoError
    return v


def _low_order() -> tuple[tuple[int, int] | None, ...]:
    """The eight points of low order; None stands for infinity."""
    points: list[tuple[int, int] | None] = [None, (0, 0)]
    for u in (1, _ORDER_8, pow(_ORDER_8, -1, _P)):
        v = _other_coordinate(u)
        points += [(u, v), (u, _P - v)]
    return tuple(points)


_LOW_ORDER: Final = _low_order()


def _add(u: int, point: tuple[int, int] | None) -> int:
    """Coordinate of a point with coordinate `u`, either of the two, plus one of low order."""
    v = _other_coordinate(u)
    if point is None:
        return u
    slope = (v - point[1]) * pow(u - point[0], -1, _P)
    return (slope * slope - _A - u - point[0]) % _P


def share_of(representative: bytes) -> bytes:
    """Return the share (32 bytes) that a representative stands for; every one stands for one."""
    r = int.from_bytes(representative, "little") & _KEPT
    u = -_A * pow(1 + 2 * r * r, -1, _P) % _P
    if pow(_curve(u), _HALF, _P) == _P - 1:
        u = (-u - _A) % _P
    return u.to_bytes(REPRESENTATIVE_BYTES, "little")


def representative_of(share: bytes, choice: int) -> bytes | None:
    """Write a share so that it looks random; None for every second one, which cannot be.

    Args:
        share: coordinate of any point of the curve, 32 bytes.
        choice: random, 0 to 7: sign and the two highest bits.
    """
    u = int.from_bytes(share, "little")
    over, under = (-u, 2 * (u + _A)) if choice & 1 else (-(u + _A), 2 * u)
    if not under % _P:
        return None
    root = _root(over * pow(under, -1, _P) % _P)
    if root is None:
        return None
    value = min(root, _P - root) | (choice >> 1) << 254
    return value.to_bytes(REPRESENTATIVE_BYTES, "little")


def draw_share(random: RandomBytes) -> tuple[DhKey, bytes]:
    """Draw a key whose share has a representative.

    Returns:
        The key, and the representative of its share plus a random point of low order: a peer's
        X25519 with what it stands for gives the same secret as with the share.
    """
    while True:
        key = DhKey(random(32))
        lot = random(1)[0]
        u = _add(int.from_bytes(key.public, "little"), _LOW_ORDER[lot & 7])
        share = u.to_bytes(REPRESENTATIVE_BYTES, "little")
        representative = representative_of(share, lot >> 3 & 7)
        if representative is not None:
            return key, representative
