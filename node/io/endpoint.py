"""Links over TCP: `dial` and `serve`, and the `Link` they hand to a `LinkHandler`."""

import asyncio
import secrets
import time
from typing import Final

from node.errors import LinkError
from node.htx.address import HtxAddress
from node.htx.cover import DEFAULT, CoverProfile
from node.htx.events import CloseReason, PeerIdentity, Role
from node.htx.keys import LocalIdentity, ServerKeys
from node.htx.link import ClientLink, LinkCore, LinkSettings
from node.htx.template import ChromeTemplate
from node.io.link import Link, LinkHandler
from node.io.server import LinkServer, serve
from node.io.tls import TlsStream, client_context, default_template
from qnet.crypto.kdf import node_id_of
from qnet.parameters import NetworkParameters

__all__ = ["Link", "LinkHandler", "LinkServer", "LocalIdentity", "ServerKeys", "dial", "serve"]

HANG_UP_S: Final = 0.5
"""A failed dial waits so long for its last bytes to leave before it cuts the connection."""


class _DialledLink(Link):
    outgoing = True

    def __init__(
        self,
        address: HtxAddress,
        identity: LocalIdentity | None,
        role: Role,
        template: ChromeTemplate,
        handler: LinkHandler,
        settings: LinkSettings,
    ) -> None:
        super().__init__(handler, settings, TlsStream(client_context(template), address.sni))
        self._address = address
        self._identity = identity
        self._role = role
        self._template = template
        self.settled: asyncio.Future[None] = self._loop.create_future()

    def _make_core(self) -> LinkCore:
        """Check the certificate's key before anything that holds a ticket is made."""
        if self._tls.peer_spki_hash() != self._address.spki:
            raise LinkError(CloseReason.PIN, "the server shows another certificate key")
        if self._tls.alpn != "h2" or self._tls.version != "TLSv1.3":
            raise LinkError(CloseReason.NOT_ADMITTED, "the server does not offer h2 on TLS 1.3")
        return ClientLink(
            self._address,
            identity=self._identity,
            peer=PeerIdentity(self._role, node_id_of(self._address.identity)),
            template=self._template,
            settings=self._settings,
            now=self._loop.time(),
            unix_s=time.time(),
        )

    def _announce(self) -> None:
        super()._announce()
        if not self.settled.done():
            self.settled.set_result(None)

    def _ended(self, reason: CloseReason) -> None:
        if not self.settled.done():
            self.settled.set_exception(LinkError(reason, f"no link: {reason.name.lower()}"))


async def dial(
    address: HtxAddress,
    *,
    identity: LocalIdentity | None,
    handler: LinkHandler,
    parameters: NetworkParameters,
    timeout_s: float | None = None,
    role: Role = Role.RELAY,
    template: ChromeTemplate | None = None,
    cover: CoverProfile = DEFAULT,
) -> Link:
    """Open a link.

    Args:
        address: where, and the keys that prove who.
        identity: who dials; None for a client.
        handler: owner of the link.
        parameters: periods and bounds.
        timeout_s: for connecting and all handshakes; default `link_handshake_s`.
        role: role of the dialled node, as the caller knows it.
        template: what the outside looks like; the shipped Chrome by default.
        cover: what to send after traffic stops.

    Raises:
        LinkError: with the reason, as far as it can be told.
    """
    loop = asyncio.get_running_loop()
    settings = LinkSettings(parameters, secrets.token_bytes, cover)
    limit_s = float(parameters.link_handshake_s) if timeout_s is None else timeout_s
    made: list[_DialledLink] = []

    def factory() -> Link:
        chrome = template or default_template()
        made.append(_DialledLink(address, identity, role, chrome, handler, settings))
        return made[-1]

    try:
        async with asyncio.timeout(limit_s):
            await loop.create_connection(factory, address.host, address.port)
            await made[-1].settled
    except BaseException as error:
        await _give_up(made)
        if isinstance(error, TimeoutError):
            raise LinkError(CloseReason.TIMEOUT, f"no link within {limit_s:g} s") from error
        if isinstance(error, OSError):
            raise LinkError(CloseReason.LOST, "cannot connect", why=str(error)) from error
        raise
    return made[-1]


async def _give_up(made: list[_DialledLink]) -> None:
    for link in made:
        link.close(CloseReason.TIMEOUT)
        link.settled.cancel()
        if not link.settled.cancelled():
            link.settled.exception()  # `dial` raises it, or another error in its place
        if not link.is_connected:
            continue
        try:
            async with asyncio.timeout(HANG_UP_S):
                await link.wait_gone()
        except TimeoutError:
            link.abandon(CloseReason.TIMEOUT)
            await link.wait_gone()
