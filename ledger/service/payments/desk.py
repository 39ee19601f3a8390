"""The desk: judges purchases and swaps, signs them blindly, and writes down before it answers.

What is written down is the only memory of what was served, and the database refuses a second
request in one place; so a crash, a race or a lost answer never makes two signatures of one value.

Source: docs/spec/payments.md, QN-PAY-020 to 023 and 030 to 033.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from sqlalchemy.exc import IntegrityError

from ledger.domain.issuance_log import (
    Request,
    decode_request,
    epoch_of,
    issued_units,
    name_of,
)
from ledger.domain.issuing import (
    ChannelFacts,
    Memory,
    Served,
    Why,
    input_place,
    serve_purchase,
    serve_swap,
    voucher_place,
)
from ledger.errors import IssuingRefusedError, NotReadyError, OverloadedError
from ledger.service.payments.facts import IssuingFacts
from ledger.service.unit_of_work import Work
from ledger.storage.payment_requests import NONCE_MAX
from qnet.crypto.blind import sign_blinded
from qnet.crypto.points import G1
from qnet.crypto.scalars import SecretScalar
from qnet.errors import CryptoError
from qnet.messages.swap import Swap
from qnet.messages.voucher import Purchase
from qnet.sampling import RandomBytes

WORK_MAX: Final = 64
"""Requests under examination at one time; more are turned away before any pairing."""
CPU_MAX: Final = 2
"""Of which so many compute: the others' facts are gathered meanwhile."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the database says about one request; implements `Memory`.

    Args:
        last: nonce and cumulative wei of the channel's last voucher.
        standing: name of the request in each of its places that is taken.
    """

    last: tuple[int, int]
    standing: Mapping[bytes, bytes]

    def last_voucher(self, channel: bytes) -> tuple[int, int]:
        """Nonce and cumulative wei of the channel's last voucher."""
        del channel  # a request names only one
        return self.last

    def request_at(self, place: bytes) -> bytes | None:
        """Name of the request that stands in a place."""
        return self.standing.get(place)


