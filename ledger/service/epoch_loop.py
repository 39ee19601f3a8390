"""What happens when: consensuses each period, and each epoch's start, report and finality."""

import asyncio
from typing import Final

import structlog

from ledger.domain.votes import Kind, Topic
from ledger.errors import NotReadyError
from ledger.service.beacon_source import BeaconSource
from ledger.service.member import Member
from ledger.service.quorum import Quorum
from qnet.chain.reporting import ReportStatus
from qnet.epochs import consensus_period
from qnet.errors import ChainRecoverableError

POLL_S: Final = 1.0
FINALIZE_AHEAD: Final = 16
"""Reports looked at in one step; the contract allows 8 unfinished ones."""

_log = structlog.get_logger(__name__)


class EpochLoop:
    """Begins agreements and notes transactions, by the clock and by the chain.

    Args:
        member: ours.
        quorum: our agreements.
        beacon: values of the slots.
    """

    def __init__(self, member: Member, quorum: Quorum, beacon: BeaconSource) -> None:
        self._member = member
        self._quorum = quorum
        self._beacon = beacon
        self._queued: set[tuple[str, int]] = set()

    async def run(self) -> None:
        """Go on for ever; a chain that does not answer only delays.

        Raises:
            ChainRestartedError: the chain began anew: the program must end.
        """
        while True:
            try:
                await self._member.reader.check_chain()
                await self._member.refresh_parameters()
                await self.step()
            except ChainRecoverableError as error:
                _log.warning("chain does not answer", error=error.message, why=error.why)
            except NotReadyError as error:
                _log.debug("not ready", why=error.message)
            await asyncio.sleep(POLL_S)

    async def step(self) -> None:
        """Look once at everything that may be due."""
        await self._consensus()
        await self._start_epochs()
        await self._report()
        await self._finalize()

    async def _consensus(self) -> None:
        """Take part in the agreement of the current period, until it has a consensus."""
        interval = self._member.parameters.consensus_interval_s
        period = consensus_period(self._member.now(), interval)
        for topic in self._quorum.topics:
            if topic.kind is Kind.CONSENSUS and topic.period < period:
                self._quorum.drop(topic)
        async with self._member.work() as rows:
            known = await rows.consensuses.get(period)
        if known is None:
            await self._quorum.begin(Topic(Kind.CONSENSUS, period))

    async def _start_epochs(self) -> None:
        """Note `startEpoch` for every epoch that has ended."""
        epochs = self._member.reader.contracts.epochs
        now = self._member.now()
        current = self._member.clock.epoch_at(now)
        for epoch in range(await epochs.next_epoch(), current):
            if ("start", epoch) in self._queued:
                continue
            reveal = (await self._beacon.of_epoch(epoch, now))[-1]
            call = epochs.start_epoch(epoch, reveal)
            end = self._member.clock.epoch_bounds(epoch)[1]
            await self._note("start", epoch, epochs.address, call.data, f"start epoch {epoch}", end)

    async def _report(self) -> None:
        """Take part in the agreement on the next report, or give its epoch up."""
        contracts, now = self._member.reader.contracts, self._member.now()
        epoch = await contracts.oracle.next_epoch()
        while (info := await contracts.epochs.info(epoch)).skipped:
            epoch += 1
        topic = Topic(Kind.REPORT, epoch)
        for other in self._quorum.topics:
            if other.kind is Kind.REPORT and other.period < epoch:
                self._quorum.drop(other)
        if info.started_at_s == 0 or now < self._member.closes_at(epoch):
            return
        if now > await contracts.oracle.report_deadline(epoch):
            call = contracts.epochs.skip_epoch(epoch)
            target = contracts.epochs.address
            await self._note("skip", epoch, target, call.data, f"skip epoch {epoch}", now)
            self._quorum.drop(topic)
            return
        async with self._member.work() as rows:
            noted = await rows.outbox.get("report", epoch)
        if noted is None:
            await self._quorum.begin(topic)

    async def _finalize(self) -> None:
        """Note `finalize` for every report whose window is open."""
        oracle = self._member.reader.contracts.oracle
        if not await oracle.unfinished():
            return
        following = await oracle.next_epoch()
        for epoch in range(max(following - FINALIZE_AHEAD, 0), following):
            if ("finalize", epoch) in self._queued:
                continue
            report = await oracle.report(epoch)
            if report.status is ReportStatus.FINAL:
                self._queued.add(("finalize", epoch))
            if report.status is not ReportStatus.SUBMITTED:
                continue
            until = report.submitted_at_s + self._member.parameters.challenge_window_s
            call = oracle.finalize(epoch)
            label = f"finalize epoch {epoch}"
            await self._note("finalize", epoch, oracle.address, call.data, label, until)

    async def _note(
        self, kind: str, epoch: int, target: bytes, call: bytes, label: str, due: float
    ) -> None:
        """Write a transaction into the outbox, once; the others wait their turn."""
        self._queued.add((kind, epoch))
        delay = self._member.delay(Topic(Kind.REPORT, epoch))
        async with self._member.work() as rows:
            await rows.outbox.add(
                kind, epoch, target=target, call=call, label=label, not_before=due + delay
            )
