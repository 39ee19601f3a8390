"""What is inside a bundle: dealings with sealed shares, or complaints and answers.

| payload | bytes |
|---|---|
| announcement | X25519 key 32 |
| dealings | X25519 key 32 ‖ for each key length u16 ‖ dealing ‖ count u8 ‖ (receiver u8 ‖ 48)… |
| messages | count u16 ‖ for each length u8 ‖ message |

A dealing inside may still be one that does not decode; then only it counts for nothing, and
`qnet.crypto.dkg_record` blames its dealer for having made none. A member that does not deal in an
attempt has an empty payload in its dealing round.

Source: docs/spec/payments.md, QN-PAY-002.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from ledger.domain.keygen_sealing import SEALED_SHARE_BYTES
from qnet.codec import Reader, Writer
from qnet.crypto.dkg_messages import MAX_DEALING_BYTES, Message, decode
from qnet.crypto.errors import PointError
from qnet.crypto.keys import PUBLIC_BYTES
from qnet.crypto.threshold import MAX_MEMBERS
from qnet.errors import DecodeError
from qnet.messages.instruments import KEYS

MAX_MESSAGES: Final = 2 * KEYS * MAX_MEMBERS


@dataclass(frozen=True, slots=True)
class SealedDealing:
    """A member's dealing for one key.

    Args:
        dealing: `Dealing.encode`, or what a faulty dealer put in its place.
        shares: index of the receiver → sealed share of 48 bytes; receivers ascending.
    """

    dealing: bytes
    shares: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Dealings:
    """A member's dealings for all keys of an epoch.

    Args:
        exchange: the dealer's X25519 key, 32 bytes.
        sealed: one for each key, CR_0 first.
    """

    exchange: bytes
    sealed: tuple[SealedDealing, ...]

    def encode(self) -> bytes:
        """Wire form."""
        writer = Writer().take(self.exchange)
        for each in self.sealed:
            writer.u16(len(each.dealing)).take(each.dealing).u8(len(each.shares))
            for receiver, share in sorted(each.shares.items()):
                writer.u8(receiver).take(share)
        return writer.bytes()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read dealings.

        Raises:
            DecodeError: malformed.
        """
        reader = Reader(payload)
        exchange = reader.take(PUBLIC_BYTES)
        sealed = tuple(_read_sealed(reader) for _ in range(KEYS))
        reader.finish()
        return cls(exchange, sealed)


def _read_sealed(reader: Reader) -> SealedDealing:
    size = reader.u16()
    if size > MAX_DEALING_BYTES:
        raise DecodeError("a dealing is too long")
    dealing = reader.take(size)
    count = reader.u8()
    shares = {reader.u8(): reader.take(SEALED_SHARE_BYTES) for _ in range(count)}
    if list(shares) != sorted(shares) or len(shares) != count:
        raise DecodeError("shares are out of order")
    return SealedDealing(dealing, shares)


def encode_messages(messages: Iterable[Message]) -> bytes:
    """Join complaints or answers."""
    wires = [message.encode() for message in messages]
    writer = Writer().u16(len(wires))
    for wire in wires:
        writer.u8(len(wire)).take(wire)
    return writer.bytes()


def decode_messages(payload: bytes) -> list[Message]:
    """Read complaints or answers; one that does not decode is left out.

    Raises:
        DecodeError: the list itself is malformed.
    """
    reader = Reader(payload)
    count = reader.u16()
    if count > MAX_MESSAGES:
        raise DecodeError("too many messages of one member")
    wires = [reader.take(reader.u8()) for _ in range(count)]
    reader.finish()
    found = (decode_message(wire) for wire in wires)
    return [message for message in found if message is not None]


def decode_message(wire: bytes) -> Message | None:
    """Read a message of the key generation; None if it is none."""
    try:
        return decode(wire)
    except (DecodeError, PointError):
        return None
