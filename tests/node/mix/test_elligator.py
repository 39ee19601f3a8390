import secrets
from collections import Counter
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.mix import elligator
from node.mix.elligator import draw_share, representative_of, share_of
from qnet.crypto.keys import DhKey
from qnet.errors import CryptoError

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
COUNT = 1500


def ladder(scalar, u):
    """Multiple of a point by its coordinate, for any scalar (RFC 7748, without clamping)."""
    x1, x2, z2, x3, z3 = u, 1, 0, u, 1
    for bit in f"{scalar:b}":
        if bit == "1":
            x2, z2, x3, z3 = x3, z3, x2, z2
        total, less = x2 + z2, x2 - z2
        square, other = total * total, less * less
        crossed, mixed = (x3 - z3) * total, (x3 + z3) * less
        x3, z3 = (crossed + mixed) ** 2 % P, x1 * (crossed - mixed) ** 2 % P
        x2 = square * other % P
        z2 = (square - other) * (square + 121665 * (square - other)) % P
        if bit == "1":
            x2, z2, x3, z3 = x3, z3, x2, z2
    return x2, z2


@given(st.binary(min_size=32, max_size=32))
@settings(deadline=None)
def test_every_string_stands_for_a_share_on_the_curve(representative):
    u = int.from_bytes(share_of(representative), "little")
    assert u < P
    assert pow(u**3 + 486662 * u * u + u, (P - 1) // 2, P) in {0, 1}


@given(st.binary(min_size=32, max_size=32), st.integers(0, 7))
@settings(deadline=None)
def test_writing_undoes_reading(data, choice):
    share = share_of(data)
    representative = representative_of(share, choice)
    if representative is not None:
        assert share_of(representative) == share


def test_both_sides_find_the_same_secret():
    for _ in range(30):
        recipient = DhKey(secrets.token_bytes(32))
        key, representative = draw_share(secrets.token_bytes)
        assert key.exchange(recipient.public) == recipient.exchange(share_of(representative))


def test_representatives_are_uniform():
    """Each of the 256 bits is set in half of the cases, and all bytes pass a chi-square test."""
    drawn = [draw_share(secrets.token_bytes)[1] for _ in range(COUNT)]
    values = [int.from_bytes(data, "little") for data in drawn]
    for bit in range(256):
        ones = sum(value >> bit & 1 for value in values)
        assert abs(ones - COUNT / 2) < 6 * sqrt(COUNT) / 2
    counts, expected = Counter(b"".join(drawn)), COUNT * 32 / 256
    statistic = sum((counts[value] - expected) ** 2 / expected for value in range(256))
    assert statistic < 255 + 6 * sqrt(2 * 255)


def test_shares_come_from_the_whole_curve():
    """One in eight lies in the prime subgroup, as of random points; plain shares all do."""
    inside, count = 0, 800
    for _ in range(count):
        u = int.from_bytes(share_of(draw_share(secrets.token_bytes)[1]), "little")
        inside += ladder(ORDER, u)[1] == 0
    assert abs(inside - count / 8) < 6 * sqrt(count * 7 / 64)
    plain = int.from_bytes(DhKey(secrets.token_bytes(32)).public, "little")
    assert ladder(ORDER, plain)[1] == 0


def test_low_order_points_have_low_order():
    points = elligator._LOW_ORDER
    assert len(set(points)) == 8
    for point in points[2:]:
        assert ladder(8, point[0])[1] == 0
    assert all(ladder(4, point[0])[1] != 0 for point in points[4:])


def test_points_off_the_curve_are_refused():
    with pytest.raises(CryptoError):
        elligator._add(2, None)
    assert representative_of(bytes(32), 0) is None
