"""Names at the exit: answers from one configured server, cached with a clamped life.

The cache hides how often a name is asked (TTL clamped to 60 to 1,800 s) and is bounded; failures
are kept briefly so that a broken name does not become a flood.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver

from node.errors import NodeConfigError, ResolveError
from node.exit.address import Address

TTL_MIN_S = 60
TTL_MAX_S = 1_800
FAILURE_TTL_S = 10
CACHE_NAMES = 10_000
MAX_ADDRESSES = 16
"""Addresses kept of one answer."""

_DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name resolves to.

    Attributes:
        addresses: IPv4 first, at most `MAX_ADDRESSES`.
        ttl_s: Seconds the answer may be used, clamped.
    """

    addresses: tuple[Address, ...]
    ttl_s: int


class Resolver:
    """Asks one DNS server, remembers answers.

    Args:
        server: `host:port` of a DNS server; empty uses the system's configuration.
        now: Clock in seconds.
        timeout_s: Longest time for one name.
        on_answer: Called with the response code of every question sent (metrics).
    """

    def __init__(
        self,
        server: str,
        *,
        now: Callable[[], float],
        timeout_s: float = 5.0,
        on_answer: Callable[[str], None] = lambda _rcode: None,
    ) -> None:
        self._now = now
        self._on_answer = on_answer
        self._cache: OrderedDict[str, tuple[float, Answer | ResolveError]] = OrderedDict()
        self._resolver = _configured(server)
        self._resolver.lifetime = timeout_s
        self._resolver.timeout = min(2.0, timeout_s)

    async def resolve(self, host: str) -> Answer:
        """Addresses of a name.

        Raises:
            ResolveError: The name does not exist, has no address, or no server answered.
        """
        name = _normalised(host)
        cached = self._cached(name)
        if cached is None:
            cached = await self._ask(name)
            self._remember(name, cached)
        if isinstance(cached, ResolveError):
            raise ResolveError(f"cannot resolve {host}", rcode=cached.rcode, why=cached.why)
        return cached

    def _cached(self, name: str) -> Answer | ResolveError | None:
        found = self._cache.get(name)
        if found is None or found[0] <= self._now():
            return None
        self._cache.move_to_end(name)
        return found[1]

    def _remember(self, name: str, answer: Answer | ResolveError) -> None:
        life = FAILURE_TTL_S if isinstance(answer, ResolveError) else answer.ttl_s
        self._cache[name] = (self._now() + life, answer)
        self._cache.move_to_end(name)
        while len(self._cache) > CACHE_NAMES:
            self._cache.popitem(last=False)

    async def _ask(self, name: str) -> Answer | ResolveError:
        found: list[Address] = []
        ttl = TTL_MAX_S
        failure = ResolveError(f"cannot resolve {name}", rcode="NODATA", why="no address records")
        for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
            try:
                answer = await self._resolver.resolve(name, kind, search=False)
            except dns.resolver.NoAnswer:
                self._on_answer("NOERROR")
                continue
            except (dns.exception.DNSException, OSError) as error:
                failure = _failure(name, error)
                self._on_answer(failure.rcode)
                if failure.rcode == "NXDOMAIN":
                    break
                continue
            self._on_answer("NOERROR")
            found += [ip_address(record.to_text()) for record in answer]
            ttl = min(ttl, answer.rrset.ttl if answer.rrset is not None else TTL_MIN_S)
        if not found:
            return failure
        return Answer(tuple(found[:MAX_ADDRESSES]), max(TTL_MIN_S, min(TTL_MAX_S, ttl)))


def _configured(server: str) -> dns.asyncresolver.Resolver:
    if not server:
        return dns.asyncresolver.Resolver()
    host, colon, port = server.rpartition(":")
    if not colon:
        host, port = server, str(_DNS_PORT)
    resolver = dns.asyncresolver.Resolver(configure=False)
    try:
        resolver.nameservers = [str(ip_address(host.strip("[]")))]
        resolver.port = int(port)
    except ValueError as error:
        raise NodeConfigError(
            f"[exit] dns = {server!r} is not an address and port",
            why=str(error),
            try_=('write it as "127.0.0.1:53"',),
        ) from error
    return resolver


def _normalised(host: str) -> str:
    try:
        name = dns.name.from_text(host.lower())
    except (dns.exception.DNSException, UnicodeError) as error:
        raise ResolveError("not a host name", rcode="FORMERR", why=str(error)) from error
    if name == dns.name.root:
        raise ResolveError("not a host name", rcode="FORMERR", why="the name is empty")
    return name.to_text()


def _failure(name: str, error: Exception) -> ResolveError:
    if isinstance(error, dns.resolver.NXDOMAIN):
        return ResolveError(f"cannot resolve {name}", rcode="NXDOMAIN", why="no such name")
    if isinstance(error, dns.exception.Timeout):
        return ResolveError(f"cannot resolve {name}", rcode="TIMEOUT", why="no DNS server answered")
    return ResolveError(f"cannot resolve {name}", rcode="SERVFAIL", why=str(error) or "DNS failed")
