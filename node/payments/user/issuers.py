"""Asks all committee members at once and goes on with those that answer right.

A purchase or a swap is answered when `threshold` members gave partial signatures that combine to
valid ones. It is refused when so many members refuse it that the others cannot suffice.

Source: docs/spec/payments.md, QN-PAY-002, 012, 022 and 032, "Interfaces between programs".
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

from node.errors import IssuerKeysError, IssuersRefusedError, IssuersSilentError
from node.payments.keys import EpochKeys, ShownKeys
from node.payments.user.blinding import Blinded
from node.payments.user.partials import Partials
from node.payments.user.routes import Answer, Route
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

        async def take(place: int, answer: Answer) -> bool:
            if answer.status == OK:
                try:
                    shown.append(ShownKeys.decode(answer.body))
                except DecodeError:
                    self.liars[place] += 1
            return False

        await self._ask_all(route, "GET", f"/v1/payments/keys/{epoch}", b"", take)
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
            IssuersRefusedError: too many refuse it.
            IssuersSilentError: too few gave right answers this time.
        """
        partials = Partials(blinded, keys, self.random)
        reasons: Counter[str] = Counter()
        signatures: tuple[bytes, ...] | None = None

        async def take(place: int, answer: Answer) -> bool:
            nonlocal signatures
            if answer.status == OK:
                partials.add(place, answer.body)
                signatures = await asyncio.to_thread(partials.signatures)
            else:
                reasons.update(_reason(answer))
            return signatures is not None

        await self._ask_all(route, "POST", path, body, take)
        if signatures is not None:
            self.liars.update(partials.liars)
            return signatures
        await asyncio.to_thread(partials.judge)
        self.liars.update(partials.liars)
        refusals = sum(reasons.values())
        words = tuple(reason for reason, _ in reasons.most_common())
        if refusals > len(self.members) - keys.threshold:
            raise IssuersRefusedError(words, len(partials.answers))
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
        found: list[T] = []
        absent = 0

        async def take(place: int, answer: Answer) -> bool:
            nonlocal absent
            absent += answer.status == NOT_FOUND
            if answer.status == OK:
                try:
                    value = read(answer.body)
                except DecodeError:
                    value = None
                if value is None:
                    self.liars[place] += 1
                else:
                    found.append(value)
            return False

        await self._ask_all(route, "GET", path, b"", take)
        if found:
            return found
        if absent >= threshold:
            return None
        raise IssuersSilentError(
            "too few committee members answered", why=f"{absent} of {threshold} have nothing"
        )

    async def crowd(self, route: Route) -> Crowd:
        """Ask every member for the size of the crowd."""
        rows: list[_Status] = []

        async def take(_place: int, answer: Answer) -> bool:
            told = _Status.read(answer)
            if told is not None:
                rows.append(told)
            return False

        await self._ask_all(route, "GET", "/v1/payments/status", b"", take)
        if not rows:
            return Crowd(-1, 0, 0, 0, is_open=False)
        running, _ = Counter(row.running for row in rows).most_common(1)[0]
        same = [row for row in rows if row.running == running]
        return Crowd(
            epoch=running,
            buyers=min(row.buyers for row in same),
            swaps=min(row.swaps for row in same),
            told=len(rows),
            is_open=2 * sum(row.is_open for row in rows) > len(rows),
        )

    async def _ask_all(
        self,
        route: Route,
        method: str,
        path: str,
        body: bytes,
        take: Callable[[int, Answer], Awaitable[bool]],
    ) -> None:
        """Ask every member; `take` gets each answer as it comes, until it has enough."""
        answers: asyncio.Queue[tuple[int, Answer]] = asyncio.Queue()

        async def one(place: int, member: str) -> None:
            answers.put_nowait((place, await route.ask(member, method, path, body)))

        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(one(*pair)) for pair in enumerate(self.members)]
            with suppress(TimeoutError):
                async with asyncio.timeout(ASK_S):
                    for _ in asked:
                        if await take(*await answers.get()):
                            break
            for task in asked:
                task.cancel()


@dataclass(frozen=True, slots=True)
class _Status:
    """What one member tells of the running epoch."""

    running: int
    buyers: int
    swaps: int
    is_open: bool

    @classmethod
    def read(cls, answer: Answer) -> _Status | None:
        """Read a member's answer; None if it is none."""
        if answer.status != OK:
            return None
        try:
            document = json.loads(answer.body)
            return cls(
                _natural(document["running"]),
                _natural(document["buyers"]),
                _natural(document["swaps"]),
                document["open"] is True,
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            return None


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
