"""Links over TCP: `dial` and `serve`, and the `Link` they hand to a `LinkHandler`."""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Final

import utls

from node.ciphers import link_features
from node.errors import Heard, LinkError
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


class DialledLink(Link):
    """A link that this side opened; made by `dial`."""

    outgoing = True

    def __init__(
        self,
        address: HtxAddress,
        identity: LocalIdentity | None,
        role: Role,
        template: ChromeTemplate,
        handler: LinkHandler,
        settings: LinkSettings,
        wall: Callable[[], float],
    ) -> None:
        super().__init__(handler, settings, TlsStream(client_context(template), address.sni))
        self._wall = wall
        self._heard = Heard.SILENCE
        self._address = address
        self._identity = identity
        self._role = role
        self._template = template
        self.settled: asyncio.Future[None] = self._loop.create_future()

    def _make_core(self) -> LinkCore:
        """Check the certificate's key before anything that holds a ticket is made."""
        self._heard = Heard.TLS
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
            unix_s=self._wall(),
        )

    def _establish(self) -> LinkCore | None:
        try:
            return super()._establish()
        except utls.SSLError:
            self._heard = Heard.GARBLED
            raise

    def failure(self, reason: CloseReason, message: str) -> LinkError:
        """The error of this dial, with all that was heard."""
        heard = self._heard if self._transport is not None else Heard.NOTHING
        return LinkError(reason, message, heard=heard, told_s=self.told_s)

    @property
    def told_s(self) -> float:
        """Unix time that the server's web site told in its first response; 0 for none."""
        return self._core.site_time_s if isinstance(self._core, ClientLink) else 0.0

    def _announce(self) -> None:
        super()._announce()
        if not self.settled.done():
            self.settled.set_result(None)

    def _ended(self, reason: CloseReason) -> None:
        if not self.settled.done():
            self.settled.set_exception(self.failure(reason, f"no link: {reason.name.lower()}"))


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
    wall: Callable[[], float] = time.time,
) -> DialledLink:
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
        wall: unix clock, seconds.

    Raises:
        LinkError: with the reason, as far as it can be told.
    """
    loop = asyncio.get_running_loop()
    settings = LinkSettings(parameters, secrets.token_bytes, cover, link_features())
    limit_s = float(parameters.link_handshake_s) if timeout_s is None else timeout_s
    made: list[DialledLink] = []

    def factory() -> Link:
        chrome = template or default_template()
        made.append(DialledLink(address, identity, role, chrome, handler, settings, wall))
        return made[-1]

    try:
        async with asyncio.timeout(limit_s):
            await loop.create_connection(factory, address.host, address.port)
            await made[-1].settled
    except BaseException as error:
        failure = _failure(made, error, limit_s)
        await _give_up(made)
        if failure is not None:
            raise failure from error
        raise
    return made[-1]


def _failure(made: list[DialledLink], error: BaseException, limit_s: float) -> LinkError | None:
    """What a dial raises for an error of the event loop; None for the error itself."""
    if isinstance(error, TimeoutError) and not error.errno:
        message = f"no link within {limit_s:g} s"
        last = made[-1] if made else None
        reason = CloseReason.TIMEOUT
        return last.failure(reason, message) if last is not None else LinkError(reason, message)
    if isinstance(error, OSError):
        number = error.errno or 0
        return LinkError(CloseReason.LOST, "cannot connect", why=str(error), number=number)
    return None


async def _give_up(made: list[DialledLink]) -> None:
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
