"""What a report stands on: which report comes next, and whether the one before it is sound.

Source: docs/spec/agreement.md, QN-AGR-022 and 023.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

import structlog

from ledger.domain.blob import EpochData
from ledger.domain.claims import Claims
from ledger.domain.disputes import find_wrong
from ledger.domain.report import EpochResult, recompute
from ledger.domain.state import ChainSnapshot
from ledger.errors import NotReadyError, WrongPredecessorError
from ledger.service.chain_reader import ChainReader, Course
from ledger.service.member import Member
from ledger.service.states import States
from qnet.chain.values import Block
from qnet.epochs import EpochClock
from qnet.messages.proofs import Proof
from qnet.messages.report import NO_REPORT

KEPT: Final = 64
"""Judgements remembered; more reports can never wait to become final."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Published:
    """What the signers of a report published, with what our own chain says about its epoch.

    Args:
        claims: the leaves.
        data: the data, their snapshot read anew.
    """

    claims: Claims
    data: EpochData

    @classmethod
    async def of(
        cls, blob: bytes, reader: ChainReader, block: Block, *, clock: EpochClock
    ) -> "Published":
        """Read the leaves that a data blob gives, and the facts about its epoch at a block."""
        result, said = await asyncio.to_thread(recompute, blob), EpochData.decode(blob)
        ours = await reader.snapshot(said.snapshot.epoch, block, clock=clock)
        data = replace(said, snapshot=ours)
        return cls(Claims.of(result, data), data)

    async def wrong(self, previous: "Published | None") -> list[Proof]:
        """Everything that can be proven against the report."""
        before = None if previous is None else previous.claims
        return await asyncio.to_thread(find_wrong, self.claims, before, self.data)


class Foundation:
    """Judges what our signature under a report would vouch for.

    Args:
        member: ours.
        states: finds the data of reports.
    """

    def __init__(self, member: Member, states: States) -> None:
        self._member = member
        self._states = states
        self._sound: set[bytes] = set()
        self._wrong: dict[bytes, tuple[Published, WrongPredecessorError]] = {}

    async def check_course(self, snapshot: ChainSnapshot) -> None:
        """Refuse to report on a predecessor that is not the last report, or not any more.

        Raises:
            NotReadyError: at the snapshot's block another report came next, or by now an earlier
                one does, or this one does on another report.
        """
        reader = self._member.reader
        wanted = Course(snapshot.epoch, snapshot.attempt, snapshot.prev_report_hash)
        if await reader.course(snapshot.block_number) != wanted:
            raise NotReadyError(
                f"at block {snapshot.block_number} the report of epoch {snapshot.epoch}, attempt"
                f" {snapshot.attempt}, is not the next one"
            )
        newest = await reader.course("latest")
        if newest.epoch <= wanted.epoch and newest != wanted:
            raise NotReadyError(f"what comes before epoch {wanted.epoch} has been disabled since")

    def vouch(self, report_hash: bytes) -> None:
        """Remember that we have made this report ourselves from our own chain (32 bytes)."""
        if len(self._sound) >= KEPT:
            self._sound.clear()
        self._sound.add(report_hash)

    async def check_predecessor(self, data: EpochData, result: EpochResult) -> None:
        """Refuse to build on a report that we can prove wrong: who signs vouches for it.

        On one that became final all the same we build, unless that makes our own provably wrong.

        Args:
            data: of the report that we are to sign.
            result: that report.

        Raises:
            WrongPredecessorError: with what can be proven.
            NotReadyError: nobody shows us the data of the report before.
        """
        before = data.snapshot.prev_report_hash
        if before == NO_REPORT or before in self._sound:
            return
        judged = self._wrong.get(before) or await self._judge(before)
        if judged is None:
            self.vouch(before)
            return
        published, error = judged
        member, epoch = self._member, published.claims.epoch
        if not await member.reader.contracts.oracle.is_final(epoch, "finalized"):
            raise error
        block = await member.reader.finalized()
        ours = await member.reader.snapshot(data.snapshot.epoch, block, clock=member.clock)
        truth = replace(data, snapshot=ours)
        if await Published(Claims.of(result, truth), truth).wrong(published):
            raise error

    async def _judge(self, report_hash: bytes) -> tuple[Published, WrongPredecessorError] | None:
        """Hold a report against our chain and the report before it; None if it is sound."""
        published = await self._published(report_hash)
        earlier = EpochData.decode(await self._states.data(report_hash)).snapshot.prev_report_hash
        previous = None if earlier == NO_REPORT else await self._published(earlier)
        proofs = await published.wrong(previous)
        if not proofs:
            return None
        kinds = Counter(type(proof).__name__ for proof in proofs)
        error = WrongPredecessorError(published.claims.epoch, dict(kinds))
        _log.error("the report before is provably wrong", error=error.message, proofs=dict(kinds))
        if len(self._wrong) >= KEPT:
            self._wrong.clear()
        self._wrong[report_hash] = published, error
        return published, error

    async def _published(self, report_hash: bytes) -> Published:
        blob, reader = await self._states.data(report_hash), self._member.reader
        block = await reader.finalized()
        return await Published.of(blob, reader, block, clock=self._member.clock)