class Desk:
    """Serves purchases and swaps.

    Args:
        facts: what is known about requests.
    """

    def __init__(self, facts: IssuingFacts) -> None:
        self.facts = facts
        self.turned_away = 0
        self._working = 0
        self._cpu = asyncio.Semaphore(CPU_MAX)
        self._issued: dict[int, int] = {}
        self._under_way: dict[bytes, asyncio.Event] = {}

    async def serve(self, request: Request, *, pooled: bool = False) -> bytes:
        """Sign a request, or give the answer that it was given before.

        Args:
            request: as it came; nothing of it is checked.
            pooled: whether another member has served it; then it is taken a little longer.

        Returns:
            Our partial signatures, 48 bytes each, in order of its points.

        Raises:
            IssuingRefusedError: it is not served, with the reason.
            NotReadyError: we lack something; OverloadedError if it is time.
        """
        self.check_signed(request)
        name = name_of(request, self.facts.domain)
        while (known := await self._answer(name)) is None:
            if (other := self._under_way.get(name)) is None:
                break
            await other.wait()
        else:
            return known
        done = self._under_way[name] = asyncio.Event()
        try:
            async with self._turn():
                return await self._serve_new(name, request, pooled=pooled)
        finally:
            del self._under_way[name]
            done.set()

    def check_signed(self, request: Request) -> None:
        """Check the signatures of its owner or owners, which cost little.

        Raises:
            IssuingRefusedError: one does not hold, or its nonce is beyond all bounds.
        """
        try:
            request.verify(self.facts.domain)
        except CryptoError:
            raise IssuingRefusedError(Why.SIGNATURE) from None
        if isinstance(request, Purchase) and request.voucher.nonce > NONCE_MAX:
            raise IssuingRefusedError(Why.NONCE)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._working >= WORK_MAX:
            self.turned_away += 1
            raise OverloadedError("too many requests are under examination")
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1

    async def _answer(self, name: bytes) -> bytes | None:
        async with self.facts.member.work() as rows:
            row = await rows.payments.get(name)
        return None if row is None else row.own

    async def _serve_new(self, name: bytes, request: Request, *, pooled: bool) -> bytes:
        epoch = epoch_of(request)
        async with self.facts.member.work() as rows:
            before = await snapshot(rows, request, self.facts)
        if any(other != name for other in before.standing.values()):
            # before anything is verified that costs more
            raise IssuingRefusedError(Why.ANOTHER)
        if epoch != self.facts.running and not pooled:
            raise IssuingRefusedError(Why.EPOCH)
        await self.facts.cap(epoch)
        async with self.facts.member.work() as rows:
            left = await self.left_units(epoch, rows)
        judge = await self._judgement(request, pooled=pooled)
        async with self._cpu:
            served = await asyncio.to_thread(judge, before, left)
            shares = await self._shares(request)
            own = await asyncio.to_thread(
                sign_points, served.points, shares, self.facts.member.random
            )
        return await self._write(name, request, served, own, before, judge)

    async def _shares(self, request: Request) -> tuple[SecretScalar, ...]:
        epoch = epoch_of(request)
        if self.facts.elapsed(epoch) >= self.facts.clock.terms.finish_s:
            raise IssuingRefusedError(Why.EPOCH)
        shares = await self.facts.keys.shares(epoch)
        if shares is None:
            raise NotReadyError(f"we have no shares of the keys of issuance epoch {epoch}")
        return shares

    async def _write(
        self,
        name: bytes,
        request: Request,
        served: Served,
        own: bytes,
        before: Snapshot,
        judge: "Judgement",
    ) -> bytes:
        """Let the request stand in its places, with our answer; judge again if they changed."""
        now = self.facts.member.now()
        try:
            async with self.facts.member.work() as rows:
                memory = await snapshot(rows, request, self.facts)
                left = await self.left_units(epoch_of(request), rows)
                if memory != before or left < units_in(request):
                    served = judge(memory, left)
                if served.again:
                    await rows.payments.serve(name, own)
                    stored = await rows.payments.get(name)
                    if stored is not None and stored.own is not None:
                        return stored.own
                else:
                    await rows.payments.take(served.places, name)
                if await rows.payments.add(name, request, own, now):
                    self._count(request)
                else:
                    await rows.payments.serve(name, own)
        except IntegrityError:
            # another process on our database was faster, with this request or another one
            if (known := await self._answer(name)) is None:
                raise IssuingRefusedError(Why.ANOTHER) from None
            return known
        return own

    # ---- judging -----------------------------------------------------------------------------

    async def _judgement(self, request: Request, *, pooled: bool) -> "Judgement":
        """Gather the facts about a request; what comes back judges it without I/O."""
        facts, epoch = self.facts, epoch_of(request)
        keys = await facts.keys.public(epoch)
        elapsed = facts.elapsed(epoch)
        until = facts.clock.terms.finish_s if pooled else 0
        is_open = keys is not None and elapsed < until and epoch <= facts.running
        number = epoch if pooled else facts.running
        if isinstance(request, Purchase):
            return await self._purchase_judgement(request, number, is_open=is_open)
        known = await facts.inputs(request, at_s=facts.member.now()) if is_open else {}

        def judge(memory: Memory, left: int) -> Served:
            state = facts.epoch(number, is_open=is_open, left_units=left)
            return serve_swap(request, facts.domain, facts.place, state, known, memory)

        return judge

    async def _purchase_judgement(
        self, purchase: Purchase, number: int, *, is_open: bool
    ) -> "Judgement":
        facts = self.facts
        channel = await facts.channel(purchase.voucher.channel)

        def judge(memory: Memory, left: int) -> Served:
            state = facts.epoch(number, is_open=is_open, left_units=left)
            served = serve_purchase(purchase, facts.domain, state, channel.facts, memory)
            _, cumulative = memory.last_voucher(purchase.voucher.channel)
            if not served.again and channel.collected_wei > cumulative:
                # money was collected for a voucher that we have not seen yet
                raise IssuingRefusedError(Why.NONCE)
            return served

        return judge

    # ---- what is issued ----------------------------------------------------------------------

    async def left_units(self, epoch: int, rows: Work) -> int:
        """Units that may still be bought in an epoch.

        Raises:
            NotReadyError: its keys are not registered.
        """
        cap = await self.facts.cap(epoch)
        if epoch not in self._issued:
            found = await rows.payments.of_epoch(epoch)
            requests = [decode_request(row.wire) for row in found]
            self._issued[epoch] = issued_units(epoch, requests, self.facts.clock.terms.unit_wei)
        return max(cap - self._issued[epoch], 0)

    def _count(self, request: Request) -> None:
        """Take note of a request that was stored; the caller holds the database's turn."""
        epoch = epoch_of(request)
        if epoch in self._issued:
            unit_wei = self.facts.clock.terms.unit_wei
            self._issued[epoch] += issued_units(epoch, [request], unit_wei)

    def forget(self, before_epoch: int) -> None:
        """Drop counters of old epochs."""
        self._issued = {e: units for e, units in self._issued.items() if e >= before_epoch}

    # ---- what others served ------------------------------------------------------------------

    async def remember(self, request: Request) -> None:
        """Store a request that others served and we do not: it stands where nothing else does.

        Raises:
            IssuingRefusedError: what is behind it is not valid.
        """
        await self.check_backing(request)
        name, facts = name_of(request, self.facts.domain), self.facts
        async with facts.member.work() as rows:
            memory = await snapshot(rows, request, facts)
            if not memory.standing:
                await rows.payments.take(places_of(request, facts), name)
            if await rows.payments.add(name, request, None, facts.member.now()):
                self._count(request)

    async def check_backing(self, request: Request) -> None:
        """Check all that makes a request valid, whatever else stands in its place.

        Raises:
            IssuingRefusedError: a signature, an instrument, its price or its balance is wrong.
        """
        self.check_signed(request)
        facts, epoch = self.facts, epoch_of(request)
        state = facts.epoch(epoch, is_open=True, left_units=1 << 64)
        if isinstance(request, Purchase):
            voucher = request.voucher
            before = voucher.cumulative_wei - request.units * facts.clock.terms.unit_wei
            if before < 0 or voucher.nonce < 1:
                raise IssuingRefusedError(Why.PRICE)
            view = await facts.channels.channel_of(voucher.channel, "finalized")
            channel = ChannelFacts(max(view.deposit_wei, view.collected_wei), closing=False)
            memory = Snapshot((voucher.nonce - 1, before), {})
            judge: Callable[[], Served] = partial(
                serve_purchase, request, facts.domain, state, channel, memory
            )
        else:
            served_at = min(facts.member.now(), facts.clock.bounds(epoch)[1])
            known = await facts.inputs(request, at_s=served_at, exits_count=False)
            nothing = Snapshot((0, 0), {})
            judge = partial(serve_swap, request, facts.domain, facts.place, state, known, nothing)
        async with self._cpu:
            await asyncio.to_thread(judge)


