"""Encodings and group law of G1 and G2, against py_ecc and against hostile bytes."""

import secrets
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_arkworks_bls12381 import G1Point, G2Point

from qnet.crypto.errors import (
    IdentityPointError,
    OffCurveError,
    PointEncodingError,
    PointError,
    SubgroupError,
)
from qnet.crypto.points import FIELD_MODULUS, G1, G2, pairings_agree
from qnet.crypto.scalars import ORDER, Scalar, random_scalar
from qnet.errors import LocalProtocolError
from tests.support import bls_oracle as oracle

GROUPS = [G1, G2]
COMPRESSED_BYTES = {G1: 48, G2: 96}
EIP2537_BYTES = {G1: 128, G2: 256}
DST = b"QNET-TEST-BLS12381G1_XMD:SHA-256_SSWU_RO_"
scalars = st.integers(1, ORDER - 1)


def base(group):
    return G2.generator() if group is G2 else G1.hash(b"base", DST)


def some_point(group):
    return base(group) * random_scalar(secrets.token_bytes)


@cache
def outside(group, prime):
    """EIP-2537 encoding of a point of order `prime`."""
    if group is G1:
        return oracle.low_order_g1(prime)
    candidates = []
    for x in range(1, 60):
        compressed = bytes([0x80]) + bytes(94) + bytes([x])
        try:
            native = G2Point.from_compressed_bytes_unchecked(compressed)
        except ValueError:
            continue
        candidates.append(G2(native).encode_eip2537())
    return oracle.low_order_g2(prime, candidates)


@pytest.mark.parametrize("group", GROUPS)
@given(scalar=scalars)
def test_both_encodings_round_trip(group, scalar):
    point = base(group) * Scalar(scalar)
    compressed, eip2537 = point.encode(), point.encode_eip2537()
    assert (len(compressed), len(eip2537)) == (COMPRESSED_BYTES[group], EIP2537_BYTES[group])
    assert group.decode(compressed) == group.decode_eip2537(eip2537) == point
    assert compressed == oracle.compress(eip2537)
    assert hash(group.decode(compressed)) == hash(point)


@settings(max_examples=5)
@given(first=scalars, second=scalars)
def test_products_equal_the_oracle(first, second):
    for group, times in ((G1, oracle.times_g1), (G2, oracle.times_g2)):
        point = base(group) * Scalar(first)
        assert (point * Scalar(second)).encode_eip2537() == times(point.encode_eip2537(), second)


@settings(max_examples=5)
@given(message=st.binary(max_size=100))
def test_hash_equals_the_oracle(message):
    assert G1.hash(message, DST).encode_eip2537() == oracle.hash_g1(message, DST)


@settings(max_examples=2)
@given(left=scalars, right=scalars)
def test_pairing_check_equals_the_oracle(left, right):
    point, key = base(G1), base(G2)
    true = (point * Scalar(left), key * Scalar(right)), (point, key * Scalar(left) * Scalar(right))
    false = true[0], (point + point, true[1][1])
    for first, second in (true, false):
        encoded = [(p.encode_eip2537(), k.encode_eip2537()) for p, k in (first, second)]
        encoded[1] = oracle.negated_g1(encoded[1][0]), encoded[1][1]
        assert pairings_agree(first, second) == oracle.product_is_one(encoded)
    assert pairings_agree(*true)
    assert not pairings_agree(*false)


@pytest.mark.parametrize("group", GROUPS)
def test_sums_and_equality(group):
    point = some_point(group)
    three = point + point + point
    assert point * Scalar(3) == three
    assert group.weighted_sum([point, three], [Scalar(2), Scalar(5)]) == point * Scalar(17)
    assert (point + -point).is_identity
    assert not point.is_identity
    assert point != "a point"
    assert some_point(G1) != some_point(G2)
    assert repr(point) == f"{group.__name__}({point.encode().hex()})"


@pytest.mark.parametrize("group", GROUPS)
def test_a_sum_leaves_nothing_out(group):
    point = some_point(group)
    for points, weights in (([point, point], [Scalar(1)]), ([point], [Scalar(1)] * 2)):
        with pytest.raises(LocalProtocolError):
            group.weighted_sum(points, weights)
    assert group.weighted_sum([], []).is_identity


@pytest.mark.parametrize("size", [0, 15, 256])
def test_domain_separation_tags_have_16_to_255_bytes(size):
    with pytest.raises(LocalProtocolError):
        G1.hash(b"message", bytes(size))


@pytest.mark.parametrize("group", GROUPS)
def test_the_identity_is_neither_encoded_nor_decoded(group):
    identity = some_point(group) * Scalar(0)
    with pytest.raises(LocalProtocolError):
        identity.encode()
    with pytest.raises(LocalProtocolError):
        identity.encode_eip2537()
    with pytest.raises(IdentityPointError):
        group.decode(b"\xc0" + bytes(COMPRESSED_BYTES[group] - 1))
    with pytest.raises(IdentityPointError):
        group.decode_eip2537(bytes(EIP2537_BYTES[group]))


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("first", [0x00, 0x20, 0x40, 0x60, 0xE0, 0xC1, 0xDF])
def test_flags_that_no_canonical_encoding_has(group, first):
    with pytest.raises(PointEncodingError):
        group.decode(bytes([first]) + bytes(COMPRESSED_BYTES[group] - 1))


