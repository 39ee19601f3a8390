"""Frames of tunnels: what carries streams between a client and an exit, 2,016 bytes each.

A client's frame brings reply blocks besides its messages; the exit answers each with one of them.
Frames with a number are repeated until they are acknowledged, those with number 0 are not.

Source: docs/spec/mixnet.md, section Streams.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Final

from node.mix.envelope import FRAME_BYTES
from node.mix.frame import FrameKind
from node.mix.surb import SURB_BYTES, Surb, decode_surb
from qnet.codec import Reader, Writer
from qnet.errors import DecodeError, LocalProtocolError

TUNNEL_BYTES: Final = 16
HELD_BYTES: Final = 16
WINDOW: Final = 8 * HELD_BYTES
"""Numbered frames of one direction that may be under way: as many as one answer can tell of."""

_ROOM: Final = FRAME_BYTES - (1 + 1 + TUNNEL_BYTES + 4 + 4 + HELD_BYTES + 1 + 2)
MAX_BLOCKS: Final = _ROOM // SURB_BYTES
FORWARD_BYTES: Final = _ROOM - SURB_BYTES
"""Messages in one frame of a client: what one reply block leaves."""
BACKWARD_BYTES: Final = FRAME_BYTES - (1 + 1 + 4 + 4 + 4 + HELD_BYTES + 4 + 2 + 2 + 2)
"""Messages in one frame of an exit."""
MAX_COUNT: Final = (1 << 16) - 1


class Flag(IntFlag):
    """What a frame says besides its fields; OPENED to LAST come from clients, GONE from exits."""

    OPENED = 1
    """The exit answered this tunnel before, so one that does not know it has forgotten it."""
    ASK = 2
    """Answer, also if there is nothing to say."""
    LAST = 4
    """The client needs the tunnel no more."""
    GONE = 8
    """The exit knows no such tunnel."""


_FORWARD: Final = Flag.OPENED | Flag.ASK | Flag.LAST


@dataclass(frozen=True, slots=True)
class Seen:
    """What one end holds of the other's numbered frames.

    Args:
        acked: every number up to this one is here.
        held: bit i says that number `acked + 1 + i` is here; bit 0 is never set.
    """

    acked: int = 0
    held: int = 0

    def includes(self, number: int) -> bool:
        """Whether the frame is here."""
        step = number - self.acked - 1
        return step < 0 or bool(step < WINDOW and self.held >> step & 1)


@dataclass(frozen=True, slots=True)
class TunnelFrame:
    """From the client.

    Args:
        tunnel: 16 random bytes that only the two ends know.
        flags: OPENED, ASK and LAST.
        number: of this frame, from 1; 0 if it carries no messages.
        seen: what the client holds.
        messages: in a numbered frame 1 to 1,691 bytes.
        blocks: reply blocks, as many as there is room for, at most 7.
    """

    tunnel: bytes
    flags: Flag
    number: int
    seen: Seen
    messages: bytes = field(default=b"", repr=False)
    blocks: Sequence[Surb] = ()

    @property
    def room(self) -> int:
        """Reply blocks that fit besides the messages."""
        return (_ROOM - len(self.messages)) // SURB_BYTES

    def encode(self) -> bytes:
        """Return 2,016 bytes.

        Raises:
            LocalProtocolError: more than fits.
        """
        if len(self.blocks) > self.room:
            raise LocalProtocolError("more than fits a frame of a tunnel")
        writer = Writer().u8(FrameKind.STREAM).u8(self.flags).take(self.tunnel).u32(self.number)
        _write_seen(writer, self.seen)
        writer.u8(len(self.blocks)).u16(len(self.messages))
        for block in self.blocks:
            writer.take(block.encode())
        return writer.take(self.messages).bytes().ljust(FRAME_BYTES, b"\0")


@dataclass(frozen=True, slots=True)
class TunnelReply:
    """From the exit; its reply block says which tunnel it belongs to.

    Args:
        flags: GONE, or none.
        order: rises with each reply, to tell the newest report.
        number: of this frame, from 1; 0 if it carries no messages.
        seen: what the exit holds.
        taken: reply blocks that the exit got in this tunnel, modulo 2^32.
        stock: those it has left, this one not counted.
        wanted: replies that wait for blocks besides them.
        messages: in a numbered frame 1 to 1,976 bytes.
    """

    flags: Flag
    order: int
    number: int
    seen: Seen
    taken: int = 0
    stock: int = 0
    wanted: int = 0
    messages: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Return 2,016 bytes.

        Raises:
            LocalProtocolError: more than fits.
        """
        if len(self.messages) > BACKWARD_BYTES:
            raise LocalProtocolError("more than fits a frame of a tunnel")
        writer = Writer().u8(FrameKind.RETURN).u8(self.flags).u32(self.order).u32(self.number)
        _write_seen(writer, self.seen)
        writer.u32(self.taken).u16(self.stock).u16(self.wanted).u16(len(self.messages))
        return writer.take(self.messages).bytes().ljust(FRAME_BYTES, b"\0")


def decode_tunnel_frame(data: bytes) -> TunnelFrame:
    """Read a frame of a client.

    Raises:
        DecodeError: malformed.
    """
    reader = _reader(data, FrameKind.STREAM)
    flags, tunnel, number = reader.u8(), reader.take(TUNNEL_BYTES), reader.u32()
    seen = _read_seen(reader)
    count, length = reader.u8(), reader.u16()
    blocks = tuple(decode_surb(reader.take(SURB_BYTES)) for _ in range(count))
    messages = _messages(reader, number, length)
    if flags & ~_FORWARD or length > FORWARD_BYTES:
        raise DecodeError("malformed frame")
    return TunnelFrame(tunnel, Flag(flags), number, seen, messages, blocks)


def decode_tunnel_reply(data: bytes) -> TunnelReply:
    """Read a frame of an exit.

    Raises:
        DecodeError: malformed.
    """
    reader = _reader(data, FrameKind.RETURN)
    flags, order, number = reader.u8(), reader.u32(), reader.u32()
    seen = _read_seen(reader)
    taken, stock, wanted = reader.u32(), reader.u16(), reader.u16()
    messages = _messages(reader, number, reader.u16())
    if flags & ~Flag.GONE:
        raise DecodeError("malformed frame")
    return TunnelReply(Flag(flags), order, number, seen, taken, stock, wanted, messages)


def _reader(data: bytes, kind: FrameKind) -> Reader:
    reader = Reader(data)
    if len(data) != FRAME_BYTES or reader.u8() != kind:
        raise DecodeError("malformed frame")
    return reader


def _write_seen(writer: Writer, seen: Seen) -> None:
    writer.u32(seen.acked).take(seen.held.to_bytes(HELD_BYTES, "big"))


def _read_seen(reader: Reader) -> Seen:
    seen = Seen(reader.u32(), int.from_bytes(reader.take(HELD_BYTES), "big"))
    if seen.held & 1:
        raise DecodeError("malformed frame")
    return seen


def _messages(reader: Reader, number: int, length: int) -> bytes:
    """Messages that are there if the frame has a number, with zeros behind them."""
    messages = reader.take(length)
    if bool(number) != bool(messages) or any(reader.rest()):
        raise DecodeError("malformed frame")
    return messages