Judgement = Callable[[Snapshot, int], Served]


async def snapshot(rows: Work, request: Request, facts: IssuingFacts) -> Snapshot:
    """Read what the judgement of a request may ask for.

    Places are read after the last voucher: of a purchase that another process stores meanwhile
    the place may be seen alone, its nonce never; so a rival is told that it is one.
    """
    last = (0, 0)
    if isinstance(request, Purchase):
        last = await rows.payments.last_voucher(request.voucher.channel)
    return Snapshot(last, await rows.payments.at(places_of(request, facts)))


def places_of(request: Request, facts: IssuingFacts) -> tuple[bytes, ...]:
    """Places that a request takes."""
    if isinstance(request, Swap):
        return tuple(input_place(entry.message(facts.place)) for entry in request.inputs)
    return (voucher_place(request.voucher.channel, request.voucher.nonce),)


def units_in(request: Request) -> int:
    """Units that count against the cap."""
    return request.units if isinstance(request, Purchase) else 0


def sign_points(
    points: Sequence[tuple[int, G1]], shares: Sequence[SecretScalar], random: RandomBytes
) -> bytes:
    """Partial signatures of points by class, joined, 48 bytes each."""
    signed = (sign_blinded(shares[class_], point, random) for class_, point in points)
    return b"".join(point.encode() for point in signed)
