"""Key generation over the agreement: what we say in each round, and what counts as said.

Source: docs/spec/payments.md, QN-PAY-002.
"""

import asyncio
from typing import Final

from ledger.domain.keygen_attempt import Made
from ledger.domain.keygen_bundles import Bundle, KeyRound, RoundId, RoundRecord
from ledger.domain.schedule import Schedule
from ledger.domain.votes import Decision, Kind, Topic
from ledger.errors import BadDataError, NotReadyError, OmittedBundleError
from ledger.service.member import Member
from ledger.service.payments.courses import Course, Courses
from ledger.service.payments.gathering import Gathering
from ledger.service.quorum import Quorum
from ledger.storage.payment_keys import KnownBundle
from qnet.crypto.keys import PUBLIC_BYTES


class Rounds:
    """The member's part in key generations; implements `TopicHandler` for `Kind.KEYS_ROUND`.

    Args:
        member: ours.
        quorum: our agreements.
        courses: where our generations stand.
        gathering: bundles of all members.
    """

    def __init__(
        self, member: Member, quorum: Quorum, *, courses: Courses, gathering: Gathering
    ) -> None:
        self.times: Final = courses.times
        self.changed: Final = gathering.changed
        self._member = member
        self._quorum = quorum
        self._courses = courses
        self._gathering = gathering

    # ---- driving -----------------------------------------------------------------------------

    async def advance(self, epoch: int) -> Made | None:
        """Go as far as possible with an epoch's generation; what was made once it is.

        Raises:
            NotReadyError: the committee is not final yet.
            CommitteeSizeError: this committee makes no keys.
        """
        course = await self._courses.open(epoch)
        await self._courses.follow(course)
        outcome = course.attempt.outcome
        if isinstance(outcome, Made):
            return outcome
        self._leave(epoch, but=course.topic)
        if course.index is not None and self._member.now() < course.times.ends_at(epoch):
            await self._speak(course, course.index)
        id_ = course.attempt.id
        views = self.views(course.times.starts_at(id_), epoch + id_.number)
        await self._quorum.begin(course.topic, views)
        await self._gathering.exchange(course)
        return None

    def views(self, start_s: float, number: int) -> Schedule:
        """Views that are counted from a moment, the first led by member `number` modulo n."""
        size, timeout = self._member.size, self._member.parameters.agreement_timeout_s
        return Schedule(start_s, float(timeout), size, number % size)

    def finish(self, epoch: int) -> None:
        """Forget a generation whose keys are agreed; its working secrets are erased already."""
        self._courses.running.pop(epoch, None)
        self._leave(epoch)

    def give_up(self, epoch: int) -> None:
        """Forget a generation that came to nothing in time."""
        course = self._courses.running.get(epoch)
        if course is not None:
            course.attempt.erase()
        self.finish(epoch)

    async def answer(self, sender: int, body: bytes) -> bytes:
        """Take bundles that a member shows, and show those it lacks.

        Raises:
            DecodeError: malformed.
            CryptoError: a bundle is not its author's.
        """
        return await self._gathering.answer(sender, body)

    def _leave(self, epoch: int, but: Topic | None = None) -> None:
        for topic in self._quorum.topics:
            if topic.kind is Kind.KEYS_ROUND and topic.period == epoch and topic != but:
                self._quorum.drop(topic)

    # ---- what we say -------------------------------------------------------------------------

    async def _speak(self, course: Course, index: int) -> None:
        """Write down what we say in the open round, once."""
        if course.attempt.id.number == KeyRound.DEALING:
            await self._say(course, index, course.announcing, course.exchange.public)
        id_ = course.attempt.id
        async with self._member.work() as rows:
            said = await rows.payment_keys.bundles(id_)
            announced = await rows.payment_keys.bundles(course.announcing)
        if any(known.bundle.author == index for known in said):
            return
        if id_.round is KeyRound.DEALING:
            keys = _exchange_keys(announced)
            if not self._may_deal(course, len(keys)):
                return
            payload = await asyncio.to_thread(course.attempt.deal, keys)
        else:
            payload = course.attempt.say()
        await self._say(course, index, id_, payload)

    def _may_deal(self, course: Course, announced: int) -> bool:
        """Who has not announced a key gets no share, so the announcements are waited for."""
        if announced < course.least:
            return False
        waits = course.attempt.number == 0 and announced < course.plan.committee.members
        return not waits or self._member.now() >= course.begun_at + course.window_s

    async def _say(self, course: Course, index: int, id_: RoundId, payload: bytes) -> None:
        async with self._member.work() as rows:
            said = await rows.payment_keys.bundles(id_)
            if any(known.bundle.author == index for known in said):
                return
            bundle = Bundle.sign(
                self._member.key,
                domain=course.plan.domain,
                id_=id_,
                author=index,
                payload=payload,
            )
            await rows.payment_keys.add_bundle(bundle, self._member.now())
        course.exchange_at = 0.0

    # ---- agreement ---------------------------------------------------------------------------

    async def build(self, topic: Topic) -> tuple[bytes, bytes]:
        """Propose the record of a round.

        Raises:
            NotReadyError: the round is not open here, or still waits for somebody.
        """
        await self._due(topic)
        course = self._current(topic)
        await self._gathering.exchange(course, at_once=True)
        known = await self._due(topic)
        id_ = RoundId.of(topic.period, topic.attempt)
        record = RoundRecord.of(id_, (each.bundle for each in known))
        return record.digest(course.plan.domain), record.encode()

    async def check(self, topic: Topic, digest: bytes, document: bytes, *, certified: bool) -> None:
        """Refuse a record that leaves out what we know, or holds what nobody said.

        Raises:
            NotReadyError: the round is not open here, or it is too early to close it.
            BadDataError: too few bundles, or another digest.
            CryptoError: a bundle is not its author's.
            OmittedBundleError: a bundle is missing that came in time.
        """
        course = self._current(topic)
        record = RoundRecord.decode(RoundId.of(topic.period, topic.attempt), document)
        if record.digest(course.plan.domain) != digest:
            raise BadDataError("the bundles give another record")
        record.verify(domain=course.plan.domain, roster=course.plan.roster)
        if len(record.authors) < course.least:
            raise BadDataError("a record of too few members")
        if certified:
            return
        if not course.is_due(record.authors, self._member.now()):
            raise NotReadyError("a round is closed before its time")
        async with self._member.work() as rows:
            known = await rows.payment_keys.bundles(record.id)
        missing = [
            each.bundle.author
            for each in known
            if each.received_at <= course.deadline and record.leaves_out(each.bundle)
        ]
        if missing:
            raise OmittedBundleError(record.id.epoch, missing)

    async def decided(self, topic: Topic, decision: Decision) -> None:
        """Write the record down; `advance` closes the round with it."""
        id_ = RoundId.of(topic.period, topic.attempt)
        async with self._member.work() as rows:
            await rows.payment_keys.add_record(id_, decision.document, self._member.now())
        self._gathering.changed.set()

    def _current(self, topic: Topic) -> Course:
        course = self._courses.running.get(topic.period)
        if course is None or course.topic != topic or course.attempt.outcome is not None:
            raise NotReadyError("this round of the key generation is not open here")
        return course

    async def _due(self, topic: Topic) -> list[KnownBundle]:
        course = self._current(topic)
        async with self._member.work() as rows:
            known = await rows.payment_keys.bundles(RoundId.of(topic.period, topic.attempt))
        authors = frozenset(each.bundle.author for each in known)
        if not course.is_due(authors, self._member.now()):
            raise NotReadyError(f"{len(authors)} members have spoken")
        return known


def _exchange_keys(announced: list[KnownBundle]) -> dict[int, bytes]:
    """Index → announced X25519 key; of two that one member announced any will do."""
    found = {each.bundle.author: each.bundle.payload for each in announced}
    return {author: key for author, key in found.items() if len(key) == PUBLIC_BYTES}
