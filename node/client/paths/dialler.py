"""The one way out: every connection of a client is dialled here, and remembered.

What became of the last attempts tells what the network around this machine does
(`node.client.watch.portal`); whom the client ever dialled tells whether a socket is one of ours
(`node.client.watch.leaks`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from node.client.watch.uplink import is_address
from node.errors import LinkError
from node.htx.address import HtxAddress
from node.htx.events import CloseReason, Role
from node.io.endpoint import Link, dial
from node.io.link import LinkHandler
from qnet.parameters import NetworkParameters

KEPT_ATTEMPTS: Final = 64
"""Attempts remembered."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one dial went.

    Attributes:
        at: Monotonic time of its end.
        wall_s: Unix time of its end by the local clock.
        host: Where it went.
        port: TCP port.
        error: Why it failed; None when it stands.
        told_s: Unix time that the node's web site told over TLS with the pinned key; 0 for none.
    """

    at: float
    wall_s: float
    host: str
    port: int
    error: LinkError | None
    told_s: float = 0.0


@dataclass(slots=True)
class Dialler:
    """Dials nodes for one client.

    Attributes:
        now: Monotonic clock in seconds.
        wall: Unix clock in seconds.
        attempts: The last ones, oldest first.
    """

    now: Callable[[], float]
    wall: Callable[[], float]
    attempts: deque[Attempt] = field(default_factory=lambda: deque(maxlen=KEPT_ATTEMPTS))

    async def dial(
        self,
        address: HtxAddress,
        *,
        handler: LinkHandler,
        parameters: NetworkParameters,
        timeout_s: float,
        role: Role = Role.RELAY,
    ) -> Link:
        """Open a link as a client; see `node.io.endpoint.dial`.

        Raises:
            LinkError: With the reason, as far as it can be told.
        """
        try:
            _check_address(address)
            link = await dial(
                address,
                identity=None,
                handler=handler,
                parameters=parameters,
                role=role,
                timeout_s=timeout_s,
                wall=self.wall,
            )
        except LinkError as error:
            self._note(address, error, error.told_s)
            raise
        self._note(address, None, link.told_s)
        return link

    def _note(self, address: HtxAddress, error: LinkError | None, told_s: float) -> None:
        self.attempts.append(
            Attempt(self.now(), self.wall(), address.host, address.port, error, told_s)
        )


def _check_address(address: HtxAddress) -> None:
    """Look no name up: this machine's resolver would learn whom we dial.

    Raises:
        LinkError: The node is named by a DNS name.
    """
    if not is_address(address.host):
        why = "looking its name up would tell this machine's DNS server"
        raise LinkError(CloseReason.LOST, "the node has no IP address", why=why)
