"""Members pool what they served: every request reaches all, and the signatures are combined.

A request that a member has not seen is judged as if its owner had brought it, until FINISH_S after
the epoch; later it is only remembered, for the log and against spending twice.

Source: docs/spec/payments.md, QN-PAY-006, 022 and 032.
"""

import asyncio
from collections import Counter
from typing import Final

import structlog

from ledger.domain.issuance_log import Request, decode_request, epoch_of, name_of
from ledger.domain.issuing import Why
from ledger.errors import IssuingRefusedError, NotReadyError, PeerError
from ledger.service.payments.combining import combine_answers
from ledger.service.payments.desk import Desk
from ledger.service.payments.exchange import FETCH_NAMES, Item, Showing, What
from ledger.service.payments.facts import PublicKeys
from ledger.service.unit_of_work import Work
from ledger.storage.payment_requests import RequestRow
from ledger.storage.repositories import chunked
from qnet.errors import ChainRecoverableError, DecodeError

PULL_S: Final = 30.0
PULLS_TO_FINISH: Final = 10
"""At least so many pulls lie between the end of an epoch and FINISH_S."""
COMBINED_AT_ONCE: Final = 256
LACKING_AT_ONCE: Final = 1024
BOGUS_MAX: Final = 64
"""A member that shows more invalid requests in an epoch is not asked any more."""
WAITING_MAX: Final = 4096
LATER: Final = frozenset({Why.NONCE, Why.FUNDS, Why.CHANNEL, Why.TOO_EARLY, Why.GONE})
"""Refusals that may be ours alone: we lack a voucher or a block that another member has."""

_log = structlog.get_logger(__name__)


