"""SOCKS5 as bytes in, bytes out: greeting, user name, request. No sockets here.

The user name of RFC 1929 is an isolation label: streams with different labels never share a
circuit. Any password is accepted and ignored. Besides CONNECT the server answers RESOLVE (0xF0),
which asks the exit for the addresses of a name. RESOLVE_PTR (0xF1) is refused: an exit looks up
no names of addresses. A browser that takes this port for a web proxy reads why that fails.

States and what moves them:

    GREETING --methods--> AUTH (user name offered) or REQUEST
    AUTH --user name--> REQUEST
    REQUEST --request--> DONE

Source: RFC 1928, RFC 1929; RESOLVE as in Tor's socks-extensions.
"""

from __future__ import annotations

from enum import Enum, IntEnum, auto
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from node.circuit.messages import Answer, EndReason
from node.client.doors.door import Command, Request, checked_host, is_address
from node.client.doors.page import Page
from node.errors import DoorError

MAX_NEGOTIATION_BYTES: Final = 1 + 1 + 255 + 3 + 255 + 255 + 4 + 1 + 255 + 2
"""Longest sequence of greeting, user name and request."""

_VERSION: Final = 5
_NO_AUTH, _USER_NAME, _NO_METHOD = 0, 2, 0xFF
_IPV4, _NAME, _IPV6 = 1, 3, 4
_RESOLVE_PTR: Final = 0xF1
_COMMANDS: Final = {1: Command.CONNECT, 0xF0: Command.RESOLVE}
_HTTP_STARTS: Final = frozenset(b"GPCHODT")
"""First letters of GET, POST and PUT, CONNECT, HEAD, OPTIONS, DELETE, TRACE."""


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


_REPLIES: Final = {
    EndReason.POLICY: Reply.NOT_ALLOWED,
    EndReason.RESOLVE_FAILED: Reply.HOST_UNREACHABLE,
    EndReason.NAME_NOT_FOUND: Reply.HOST_UNREACHABLE,
    EndReason.CONNECT_REFUSED: Reply.REFUSED,
    EndReason.CONNECT_TIMEOUT: Reply.TTL_EXPIRED,
    EndReason.UNREACHABLE: Reply.NETWORK_UNREACHABLE,
}

_NOT_A_WEB_PROXY: Final = Page(
    501,
    "This is a SOCKS port, not a web proxy",
    "The program that asked speaks HTTP to QNet's SOCKS5 port.",
    "Set it to use a SOCKS5 proxy that resolves names (socks5h), or QNet's HTTP proxy port. "
    "`qnet client env` prints both.",
)


class _State(Enum):
    GREETING = auto()
    AUTH = auto()
    REQUEST = auto()
    DONE = auto()


class SocksDoor:
    """A `Door` that speaks SOCKS5."""

    is_tunnel = True

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
            DoorError: This is not SOCKS5, or asks for what is not served.
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
            raise DoorError("SOCKS negotiation is too long")
        return bytes(answer)

    def leftover(self) -> bytes:
        """Bytes that came after the request, handed out once."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def forward(self, data: bytes) -> bytes:
        """Everything: a tunnel passes all bytes."""
        return data

    def connected(self) -> bytes:
        """The exit is connected."""
        return encode_reply(Reply.SUCCEEDED)

    def resolved(self, answers: tuple[Answer, ...]) -> bytes:
        """The first address of a name."""
        if not answers:
            return encode_reply(Reply.HOST_UNREACHABLE)
        return encode_reply(Reply.SUCCEEDED, ip_address(answers[0].address))

    def failed(self, reason: EndReason, why: str) -> bytes:
        """The reply code of a reason; SOCKS has no room for words."""
        del why
        return encode_reply(_REPLIES.get(reason, Reply.FAILURE))

    def _greeting(self) -> bytes | None:
        if self._buffer[:1] and self._buffer[0] != _VERSION:
            raise _not_socks5(self._buffer[0])
        if len(self._buffer) < 2 or len(self._buffer) < 2 + self._buffer[1]:
            return None
        methods = self._take(2 + self._buffer[1])[2:]
        if _USER_NAME in methods:
            self._state = _State.AUTH
            return bytes((_VERSION, _USER_NAME))
        if _NO_AUTH in methods:
            self._state = _State.REQUEST
            return bytes((_VERSION, _NO_AUTH))
        refusal = bytes((_VERSION, _NO_METHOD))
        raise DoorError("application offers no known SOCKS method", answer=refusal)

    def _auth(self) -> bytes | None:
        buffer = self._buffer
        if buffer[:1] and buffer[0] != 1:
            raise DoorError("malformed SOCKS user name")
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
            raise _refused("malformed SOCKS request", Reply.FAILURE)
        if len(buffer) < 5:
            return None
        length = {_IPV4: 4, _IPV6: 16, _NAME: 1 + buffer[4]}.get(buffer[3])
        if length is None:
            raise _refused("unknown SOCKS address type", Reply.ADDRESS_NOT_SUPPORTED)
        if len(buffer) < 4 + length + 2:
            return None
        head = self._take(4 + length + 2)
        self.request = self._decoded(head[1], head[3], head[4 : 4 + length], head[-2:])
        self._state = _State.DONE
        return b""

    def _decoded(self, code: int, kind: int, address: bytes, port: bytes) -> Request:
        command = _COMMANDS.get(code)
        if code == _RESOLVE_PTR:
            why = "RESOLVE_PTR is not served: exits look up no names of addresses"
            raise _refused(why, Reply.COMMAND_NOT_SUPPORTED)
        if command is None:
            raise _refused(f"SOCKS command {code} is not served", Reply.COMMAND_NOT_SUPPORTED)
        host = _host(kind, address)
        number = int.from_bytes(port)
        if command is Command.CONNECT and number == 0:
            raise _refused("SOCKS request names no port", Reply.FAILURE)
        return Request(command, host, number, self._label, is_address(host))

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


def encode_reply(code: int, address: IPv4Address | IPv6Address | None = None) -> bytes:
    """One reply; the bound address is all zeros unless RESOLVE found one."""
    bound = address or IPv4Address(0)
    kind = _IPV4 if bound.version == 4 else _IPV6
    return bytes((_VERSION, code, 0, kind)) + bound.packed + b"\x00\x00"


def _host(kind: int, address: bytes) -> str:
    if kind == _IPV4:
        return str(IPv4Address(address))
    if kind == _IPV6:
        return str(IPv6Address(address))
    try:
        return checked_host(address[1:])
    except DoorError as error:
        raise _refused(error.message, Reply.FAILURE) from error


def _refused(message: str, reply: Reply) -> DoorError:
    return DoorError(message, answer=encode_reply(reply))


def _not_socks5(first: int) -> DoorError:
    if first == 4:
        return DoorError("SOCKS4 leaks names to the local resolver: use socks5h")
    if first in _HTTP_STARTS:
        page = _NOT_A_WEB_PROXY.encode()
        return DoorError("this is a SOCKS5 port, not an HTTP proxy", answer=page)
    return DoorError("not SOCKS5")
