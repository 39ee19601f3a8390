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


@given(
    st.lists(
        st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)), min_size=1, max_size=20
    )
)
def test_credits_round_trip(pairs):
    assert frames.decode_credits(frames.encode_credits(pairs)) == pairs


def test_credit_limits():
    for data in (b"", bytes(7), bytes(9), bytes(8 * (frames.MAX_CREDITS + 1))):
        with pytest.raises(DecodeError):
            frames.decode_credits(data)


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
        frames.decode_credits,
        frames.decode_ping,
    )
    for decode in decoders:
        try:
            decode(data)
        except DecodeError:
            continue
