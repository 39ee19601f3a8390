"""An HTTP proxy as bytes in, bytes out: CONNECT tunnels and single plain requests. No sockets here.

The user name of `Proxy-Authorization: Basic` is the isolation label; any password is accepted and
ignored. `CONNECT host:port` becomes a tunnel, and bytes sent early go along with it. A request for
an `http:` address is sent on as one request of its own connection: origin form, without the fields
that concern the proxy, `Connection: close`, and exactly the body it announced. Requests for the
proxy itself get the PAC file at `/proxy.pac`, or a page that tells how to use the port.

States and what moves them:

    HEAD --empty line--> TUNNEL (CONNECT) or BODY (http address)

Source: RFC 9110, sections 7.6, 9.3.6 and 11.7; RFC 9112, section 3.2; RFC 9209.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Final

from node.circuit.messages import Answer, EndReason
from node.client.doors.door import MAX_LABEL_BYTES, Command, Request, checked_host, is_address
from node.client.doors.page import Page, encode_response
from node.errors import DoorError

MAX_HEAD_BYTES: Final = 16 * 2**10
"""Request line and fields together."""

MAX_FIELDS: Final = 100

PAC_PATH: Final = "/proxy.pac"
PAC_TYPE: Final = "application/x-ns-proxy-autoconfig"

_END: Final = b"\r\n\r\n"
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_TARGET: Final = re.compile(rb"[\x21-\x7e]+")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_AUTHORITY: Final = re.compile(
    rb"(?:\[([0-9A-Fa-f:.]{2,45})\]|([^:\[\]@/?#]{1,253}))(?::(\d{1,5}))?"
)
_HOP_BY_HOP: Final = frozenset(
    {
        *(
            b"connection",
            b"keep-alive",
            b"proxy-connection",
            b"te",
            b"trailer",
            b"upgrade",
            b"host",
        ),
        *(b"proxy-authorization", b"proxy-authenticate"),
    }
)
"""Fields that are not sent on (RFC 9110, section 7.6.1); Host is written anew."""

_CONNECTED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"
_ERRORS: Final = {
    EndReason.POLICY: (403, "destination_ip_prohibited"),
    EndReason.RESOLVE_FAILED: (502, "dns_error"),
    EndReason.NAME_NOT_FOUND: (502, "dns_error"),
    EndReason.CONNECT_REFUSED: (502, "connection_refused"),
    EndReason.CONNECT_TIMEOUT: (504, "connection_timeout"),
    EndReason.UNREACHABLE: (502, "destination_ip_unroutable"),
}
"""Status and error type for what an exit says; anything else is 503, proxy_internal_error."""

Fields = list[tuple[bytes, bytes]]


class HttpDoor:
    """A `Door` that speaks HTTP/1.1 as a proxy.

    Args:
        pac: Text of the PAC file when it is asked for; None serves none.
    """

    def __init__(self, pac: Callable[[], str] | None = None) -> None:
        self.request: Request | None = None
        self.is_tunnel = True
        self._pac = pac
        self._buffer = bytearray()
        self._head = b""
        self._body_bytes = 0

    def receive(self, data: bytes) -> bytes:
        """Feed bytes from the application; nothing is sent back before there is a request.

        Raises:
            DoorError: This is not HTTP, or asks for what is not served.
        """
        searched = max(0, len(self._buffer) - len(_END) + 1)
        self._buffer += data
        end = self._buffer.find(_END, searched, MAX_HEAD_BYTES)
        if end < 0:
            if len(self._buffer) >= MAX_HEAD_BYTES:
                raise _refused(431, "The request's head is too long")
            if not _may_be_http(self._buffer):
                raise DoorError("not HTTP")
            return b""
        lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + len(_END)]
        method, target, version = _request_line(lines[0])
        fields = _fields(lines[1:])
        label = _label(fields)
        if method == b"CONNECT":
            self.request = _tunnel(target, label)
        elif target.lower().startswith(b"http://"):
            self._plain(method, target, version, fields, label)
        else:
            raise self._own(method, target, fields)
        return b""

    def leftover(self) -> bytes:
        """The rewritten head and as much of the body as came, or the tunnel's first bytes."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        if self.is_tunnel:
            return rest
        head, self._head = self._head, b""
        return head + self.forward(rest)

    def forward(self, data: bytes) -> bytes:
        """Bytes of the announced body.

        Raises:
            DoorError: More bytes than that: a request of its own needs a connection of its own.
        """
        if self.is_tunnel:
            return data
        if len(data) > self._body_bytes:
            raise DoorError("a second request on the connection of a plain one")
        self._body_bytes -= len(data)
        return data

    def connected(self) -> bytes:
        """The tunnel stands; a plain request is answered by the destination alone."""
        return _CONNECTED if self.is_tunnel else b""

    def resolved(self, answers: tuple[Answer, ...]) -> bytes:
        """HTTP never asks for addresses."""
        del answers
        return b""

    def failed(self, reason: EndReason, why: str) -> bytes:
        """A page with the cause."""
        status, error = _ERRORS.get(reason, (503, "proxy_internal_error"))
        return Page(status, "No connection to this site", why, error=error).encode()

    def _plain(
        self, method: bytes, target: bytes, version: bytes, fields: Fields, label: bytes
    ) -> None:
        """Take a request for an `http:` address: one request, one connection."""
        authority, path = _split(target[len(b"http://") :])
        if method == b"OPTIONS" and path == b"/" and not target.endswith(b"/"):
            path = b"*"
        host, port = _authority(authority, 80)
        self._body_bytes = _body_bytes(fields)
        listed = _values(fields, b"connection") + _values(fields, b"proxy-connection")
        named = {word.strip().lower() for value in listed for word in value.split(b",")}
        kept = [field for field in fields if field[0].lower() not in _HOP_BY_HOP | named]
        lines = [b" ".join((method, path, version)), b"Host: " + authority, b"Connection: close"]
        lines += [name + b": " + value for name, value in kept]
        self._head = b"\r\n".join(lines) + _END
        self.is_tunnel = False
        self.request = Request(Command.CONNECT, host, port, label, is_address(host))

    def _own(self, method: bytes, target: bytes, fields: Fields) -> DoorError:
        """The answer to a request for this proxy itself."""
        is_of_a_site = (
            _values(fields, b"origin")
            or _values(fields, b"referer")
            or _values(fields, b"sec-fetch-site") not in ([], [b"none"])
        )
        is_pac = method == b"GET" and target == PAC_PATH.encode()
        if is_pac and self._pac is not None and not is_of_a_site:
            answer = encode_response(200, self._pac(), PAC_TYPE)
            return DoorError("the PAC file was served", answer=answer)
        return _refused(
            400,
            "This is QNet's HTTP proxy port",
            "It serves CONNECT and requests for http: addresses, and is no web site.",
            "Enter this address and port as the HTTP and HTTPS proxy of your program. "
            "`qnet client env` prints the lines for a shell.",
        )


