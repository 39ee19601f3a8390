"""SOCKS5 as bytes in, bytes out: greeting, user name, request. No sockets here.

The user name of RFC 1929 is an isolation label: streams with different labels never share a
circuit. Any password is accepted and ignored. Besides CONNECT the server answers RESOLVE (0xF0),
which asks the exit for the addresses of a name.

States and what moves them:

    GREETING --methods--> AUTH (user name offered) or REQUEST
    AUTH --user name--> REQUEST
    REQUEST --request--> DONE

Source: RFC 1928, RFC 1929; RESOLVE as in Tor's socks-extensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from ipaddress import IPv4Address, IPv6Address, ip_address

from node.errors import SocksError

MAX_NEGOTIATION_BYTES = 1 + 1 + 255 + 3 + 255 + 255 + 4 + 1 + 255 + 2
"""Longest sequence of greeting, user name and request."""

_VERSION = 5
_NO_AUTH, _USER_NAME, _NO_METHOD = 0, 2, 0xFF
_IPV4, _NAME, _IPV6 = 1, 3, 4


class Command(IntEnum):
    """What an application asks for."""

    CONNECT = 1
    RESOLVE = 0xF0


class Reply(IntEnum):
    """Reply codes (RFC 1928, section 6)."""

    SUCCEEDED = 0
    FAILURE = 1
    NOT_ALLOWED = 2
    NETWORK_UNREACHABLE = 3
    HOST_UNREACHABLE = 4
    REFUSED = 5
    TTL_EXPIRED = 6
    COMMAND_NOT_SUPPORTED = 7
    ADDRESS_NOT_SUPPORTED = 8


@dataclass(frozen=True, slots=True)
class Request:
    """One decoded request.

    Attributes:
        command: CONNECT or RESOLVE.
        host: Host name or address in text.
        port: TCP port; 0 for RESOLVE.
        label: Isolation label (the user name), empty when none was given.
        is_raw_address: Whether the application resolved the name itself.
    """

    command: Command
    host: str
    port: int
    label: bytes
    is_raw_address: bool


class _State(Enum):
    GREETING = auto()
    AUTH = auto()
    REQUEST = auto()
    DONE = auto()


class SocksDecoder:
    """The server's side of one negotiation.

    Call `receive` with every chunk; send what it returns; when `request` is set, `leftover` holds
    the application's first payload bytes.
    """

    def __init__(self) -> None:
        self.request: Request | None = None
        self._state = _State.GREETING
        self._buffer = bytearray()
        self._label = b""

    def receive(self, data: bytes) -> bytes:
        """Feed bytes from the application.

        Returns:
            Bytes to send back now, possibly empty.

        Raises:
            SocksError: This is not SOCKS5, or asks for what is not served.
        """
        self._buffer += data
        answer = bytearray()
        steps = {
            _State.GREETING: self._greeting,
            _State.AUTH: self._auth,
            _State.REQUEST: self._request,
        }
        while self._state in steps:
            step = steps[self._state]()
            if step is None:
                break
            answer += step
        if self._state is not _State.DONE and len(self._buffer) > MAX_NEGOTIATION_BYTES:
            raise SocksError("SOCKS negotiation is too long")
        return bytes(answer)

    def leftover(self) -> bytes:
        """Bytes that came after the request, handed out once."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _greeting(self) -> bytes | None:
        if self._buffer[:1] and self._buffer[0] != _VERSION:
            raise SocksError(_not_socks5(bytes(self._buffer[:1])))
        if len(self._buffer) < 2 or len(self._buffer) < 2 + self._buffer[1]:
            return None
        methods = self._take(2 + self._buffer[1])[2:]
        if _USER_NAME in methods:
            self._state = _State.AUTH
            return bytes((_VERSION, _USER_NAME))
        if _NO_AUTH in methods:
            self._state = _State.REQUEST
            return bytes((_VERSION, _NO_AUTH))
        raise SocksError("application offers no known SOCKS method", reply=_NO_METHOD)

    def _auth(self) -> bytes | None:
        buffer = self._buffer
        if buffer[:1] and buffer[0] != 1:
            raise SocksError("malformed SOCKS user name")
        if len(buffer) < 2 or len(buffer) < 3 + buffer[1]:
            return None
        name_end = 2 + buffer[1]
        total = name_end + 1 + buffer[name_end]
        if len(buffer) < total:
            return None
        self._label = self._take(total)[2:name_end]
        self._state = _State.REQUEST
        return b"\x01\x00"

    def _request(self) -> bytes | None:
        buffer = self._buffer
        if buffer[:1] and buffer[0] != _VERSION:
            raise SocksError("malformed SOCKS request", reply=Reply.FAILURE)
        if len(buffer) < 5:
            return None
        length = {_IPV4: 4, _IPV6: 16, _NAME: 1 + buffer[4]}.get(buffer[3])
        if length is None:
            raise SocksError("unknown SOCKS address type", reply=Reply.ADDRESS_NOT_SUPPORTED)
        if len(buffer) < 4 + length + 2:
            return None
        head = self._take(4 + length + 2)
        self.request = self._decoded(head[1], head[3], head[4 : 4 + length], head[-2:])
        self._state = _State.DONE
        return b""

    def _decoded(self, command: int, kind: int, address: bytes, port: bytes) -> Request:
        try:
            wanted = Command(command)
        except ValueError as error:
            raise SocksError(
                f"SOCKS command {command} is not served", reply=Reply.COMMAND_NOT_SUPPORTED
            ) from error
        host = _host(kind, address)
        number = int.from_bytes(port)
        if wanted is Command.CONNECT and number == 0:
            raise SocksError("SOCKS request names no port", reply=Reply.FAILURE)
        return Request(wanted, host, number, self._label, _is_address(host))

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


def encode_reply(code: int, address: IPv4Address | IPv6Address | None = None) -> bytes:
    """One reply; the bound address is all zeros unless RESOLVE found one."""
    bound = address or IPv4Address(0)
    kind = _IPV4 if bound.version == 4 else _IPV6
    return bytes((_VERSION, code, 0, kind)) + bound.packed + b"\x00\x00"


def encode_failure(error: SocksError) -> bytes:
    """What to send before closing after a `SocksError`; may be empty."""
    if error.reply is None:
        return b""
    if error.reply == _NO_METHOD:
        return bytes((_VERSION, _NO_METHOD))
    return encode_reply(error.reply)


def _host(kind: int, address: bytes) -> str:
    if kind == _IPV4:
        return str(IPv4Address(address))
    if kind == _IPV6:
        return str(IPv6Address(address))
    try:
        host = address[1:].decode("ascii")
    except UnicodeDecodeError as error:
        raise SocksError("host name is not ASCII", reply=Reply.FAILURE) from error
    if not host or not host.isprintable() or " " in host:
        raise SocksError("host name is empty or malformed", reply=Reply.FAILURE)
    return host


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _not_socks5(first: bytes) -> str:
    if first == b"\x04":
        return "SOCKS4 leaks names to the local resolver: use socks5h"
    if first in {b"G", b"P", b"C", b"H"}:
        return "this is a SOCKS5 port, not an HTTP proxy"
    return "not SOCKS5"
