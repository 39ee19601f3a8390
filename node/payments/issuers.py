"""Asks all committee members at once and goes on with those that answer right.

A purchase or a swap is answered when `threshold` members gave partial signatures that combine to
valid ones. It is refused when so many members refuse it that the others cannot suffice.

Source: docs/spec/payments.md, QN-PAY-002, 012, 022 and 032, "Interfaces between programs".
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from node.errors import IssuerKeysError, IssuersRefusedError, IssuersSilentError
from node.payments.blinding import Blinded
from node.payments.keys import EpochKeys, ShownKeys
from node.payments.partials import Partials
from node.payments.routes import Answer, Route
from qnet.errors import DecodeError
from qnet.messages.instruments import Place
from qnet.sampling import RandomBytes

ASK_S: Final = 40.0
"""A request to all members ends by then, whoever has answered."""
OK: Final = 200
NOT_FOUND: Final = 404
REFUSED_CODE: Final = "Q1018"
_REASON_CHARS: Final = 120

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many use premium payments in the running epoch, by the least that members tell.

    Args:
        epoch: that members say is running; -1 if none answered.
        buyers: channels that bought.
        swaps: swaps served.
        told: members that answered.
        is_open: whether most of them take requests.
    """

    epoch: int
    buyers: int
    swaps: int
    told: int
    is_open: bool


@dataclass(slots=True)
class Issuers:
    """The committee as a wallet sees it.

    Args:
        members: base URLs, in the order of the committee's seats.
        place: chain and contract.
        random: the operating system's source.
        liars: how often a member gave a wrong answer, by its place.
    """

    members: Sequence[str]
    place: Place
    random: RandomBytes
    liars: Counter[int] = field(default_factory=Counter)
    _keys: dict[int, EpochKeys] = field(default_factory=dict)

    async def keys(self, epoch: int, keys_hash: bytes, route: Route) -> EpochKeys:
        """Keys of an issuance epoch.

        Args:
            epoch: its number.
            keys_hash: on the chain, 32 bytes.
            route: how to ask; keys are public.

        Raises:
            IssuerKeysError: no member shows keys of that hash.
        """
        known = self._keys.get(epoch)
        if known is not None and known.shares:
            return known
        shown = []
        async for place, answer in self._each(route, "GET", f"/v1/payments/keys/{epoch}"):
            if answer.status != OK:
                continue
            try:
                shown.append(ShownKeys.decode(answer.body))
            except DecodeError:
                self.liars[place] += 1
        found = EpochKeys.choose(epoch, self.place, keys_hash, shown, len(self.members))
        if found is None and known is None:
            raise IssuerKeysError(
                f"no committee member shows the keys of issuance epoch {epoch}",
                why=f"{len(shown)} answered; none has the keys whose hash is on the chain",
            )
        keys = found or known
        assert keys is not None
        self._keys[epoch] = keys
        return keys

    async def sign(
        self, route: Route, path: str, body: bytes, blinded: Sequence[Blinded], keys: EpochKeys
    ) -> tuple[bytes, ...]:
        """Have a purchase or a swap signed.

        Args:
            route: how to ask.
            path: of the interface.
            body: wire form of the request.
            blinded: what is to be signed, in order.
            keys: of the epoch.

        Returns:
            Verified signatures, 48 bytes each, in order.

        Raises:
            IssuersRefusedError: it can never be served.
            IssuersSilentError: too few gave right answers this time.
        """
        partials = Partials(blinded, keys, self.random)
        reasons: Counter[str] = Counter()
        async for place, answer in self._each(route, "POST", path, body):
            if answer.status == OK:
                partials.add(place, answer.body)
                found = await asyncio.to_thread(partials.signatures)
                if found is not None:
                    self._blame(partials)
                    return found
            else:
                reasons.update(_reason(answer))
        self._blame(partials)
        refusals = sum(reasons.values())
        words = tuple(reason for reason, _ in reasons.most_common())
        if refusals > len(self.members) - keys.threshold:
            raise IssuersRefusedError(words)
        right = len(partials.answers)
        raise IssuersSilentError(
            f"{right} of {keys.threshold} members that are needed gave a right answer",
            why="; ".join((f"{len(partials.liars)} gave a wrong one", *words)),
            try_=("wait: the same request is sent again",),
        )

    async def find(
        self, route: Route, path: str, read: Callable[[bytes], T | None], threshold: int
    ) -> list[T] | None:
        """Look something up that members stored.

        Args:
            route: how to ask.
            path: of the interface.
            read: turns an answer into what it proves; None for one that proves nothing.
            threshold: of the committee.

        Returns:
            What members that have it show; None if so many have not that nothing was served.

        Raises:
            IssuersSilentError: too few answered to tell.
        """
        found, absent = [], 0
        async for place, answer in self._each(route, "GET", path):
            if answer.status == NOT_FOUND:
                absent += 1
            elif answer.status == OK:
                try:
                    value = read(answer.body)
                except DecodeError:
                    value = None
                if value is None:
                    self.liars[place] += 1
                else:
                    found.append(value)
        if found:
            return found
        if absent >= threshold:
            return None
        raise IssuersSilentError(
            "too few committee members answered", why=f"{absent} of {threshold} have nothing"
        )

    async def crowd(self, route: Route) -> Crowd:
        """Ask every member for the size of the crowd."""
        rows = []
        async for _, answer in self._each(route, "GET", "/v1/payments/status"):
            try:
                document = json.loads(answer.body) if answer.status == OK else None
                rows.append(
                    tuple(_natural(document[name]) for name in ("running", "buyers", "swaps"))
                    + (document["open"] is True,)
                )
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
        if not rows:
            return Crowd(-1, 0, 0, 0, is_open=False)
        newest = max(Counter(row[0] for row in rows).most_common(), key=lambda pair: pair[1])[0]
        same = [row for row in rows if row[0] == newest]
        return Crowd(
            epoch=newest,
            buyers=min(row[1] for row in same),
            swaps=min(row[2] for row in same),
            told=len(rows),
            is_open=2 * sum(row[3] for row in rows) > len(rows),
        )

    async def _each(
        self, route: Route, method: str, path: str, body: bytes = b""
    ) -> AsyncIterator[tuple[int, Answer]]:
        """Answers of all members as they come, with the members' places."""

        async def one(place: int, member: str) -> tuple[int, Answer]:
            return place, await route.ask(member, method, path, body)

        pending: set[asyncio.Task[tuple[int, Answer]]] = {
            asyncio.ensure_future(one(place, member)) for place, member in enumerate(self.members)
        }
        loop = asyncio.get_running_loop()
        until = loop.time() + ASK_S
        try:
            while pending and loop.time() < until:
                done, pending = await asyncio.wait(
                    pending, timeout=until - loop.time(), return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    yield task.result()
        finally:
            await _cancelled(pending)

    def _blame(self, partials: Partials) -> None:
        self.liars.update(partials.liars)


async def _cancelled(tasks: set[asyncio.Task[tuple[int, Answer]]]) -> None:
    for task in tasks:
        task.cancel()
    waiting: list[Awaitable[object]] = list(tasks)
    await asyncio.gather(*waiting, return_exceptions=True)


def _reason(answer: Answer) -> list[str]:
    """Why a member refuses for good; empty for anything that may be another time."""
    if answer.status == 0:
        return []
    try:
        error = json.loads(answer.body)["error"]
        code, why = str(error["code"]), str(error["why"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    shown = "".join(letter for letter in why[:_REASON_CHARS] if letter.isprintable())
    return [shown] if code == REFUSED_CODE else []


def _natural(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("not a natural number")
    return value