def _may_be_http(start: bytearray) -> bool:
    """Whether the first bytes can begin a request line."""
    return bool(_TOKEN.match(bytes(start[:1])))


def _request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    parts = line.split(b" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not _TARGET.fullmatch(parts[1]):
        raise _refused(400, "The request line cannot be read")
    method, target, version = parts
    if version not in {b"HTTP/1.1", b"HTTP/1.0"}:
        raise _refused(505, "This HTTP version is not served")
    return method, target, version


def _fields(lines: list[bytes]) -> Fields:
    if len(lines) > MAX_FIELDS:
        raise _refused(431, "The request has too many fields")
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise _refused(400, "A field of the request cannot be read")
        fields.append((name, value.strip(b" \t")))
    return fields


def _values(fields: Fields, name: bytes) -> list[bytes]:
    return [value for given, value in fields if given.lower() == name]


def _label(fields: Fields) -> bytes:
    """The user name of Basic credentials; empty without any."""
    given = _values(fields, b"proxy-authorization")
    if not given:
        return b""
    scheme, _, encoded = given[0].partition(b" ")
    if len(given) > 1 or scheme.lower() != b"basic":
        raise _refused(400, "Only Basic proxy credentials are served")
    try:
        label = base64.b64decode(encoded.strip(), validate=True).partition(b":")[0]
    except binascii.Error as error:
        raise _refused(400, "The proxy credentials cannot be read") from error
    if len(label) > MAX_LABEL_BYTES:
        raise _refused(400, "The proxy user name is too long")
    return label


def _tunnel(target: bytes, label: bytes) -> Request:
    host, port = _authority(target, 0)
    if not port:
        raise _refused(400, "CONNECT names no port")
    return Request(Command.CONNECT, host, port, label, is_address(host))


def _split(rest: bytes) -> tuple[bytes, bytes]:
    """Authority and path of what follows `http://`; a fragment is never sent."""
    rest = rest.partition(b"#")[0]
    found = re.search(rb"[/?]", rest)
    if found is None:
        return rest, b"/"
    authority, path = rest[: found.start()], rest[found.start() :]
    return authority, path if path.startswith(b"/") else b"/" + path


def _authority(text: bytes, default_port: int) -> tuple[str, int]:
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        raise _refused(400, "The destination cannot be read")
    try:
        host = checked_host(found[1] or found[2])
    except DoorError as error:
        raise _refused(400, "The destination cannot be read", error.message) from error
    if found[1] and not is_address(host):
        raise _refused(400, "The destination cannot be read")
    port = int(found[3]) if found[3] else default_port
    if port > 65_535:
        raise _refused(400, "The destination's port is out of range")
    return host, port


def _body_bytes(fields: Fields) -> int:
    """Size of the body; without one announced, none follows.

    Raises:
        DoorError: The size is not known in advance, or given twice.
    """
    if _values(fields, b"transfer-encoding"):
        raise _refused(411, "A request through the proxy needs a Content-Length")
    sizes = set(_values(fields, b"content-length"))
    if not sizes:
        return 0
    size = sizes.pop()
    if sizes or not re.fullmatch(rb"\d{1,15}", size):
        raise _refused(400, "The Content-Length cannot be read")
    return int(size)


def _refused(status: int, title: str, why: str = "", remedy: str = "") -> DoorError:
    page = Page(status, title, why, remedy, error="http_request_error")
    return DoorError(title, answer=page.encode())