@pytest.mark.parametrize("group", GROUPS)
def test_the_native_library_takes_identities_that_are_refused_here(group):
    sloppy = b"\xe0" + bytes(COMPRESSED_BYTES[group] - 2) + b"\x01"
    native = G1Point if group is G1 else G2Point
    assert native.from_compressed_bytes(sloppy) == native.identity()
    with pytest.raises(PointEncodingError):
        group.decode(sloppy)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("change", [-1, 1])
def test_wrong_sizes(group, change):
    point = some_point(group)
    for decode, data in (
        (group.decode, point.encode()),
        (group.decode_eip2537, point.encode_eip2537()),
    ):
        with pytest.raises(PointEncodingError):
            decode(data[:-1] if change < 0 else data + b"\x00")
        with pytest.raises(PointEncodingError):
            decode(b"")


@pytest.mark.parametrize("group", GROUPS)
def test_coordinates_are_below_the_modulus(group):
    point = some_point(group)
    eip2537 = point.encode_eip2537()
    for start in range(0, EIP2537_BYTES[group], 64):
        field = int.from_bytes(eip2537[start : start + 64], "big")
        for wrong in (field + FIELD_MODULUS, FIELD_MODULUS, (1 << 384) - 1, field + (1 << 384)):
            data = eip2537[:start] + wrong.to_bytes(64, "big") + eip2537[start + 64 :]
            with pytest.raises(PointEncodingError):
                group.decode_eip2537(data)
    for start in range(0, COMPRESSED_BYTES[group], 48):
        data = bytearray(point.encode())
        flags = 0xA0 & data[0] if start == 0 else 0
        data[start : start + 48] = FIELD_MODULUS.to_bytes(48, "big")
        data[start] |= flags
        with pytest.raises(PointEncodingError):
            group.decode(bytes(data))


@pytest.mark.parametrize("group", GROUPS)
def test_padding_is_zero(group):
    for start in range(0, EIP2537_BYTES[group], 64):
        for place in (start, start + 15):
            data = bytearray(some_point(group).encode_eip2537())
            data[place] = 1
            with pytest.raises(PointEncodingError):
                group.decode_eip2537(bytes(data))


@pytest.mark.parametrize("group", GROUPS)
def test_points_off_the_curve(group):
    data = bytearray(some_point(group).encode_eip2537())
    data[-1] ^= 1
    with pytest.raises(OffCurveError):
        group.decode_eip2537(bytes(data))
    refused = 0
    for x in range(1, 40):
        try:
            group.decode(b"\x80" + bytes(COMPRESSED_BYTES[group] - 2) + bytes([x]))
        except OffCurveError:
            refused += 1
        except SubgroupError:
            pass
    assert refused > 5


@pytest.mark.parametrize(("group", "prime"), [(G1, 3), (G1, 11), (G2, 13), (G2, 23)])
def test_points_of_low_order(group, prime):
    data = outside(group, prime)
    with pytest.raises(SubgroupError):
        group.decode_eip2537(data)
    with pytest.raises(SubgroupError):
        group.decode(oracle.compress(data))


@pytest.mark.parametrize(("group", "prime"), [(G1, 3), (G1, 11), (G2, 13), (G2, 23)])
def test_good_points_with_a_low_order_part(group, prime):
    native = G1Point if group is G1 else G2Point
    fields = b"".join(
        outside(group, prime)[start + 16 : start + 64]
        for start in range(0, EIP2537_BYTES[group], 64)
    )
    low = native.from_xy_bytes_unchecked_be(fields)
    mixed = group(some_point(group).native + low)
    assert mixed * Scalar(1) == mixed
    with pytest.raises(SubgroupError):
        group.decode(mixed.encode())
    with pytest.raises(SubgroupError):
        group.decode_eip2537(mixed.encode_eip2537())


@pytest.mark.parametrize("group", GROUPS)
@given(data=st.data())
def test_decoders_never_crash_and_take_one_encoding_only(group, data):
    compressed = data.draw(st.booleans())
    size = (COMPRESSED_BYTES if compressed else EIP2537_BYTES)[group]
    decode = group.decode if compressed else group.decode_eip2537
    raw = data.draw(st.one_of(st.binary(max_size=300), st.binary(min_size=size, max_size=size)))
    try:
        point = decode(raw)
    except PointError:
        return
    assert (point.encode() if compressed else point.encode_eip2537()) == raw


@pytest.mark.parametrize("group", GROUPS)
@given(bit=st.integers(0, 2047))
def test_no_flipped_bit_gives_the_same_point(group, bit):
    point = base(group)
    for data, decode in (
        (point.encode(), group.decode),
        (point.encode_eip2537(), group.decode_eip2537),
    ):
        flipped = bytearray(data)
        flipped[bit // 8 % len(data)] ^= 1 << bit % 8
        try:
            assert decode(bytes(flipped)) != point
        except PointError:
            continue
