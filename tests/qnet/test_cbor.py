import contextlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qnet import cbor
from qnet.errors import DecodeError

LIMIT = 1 << 16
scalars = (
    st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=30)
    | st.text(max_size=20)
    | st.booleans()
    | st.none()
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.integers(0, 99), inner, max_size=4)
    ),
    max_leaves=20,
)


def depth(value):
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(values)
def test_round_trip(value):
    if depth(value) <= cbor.MAX_DEPTH:
        assert cbor.loads(cbor.dumps(value), max_bytes=LIMIT) == value
        return
    with pytest.raises((ValueError, DecodeError), match="deeply"):
        cbor.loads(cbor.dumps(value), max_bytes=LIMIT)


@given(st.binary(max_size=200))
def test_garbage_never_crashes(data):
    try:
        value = cbor.loads(data, max_bytes=LIMIT)
    except DecodeError:
        return
    assert cbor.dumps(value) == data


@given(values, st.integers(0, 10_000), st.integers(1, 255))
def test_flipped_bytes_give_another_value_or_an_error(value, position, mask):
    assume(depth(value) <= cbor.MAX_DEPTH)
    data = bytearray(cbor.dumps(value))
    data[position % len(data)] ^= mask
    with contextlib.suppress(DecodeError):
        assert cbor.dumps(cbor.loads(bytes(data), max_bytes=LIMIT)) == bytes(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("1801", "deterministic"),  # 1 in two bytes
        ("a2616201616102", "deterministic"),  # keys out of order
        ("a2616101616101", "deterministic"),  # duplicate key
        ("9f01ff", "indefinite"),
        ("c100", "tag"),
        ("fb3ff0000000000000", "float"),
        ("f7", "float or simple"),
        ("0101", "follow"),
        ("82", "early"),
        ("5b7fffffffffffffff", "early"),
        ("9b7fffffffffffffff", "early"),
        ("81" * 40 + "01", "deeply"),
        ("1a0000", "early"),
        ("61ff", "malformed"),
    ],
)
def test_forms_that_are_refused(data, problem):
    with pytest.raises(DecodeError, match=problem):
        cbor.loads(bytes.fromhex(data), max_bytes=LIMIT)


def test_size_is_checked_first():
    with pytest.raises(DecodeError, match="exceeds 10"):
        cbor.loads(b"\x00" * 11, max_bytes=10)


@pytest.mark.parametrize("value", [1.5, {1, 2}, {True: 1}, {(1,): 1}, object()])
def test_types_outside_the_subset(value):
    with pytest.raises(TypeError):
        cbor.dumps(value)


def test_large_integers_are_refused():
    with pytest.raises(ValueError, match="64 bits"):
        cbor.dumps(1 << 64)
