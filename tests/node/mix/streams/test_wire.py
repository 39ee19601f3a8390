"""Frames of tunnels: round trips, bounds, and a decoder that never crashes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.mix.envelope import FRAME_BYTES
from node.mix.frame import FrameKind, decode_frame
from node.mix.streams.wire import (
    BACKWARD_BYTES,
    FORWARD_BYTES,
    MAX_BLOCKS,
    WINDOW,
    Flag,
    Seen,
    TunnelFrame,
    TunnelReply,
    decode_tunnel_frame,
    decode_tunnel_reply,
)
from node.mix.surb import SURB_BYTES, Surb
from qnet.errors import DecodeError, LocalProtocolError

U16, U32 = (1 << 16) - 1, (1 << 32) - 1
numbers = st.integers(1, U32)
seens = st.builds(
    Seen, st.integers(0, U32), st.integers(0, (1 << (WINDOW - 1)) - 1).map(lambda held: held << 1)
)
blocks = st.builds(
    Surb,
    st.integers(0, (1 << 24) - 1),
    numbers,
    st.binary(min_size=240, max_size=240),
    st.binary(min_size=32, max_size=32),
)
tunnels = st.binary(min_size=16, max_size=16)


@st.composite
def frames(draw):
    number = draw(st.just(0) | numbers)
    low, high = (1, FORWARD_BYTES) if number else (0, 0)
    messages = draw(st.binary(min_size=low, max_size=high))
    frame = TunnelFrame(b"", Flag(0), 0, Seen(), messages)
    return TunnelFrame(
        draw(tunnels),
        Flag(draw(st.integers(0, 7))),
        number,
        draw(seens),
        messages,
        tuple(draw(st.lists(blocks, max_size=frame.room))),
    )


@st.composite
def replies(draw):
    number = draw(st.just(0) | numbers)
    low, high = (1, BACKWARD_BYTES) if number else (0, 0)
    counts = [draw(st.integers(0, top)) for top in (U32, U16, U16)]
    messages = draw(st.binary(min_size=low, max_size=high))
    flags = Flag(draw(st.sampled_from([0, 8])))
    return TunnelReply(flags, draw(st.integers(0, U32)), number, draw(seens), *counts, messages)


@given(frames())
def test_frames_round_trip(frame):
    assert len(frame.encode()) == FRAME_BYTES
    assert decode_tunnel_frame(frame.encode()) == frame


@given(replies())
def test_replies_round_trip(reply):
    assert len(reply.encode()) == FRAME_BYTES
    assert decode_tunnel_reply(reply.encode()) == reply


@given(st.binary(max_size=FRAME_BYTES + 1) | frames().map(TunnelFrame.encode), st.data())
def test_decoders_never_crash(data, draw):
    changed = bytearray(data)
    for _ in range(draw.draw(st.integers(0, 4))):
        if changed:
            place = draw.draw(st.integers(0, len(changed) - 1))
            changed[place] ^= draw.draw(st.integers(1, 255))
    for decode in (decode_tunnel_frame, decode_tunnel_reply):
        try:
            decoded = decode(bytes(changed))
        except DecodeError:
            continue
        assert decoded.encode() == bytes(changed)


def test_as_many_blocks_fit_as_are_promised():
    empty = TunnelFrame(bytes(16), Flag(0), 0, Seen())
    full = TunnelFrame(bytes(16), Flag(0), 1, Seen(), bytes(FORWARD_BYTES))
    assert (empty.room, full.room) == (MAX_BLOCKS, 1)


def test_more_than_fits_is_refused():
    block = Surb(5, 1, bytes(240), bytes(32))
    with pytest.raises(LocalProtocolError):
        TunnelFrame(bytes(16), Flag(0), 0, Seen(), b"", [block] * 8).encode()
    with pytest.raises(LocalProtocolError):
        TunnelFrame(bytes(16), Flag(0), 1, Seen(), bytes(FORWARD_BYTES), [block] * 2).encode()
    with pytest.raises(LocalProtocolError):
        TunnelReply(Flag(0), 1, 1, Seen(), messages=bytes(BACKWARD_BYTES + 1)).encode()


@pytest.mark.parametrize("kind", [FrameKind.STREAM, FrameKind.RETURN])
def test_messages_to_people_and_streams_are_told_apart(kind):
    frame = TunnelFrame(bytes(16), Flag(0), 0, Seen()).encode()
    with pytest.raises(DecodeError):
        decode_frame(bytes([kind]) + frame[1:])


def test_what_a_frame_must_not_say():
    good = TunnelFrame(bytes(16), Flag(0), 1, Seen(), b"x").encode()
    for place, value in [(0, 1), (1, 8), (21, 0), (42, 1), (43, 8), (FRAME_BYTES - 1, 1)]:
        changed = bytearray(good)
        changed[place] = value
        with pytest.raises(DecodeError):
            decode_tunnel_frame(bytes(changed))
    with pytest.raises(DecodeError):
        decode_tunnel_frame(good[:-1])
    too_long = TunnelFrame(bytes(16), Flag(0), 1, Seen(), bytes(FORWARD_BYTES + SURB_BYTES))
    with pytest.raises(DecodeError):
        decode_tunnel_frame(too_long.encode())


def test_what_a_reply_must_not_say():
    good = TunnelReply(Flag(0), 1, 1, Seen(), messages=b"x").encode()
    for place, value in [(1, 1), (29, 1), (9, 1), (FRAME_BYTES - 1, 1)]:
        changed = bytearray(good)
        changed[place] ^= value
        with pytest.raises(DecodeError):
            decode_tunnel_reply(bytes(changed))
