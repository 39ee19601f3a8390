"""Dealings, complaints and answers on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.keygen_payloads import (
    Dealings,
    SealedDealing,
    decode_messages,
    encode_messages,
)
from qnet.crypto.dkg_messages import MAX_DEALING_BYTES, Answer, Complaint
from qnet.errors import DecodeError
from qnet.messages.instruments import KEYS

sealed = st.builds(
    SealedDealing,
    st.binary(max_size=300),
    st.dictionaries(st.integers(0, 255), st.binary(min_size=48, max_size=48), max_size=6).map(
        lambda shares: dict(sorted(shares.items()))
    ),
)
dealings = st.builds(
    Dealings, st.binary(min_size=32, max_size=32), st.tuples(*[sealed for _ in range(KEYS)])
)
session = st.binary(min_size=32, max_size=32)
byte = st.integers(0, 255)
messages = st.lists(
    st.one_of(
        st.builds(Complaint, session, byte, byte),
        st.builds(Answer, session, byte, byte, st.binary(min_size=32, max_size=32)),
    ),
    max_size=20,
)


@given(dealings)
def test_dealings_come_back_as_they_were(value: Dealings):
    assert Dealings.decode(value.encode()) == value


@given(messages)
def test_messages_come_back_as_they_were(value):
    assert decode_messages(encode_messages(value)) == value


@given(st.binary(max_size=500))
def test_rubbish_does_no_harm(data: bytes):
    for decode in (Dealings.decode, decode_messages):
        try:
            decode(data)
        except DecodeError:
            continue


def test_a_message_that_does_not_decode_is_left_out():
    good = Complaint(b"\x01" * 32, 1, 2)
    wire = good.encode()
    joined = b"\0\3" + bytes([len(wire)]) + wire + b"\2xx" + bytes([len(wire)]) + wire
    assert decode_messages(joined) == [good, good]


def test_bounds_are_kept():
    exchange = bytes(32)
    empty = b"\0\0\0" * (KEYS - 1)
    long = (MAX_DEALING_BYTES + 1).to_bytes(2, "big") + bytes(MAX_DEALING_BYTES + 1) + b"\0"
    doubled = b"\0\0\2" + (b"\1" + bytes(48)) * 2
    falling = b"\0\0\2" + b"\2" + bytes(48) + b"\1" + bytes(48)
    for first in (long, doubled, falling):
        with pytest.raises(DecodeError):
            Dealings.decode(exchange + first + empty)
    with pytest.raises(DecodeError):
        decode_messages((1025).to_bytes(2, "big") + b"\0" * 1025)
