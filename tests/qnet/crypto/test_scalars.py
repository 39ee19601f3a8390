import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st
from py_ecc.optimized_bls12_381 import curve_order

from qnet.crypto.errors import ScalarError
from qnet.crypto.scalars import (
    ORDER,
    SCALAR_BYTES,
    Scalar,
    SecretScalar,
    decode_scalar,
    encode_scalar,
    random_scalar,
    reduce_wide,
)
from qnet.errors import LocalProtocolError


def test_order_is_that_of_the_oracle():
    assert curve_order == ORDER


@given(st.integers(1, ORDER - 1))
def test_round_trip(value):
    data = value.to_bytes(SCALAR_BYTES, "big")
    assert int(decode_scalar(data)) == value
    assert encode_scalar(decode_scalar(data)) == data


@pytest.mark.parametrize("value", [0, ORDER, ORDER + 1, (1 << 256) - 1])
def test_zero_and_unreduced_scalars_are_refused(value):
    with pytest.raises(ScalarError):
        decode_scalar(value.to_bytes(SCALAR_BYTES, "big"))


@given(st.binary(max_size=70))
def test_decode_never_crashes(data):
    try:
        scalar = decode_scalar(data)
    except ScalarError:
        return
    assert encode_scalar(scalar) == data


@given(st.binary(min_size=64, max_size=64))
def test_wide_bytes_never_give_zero(wide):
    assert int(reduce_wide(wide)) == 1 + int.from_bytes(wide, "big") % (ORDER - 1)


def test_edges_of_the_reduction():
    assert int(reduce_wide(bytes(64))) == 1
    assert int(reduce_wide((ORDER - 1).to_bytes(64, "big"))) == 1
    assert int(reduce_wide((ORDER - 2).to_bytes(64, "big"))) == ORDER - 1
    with pytest.raises(LocalProtocolError):
        reduce_wide(bytes(63))


def test_random_scalars_ask_for_64_bytes():
    asked = []

    def source(size):
        asked.append(size)
        return bytes(size - 1) + b"\x06"

    assert int(random_scalar(source)) == 7
    assert asked == [64]
    assert random_scalar(secrets.token_bytes) != random_scalar(secrets.token_bytes)


def test_a_secret_can_be_erased_and_does_not_show():
    secret = SecretScalar(Scalar(1234567))
    buffer = secret._bytes
    assert int(secret.reveal()) == 1234567
    assert "1234567" not in repr(secret)
    assert f"{1234567:x}" not in repr(secret)
    view = memoryview(bytearray(buffer))
    assert any(view)
    assert not secret.erased
    secret.erase()
    secret.erase()
    assert secret.erased
    assert not any(buffer)
    with pytest.raises(LocalProtocolError):
        secret.reveal()
