"""What happens when: consensuses each period, and each epoch's start, report and finality."""

import asyncio
from typing import Final

import structlog

from ledger.domain.votes import Kind, Topic
from ledger.errors import NotReadyError
from ledger.service.beacon_source import BeaconSource
from ledger.service.member import Member
from ledger.service.quorum import Quorum
from ledger.storage.results import OutboxRow
from qnet.chain.reporting import ReportStatus
from qnet.chain.values import Call
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
        self._noted: set[tuple[str, Topic]] = set()
        self._final: set[int] = set()

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
            sent = await rows.outbox.get("anchor", period)
        if known is None or _is_open(sent):
            await self._quorum.begin(Topic(Kind.CONSENSUS, period))

    async def _start_epochs(self) -> None:
        """Note `startEpoch` for every epoch that has ended."""
        epochs = self._member.reader.contracts.epochs
        now = self._member.now()
        current = self._member.clock.epoch_at(now)
        for epoch in range(await epochs.next_epoch(), current):
            topic = Topic(Kind.REPORT, epoch)
            if ("start", topic) in self._noted:
                continue
            reveal = (await self._beacon.of_epoch(epoch, now))[-1]
            end = self._member.clock.epoch_bounds(epoch)[1]
            await self._note("start", topic, epochs.start_epoch(epoch, reveal), end)

    async def _report(self) -> None:
        """Take part in the agreement on the next report, or give its epoch up."""
        contracts, now = self._member.reader.contracts, self._member.now()
        epoch = await contracts.oracle.next_epoch()
        while (info := await contracts.epochs.info(epoch)).skipped:
            epoch += 1
        topic = Topic(Kind.REPORT, epoch, await contracts.oracle.attempt_of(epoch))
        for other in self._quorum.topics:
            if other.kind is Kind.REPORT and other != topic:
                self._quorum.drop(other)
        if info.started_at_s == 0 or now < self._member.closes_at(epoch):
            return
        if now > await contracts.oracle.report_deadline(epoch):
            call = contracts.epochs.skip_epoch(epoch)
            await self._note("skip", topic, call, now)
            self._quorum.drop(topic)
            return
        async with self._member.work() as rows:
            noted = await rows.outbox.get("report", epoch, attempt=topic.attempt)
        if noted is None or _is_open(noted):
            await self._quorum.begin(topic)

    async def _finalize(self) -> None:
        """Note `finalize` for every report whose window is open."""
        oracle = self._member.reader.contracts.oracle
        if not await oracle.unfinished():
            return
        following = await oracle.next_epoch()
        for epoch in range(max(following - FINALIZE_AHEAD, 0), following):
            if epoch in self._final:
                continue
            found = await oracle.report(epoch)
            if found.status is ReportStatus.FINAL:
                self._final.add(epoch)
            if found.status is ReportStatus.SUBMITTED:
                topic = Topic(Kind.REPORT, epoch, found.report.attempt)
                until = await oracle.window_end(epoch)
                await self._note("finalize", topic, oracle.finalize(epoch), until)

    async def _note(self, kind: str, topic: Topic, call: Call, due: float) -> None:
        """Write a transaction into the outbox, once; the others wait their turn."""
        if (kind, topic) in self._noted:
            return
        self._noted.add((kind, topic))
        assert call.to is not None
        async with self._member.work() as rows:
            await rows.outbox.add(
                kind,
                topic.period,
                attempt=topic.attempt,
                target=call.to,
                call=call.data,
                label=f"{kind} epoch {topic.period}",
                not_before=due + self._member.delay(topic),
            )


def _is_open(row: OutboxRow | None) -> bool:
    """Whether the chain has not taken a transaction yet: its signatures may have to be more."""
    return row is not None and row.state in {"waiting", "signed"}
