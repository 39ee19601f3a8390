"""Where the generation of an epoch's keys stands here, brought back from disk after a crash.

What must not be lost is on disk before it leaves: the key for shares on their way, the random
bytes of each attempt's polynomials, every bundle, every record. The attempt is built again from
them and says the same.

Source: docs/spec/payments.md, QN-PAY-002.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from ledger.domain.keygen import Plan, Timetable
from ledger.domain.keygen_attempt import Attempt, DealingSecrets, Failed, Made, tape_bytes
from ledger.domain.keygen_bundles import KeyRound, RoundId, RoundRecord
from ledger.domain.keygen_sealing import Safe
from ledger.domain.votes import Kind, Topic
from ledger.errors import NotReadyError
from ledger.service.member import Member
from qnet.crypto.dkg_messages import Session
from qnet.crypto.keys import SECRET_BYTES, DhKey
from qnet.messages.instruments import Place

EXCHANGE: Final = "exchange"

_log = structlog.get_logger(__name__)


class Roster:
    """Who makes an epoch's keys, from final blocks.

    Args:
        member: ours.
        place: chain and contract of the keys.
    """

    def __init__(self, member: Member, place: Place) -> None:
        self._member = member
        self._place = place

    async def plan(self, epoch: int, begins_at: int) -> Plan:
        """The committee of the moment at which the generation begins: the same at every member.

        Raises:
            NotReadyError: that moment is not final here yet.
        """
        reader = self._member.reader
        block = await reader.finalized()
        seats = await reader.seats(block)
        # the keys of epoch 0 may begin before there is a committee
        first = min((seat.active_from_s for seat in seats), default=0)
        moment = max(begins_at, first)
        if block.timestamp < moment:
            raise NotReadyError(f"the committee of issuance epoch {epoch} is not final")
        trust = reader.set_of(seats, moment)
        return Plan(epoch, self._place, trust.signers)


@dataclass(slots=True)
class Course:
    """One epoch's generation as far as it has come here.

    Args:
        plan: who makes the keys.
        times: when.
        index: ours; None if we only watch.
        exchange: our key for shares on their way.
        attempt: under way.
        begun_at: unix time at which we took part first.
        opened_at: unix time from which we wait for bundles of the open round.
        exchange_at: unix time of the next exchange of bundles.
        delivered: (member, name) of our bundles that were taken.
    """

    plan: Plan
    times: Timetable
    index: int | None
    exchange: DhKey
    attempt: Attempt
    begun_at: float
    opened_at: float
    exchange_at: float = 0.0
    delivered: set[tuple[int, bytes]] = field(default_factory=set)

    @property
    def topic(self) -> Topic:
        """Agreement on the open round."""
        return Topic(Kind.KEYS_ROUND, self.plan.epoch, self.attempt.id.number)

    @property
    def announcing(self) -> RoundId:
        """The announcements of the epoch."""
        return RoundId(self.plan.epoch, 0, KeyRound.ANNOUNCING)

    @property
    def open_rounds(self) -> list[RoundId]:
        """Rounds whose bundles we want."""
        id_ = self.attempt.id
        return [self.announcing, id_] if id_.round is KeyRound.DEALING else [id_]

    @property
    def deadline(self) -> float:
        """Unix time until which bundles of the open round come in time."""
        return self.opened_at + self.times.patience_s(self.attempt.id)

    @property
    def window_s(self) -> float:
        """See `Timetable.window_s`."""
        return self.times.window_s(self.plan.epoch)

    @property
    def least(self) -> int:
        """Authors without whom nothing is closed: n - f."""
        return self.plan.committee.members - self.plan.committee.faults

    def is_due(self, authors: frozenset[int], now: float) -> bool:
        """Whether the open round can be closed with bundles of these authors."""
        if len(authors) < self.least:
            return False
        return now >= self.deadline or set(self.attempt.dealers) <= authors


class Courses:
    """The generations under way.

    Args:
        member: ours.
        roster: who makes the keys.
        times: when.
        safe: for our secrets.
    """

    def __init__(self, member: Member, *, roster: Roster, times: Timetable, safe: Safe) -> None:
        self.times: Final = times
        self.running: dict[int, Course] = {}
        self._member = member
        self._roster = roster
        self._safe = safe

    async def open(self, epoch: int) -> Course:
        """The generation of an epoch, from what is on disk if it was under way.

        Raises:
            NotReadyError: the committee is not final yet.
            CommitteeSizeError: this committee makes no keys.
        """
        if epoch in self.running:
            return self.running[epoch]
        begins = self.times.begins_at(epoch)
        plan = await self._roster.plan(epoch, begins)
        exchange = DhKey(await self._secret(epoch, EXCHANGE, SECRET_BYTES))
        index = plan.index_of(self._member.key.address)
        announcing = RoundId(epoch, 0, KeyRound.ANNOUNCING)
        async with self._member.work() as rows:
            said = await rows.payment_keys.bundles(announcing)
        ours = [known.received_at for known in said if known.bundle.author == index]
        begun_at = max(ours[0] if ours else self._member.now(), begins)
        course = Course(
            plan=plan,
            times=self.times,
            index=index,
            exchange=exchange,
            attempt=await self._attempt(plan, 0, plan.sessions(0), index, exchange),
            begun_at=begun_at,
            opened_at=begun_at,
        )
        self.running[epoch] = course
        return course

    async def follow(self, course: Course) -> None:
        """Close every round that was agreed on."""
        while not isinstance(course.attempt.outcome, Made):
            id_ = course.attempt.id
            async with self._member.work() as rows:
                found = await rows.payment_keys.record(id_)
            if found is None:
                return
            document, decided_at = found
            record = RoundRecord.decode(id_, document)
            attempt = course.attempt
            await asyncio.to_thread(attempt.close, record)
            if isinstance(attempt.outcome, Failed):
                faults = {number: str(why) for number, why in attempt.outcome.faults.items()}
                _log.warning("key generation begins anew", epoch=id_.epoch, blamed=faults)
                course.attempt = await self._attempt(
                    course.plan,
                    attempt.number + 1,
                    attempt.outcome.sessions,
                    course.index,
                    course.exchange,
                )
            course.opened_at = max(decided_at, course.times.starts_at(course.attempt.id))
            course.exchange_at = 0.0

    async def _attempt(
        self,
        plan: Plan,
        number: int,
        sessions: Sequence[Session],
        index: int | None,
        exchange: DhKey,
    ) -> Attempt:
        size = tape_bytes(plan.committee)
        tape = await self._secret(plan.epoch, f"dealing {number}", size)
        secrets = DealingSecrets(exchange, tape)
        return Attempt(plan, number, sessions, index=index, secrets=secrets)

    async def _secret(self, epoch: int, name: str, size: int) -> bytes:
        """Random bytes that stay the same once they are drawn."""
        drawn = self._safe.seal(epoch, name, self._member.random(size))
        async with self._member.work() as rows:
            sealed = await rows.payment_keys.claim_secret(epoch, name, drawn)
        return self._safe.open(epoch, name, sealed)
