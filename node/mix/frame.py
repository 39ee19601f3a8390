"""Frames: what a payload carries, 2,016 bytes each.

Source: docs/spec/mixnet.md, section Messages.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, TypeAlias

from node.mix.envelope import FRAME_BYTES
from node.mix.surb import SURB_BYTES
from qnet.codec import Reader, Writer
from qnet.errors import DecodeError, LocalProtocolError

MESSAGE_ID_BYTES: Final = 16
MAX_FRAGMENTS: Final = 256
HELD_BYTES: Final = MAX_FRAGMENTS // 8
_HEADER_BYTES: Final = 1 + MESSAGE_ID_BYTES + 2 + 2 + 2
REPLY_BYTES: Final = FRAME_BYTES - _HEADER_BYTES
DATA_BYTES: Final = REPLY_BYTES - SURB_BYTES


class FrameKind(IntEnum):
    """What a frame is."""

    DATA = 1
    ACK = 2
    REPLY = 3
    STREAM = 4
    RETURN = 5


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a message.

    Args:
        message_id: 16 random bytes.
        index: from 0.
        count: of all fragments, 1 to 256.
        data: as many bytes as fit, less in the last one only.
    """

    message_id: bytes
    index: int
    count: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DataFrame:
    """A fragment to an address, with the reply block for its acknowledgement.

    Args:
        fragment: of the message.
        surb: 280 bytes, not read yet.
    """

    fragment: Fragment
    surb: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Return 2,016 bytes."""
        return _encode(FrameKind.DATA, self.fragment, self.surb, DATA_BYTES)


@dataclass(frozen=True, slots=True)
class ReplyFrame:
    """A fragment to the maker of a reply block.

    Args:
        fragment: of the reply.
    """

    fragment: Fragment

    def encode(self) -> bytes:
        """Return 2,016 bytes."""
        return _encode(FrameKind.REPLY, self.fragment, b"", REPLY_BYTES)


@dataclass(frozen=True, slots=True)
class AckFrame:
    """What a recipient holds of a message.

    Args:
        message_id: 16 bytes.
        count: of all fragments.
        held: indices of the fragments that it has.
    """

    message_id: bytes
    count: int
    held: frozenset[int]

    @property
    def is_complete(self) -> bool:
        """Whether it has them all."""
        return len(self.held) == self.count

    def encode(self) -> bytes:
        """Return 2,016 bytes."""
        held = Fragment(self.message_id, 0, self.count, _bits(self.held))
        return _encode(FrameKind.ACK, held, b"", HELD_BYTES)


Frame: TypeAlias = DataFrame | AckFrame | ReplyFrame


def fragments_of(message_id: bytes, body: bytes, part_bytes: int) -> Iterator[Fragment]:
    """Cut a message into fragments of `part_bytes`, of which the last one may be shorter.

    Raises:
        LocalProtocolError: it needs more than 256.
    """
    count = max(1, -(-len(body) // part_bytes))
    if count > MAX_FRAGMENTS:
        raise LocalProtocolError(f"a message has at most {MAX_FRAGMENTS * part_bytes} bytes")
    for index in range(count):
        part = body[index * part_bytes : (index + 1) * part_bytes]
        yield Fragment(message_id, index, count, part)


def decode_frame(data: bytes) -> Frame:
    """Read a frame.

    Raises:
        DecodeError: malformed.
    """
    if len(data) != FRAME_BYTES:
        raise DecodeError("malformed frame")
    reader = Reader(data)
    kind, message_id = reader.u8(), reader.take(MESSAGE_ID_BYTES)
    index, count, length = reader.u16(), reader.u16(), reader.u16()
    if not index < count <= MAX_FRAGMENTS:
        raise DecodeError("malformed frame")
    surb = reader.take(SURB_BYTES) if kind == FrameKind.DATA else b""
    body = reader.take(length)
    if any(reader.rest()):
        raise DecodeError("bytes follow the frame")
    if kind == FrameKind.ACK:
        return _ack(message_id, index, count, body)
    fragment = Fragment(message_id, index, count, body)
    if kind == FrameKind.DATA and _is_full(fragment, DATA_BYTES):
        return DataFrame(fragment, surb)
    if kind == FrameKind.REPLY and _is_full(fragment, REPLY_BYTES):
        return ReplyFrame(fragment)
    raise DecodeError("malformed frame")


def _is_full(fragment: Fragment, part_bytes: int) -> bool:
    """Whether a fragment has the size that its place asks for."""
    is_last = fragment.index == fragment.count - 1
    size = len(fragment.data)
    return size <= part_bytes if is_last else size == part_bytes


def _ack(message_id: bytes, index: int, count: int, body: bytes) -> AckFrame:
    value = int.from_bytes(body, "big")
    held = frozenset(
        place for place in range(MAX_FRAGMENTS) if value >> (MAX_FRAGMENTS - 1 - place) & 1
    )
    if index or len(body) != HELD_BYTES or any(place >= count for place in held):
        raise DecodeError("malformed frame")
    return AckFrame(message_id, count, held)


def _bits(held: Collection[int]) -> bytes:
    value = sum(1 << (MAX_FRAGMENTS - 1 - place) for place in held)
    return value.to_bytes(HELD_BYTES, "big")


def _encode(kind: FrameKind, fragment: Fragment, surb: bytes, part_bytes: int) -> bytes:
    if len(fragment.data) > part_bytes:
        raise LocalProtocolError(f"a fragment has at most {part_bytes} bytes")
    writer = Writer().u8(kind).take(fragment.message_id).u16(fragment.index).u16(fragment.count)
    writer.u16(len(fragment.data)).take(surb).take(fragment.data)
    return writer.bytes().ljust(FRAME_BYTES, b"\0")