class Pooling:
    """Pulls from all other members, for ever.

    Args:
        desk: judges and signs.
        showing: asks the other members.
    """

    def __init__(self, desk: Desk, showing: Showing) -> None:
        self._desk = desk
        self._facts = desk.facts
        self._showing = showing
        self._read: dict[tuple[int, int], int] = {}
        self._waiting: dict[bytes, int] = {}
        self._bogus: Counter[tuple[int, int]] = Counter()
        self._liars: set[tuple[int, int]] = set()
        self._caught_up = False
        self.dropped = 0

    @property
    def interval_s(self) -> float:
        """Seconds between two pulls."""
        return min(self._facts.clock.terms.finish_s / PULLS_TO_FINISH, PULL_S)

    async def run(self) -> None:
        """Go on for ever; who does not answer is asked again."""
        while True:
            try:
                await self.step()
            except ChainRecoverableError as error:
                _log.warning("pooling waits", error=error.message, why=error.why)
            await asyncio.sleep(self.interval_s)

    async def step(self) -> None:
        """Pull what is new of the epochs under way; after a start, of all that are kept."""
        facts = self._facts
        kept = facts.clock.kept(facts.member.now())
        close_s = facts.clock.terms.close_s
        epochs = [e for e in kept if not self._caught_up or facts.elapsed(e) < close_s]
        for epoch in epochs:
            await self.pull(epoch)
        self._caught_up = True
        self._forget(kept.start)

    async def pull(self, epoch: int) -> None:
        """Fetch what others have of an epoch and combine what is complete."""
        async with asyncio.TaskGroup() as group:
            for peer in self._showing.others:
                group.create_task(self._pull_from(peer, epoch))
        await self._combine(epoch)

    # ---- requests ----------------------------------------------------------------------------

    async def _pull_from(self, peer: int, epoch: int) -> None:
        if self._bogus[epoch, peer] > BOGUS_MAX:
            return
        try:
            await self._pull_requests(peer, epoch)
            if (epoch, peer) not in self._liars:
                await self._pull_answers(peer, epoch)
        except (PeerError, DecodeError, NotReadyError, ChainRecoverableError) as error:
            _log.debug("pool failed", member=peer, why=error.why or error.message)

    async def _pull_requests(self, peer: int, epoch: int) -> None:
        after = self._read.get((epoch, peer), 0)
        while True:
            last, names = await self._showing.inventory(peer, What.REQUESTS, epoch, after)
            async with self._facts.member.work() as rows:
                known = await rows.payments.known(names)
            missing = [name for name in names if name not in known]
            again = [name for name, where in self._waiting.items() if where == peer]
            for part in chunked(again + missing, FETCH_NAMES):
                for item in await self._showing.fetch(peer, What.REQUESTS, part):
                    await self._take(peer, epoch, item)
                    if self._bogus[epoch, peer] > BOGUS_MAX:
                        return
            self._read[epoch, peer] = after = last
            if not names:
                return

    async def _take(self, peer: int, epoch: int, item: Item) -> None:
        """Serve or remember a request that another member served."""
        self._waiting.pop(item.name, None)
        try:
            await self._settle(peer, read_request(item, epoch, self._facts.domain))
        except (DecodeError, IssuingRefusedError) as error:
            self._bogus[epoch, peer] += 1
            _log.warning("a pooled request is not valid", member=peer, why=error.why)
            return
        if item.own:
            async with self._facts.member.work() as rows:
                await rows.payments.add_partials(item.name, peer, item.own)

    async def _settle(self, peer: int, request: Request) -> None:
        name, epoch = name_of(request, self._facts.domain), epoch_of(request)
        if self._facts.elapsed(epoch) >= self._facts.clock.terms.finish_s:
            await self._desk.remember(request)
            return
        try:
            await self._desk.serve(request, pooled=True)
        except NotReadyError:
            self._wait(name, peer)
        except IssuingRefusedError as error:
            if error.why in LATER:
                self._wait(name, peer)
            else:
                await self._desk.remember(request)

    def _wait(self, name: bytes, peer: int) -> None:
        """Ask for a request again in the next pull."""
        if len(self._waiting) < WAITING_MAX:
            self._waiting[name] = peer
        else:
            self.dropped += 1

    # ---- answers -----------------------------------------------------------------------------

    async def _pull_answers(self, peer: int, epoch: int) -> None:
        async with self._facts.member.work() as rows:
            names = await rows.payments.lacking(epoch, peer, LACKING_AT_ONCE)
        for part in chunked(names, FETCH_NAMES):
            items = await self._showing.fetch(peer, What.ANSWERS, part)
            async with self._facts.member.work() as rows:
                for item in items:
                    if item.own:
                        await rows.payments.add_partials(item.name, peer, item.own)

    async def _combine(self, epoch: int) -> None:
        public = await self._facts.keys.public(epoch)
        if public is None:
            return
        async with self._facts.member.work() as rows:
            found = await rows.payments.uncombined(epoch, COMBINED_AT_ONCE)
            answers = {row.name: await self._answers(rows, row, public) for row in found}
        for row in found:
            known = answers[row.name]
            if len(known) < public.threshold:
                continue
            request = decode_request(row.wire)
            result = await asyncio.to_thread(
                combine_answers, request, known, public, self._facts.member.random
            )
            liars = [public.seats[index - 1] for index in sorted(result.liars)]
            async with self._facts.member.work() as rows:
                await rows.payments.drop_partials(row.name, liars)
                if result.signatures is not None:
                    await rows.payments.combine(row.name, result.signatures)
            for member in liars:
                self._liars.add((epoch, member))
                _log.error("a member signs wrongly", member=member, epoch=epoch)

    async def _answers(self, rows: Work, row: RequestRow, public: PublicKeys) -> dict[int, bytes]:
        """Answers to a request by index of the member, ours among them."""
        answers = await rows.payments.partials(row.name)
        if row.own is not None:
            answers[self._facts.member.index] = row.own
        indices = {seat: index for index, seat in enumerate(public.seats, start=1)}
        return {indices[seat]: signed for seat, signed in answers.items() if seat in indices}

    def _forget(self, before_epoch: int) -> None:
        """Drop what concerns epochs whose answers nobody keeps any more."""
        self._read = {key: row for key, row in self._read.items() if key[0] >= before_epoch}
        self._liars = {key for key in self._liars if key[0] >= before_epoch}
        for key in [key for key in self._bogus if key[0] < before_epoch]:
            del self._bogus[key]


def read_request(item: Item, epoch: int, domain: bytes) -> Request:
    """The request of an epoch that a member shows.

    Raises:
        DecodeError: malformed, or another one than it is said to be.
    """
    request = decode_request(item.wire)
    if name_of(request, domain) != item.name or epoch_of(request) != epoch:
        raise DecodeError("pooled request under another name")
    return request
