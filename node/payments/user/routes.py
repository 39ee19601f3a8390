"""How requests reach committee members: directly, or over a circuit that nothing else uses.

A purchase names its channel, so it may as well come from its owner's address. Whatever names only
instruments goes over a circuit of its own, or the member could join what the signatures keep apart.

Source: docs/spec/payments.md, QN-PAY-033.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, Self
from urllib.parse import SplitResult, urlsplit

import aiohttp

from node.client.doors.isolation import IsolationKey
from node.client.doors.listener import Listener
from node.client.doors.socks import SocksDoor
from node.client.doors.streams import AppStream, StreamCounts, StreamHost
from node.client.paths.exits import exit_allows
from node.client.paths.path_circuit import UNUSED, PathCircuit
from node.directory.wishes import Wishes
from qnet.errors import QnetError

if TYPE_CHECKING:
    from node.client.session import Session

MAX_ANSWER_BYTES: Final = 1 << 20
DIRECT_S: Final = 10.0
CIRCUIT_S: Final = 30.0
CONNECTIONS_MAX: Final = 64
"""Connections to members that all circuits of a wallet carry at once."""
_HEAD_BYTES: Final = 8_192
_CBOR: Final = "application/cbor"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a member answered.

    Args:
        status: of HTTP; 0 when it did not answer properly in time.
        body: at most `MAX_ANSWER_BYTES`.
    """

    status: int
    body: bytes = b""


SILENCE: Final = Answer(0)


class Route(Protocol):
    """A way to members; all requests of one route may be known to come from one party."""

    async def ask(self, member: str, method: str, path: str, body: bytes = b"") -> Answer:
        """Ask one member; `SILENCE` when it does not answer properly in time."""


FreshRoute = Callable[[], Route]
"""Makes a route that shares nothing with any other."""


class DirectRoute:
    """From this machine's own address; use as an async context manager."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=DIRECT_S), trust_env=False, auto_decompress=False
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(self, member: str, method: str, path: str, body: bytes = b"") -> Answer:
        """See `Route`."""
        if self._session is None:
            return SILENCE
        try:
            async with self._session.request(
                method,
                member.rstrip("/") + path,
                data=body or None,
                headers={"Content-Type": _CBOR},
                allow_redirects=False,
            ) as response:
                content = b""
                async for chunk in response.content.iter_any():
                    content += chunk
                    if len(content) > MAX_ANSWER_BYTES:
                        return SILENCE
                return Answer(response.status, content)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return SILENCE


class OwnCircuit:
    """A `StreamHost` with one circuit that nobody else uses, and that is not paid.

    Paying for it would cost tokens to make tokens, and tell its hops what it is for.

    Args:
        session: builds it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._made: PathCircuit | None = None
        self._building = asyncio.Lock()

    @property
    def connect_timeout_s(self) -> float:
        """How long an exit may take to connect."""
        return self._session.connect_timeout_s

    async def circuit_for(self, key: IsolationKey, host: str, port: int) -> PathCircuit:
        """The circuit, built when it is first needed; it closes when its last stream ends."""
        async with self._building:
            made = self._made
            if (
                made is None
                or not made.circuit.is_open
                or not exit_allows(made.path.exit, host, port)
            ):
                made = await self._session.circuits.build(Wishes(host=host, port=port))
                made.key, made.retired = key, UNUSED
                self._made = made
        return made

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the session's task group."""
        self._session.spawn(work)

    def stream_failed(self, error: QnetError) -> None:
        """The request is tried again later; the wallet tells what is wrong."""
        del error


class CircuitRoute:
    """Over a circuit that carries nothing else.

    Args:
        host: where the circuit comes from; one for each route.
    """

    _listener = Listener("socks", "payments", raw_address="allow", max_connections=CONNECTIONS_MAX)

    def __init__(self, host: StreamHost) -> None:
        self._host = host

    async def ask(self, member: str, method: str, path: str, body: bytes = b"") -> Answer:
        """See `Route`."""
        url = urlsplit(member.rstrip("/") + path)
        try:
            async with asyncio.timeout(CIRCUIT_S):
                return await self._ask(url, method, body)
        except (OSError, TimeoutError, ValueError, EOFError, asyncio.LimitOverrunError):
            return SILENCE

    async def _ask(self, url: SplitResult, method: str, body: bytes) -> Answer:
        near, far = socket.socketpair()
        for end in (near, far):
            end.setblocking(False)  # noqa: FBT003 - the socket module's signature
        loop = asyncio.get_running_loop()
        counts = StreamCounts()
        try:
            await loop.connect_accepted_socket(
                lambda: AppStream(self._host, counts, self._listener, SocksDoor()), far
            )
            host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
            await self._connect(near, host, port)
            secure = ssl.create_default_context() if url.scheme == "https" else None
            reader, writer = await asyncio.open_connection(
                sock=near, ssl=secure, server_hostname=host if secure else None, limit=_HEAD_BYTES
            )
        except BaseException:
            near.close()
            raise
        try:
            writer.write(_request(url, method, body))
            return await _answer(reader)
        finally:
            writer.transport.abort()

    async def _connect(self, near: socket.socket, host: str, port: int) -> None:
        """SOCKS5 (RFC 1928)."""
        loop = asyncio.get_running_loop()
        name = host.encode("ascii")
        await loop.sock_sendall(near, b"\x05\x01\x00")
        await _expect(near, b"\x05\x00")
        request = b"\x05\x01\x00\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big")
        await loop.sock_sendall(near, request)
        await _expect(near, b"\x05\x00\x00\x01")
        await _receive(near, 6)


async def _receive(near: socket.socket, count: int) -> bytes:
    loop, received = asyncio.get_running_loop(), b""
    while len(received) < count:
        chunk = await loop.sock_recv(near, count - len(received))
        if not chunk:
            raise EOFError("the circuit has no connection")
        received += chunk
    return received


async def _expect(near: socket.socket, wanted: bytes) -> None:
    if await _receive(near, len(wanted)) != wanted:
        raise EOFError("the circuit has no connection")


def _request(url: SplitResult, method: str, body: bytes) -> bytes:
    """HTTP/1.0: the answer is never in chunks, and ends with the connection."""
    lines = (
        f"{method} {url.path} HTTP/1.0",
        f"Host: {url.netloc}",
        f"Content-Type: {_CBOR}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii") + body


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    version, _, rest = head.partition(" ")
    status = int(rest[:3])
    if not version.startswith("HTTP/1."):
        return SILENCE
    length = next(
        (
            int(line.partition(":")[2])
            for line in head.split("\r\n")
            if line.lower().startswith("content-length:")
        ),
        None,
    )
    if length is None or not 0 <= length <= MAX_ANSWER_BYTES:
        return SILENCE
    return Answer(status, await reader.readexactly(length))
