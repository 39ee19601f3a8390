"""Contents of control records. Each decoder takes exactly what its encoder writes."""

from dataclasses import dataclass
from typing import Final, Self

from node.htx.events import CloseReason
from qnet.codec import Reader, Writer
from qnet.errors import DecodeError

PING_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class KeyUpdate:
    """A fresh share for the next generation of keys.

    Attributes:
        generation: number of the keys to come, u32.
        share: X25519 public key, 32 bytes.
    """

    generation: int
    share: bytes

    def encode(self) -> bytes:
        """Return 36 bytes."""
        return Writer().u32(self.generation).take(self.share).bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read 36 bytes or raise DecodeError."""
        reader = Reader(data)
        update = cls(reader.u32(), reader.take(32))
        reader.finish()
        return update


def encode_key_switch(generation: int) -> bytes:
    """Content of KEY_SWITCH, 4 bytes."""
    return Writer().u32(generation).bytes()


def decode_key_switch(data: bytes) -> int:
    """Read the generation, or raise DecodeError."""
    reader = Reader(data)
    generation = reader.u32()
    reader.finish()
    return generation


def encode_close(reason: CloseReason) -> bytes:
    """Content of CLOSE, 1 byte."""
    return bytes([reason])


def decode_close(data: bytes) -> CloseReason:
    """Read the reason; one from a later version counts as DONE."""
    reader = Reader(data)
    code = reader.u8()
    reader.finish()
    return CloseReason(code) if code in CloseReason.__members__.values() else CloseReason.DONE


def decode_padding(data: bytes) -> None:
    """Read the content of PADDING: nothing, or raise DecodeError."""
    Reader(data).finish()


def decode_ping(data: bytes) -> bytes:
    """Read the 8-byte token of PING and PONG, or raise DecodeError."""
    if len(data) != PING_BYTES:
        raise DecodeError("malformed PING record")
    return data
