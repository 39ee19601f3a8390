"""`htx://` lines: everything needed to dial a node that no consensus names.

Form: `htx://host:port?sni=…&id=…&spki=…&link=…&ticket=…&tid=…`; keys are base64url without padding.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import parse_qsl, quote, urlsplit

from node.errors import AddressError

MAX_LINE_CHARS: Final = 1024
KEY_BYTES: Final = 32
TICKET_ID_BYTES: Final = 8
_MAX_NAME_CHARS: Final = 253
_FIELDS: Final = ("sni", "id", "spki", "link", "ticket", "tid")


@dataclass(frozen=True, slots=True)
class HtxAddress:
    """Where a node listens and the keys that prove it is that node.

    Attributes:
        host: IP address or DNS name to connect to.
        port: TCP port.
        sni: name sent in the TLS hello, never empty.
        identity: Ed25519 identity key, 32 bytes.
        spki: BLAKE3 of the certificate's DER SubjectPublicKeyInfo, 32 bytes.
        link_key: X25519 static key of the Noise responder, 32 bytes.
        ticket_key: X25519 key that tickets are made for, 32 bytes.
        ticket_id: id of the ticket key, 8 bytes.
    """

    host: str
    port: int
    sni: str
    identity: bytes
    spki: bytes
    link_key: bytes
    ticket_key: bytes
    ticket_id: bytes

    def __post_init__(self) -> None:
        """Check sizes once.

        Raises:
            AddressError: a part is empty, too long or has a wrong size.
        """
        for name in ("host", "sni"):
            value = getattr(self, name)
            if not 0 < len(value) <= _MAX_NAME_CHARS or not value.isascii():
                raise AddressError(f"{name} is not a host name")
        if not 0 < self.port < 1 << 16:
            raise AddressError("port is out of range")
        for name in ("identity", "spki", "link_key", "ticket_key"):
            if len(getattr(self, name)) != KEY_BYTES:
                raise AddressError(f"{name} is not {KEY_BYTES} bytes")
        if len(self.ticket_id) != TICKET_ID_BYTES:
            raise AddressError(f"ticket_id is not {TICKET_ID_BYTES} bytes")

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read an `htx://` line.

        Raises:
            AddressError: the line is malformed; parts may not be missing, doubled or unknown.
        """
        if len(line) > MAX_LINE_CHARS:
            raise AddressError(f"the line is longer than {MAX_LINE_CHARS} characters")
        try:
            url = urlsplit(line.strip())
            host, port = url.hostname, url.port
            pairs = parse_qsl(url.query, strict_parsing=True, max_num_fields=len(_FIELDS))
        except ValueError as error:
            raise AddressError("not an htx:// line", why=str(error)) from error
        if url.scheme != "htx" or url.path not in {"", "/"} or url.fragment or url.username:
            raise AddressError("not an htx:// line")
        if sorted(key for key, _ in pairs) != sorted(_FIELDS):
            raise AddressError(f"the line must name {', '.join(_FIELDS)} once each")
        values = dict(pairs)
        return cls(
            host=host or "",
            port=port or 0,
            sni=values["sni"],
            identity=_decode(values["id"]),
            spki=_decode(values["spki"]),
            link_key=_decode(values["link"]),
            ticket_key=_decode(values["ticket"]),
            ticket_id=_decode(values["tid"]),
        )

    def format(self) -> str:
        """Return the line that `parse` reads back."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        keys = (self.identity, self.spki, self.link_key, self.ticket_key, self.ticket_id)
        values = (quote(self.sni), *map(_encode, keys))
        query = "&".join(f"{name}={value}" for name, value in zip(_FIELDS, values, strict=True))
        return f"htx://{host}:{self.port}?{query}"


def parse(line: str) -> HtxAddress:
    """Read an `htx://` line; see `HtxAddress.parse`."""
    return HtxAddress.parse(line)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise AddressError("a key is not base64url") from error
    if _encode(data) != text:
        raise AddressError("a key is not base64url in its one form")
    return data
