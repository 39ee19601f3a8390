"""Connections from the exit to destinations: policy, name, then the resolved address only.

A name is resolved once and the connection goes to an address of that answer, judged by the policy
itself, so a name that later points elsewhere (rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from node.errors import ExitRefusedError, ResolveError, Stage, StreamError
from node.exit.address import Address, parse_address
from node.exit.policy import ExitPolicy, Refusal
from node.exit.resolver import Answer, Resolver

CONNECT_TRIES = 3
"""Addresses of one answer that are tried, in order."""


@dataclass(frozen=True, slots=True)
class Connector:
    """Opens TCP connections on behalf of streams.

    Attributes:
        policy: What may be reached.
        resolver: Turns names into addresses.
        timeout_s: Longest time for all tries of one stream.
        on_refusal: Called with the rule that refused (metrics).
    """

    policy: ExitPolicy
    resolver: Resolver
    timeout_s: float
    on_refusal: Callable[[str], None] = lambda _rule: None

    async def connect(
        self, host: str, port: int, protocol: Callable[[], asyncio.Protocol]
    ) -> Address:
        """Connect `protocol()` to a destination.

        Args:
            host: Name or address.
            port: TCP port.
            protocol: Makes the protocol that gets the connection.

        Returns:
            The address connected to.

        Raises:
            ExitRefusedError: The policy refuses it.
            ResolveError: The name has no address.
            StreamError: Nothing accepted the connection in time.
        """
        try:
            async with asyncio.timeout(self.timeout_s):
                allowed = self._allowed((await self.resolve(host)).addresses, host, port)
                return await self._try_each(allowed[:CONNECT_TRIES], port, protocol)
        except TimeoutError as error:
            raise StreamError(
                Stage.CONNECT,
                f"no connection to port {port}",
                why=f"no answer within {self.timeout_s:g} s",
            ) from error

    async def resolve(self, host: str) -> Answer:
        """Addresses of a name; an address stands for itself.

        Raises:
            ResolveError: As `Resolver.resolve`.
        """
        literal = parse_address(host)
        if literal is not None:
            return Answer((literal,), 60)
        return await self.resolver.resolve(host)

    def _allowed(self, addresses: tuple[Address, ...], host: str, port: int) -> list[Address]:
        allowed = []
        refusal: Refusal | None = None
        for address in addresses:
            reason = self.policy.refusal(address, port)
            if reason is None:
                allowed.append(address)
            else:
                refusal = refusal or reason
        if allowed:
            return allowed
        if refusal is None:
            raise ResolveError(f"cannot resolve {host}", rcode="NODATA", why="no address")
        self.on_refusal(refusal.value)
        raise ExitRefusedError(f"exit does not connect to port {port} there", rule=refusal.value)

    async def _try_each(
        self, addresses: list[Address], port: int, protocol: Callable[[], asyncio.Protocol]
    ) -> Address:
        loop = asyncio.get_running_loop()
        failure: OSError | None = None
        for address in addresses:
            try:
                await loop.create_connection(protocol, str(address), port)
            except OSError as error:
                failure = error
            else:
                return address
        raise StreamError(
            Stage.CONNECT, f"no connection to port {port}", why=_cause(failure)
        ) from failure


def _cause(error: OSError | None) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return (error.strerror if error is not None else None) or "unreachable"
