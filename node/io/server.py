"""Accepting links: one listening socket, the gate behind it, and the caps that bound it."""

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import Final

from node.ciphers import link_features
from node.htx.cover import DEFAULT, CoverProfile
from node.htx.events import CloseReason
from node.htx.gate import Gate, NoStore, TicketMemory, TicketStore, TokenBuckets
from node.htx.handshake import LinkKeysOf
from node.htx.keys import ServerKeys
from node.htx.link import LinkCore, LinkSettings, ServerLink
from node.htx.ticket import TicketChecker
from node.io.decoy import DecoySite
from node.io.link import Link, LinkHandler
from node.io.tls import TlsStream, server_context
from qnet.parameters import NetworkParameters

MAX_LINKS: Final = 100_000
MAX_VISITORS: Final = 4096
BACKLOG: Final = 1024
CLOSE_S: Final = 2.0
"""What is queued may take this long to leave when the server closes."""


@dataclass(slots=True)
class ServerStats:
    """Counters of a listening socket.

    Attributes:
        accepted: connections.
        opened: connections that became links.
        refused_links: connections dropped because there were too many.
        dropped_visitors: the longest-standing ones without ticket, dropped for newcomers.
        slow_readers: links dropped because the peer did not take what was queued.
    """

    accepted: int = 0
    opened: int = 0
    refused_links: int = 0
    dropped_visitors: int = 0
    slow_readers: int = 0


class LinkServer:
    """A listening socket and the connections accepted from it.

    Args:
        keys: own keys; `replace_keys` changes them for new connections.
        decoy: what everybody without a ticket sees.
        handler: owner of the links.
        settings: shared settings.
        link_keys_of: link keys of nodes that may dial.
        memory: accepted tickets.
        buckets: limits per network prefix.
        max_links: most connections.
        max_visitors: most connections that have shown no ticket.
    """

    def __init__(
        self,
        keys: ServerKeys,
        decoy: DecoySite,
        handler: LinkHandler,
        settings: LinkSettings,
        link_keys_of: LinkKeysOf,
        memory: TicketMemory,
        buckets: TokenBuckets,
        *,
        max_links: int,
        max_visitors: int,
    ) -> None:
        self.stats = ServerStats()
        self.decoy = decoy
        self.handler = handler
        self.settings = settings
        self.link_keys_of = link_keys_of
        self.links: set[AcceptedLink] = set()
        self.visitors: dict[AcceptedLink, None] = {}
        self._memory = memory
        self._buckets = buckets
        self._max_links = max_links
        self._max_visitors = max_visitors
        self._server: asyncio.Server | None = None
        self._closing = False
        self.replace_keys(keys)

    def replace_keys(self, keys: ServerKeys) -> None:
        """Use other keys for connections accepted from now on."""
        self.keys = keys
        self.context = server_context(keys)
        checker = TicketChecker(keys.ticket_keys, keys.spki_hash, self.settings.random)
        self.gate = Gate(checker, self._memory, self._buckets)

    async def listen(self, host: str, port: int) -> None:
        """Start to accept."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: AcceptedLink(self), host, port, backlog=BACKLOG
        )

    @property
    def port(self) -> int:
        """TCP port listened on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def admit_connection(self, link: "AcceptedLink") -> bool:
        """Count a new connection; False refuses it."""
        self.stats.accepted += 1
        if len(self.links) >= self._max_links or self._closing:
            self.stats.refused_links += 1
            return False
        if len(self.visitors) >= self._max_visitors:
            # whoever holds a ticket shows it at once, so a flood cannot keep links out
            self.stats.dropped_visitors += 1
            next(iter(self.visitors)).close(CloseReason.RESOURCES)
        self.links.add(link)
        self.visitors[link] = None
        return True

    async def close(self) -> None:
        """Stop to accept and close all links."""
        self._closing = True
        if self._server is not None:
            self._server.close()
        leaving = [link for link in self.links if link.is_connected]
        for link in leaving:
            link.close(CloseReason.SHUTDOWN)
        if leaving:
            gone = [asyncio.ensure_future(link.wait_gone()) for link in leaving]
            _, late = await asyncio.wait(gone, timeout=CLOSE_S)
            for link in leaving:
                link.abandon(CloseReason.SHUTDOWN)
            if late:
                await asyncio.wait(late)
        if self._server is not None:
            await self._server.wait_closed()


class AcceptedLink(Link):
    """A connection somebody made to us; a link once it has shown a ticket."""

    def __init__(self, server: LinkServer) -> None:
        super().__init__(server.handler, server.settings, TlsStream(server.context, None))
        self._server = server
        self._keys = server.keys
        self._gate = server.gate

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Drop the connection at once if there are too many."""
        if not self._server.admit_connection(self):
            self._end(CloseReason.RESOURCES)
            transport.close()
            return
        super().connection_made(transport)

    def _make_core(self) -> LinkCore:
        assert self._transport is not None
        peer = self._transport.get_extra_info("peername")
        return ServerLink(
            self._tls.alpn,
            source=str(peer[0]) if peer else "",
            keys=self._keys,
            gate=self._gate,
            site=self._server.decoy,
            link_keys_of=self._server.link_keys_of,
            settings=self._settings,
            now=self._loop.time(),
            clock=time.time,
            links=self._tls.version == "TLSv1.3",
        )

    def _announce(self) -> None:
        self._server.visitors.pop(self, None)
        self._server.stats.opened += 1
        super()._announce()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The socket is gone, and only now does it no longer count."""
        super().connection_lost(_exc)
        self._server.links.discard(self)

    def _ended(self, reason: CloseReason) -> None:
        self._server.visitors.pop(self, None)
        if reason is CloseReason.SLOW_READER:
            self._server.stats.slow_readers += 1


async def serve(
    host: str,
    port: int,
    *,
    keys: ServerKeys,
    decoy: DecoySite,
    handler: LinkHandler,
    parameters: NetworkParameters,
    link_keys_of: LinkKeysOf = lambda _node_id: (),
    ticket_store: TicketStore | None = None,
    buckets: TokenBuckets | None = None,
    cover: CoverProfile = DEFAULT,
    max_links: int = MAX_LINKS,
    max_visitors: int = MAX_VISITORS,
) -> LinkServer:
    """Accept links on a TCP port; port 0 picks one.

    Args:
        host: address to listen on.
        port: TCP port.
        keys: certificate, link keys and ticket keys.
        decoy: what everybody without a ticket sees.
        handler: owner of the links.
        parameters: periods and bounds.
        link_keys_of: node id → link keys it has now or still honours; nodes unknown to it
            cannot dial as nodes.
        ticket_store: where accepted tickets survive a restart.
        buckets: limits per network prefix.
        cover: what to send after traffic stops.
        max_links: most connections.
        max_visitors: most connections that have shown no ticket.

    Raises:
        OSError: the address is taken or not ours.
    """
    server = LinkServer(
        keys,
        decoy,
        handler,
        LinkSettings(parameters, secrets.token_bytes, cover, link_features()),
        link_keys_of,
        TicketMemory(ticket_store or NoStore()),
        buckets or TokenBuckets(),
        max_links=max_links,
        max_visitors=max_visitors,
    )
    await server.listen(host, port)
    return server
