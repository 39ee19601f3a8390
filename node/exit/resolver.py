"""Names at the exit: what DNS servers said, kept for a clamped time, asked once for all.

The cache hides how often a name is asked (lives are clamped to `dns_ttl_min_s` and
`dns_ttl_max_s`) and is bounded; failures are kept too, so that a broken name does not become a
flood. Streams that ask for one name at the same time share one question.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from node.errors import ResolveError
from node.exit.address import Address, checked_name
from node.exit.nameservers import Found, NameServers
from qnet.parameters import NetworkParameters

FAILURE_TTL_S: Final = 10
"""A failure of the servers is kept this long; that a name does not exist, for `dns_ttl_min_s`."""

CACHE_NAMES: Final = 10_000
MAX_QUESTIONS: Final = 256
"""Names asked for at the same time; more are refused and counted."""

_ABSENT: Final = frozenset({"NXDOMAIN", "NODATA"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name resolves to.

    Attributes:
        addresses: At least one, IPv4 first, at most `nameservers.MAX_ADDRESSES` of each family.
        ttl_s: Seconds the answer may be used, clamped.
    """

    addresses: tuple[Address, ...]
    ttl_s: int


Outcome = Answer | ResolveError


class Resolver:
    """Resolves names, remembers outcomes.

    Args:
        servers: Who is asked.
        parameters: Network parameters in force, as a call because holders may change them.
        spawn: Runs a coroutine in the owner's task group.
        now: Clock in seconds.
        on_drop: Called for every name refused because too many are being asked for.
    """

    def __init__(
        self,
        servers: NameServers,
        *,
        parameters: Callable[[], NetworkParameters],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        now: Callable[[], float],
        on_drop: Callable[[], None] = lambda: None,
    ) -> None:
        self._servers = servers
        self._parameters = parameters
        self._spawn = spawn
        self._now = now
        self._on_drop = on_drop
        self._cache: OrderedDict[str, tuple[float, Outcome]] = OrderedDict()
        self._asking: dict[str, asyncio.Future[Outcome]] = {}

    async def resolve(self, host: str) -> Answer:
        """Addresses of a name.

        Raises:
            ResolveError: It is no name, does not exist, has no address, or no server answered.
        """
        name = checked_name(host)
        outcome = self._cached(name)
        if outcome is None:
            outcome = await asyncio.shield(self._question(name))
        if isinstance(outcome, ResolveError):
            raise ResolveError(f"cannot resolve {host}", rcode=outcome.rcode, why=outcome.why)
        return outcome

    def __len__(self) -> int:
        return len(self._cache)

    @property
    def asking(self) -> int:
        """Names being asked for now."""
        return len(self._asking)

    def _cached(self, name: str) -> Outcome | None:
        found = self._cache.get(name)
        if found is None or found[0] <= self._now():
            return None
        self._cache.move_to_end(name)
        return found[1]

    def _question(self, name: str) -> asyncio.Future[Outcome]:
        """The question about a name: the one under way, or a new one."""
        question = self._asking.get(name)
        if question is None:
            if len(self._asking) >= MAX_QUESTIONS:
                self._on_drop()
                raise ResolveError(
                    f"cannot resolve {name}", rcode="DROPPED", why="too many names at once"
                )
            question = self._asking[name] = asyncio.get_running_loop().create_future()
            self._spawn(self._ask(name, question))
        return question

    async def _ask(self, name: str, question: asyncio.Future[Outcome]) -> None:
        try:
            outcome = self._outcome(name, await self._servers.ask(name))
            self._remember(name, outcome)
            question.set_result(outcome)
        finally:
            del self._asking[name]
            question.cancel()

    def _outcome(self, name: str, found: tuple[Found, ...]) -> Outcome:
        addresses = tuple(address for family in found for address in family.addresses)
        if not addresses:
            failures = [family.failure for family in found if family.failure is not None]
            told = [failure for failure in failures if failure.rcode not in _ABSENT]
            absent = [failure for failure in failures if failure.rcode == "NXDOMAIN"]
            unknown = ResolveError(f"cannot resolve {name}", rcode="NODATA", why="no address")
            return next(iter((*absent, *told, *failures)), unknown)
        life = min(family.ttl_s for family in found if family.addresses)
        return Answer(addresses, self._clamped(life))

    def _clamped(self, ttl_s: int) -> int:
        parameters = self._parameters()
        return max(parameters.dns_ttl_min_s, min(parameters.dns_ttl_max_s, ttl_s))

    def _remember(self, name: str, outcome: Outcome) -> None:
        if isinstance(outcome, Answer):
            life = outcome.ttl_s
        else:
            life = self._clamped(0) if outcome.rcode in _ABSENT else FAILURE_TTL_S
        self._cache[name] = (self._now() + life, outcome)
        self._cache.move_to_end(name)
        while len(self._cache) > CACHE_NAMES:
            self._cache.popitem(last=False)
