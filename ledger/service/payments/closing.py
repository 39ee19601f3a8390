"""Closing an issuance epoch: the committee agrees on the log of all it served.

Source: docs/spec/payments.md, QN-PAY-050 and 070.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from ledger.domain.issuance_log import IssuanceLog, Request, decode_request, epoch_of
from ledger.domain.votes import Decision, Topic
from ledger.errors import BadDataError, NotReadyError, OmittedRequestError
from ledger.service.payments.collecting import Collecting
from ledger.service.payments.desk import Desk
from ledger.service.payments.exchange import briefly
from ledger.service.payments.pooling import Pooling
from qnet.errors import RemoteProtocolError

PATIENCE: Final = 2
"""The transaction waits for the collection of all vouchers this part of the time there is."""
STEP_S: Final = 1.0
"""The others wait so long, one after the other, before they send the transaction, too."""

_log = structlog.get_logger(__name__)


class ClosingService:
    """The member's part in closings; implements `TopicHandler`.

    Args:
        desk: knows what makes a request valid.
        pooling: fetches requests we lack.
        collecting: knows which vouchers were collected.
    """

    def __init__(self, desk: Desk, pooling: Pooling, collecting: Collecting) -> None:
        self._desk = desk
        self._facts = desk.facts
        self._pooling = pooling
        self._collecting = collecting

    async def build(self, topic: Topic) -> tuple[bytes, bytes]:
        """Propose the log of everything that any member served.

        Raises:
            NotReadyError: requests are still completed, or the time to close is over.
        """
        epoch = topic.period
        await self._check_time(epoch)
        await briefly(self._pooling.pull(epoch))
        log = await self._compile(epoch, await self._known(epoch))
        return log.closing.digest(self._facts.domain), log.encode()

    async def check(self, topic: Topic, digest: bytes, document: bytes, *, certified: bool) -> None:
        """Refuse a log that leaves out what we served, or holds what nothing stands behind.

        Raises:
            QnetError: with the reason.
        """
        log = IssuanceLog.decode(document)
        if log.epoch != topic.period or log.closing.digest(self._facts.domain) != digest:
            raise BadDataError("the log is of another closing")
        if certified:
            return
        await self._check_time(log.epoch)
        known = await self._known(log.epoch)
        if any(name not in known for name in log.requests):
            await briefly(self._pooling.pull(log.epoch))
            known = await self._known(log.epoch)
        listed = {name: known[name] for name in log.requests if name in known}
        if len(listed) < len(log.requests):
            raise NotReadyError("the log holds requests that we cannot see")
        if await self._compile(log.epoch, listed) != log:
            raise BadDataError("root or units are not what the requests give")
        async with self._facts.member.work() as rows:
            served = {row.name for row in await rows.payments.of_epoch(log.epoch) if row.own}
        if omitted := served - listed.keys():
            raise OmittedRequestError(log.epoch, len(omitted))

    async def decided(self, topic: Topic, decision: Decision) -> None:
        """Note the transaction that closes the epoch, once its vouchers are collected.

        Raises:
            NotReadyError: they are not, and there is time.
        """
        log = IssuanceLog.decode(decision.document)
        closing, facts = log.closing, self._facts
        if closing.digest(facts.domain) != decision.digest or log.epoch != topic.period:
            raise RemoteProtocolError("a decided closing does not follow from its log")
        terms = facts.clock.terms
        until = terms.finish_s + (terms.close_s - terms.finish_s) / PATIENCE
        if facts.elapsed(log.epoch) < until and await self._collecting.waiting(log.epoch):
            raise NotReadyError("vouchers of the epoch are not collected yet")
        call = facts.channels.close_epoch(closing, decision.bitmap, decision.signatures)
        async with facts.member.work() as rows:
            new = await rows.outbox.add(
                "close",
                log.epoch,
                target=facts.channels.address,
                call=call.data,
                label=f"close issuance epoch {log.epoch}",
                not_before=facts.member.now() + facts.turn(log.epoch) * STEP_S,
            )
        if new:
            _log.info("closing", epoch=log.epoch, units=log.issued_units, of=len(log.requests))

    # ---- parts -------------------------------------------------------------------------------

    async def _check_time(self, epoch: int) -> None:
        terms, elapsed = self._facts.clock.terms, self._facts.elapsed(epoch)
        if elapsed < terms.finish_s:
            raise NotReadyError(f"requests of issuance epoch {epoch} are still completed")
        if elapsed >= terms.close_s:
            raise NotReadyError(f"issuance epoch {epoch} can no longer be closed")

    async def _known(self, epoch: int) -> dict[bytes, Request]:
        """Requests by name; what is stored was verified."""
        async with self._facts.member.work() as rows:
            found = await rows.payments.of_epoch(epoch)
        requests = {row.name: decode_request(row.wire) for row in found}
        assert all(epoch_of(request) == epoch for request in requests.values())
        return requests

    async def _compile(self, epoch: int, requests: Mapping[bytes, Request]) -> IssuanceLog:
        place, unit_wei = self._facts.place, self._facts.clock.terms.unit_wei
        return await asyncio.to_thread(IssuanceLog.compile, epoch, requests, place, unit_wei)
