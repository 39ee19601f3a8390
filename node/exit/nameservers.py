"""The DNS servers of an exit: one name asked for both families of addresses, over UDP, then TCP.

Ids and source ports are random for every question; answers from elsewhere, with another id or that
cannot be read are passed over until the deadline. A server that fails is left for the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.rdatatype
import dns.resolver

from node.errors import NodeConfigError, ResolveError
from node.exit.address import Address, plain
from node.exit.ports import parse_range

MAX_ADDRESSES: Final = 8
"""Addresses kept of one answer, of each family."""

ASK_S: Final = 5.0
"""Longest time for one name, over all servers and tries."""

TRY_S: Final = 1.5
"""Time a server has before the next one, or the same one again, is asked."""

OTHER_FAMILY_S: Final = 0.25
"""Once one family has addresses, time the other still has."""

EDNS_BYTES: Final = 1232
"""Answers that no network on the way has to cut in pieces."""

MAX_SERVERS: Final = 4

_DNS_PORT: Final = 53
_KINDS: Final = (dns.rdatatype.A, dns.rdatatype.AAAA)


@dataclass(frozen=True, slots=True)
class Found:
    """Addresses of one family.

    Attributes:
        addresses: In the server's order, none twice.
        ttl_s: Least life of the records that led to them, unclamped.
        failure: Why there are none; None with addresses.
    """

    addresses: tuple[Address, ...]
    ttl_s: int
    failure: ResolveError | None


class NameServers:
    """Asks DNS servers.

    Args:
        servers: Addresses with ports, separated by commas; empty uses the system's configuration.
        on_answer: Called with the response code of every question (metrics).
        timeout_s: Longest time for one name.
    """

    def __init__(
        self,
        servers: str,
        on_answer: Callable[[str], None] = lambda _rcode: None,
        timeout_s: float = ASK_S,
    ) -> None:
        self._on_answer = on_answer
        self._resolver = _configured(servers)
        self._resolver.lifetime = timeout_s
        self._resolver.timeout = min(TRY_S, timeout_s)
        self._resolver.rotate = True
        self._resolver.use_edns(0, 0, EDNS_BYTES)

    async def ask(self, name: str) -> tuple[Found, ...]:
        """Ask for both families at once.

        Args:
            name: Absolute name.

        Returns:
            What was found for each family; a family that is late has failed with `TIMEOUT`.
        """
        late = Found((), 0, ResolveError(f"cannot resolve {name}", rcode="TIMEOUT", why="late"))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._ask_one(name, kind)) for kind in _KINDS]
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if any(task.result().addresses for task in done):
                _, pending = await asyncio.wait(tasks, timeout=OTHER_FAMILY_S)
                for task in pending:
                    task.cancel()
        return tuple(late if task.cancelled() else task.result() for task in tasks)

    async def _ask_one(self, name: str, kind: dns.rdatatype.RdataType) -> Found:
        try:
            answer = await self._resolver.resolve(name, kind, search=False)
        except (dns.exception.DNSException, OSError) as error:
            failure = _failure(name, error)
            self._on_answer("NOERROR" if failure.rcode == "NODATA" else failure.rcode)
            return Found((), 0, failure)
        self._on_answer("NOERROR")
        found = dict.fromkeys(plain(ip_address(record.to_text())) for record in answer)
        return Found(tuple(found)[:MAX_ADDRESSES], answer.chaining_result.minimum_ttl, None)


def _configured(servers: str) -> dns.asyncresolver.Resolver:
    if not servers.strip():
        return dns.asyncresolver.Resolver()
    entries = [entry.strip() for entry in servers.split(",")]
    if len(entries) > MAX_SERVERS:
        raise NodeConfigError("[exit] dns names too many servers", why=f"limit {MAX_SERVERS}")
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [_server(entry) for entry in entries]
    return resolver


def _server(text: str) -> dns.nameserver.Nameserver:
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    try:
        address, number = str(ip_address(host)), parse_range(port or str(_DNS_PORT))[0]
    except ValueError as error:
        raise NodeConfigError(
            f"[exit] dns = {text!r} is not an address and port",
            why=str(error),
            try_=('write it as "127.0.0.1:53", more of them with commas between',),
        ) from error
    return dns.nameserver.Do53Nameserver(address, number)


def _failure(name: str, error: Exception) -> ResolveError:
    message = f"cannot resolve {name}"
    if isinstance(error, dns.resolver.NXDOMAIN):
        return ResolveError(message, rcode="NXDOMAIN", why="no such name")
    if isinstance(error, dns.resolver.NoAnswer):
        return ResolveError(message, rcode="NODATA", why="no address records")
    if isinstance(error, dns.exception.Timeout):
        return ResolveError(message, rcode="TIMEOUT", why="no DNS server answered")
    return ResolveError(message, rcode="SERVFAIL", why="the DNS servers failed or made no sense")
