"""A second implementation of BLS12-381 (py_ecc, pure Python and slow) and points of low order."""

from hashlib import sha256

from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.optimized_bls12_381 import (
    FQ,
    FQ2,
    FQ12,
    b,
    b2,
    curve_order,
    field_modulus,
    is_inf,
    is_on_curve,
    multiply,
    neg,
    normalize,
    pairing,
)

WORD = 64
# RFC 9380, sections 8.8.1 and 8.8.2, give effective cofactors; these are the curves' own, the
# number of their points divided by the group order.
COFACTOR_G1 = 0x396C8C005555E1568C00AAAB0000AAAB
COFACTOR_G2 = int(
    "5d543a95414e7f1091d50792876a202cd91de4547085abaa68a205b2e5a7ddfa"
    "628f1cb4d9e82ef21537e293a6691ae1616ec6e786f0c70cf1c38e31c7238e5",
    16,
)


def _fields(data):
    return [int.from_bytes(data[at + 16 : at + WORD], "big") for at in range(0, len(data), WORD)]


def _join(*fields):
    return b"".join(int(field).to_bytes(WORD, "big") for field in fields)


def g1_from_eip2537(data):
    x, y = _fields(data)
    return FQ(x), FQ(y), FQ.one()


def g2_from_eip2537(data):
    x0, x1, y0, y1 = _fields(data)
    return FQ2((x0, x1)), FQ2((y0, y1)), FQ2.one()


def g1_to_eip2537(point):
    x, y = normalize(point)
    return _join(x, y)


def g2_to_eip2537(point):
    x, y = normalize(point)
    return _join(*x.coeffs, *y.coeffs)


def compress(eip2537):
    """ZCash's compressed form of an uncompressed point, from the definition."""
    fields = _fields(eip2537)
    half = len(fields) // 2
    x, y = fields[:half][::-1], fields[half:][::-1]
    negative = [(field_modulus - field) % field_modulus for field in y]
    encoded = bytearray(b"".join(field.to_bytes(48, "big") for field in x))
    encoded[0] |= 0x80 | (0x20 if y > negative else 0)
    return bytes(encoded)


def hash_g1(message, dst):
    return g1_to_eip2537(hash_to_G1(message, dst, sha256))


def product_is_one(pairs):
    """Whether the product of e(P, Q) is 1, for pairs of EIP-2537 encodings."""
    product = FQ12.one()
    for g1, g2 in pairs:
        product *= pairing(g2_from_eip2537(g2), g1_from_eip2537(g1))
    return product == FQ12.one()


def negated_g1(data):
    return g1_to_eip2537(neg(g1_from_eip2537(data)))


def times_g1(data, scalar):
    return g1_to_eip2537(multiply(g1_from_eip2537(data), scalar))


def times_g2(data, scalar):
    return g2_to_eip2537(multiply(g2_from_eip2537(data), scalar))


def low_order_g1(prime):
    """A point of order `prime` (a factor of the cofactor) on the curve of G1, EIP-2537."""
    candidates = []
    for x in range(1, 30):
        square = (FQ(x) ** 3 + b).n
        y = pow(square, (field_modulus + 1) // 4, field_modulus)
        if y * y % field_modulus == square:
            candidates.append((FQ(x), FQ(y), FQ.one()))
    point = _of_order(prime, COFACTOR_G1, candidates)
    assert is_on_curve(point, b)
    return g1_to_eip2537(point)


def low_order_g2(prime, on_curve):
    """A point of order `prime` on the curve of G2, from points on it (EIP-2537)."""
    point = _of_order(prime, COFACTOR_G2, map(g2_from_eip2537, on_curve))
    assert is_on_curve(point, b2)
    return g2_to_eip2537(point)


def _of_order(prime, cofactor, candidates):
    exponent = cofactor * curve_order
    while exponent % prime == 0:
        exponent //= prime
    for candidate in candidates:
        point = multiply(candidate, exponent)
        while not is_inf(point):
            below, point = point, multiply(point, prime)
            if is_inf(point):
                return below
    raise AssertionError("no point found")
