"""Opens the front doors of a client: SOCKS5, HTTP proxy and DNS ports, several of each."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from node.client.doors.dns_port import DnsConnection, DnsDatagrams, DnsQuestions
from node.client.doors.door import Door
from node.client.doors.http_connect import HttpDoor
from node.client.doors.isolation import DEFAULT_ISOLATION
from node.client.doors.listener import DoorKind, Listener, RawAddress
from node.client.doors.pac import pac
from node.client.doors.socks import SocksDoor
from node.client.doors.streams import AppStream, StreamCounts, StreamHost
from node.config import MAX_CONNECTIONS, Endpoint
from node.errors import Stage, StageError

_BACKLOG = 128


@dataclass(slots=True, eq=False)
class OpenDoor:
    """A listener with its sockets.

    Attributes:
        listener: What it is.
        close: Stops accepting.
        questions: What a DNS port answers; None for others.
    """

    listener: Listener
    close: Callable[[], None]
    questions: DnsQuestions | None = None


class Doors:
    """All front doors of a client.

    Args:
        host: Where circuits come from.
        counts: What becomes of requests.
    """

    def __init__(self, host: StreamHost, counts: StreamCounts) -> None:
        self.open: list[OpenDoor] = []
        self._host = host
        self._counts = counts

    async def add(
        self,
        kind: DoorKind,
        endpoint: Endpoint,
        *,
        isolate: Collection[str] = DEFAULT_ISOLATION,
        raw_address: RawAddress = "warn",
        max_connections: int = MAX_CONNECTIONS,
    ) -> OpenDoor:
        """Open one more.

        Raises:
            StageError: The address cannot be listened on; the cause.
        """
        sock = _bound(endpoint, socket.SOCK_STREAM)
        listener = Listener(kind, _name(sock), isolate, raw_address, max_connections)
        door = await (
            self._serve_dns(listener, sock) if kind == "dns" else self._serve(listener, sock)
        )
        self.open.append(door)
        return door

    def addresses(self, kind: DoorKind) -> list[str]:
        """Where the doors of a kind listen."""
        return [door.listener.address for door in self.open if door.listener.kind == kind]

    def rows(self) -> list[dict[str, Any]]:
        """What status shows."""
        rows = []
        for door in self.open:
            row = door.listener.row()
            if door.questions is not None:
                row |= {"answered": door.questions.answered, "failed": door.questions.failed}
            rows.append(row)
        return rows

    def warnings(self) -> list[str]:
        """What is wrong with where the doors listen."""
        return [
            f"the {door.listener.kind} port {door.listener.address} can be used by other machines"
            for door in self.open
            if not _is_loopback(door.listener.address)
        ]

    def close(self) -> None:
        """Stop accepting at all of them."""
        for door in self.open:
            door.close()
        self.open.clear()

    def pac(self) -> str:
        """The proxy auto-configuration for the doors that are open."""
        socks, http = (next(iter(self.addresses(kind)), "") for kind in ("socks", "http"))
        return pac(socks, http)

    async def _serve(self, listener: Listener, sock: socket.socket) -> OpenDoor:
        def accept() -> AppStream:
            door: Door = SocksDoor() if listener.kind == "socks" else HttpDoor(self.pac)
            return AppStream(self._host, self._counts, listener, door)

        loop = asyncio.get_running_loop()
        server = await loop.create_server(accept, sock=sock, backlog=_BACKLOG)
        return OpenDoor(listener, server.close)

    async def _serve_dns(self, listener: Listener, sock: socket.socket) -> OpenDoor:
        questions = DnsQuestions(self._host, listener)
        loop = asyncio.get_running_loop()
        with sock:
            datagrams = _bound(Endpoint.parse(listener.address), socket.SOCK_DGRAM)
            server = await loop.create_server(
                lambda: DnsConnection(questions), sock=sock.dup(), backlog=_BACKLOG
            )
        transport, _ = await loop.create_datagram_endpoint(
            lambda: DnsDatagrams(questions), sock=datagrams
        )

        def close() -> None:
            server.close()
            transport.close()
            for connection in list(questions.connections):
                connection.abort()

        return OpenDoor(listener, close, questions)


def _bound(endpoint: Endpoint, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM and os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((endpoint.host, endpoint.port))
    except OSError as error:
        sock.close()
        raise StageError(
            Stage.PORTS,
            f"cannot listen on {endpoint.host}:{endpoint.port}",
            why=error.strerror or str(error),
            try_=("stop what listens there, or name another port in client.toml",),
        ) from error
    sock.setblocking(False)  # noqa: FBT003 - the socket module's signature
    return sock


def _name(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_loopback(address: str) -> bool:
    return ip_address(Endpoint.parse(address).host).is_loopback
