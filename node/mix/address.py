"""Addresses of messages: where a mailbox is and to which key to seal.

Source: docs/spec/mixnet.md, section Payloads.
"""

from base64 import b32decode, b32encode
from binascii import Error as Base32Error
from dataclasses import dataclass
from typing import Final

from node.mix.packet import ID_BYTES
from qnet.codec import Reader, Writer
from qnet.crypto.kdf import Label, derive_key
from qnet.crypto.keys import PUBLIC_BYTES
from qnet.errors import DecodeError, UsageError

PREFIX: Final = "qmix1"
CHECKSUM_BYTES: Final = 4
ADDRESS_BYTES: Final = 1 + 4 + PUBLIC_BYTES + CHECKSUM_BYTES

_VERSION: Final = 1
_CHARS: Final = -(-ADDRESS_BYTES * 8 // 5)


@dataclass(frozen=True, slots=True)
class MailAddress:
    """Whom a message is for.

    Args:
        node_index: registry index of the mailbox node, not 0.
        key: X25519 public key of the recipient, 32 bytes.
    """

    node_index: int
    key: bytes

    def __str__(self) -> str:
        """Text that people pass on."""
        body = Writer().u8(_VERSION).u32(self.node_index).take(self.key).bytes()
        data = body + derive_key(Label.MIX_ADDRESS, body, CHECKSUM_BYTES)
        return PREFIX + b32encode(data).decode().rstrip("=").lower()

    def delivery_id(self, phase: int) -> bytes:
        """Id (16 bytes) of its mailbox in a key phase (u24)."""
        material = Writer().u32(self.node_index).take(self.key).u24(phase).bytes()
        return derive_key(Label.MIX_MAILBOX, material, ID_BYTES)


def parse_mail_address(text: str) -> MailAddress:
    """Read an address.

    Raises:
        UsageError: it is none, or was mistyped.
    """
    folded = text.strip().lower()
    try:
        body = _decode(folded)
    except (DecodeError, Base32Error, ValueError) as error:
        raise UsageError(
            "this is no message address",
            why=f"an address begins with {PREFIX} and has {len(PREFIX) + _CHARS} characters",
            try_=("copy the address again",),
        ) from error
    reader = Reader(body)
    reader.u8()
    return MailAddress(reader.u32(), reader.take(PUBLIC_BYTES))


def _decode(text: str) -> bytes:
    """Version, index and key of a well-formed address."""
    chars = text.removeprefix(PREFIX)
    if len(text) != len(PREFIX) + _CHARS or len(chars) != _CHARS:
        raise DecodeError("malformed address")
    data = b32decode(chars.upper() + "=" * (-_CHARS % 8))
    body, checksum = data[:-CHECKSUM_BYTES], data[-CHECKSUM_BYTES:]
    canonical = b32encode(data).decode().rstrip("=").lower() == chars
    if body[0] != _VERSION or not any(body[1:5]) or not canonical:
        raise DecodeError("malformed address")
    if derive_key(Label.MIX_ADDRESS, body, CHECKSUM_BYTES) != checksum:
        raise DecodeError("malformed address")
    return body
