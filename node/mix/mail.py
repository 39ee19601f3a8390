"""What people send: a text, and reply blocks for the answer.

Source: docs/spec/mixnet.md, QN-MIX-094.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from node.mix.frame import DATA_BYTES, MAX_FRAGMENTS, REPLY_BYTES, Fragment, fragments_of
from node.mix.surb import SURB_BYTES, Surb, decode_surb
from qnet.codec import Reader, Writer
from qnet.errors import DecodeError, LocalProtocolError

MAX_REPLIES: Final = 12
MAX_BODY_BYTES: Final = MAX_FRAGMENTS * DATA_BYTES


@dataclass(frozen=True, slots=True)
class Mail:
    """A message to an address.

    Args:
        text: up to 438,527 bytes less 280 for each reply block.
        replies: blocks to answer with, in the order of their phases.
    """

    text: bytes = field(repr=False)
    replies: tuple[Surb, ...] = ()

    def encode(self) -> bytes:
        """Return `replies u8 ‖ SURB 280 each ‖ text`.

        Raises:
            LocalProtocolError: too many reply blocks, or too long.
        """
        if len(self.replies) > MAX_REPLIES:
            raise LocalProtocolError(f"a message has at most {MAX_REPLIES} reply blocks")
        writer = Writer().u8(len(self.replies))
        for surb in self.replies:
            writer.take(surb.encode())
        body = writer.take(self.text).bytes()
        if len(body) > MAX_BODY_BYTES:
            raise LocalProtocolError(f"a message has at most {MAX_BODY_BYTES} bytes")
        return body

    def usable(self, phase: int) -> tuple[Surb, ...]:
        """Reply blocks that mixes accept when `phase` is the current one."""
        return tuple(surb for surb in self.replies if surb.is_usable(phase))


def decode_mail(body: bytes) -> Mail:
    """Read a message.

    Raises:
        DecodeError: malformed.
    """
    reader = Reader(body)
    count = reader.u8()
    if count > MAX_REPLIES:
        raise DecodeError("too many reply blocks")
    replies = tuple(decode_surb(reader.take(SURB_BYTES)) for _ in range(count))
    return Mail(reader.rest(), replies)


def reply_fragments(
    message_id: bytes, text: bytes, surbs: Sequence[Surb]
) -> list[tuple[Surb, Fragment]]:
    """Pair the fragments of a reply with the blocks that carry them.

    Args:
        message_id: 16 random bytes.
        text: the reply.
        surbs: usable blocks, none used before.

    Raises:
        LocalProtocolError: the blocks do not suffice.
    """
    fragments = list(fragments_of(message_id, text, REPLY_BYTES))
    if len(fragments) > len(surbs):
        raise LocalProtocolError(f"the reply needs {len(fragments)} reply blocks of {len(surbs)}")
    return list(zip(surbs, fragments, strict=False))
