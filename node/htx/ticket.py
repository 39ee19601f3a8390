"""Access tickets: 105 bytes that let a client in, bound to the server's certificate and the hour.

`0x01 ‖ client_pub 32 ‖ key_id 8 ‖ nonce 32 ‖ mac 32`, followed by 24 to 64 random bytes, base64url.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from qnet.crypto.kdf import Label, derive_key
from qnet.crypto.keys import DhKey, constant_time_equal
from qnet.errors import CryptoError, DecodeError

Random = Callable[[int], bytes]

VERSION: Final = 1
TICKET_BYTES: Final = 105
MIN_PAD_BYTES: Final = 24
MAX_PAD_BYTES: Final = 64
HOUR_S: Final = 3600
MAX_TOKEN_CHARS: Final = -(-(TICKET_BYTES + MAX_PAD_BYTES) * 4 // 3)
_MIN_TOKEN_CHARS: Final = -(-(TICKET_BYTES + MIN_PAD_BYTES) * 4 // 3)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as it travels.

    Attributes:
        client: the client's one-time X25519 key, 32 bytes.
        key_id: which ticket key it was made for, 8 bytes.
        nonce: 32 random bytes.
        mac: 32 bytes.
    """

    client: bytes
    key_id: bytes
    nonce: bytes
    mac: bytes

    def encode(self) -> bytes:
        """Return the 105 bytes."""
        return b"".join((bytes([VERSION]), self.client, self.key_id, self.nonce, self.mac))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the 105 bytes.

        Raises:
            DecodeError: wrong size or version.
        """
        if len(data) != TICKET_BYTES or data[0] != VERSION:
            raise DecodeError("not a ticket")
        return cls(data[1:33], data[33:41], data[41:73], data[73:105])


def hour_of(unix_s: float) -> int:
    """Hours since 1970."""
    return int(unix_s) // HOUR_S


def _mac(shared: bytes, ticket: Ticket, hour: int, spki_hash: bytes) -> bytes:
    bound = (shared, ticket.client, ticket.key_id, ticket.nonce, hour.to_bytes(8, "big"), spki_hash)
    return derive_key(Label.HTX_TICKET, b"".join(bound))


def issue(
    ticket_key: bytes, key_id: bytes, spki_hash: bytes, *, unix_s: float, random: Random
) -> Ticket:
    """Make a fresh ticket for one connection.

    Args:
        ticket_key: the server's X25519 ticket key, 32 bytes.
        key_id: its id, 8 bytes.
        spki_hash: hash of the certificate's key that the client observed, 32 bytes.
        unix_s: time now.
        random: source of random bytes.

    Raises:
        CryptoError: the ticket key has low order.
    """
    own = DhKey(random(32))
    blank = Ticket(own.public, key_id, random(32), b"")
    mac = _mac(own.exchange(ticket_key), blank, hour_of(unix_s), spki_hash)
    return Ticket(blank.client, key_id, blank.nonce, mac)


def encode_token(ticket: Ticket, random: Random) -> str:
    """Pad a ticket with 24 to 64 random bytes and write it as base64url."""
    pad = MIN_PAD_BYTES + random(1)[0] % (MAX_PAD_BYTES - MIN_PAD_BYTES + 1)
    return base64.urlsafe_b64encode(ticket.encode() + random(pad)).rstrip(b"=").decode()


def decode_token(token: str) -> Ticket:
    """Read what `encode_token` wrote.

    Raises:
        DecodeError: not base64url, or the size is out of range.
    """
    if not _MIN_TOKEN_CHARS <= len(token) <= MAX_TOKEN_CHARS or not token.isascii():
        raise DecodeError("not a ticket")
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodeError("not a ticket") from error
    if not MIN_PAD_BYTES <= len(data) - TICKET_BYTES <= MAX_PAD_BYTES:
        raise DecodeError("not a ticket")
    return Ticket.decode(data[:TICKET_BYTES])


class TicketChecker:
    """Checks tickets in the same time whether they are good, bad or absent.

    Args:
        keys: ticket keys honoured now, by id.
        spki_hash: hash of the certificate's key, 32 bytes.
        random: source of random bytes.
    """

    def __init__(self, keys: Mapping[bytes, DhKey], spki_hash: bytes, random: Random) -> None:
        self._keys = keys
        self._spki_hash = spki_hash
        self._decoy_key = DhKey(random(32))
        self._decoy = Ticket(DhKey(random(32)).public, bytes(8), bytes(32), bytes(32))

    def hour_for(self, token: str | None, unix_s: float) -> tuple[int, Ticket] | None:
        """Return the hour a token was made for and its ticket; None for any other token.

        The work is one exchange and three MACs in every case.
        """
        ticket = self._decoy
        try:
            ticket = decode_token(token or "")
        except DecodeError:
            key: DhKey | None = None
        else:
            key = self._keys.get(ticket.key_id)
        shared, usable = bytes(32), key is not None
        try:
            shared = (key or self._decoy_key).exchange(ticket.client)
        except CryptoError:
            usable = False
        now = hour_of(unix_s)
        found: int | None = None
        for hour in (max(now - 1, 0), now, now + 1):
            if constant_time_equal(_mac(shared, ticket, hour, self._spki_hash), ticket.mac):
                found = hour
        return (found, ticket) if usable and found is not None else None
