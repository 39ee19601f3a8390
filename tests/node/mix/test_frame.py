import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.mix.envelope import FRAME_BYTES
from node.mix.frame import (
    DATA_BYTES,
    MAX_FRAGMENTS,
    REPLY_BYTES,
    AckFrame,
    DataFrame,
    Fragment,
    ReplyFrame,
    decode_frame,
    fragments_of,
)
from node.mix.surb import SURB_BYTES
from qnet.errors import DecodeError, LocalProtocolError

NAME = secrets.token_bytes(16)
SURB = secrets.token_bytes(SURB_BYTES)


@given(st.integers(0, 6 * REPLY_BYTES), st.sampled_from([DATA_BYTES, REPLY_BYTES]))
def test_messages_are_cut_and_put_together(size, part_bytes):
    body = bytes(number % 251 for number in range(size))
    fragments = list(fragments_of(NAME, body, part_bytes))
    assert b"".join(fragment.data for fragment in fragments) == body
    for fragment in fragments:
        frame = DataFrame(fragment, SURB) if part_bytes == DATA_BYTES else ReplyFrame(fragment)
        assert len(frame.encode()) == FRAME_BYTES
        assert decode_frame(frame.encode()) == frame


def test_the_longest_message():
    body = bytes(MAX_FRAGMENTS * DATA_BYTES)
    assert len(list(fragments_of(NAME, body, DATA_BYTES))) == MAX_FRAGMENTS
    with pytest.raises(LocalProtocolError):
        list(fragments_of(NAME, body + b"\0", DATA_BYTES))


@given(st.sets(st.integers(0, MAX_FRAGMENTS - 1)))
def test_acknowledgements(held):
    ack = AckFrame(NAME, MAX_FRAGMENTS, frozenset(held))
    assert decode_frame(ack.encode()) == ack
    assert ack.is_complete == (len(held) == MAX_FRAGMENTS)


@given(st.binary(max_size=400), st.integers(0, 1))
def test_reading_never_crashes(data, whole):
    data = data.ljust(FRAME_BYTES, b"\0") if whole else data
    try:
        frame = decode_frame(data)
    except DecodeError:
        return
    assert frame.encode() == data


@given(
    st.integers(0, 5),
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(0, 2**16 - 1),
    st.booleans(),
)
def test_forged_heads_are_canonical_or_refused(kind, index, count, length, filled):
    head = (
        bytes([kind])
        + NAME
        + b"".join(value.to_bytes(2, "big") for value in (index, count, length))
    )
    data = head.ljust(FRAME_BYTES, b"\7" if filled else b"\0")
    try:
        frame = decode_frame(data)
    except DecodeError:
        return
    assert frame.encode() == data
    assert index < count <= MAX_FRAGMENTS


@pytest.mark.parametrize(
    "frame",
    [
        DataFrame(Fragment(NAME, 0, 2, b"short"), SURB),
        ReplyFrame(Fragment(NAME, 1, 3, b"short")),
        ReplyFrame(Fragment(NAME, 3, 3, b"")),
        ReplyFrame(Fragment(NAME, 0, 0, b"")),
        ReplyFrame(Fragment(NAME, 0, 257, bytes(REPLY_BYTES))),
        AckFrame(NAME, 2, frozenset({2})),
    ],
)
def test_frames_that_are_refused(frame):
    with pytest.raises(DecodeError):
        decode_frame(frame.encode())


def test_fragments_that_do_not_fit():
    with pytest.raises(LocalProtocolError):
        DataFrame(Fragment(NAME, 0, 1, bytes(DATA_BYTES + 1)), SURB).encode()
