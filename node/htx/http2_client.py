"""The client's opening on HTTP/2: Chrome's first bytes and one request that carries a ticket.

After the server's SETTINGS, SETTINGS ACK and response HEADERS the next byte is inner.
"""

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final
from urllib.parse import urlencode

from hpack import Decoder, Encoder, HPACKError

from node.errors import HandshakeRefusedError
from node.htx.events import CloseReason
from node.htx.template import ChromeTemplate
from node.htx.ticket import Random

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEADER_BYTES: Final = 9
MAX_FRAME_BYTES: Final = 16_384
COOKIE_NAME: Final = "__Host-sid"
QUERY_NAME: Final = "v"
BODY_NAME: Final = "data"
_DATA, _HEADERS, _SETTINGS, _WINDOW_UPDATE = 0, 1, 4, 8
_TABLE_BYTES: Final = 2**16
"""Chrome's SETTINGS_HEADER_TABLE_SIZE."""
_END_STREAM, _ACK, _END_HEADERS, _PRIORITY = 0x1, 0x1, 0x4, 0x20


class Carrier(StrEnum):
    """Where a request carries its ticket."""

    COOKIE = "cookie"
    QUERY = "query"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class CarrierWeights:
    """How often each carrier is used."""

    cookie: int = 5
    query: int = 3
    body: int = 2

    def draw(self, random: Random) -> Carrier:
        """Pick one at random."""
        place = int.from_bytes(random(4), "big") % (self.cookie + self.query + self.body)
        if place < self.cookie:
            return Carrier.COOKIE
        return Carrier.QUERY if place < self.cookie + self.query else Carrier.BODY


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Encode an HTTP/2 frame (RFC 9113, section 4.1)."""
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return head + payload


SETTINGS_ACK: Final = frame(_SETTINGS, _ACK, 0, b"")


def opening(template: ChromeTemplate) -> bytes:
    """Preface, SETTINGS and the window update of the connection."""
    settings = b"".join(
        key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in template.settings
    )
    update = template.window_update.to_bytes(4, "big")
    return PREFACE + frame(_SETTINGS, 0, 0, settings) + frame(_WINDOW_UPDATE, 0, 0, update)


def request(template: ChromeTemplate, authority: str, token: str, carrier: Carrier) -> bytes:
    """The first request, on stream 1."""
    body = urlencode({BODY_NAME: token}).encode() if carrier is Carrier.BODY else b""
    path = f"/?{urlencode({QUERY_NAME: token})}" if carrier is Carrier.QUERY else "/"
    pseudo = {
        ":method": "POST" if body else "GET",
        ":authority": authority,
        ":scheme": "https",
        ":path": path,
    }
    headers = [(name, pseudo[name]) for name in template.pseudo_order]
    for name, value in template.submit if body else template.navigate:
        if value == "{cookie}":
            if carrier is Carrier.COOKIE:
                headers.append((name, f"{COOKIE_NAME}={token}"))
            continue
        filled = value.replace("{authority}", authority).replace("{length}", str(len(body)))
        headers.append((name, filled))
    exclusive, parent, weight = template.priority
    order = (exclusive << 31 | parent).to_bytes(4, "big") + bytes([weight - 1])
    block: bytes = Encoder().encode(headers)
    flags = _END_HEADERS | _PRIORITY | (0 if body else _END_STREAM)
    out = frame(_HEADERS, flags, 1, order + block)
    return out + frame(_DATA, _END_STREAM, 1, body) if body else out


def date_in(head: bytes) -> float:
    """Unix time in the `date` field of a response's header block; 0 without a readable one."""
    try:
        decoder = Decoder(max_header_list_size=MAX_FRAME_BYTES)
        decoder.max_allowed_table_size = _TABLE_BYTES
        dates = [value for name, value in decoder.decode(head, raw=True) if name == b"date"]
        return parsedate_to_datetime(str(dates[0], "ascii")).timestamp() if dates else 0.0
    except (HPACKError, ValueError, TypeError, OverflowError):
        return 0.0


class ClientAdmission:
    """Reads the server's three frames and nothing else."""

    def __init__(self) -> None:
        self._buffer = b""
        self._settings = False
        self._acknowledged = False
        self.admitted = False
        self.inner = b""
        """Bytes behind the response HEADERS."""
        self.head = b""
        """Header block of the response."""

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the server; return bytes to send.

        Raises:
            HandshakeRefusedError: the server is a web site to us.
        """
        self._buffer += data
        out = b""
        while not self.admitted and len(self._buffer) >= FRAME_HEADER_BYTES:
            length = int.from_bytes(self._buffer[:3], "big")
            kind, flags = self._buffer[3], self._buffer[4]
            if length > MAX_FRAME_BYTES:
                raise HandshakeRefusedError(CloseReason.NOT_ADMITTED)
            end = FRAME_HEADER_BYTES + length
            if len(self._buffer) < end:
                break
            if kind == _HEADERS:
                self.head = self._buffer[FRAME_HEADER_BYTES:end]
            out += self._take(kind, flags, length)
            self._buffer = self._buffer[end:]
        if self.admitted:
            self.inner, self._buffer = self._buffer, b""
        return out

    def _take(self, kind: int, flags: int, length: int) -> bytes:
        if kind == _SETTINGS and flags & _ACK and not length and not self._acknowledged:
            self._acknowledged = True
            return b""
        if kind == _SETTINGS and not flags & _ACK and not self._settings:
            self._settings = True
            return SETTINGS_ACK
        ready = self._settings and self._acknowledged
        if kind == _HEADERS and ready and flags & _END_HEADERS and not flags & _END_STREAM:
            self.admitted = True
            return b""
        raise HandshakeRefusedError(CloseReason.NOT_ADMITTED)
