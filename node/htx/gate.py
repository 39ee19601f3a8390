"""Who may come in: every ticket once, and only so many per network prefix.

The memory of tickets is by hour bucket; a bucket is kept for the whole span in which its tickets
could be valid. A store given by the owner makes it survive restarts.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from node.htx.ticket import Ticket, TicketChecker, hour_of
from qnet.crypto.kdf import blake3

DIGEST_BYTES: Final = 16
SPAN_HOURS: Final = 1
"""A ticket of hour h is valid from h - 1 to h + 1."""


class TicketStore(Protocol):
    """Where accepted tickets are kept across restarts."""

    def load(self) -> Iterable[tuple[int, bytes]]:
        """Return all (hour, digest of 16 bytes) that were appended and not dropped."""

    def append(self, hour: int, digest: bytes) -> None:
        """Keep one ticket; returns only when it would survive the end of the process.

        Raises:
            OSError: it cannot be kept.
        """

    def drop_before(self, hour: int) -> None:
        """Forget all tickets of earlier hours."""


class NoStore:
    """A store for processes whose ticket key does not outlive them."""

    def load(self) -> Iterable[tuple[int, bytes]]:
        """Nothing was kept."""
        return ()

    def append(self, hour: int, digest: bytes) -> None:
        """Keep nothing."""

    def drop_before(self, hour: int) -> None:
        """Nothing to forget."""


class TicketMemory:
    """Accepted tickets, exactly, by hour.

    Args:
        store: where they are kept across restarts.
        capacity: most tickets of one hour; more are refused, never forgotten.
    """

    def __init__(self, store: TicketStore, capacity: int = 1_000_000) -> None:
        self._store = store
        self._capacity = capacity
        self._hours: dict[int, set[bytes]] = {}
        self.refused_full = 0
        self.refused_unkept = 0
        for hour, digest in store.load():
            self._hours.setdefault(hour, set()).add(digest)

    def remember(self, hour: int, ticket: Ticket, unix_s: float) -> bool:
        """Take a ticket; False when it was taken before, or cannot be remembered."""
        self._expire(hour_of(unix_s))
        seen = self._hours.setdefault(hour, set())
        digest = blake3(ticket.encode())[:DIGEST_BYTES]
        if digest in seen:
            return False
        if len(seen) >= self._capacity:
            self.refused_full += 1
            return False
        try:
            self._store.append(hour, digest)
        except OSError:
            self.refused_unkept += 1
            return False
        seen.add(digest)
        return True

    def _expire(self, now_hour: int) -> None:
        oldest = now_hour - SPAN_HOURS
        stale = [hour for hour in self._hours if hour < oldest]
        for hour in stale:
            del self._hours[hour]
        if stale:
            self._store.drop_before(oldest)


def prefix_of(host: str) -> str:
    """Return the /24 of an IPv4 or the /56 of an IPv6 address; anything else is its own prefix."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    bits = 24 if address.version == 4 else 56
    return str(ipaddress.ip_network((address, bits), strict=False))


@dataclass(slots=True)
class TokenBuckets:
    """A token bucket per network prefix.

    Attributes:
        rate: admissions a second.
        burst: admissions at once.
        capacity: prefixes remembered; the least recently used is forgotten.
        refused: how often a bucket was empty.
    """

    rate: float = 20.0
    burst: float = 200.0
    capacity: int = 65_536
    refused: int = 0
    _levels: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, prefix: str, now_s: float) -> bool:
        """Take one token, if there is one."""
        level, at = self._levels.pop(prefix, (self.burst, now_s))
        level = min(self.burst, level + max(0.0, now_s - at) * self.rate)
        allowed = level >= 1
        self._levels[prefix] = (level - 1 if allowed else level, now_s)
        if len(self._levels) > self.capacity:
            self._levels.popitem(last=False)
        if not allowed:
            self.refused += 1
        return allowed


@dataclass(slots=True)
class Gate:
    """Decides about a request; whatever is refused looks the same to the one who asked.

    Attributes:
        checker: tells good tickets.
        memory: tickets taken before.
        buckets: limits per network prefix.
    """

    checker: TicketChecker
    memory: TicketMemory
    buckets: TokenBuckets = field(default_factory=TokenBuckets)

    def admit(self, token: str | None, *, source: str, unix_s: float) -> Ticket | None:
        """Return the ticket that lets this request in, or None for the decoy.

        Args:
            token: what the request carries in place of a ticket, if anything.
            source: address of the peer.
            unix_s: time now.
        """
        found = self.checker.hour_for(token, unix_s)
        if found is None:
            return None
        hour, ticket = found
        if not self.buckets.take(prefix_of(source), unix_s):
            return None
        return ticket if self.memory.remember(hour, ticket, unix_s) else None
