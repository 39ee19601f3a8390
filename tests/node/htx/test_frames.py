"""Contents of control records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.htx import frames
from node.htx.events import CloseReason
from qnet.errors import DecodeError


@given(st.integers(0, 2**32 - 1), st.binary(min_size=32, max_size=32))
def test_key_update_round_trip(generation, share):
    update = frames.KeyUpdate(generation, share)
    assert frames.KeyUpdate.decode(update.encode()) == update
    assert frames.decode_key_switch(frames.encode_key_switch(generation)) == generation


def test_padding_carries_nothing():
    frames.decode_padding(b"")
    with pytest.raises(DecodeError):
        frames.decode_padding(b"x")


@pytest.mark.parametrize("reason", list(CloseReason))
def test_close_round_trip(reason):
    assert frames.decode_close(frames.encode_close(reason)) is reason


def test_close_with_a_later_reason_is_done():
    assert frames.decode_close(b"\xff") is CloseReason.DONE


@given(st.binary(max_size=64))
def test_decoders_never_crash(data):
    decoders = (
        frames.KeyUpdate.decode,
        frames.decode_key_switch,
        frames.decode_close,
        frames.decode_padding,
        frames.decode_ping,
    )
    for decode in decoders:
        try:
            decode(data)
        except DecodeError:
            continue
