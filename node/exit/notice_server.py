"""The notice page over plain HTTP, on an address of its own (`[exit] notice_listen`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, cast

from node.config import Endpoint
from node.htx.http1 import Http1Server
from node.htx.site import Site

MAX_VISITORS: Final = 64
"""Connections at the same time; the longest-standing one makes room for a newcomer."""

VISIT_S: Final = 30.0
"""A connection ends then, whatever it does."""


class NoticeServer:
    """All visitors of the page.

    Args:
        site: What they see.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.visits: dict[Visit, None] = {}
        self.dropped = 0

    def admit(self, visit: Visit) -> None:
        """Count a connection; the oldest goes when there are too many."""
        if len(self.visits) >= MAX_VISITORS:
            self.dropped += 1
            next(iter(self.visits)).leave()
        self.visits[visit] = None

    def close(self) -> None:
        """Drop everybody."""
        for visit in list(self.visits):
            visit.leave()


class Visit(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: NoticeServer) -> None:
        self._server = server
        self._http = Http1Server(server.site)
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection for a while."""
        self._transport = cast("asyncio.Transport", transport)
        self._deadline = asyncio.get_running_loop().call_later(VISIT_S, self.leave)
        self._server.admit(self)

    def data_received(self, data: bytes) -> None:
        """Answer requests."""
        if self._transport is None:
            return
        self._transport.write(self._http.receive(data, time.time()))
        if self._http.closed:
            self._transport.close()

    def pause_writing(self) -> None:
        """Nobody asks faster than they read."""
        self.leave()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        del exc
        self.leave()

    def leave(self) -> None:
        """Drop the connection."""
        transport, self._transport = self._transport, None
        self._server.visits.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
        if transport is not None:
            transport.abort()


@asynccontextmanager
async def serve_notice(listen: str, site: Site) -> AsyncIterator[int]:
    """Serve the page for as long as the context lasts.

    Args:
        listen: `host:port`; empty serves nothing.
        site: What visitors see.

    Yields:
        The port, 0 when nothing is served.
    """
    if not listen:
        yield 0
        return
    where = Endpoint.parse(listen)
    visitors = NoticeServer(site)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Visit(visitors), where.host, where.port)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        visitors.close()
        await server.wait_closed()
