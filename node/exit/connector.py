"""Connections from the exit to destinations: policy, name, then the resolved addresses only.

A name is resolved once and the connection goes to an address of that answer, judged by the policy
itself, so a name that later points elsewhere (rebinding) gains nothing. Both families are tried in
turn, the next one when an attempt fails or is slow (RFC 8305); the first to answer is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Final

from node.errors import ConnectError, ExitRefusedError
from node.exit.address import Address, parse_address, plain
from node.exit.limits import ExitLimits
from node.exit.own import OwnAddresses, route_source
from node.exit.policy import ExitPolicy, Refusal
from node.exit.race import race
from node.exit.resolver import Answer, Resolver

CONNECT_TRIES: Final = 4
"""Addresses of one answer that are tried."""

LITERAL_TTL_S: Final = 60


@dataclass(frozen=True, slots=True)
class Connector:
    """Opens TCP connections on behalf of streams.

    Attributes:
        policy: What may be reached.
        resolver: Turns names into addresses.
        timeout_s: Longest time for all tries of one stream; a call, because holders may change it.
        own: Addresses and ports of the exit itself.
        limits: Caps; a connection counts until `limits.leave` is called for it.
        on_refusal: Called with the rule that refused (metrics).
        sources: Addresses to connect from, by IP version.
    """

    policy: ExitPolicy
    resolver: Resolver
    timeout_s: Callable[[], float]
    own: OwnAddresses
    limits: ExitLimits
    on_refusal: Callable[[str], None] = lambda _rule: None
    sources: Mapping[int, Address] = field(default_factory=dict)

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
            ExitLimitError: The destination has too many connections from here.
            ResolveError: The name has no address.
            ConnectError: Nothing accepted the connection in time.
        """
        limit_s = self.timeout_s()
        try:
            async with asyncio.timeout(limit_s):
                allowed = self._allowed((await self._addresses(host)).addresses, port)
                return await self._open(in_turn(allowed)[:CONNECT_TRIES], port, protocol)
        except TimeoutError as error:
            raise ConnectError(
                "timeout", f"no connection to port {port}", why=f"no answer within {limit_s:g} s"
            ) from error

    async def resolve(self, host: str) -> Answer:
        """Public addresses of a name; an address stands for itself.

        Raises:
            ExitRefusedError: Every address is private or the exit's own, or this is no exit.
            ResolveError: As `Resolver.resolve`.
        """
        if not self.policy.is_exit:
            raise self._refused(Refusal.POLICY, "exit does not resolve names")
        answer = await self._addresses(host)
        barriers = [self._barrier(address, 0) for address in answer.addresses]
        pairs = zip(answer.addresses, barriers, strict=True)
        public = tuple(address for address, barrier in pairs if barrier is None)
        if not public and barriers[0] is not None:
            raise self._refused(barriers[0], "exit does not resolve that name")
        return Answer(public, answer.ttl_s)

    async def _addresses(self, host: str) -> Answer:
        literal = parse_address(host)
        if literal is not None:
            return Answer((plain(literal),), LITERAL_TTL_S)
        return await self.resolver.resolve(host)

    def _barrier(self, address: Address, port: int) -> Refusal | None:
        """Why the address is nobody's business, whatever the rules say."""
        if self.policy.bars(address):
            return Refusal.PRIVATE
        return Refusal.OWN if self.own.include(address, port) else None

    def _allowed(self, addresses: tuple[Address, ...], port: int) -> list[Address]:
        allowed = []
        refusals = []
        for address in addresses:
            refusal = self._barrier(address, port) or self.policy.refusal(address, port)
            if refusal is None:
                allowed.append(address)
            else:
                refusals.append(refusal)
        if not allowed:
            raise self._refused(refusals[0], f"exit does not connect to port {port} there")
        return allowed

    def _refused(self, refusal: Refusal, message: str) -> ExitRefusedError:
        self.on_refusal(refusal.value)
        return ExitRefusedError(message, rule=refusal.value)

    async def _open(
        self, addresses: list[Address], port: int, protocol: Callable[[], asyncio.Protocol]
    ) -> Address:
        address, sock = await race(addresses, port, self.limits, self.sources)
        try:
            await asyncio.get_running_loop().create_connection(protocol, sock=sock)
        except BaseException:
            self.limits.leave(address, port)
            sock.close()
            raise
        return address


def in_turn(addresses: Iterable[Address]) -> list[Address]:
    """Families in turn, IPv6 first; an address this machine has no route to stands last."""
    families: dict[int, list[Address]] = {6: [], 4: []}
    lost = []
    for address in addresses:
        if route_source(address) is None:
            lost.append(address)
        else:
            families[address.version].append(address)
    turns = chain.from_iterable(zip_longest(families[6], families[4]))
    return [address for address in turns if address is not None] + lost
