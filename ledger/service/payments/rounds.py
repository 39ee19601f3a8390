"""Key generation over the agreement: bundles are gathered, a record of each round is agreed on.

What must not be lost is on disk before it leaves: the key for shares on their way, the random
bytes of each attempt's polynomials, every bundle, every record. After a crash the attempt is built
again from them and says the same.

Source: docs/spec/payments.md, QN-PAY-002.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import structlog

from ledger.domain.keygen import Plan, Timetable
from ledger.domain.keygen_attempt import Attempt, DealingSecrets, Failed, Made, tape_bytes
from ledger.domain.keygen_bundles import (
    MAX_BUNDLE_BYTES,
    MAX_BUNDLES,
    Bundle,
    KeyRound,
    RoundId,
    RoundRecord,
)
from ledger.domain.keygen_sealing import Safe
from ledger.domain.schedule import Schedule
from ledger.domain.votes import Decision, Kind, Topic
from ledger.errors import BadDataError, NotReadyError, OmittedBundleError, PeerError
from ledger.service.member import Member
from ledger.service.peers import MAX_ANSWER_BYTES, Peers
from ledger.service.quorum import Quorum
from ledger.storage.payment_keys import KnownBundle
from qnet import cbor
from qnet.crypto.dkg_messages import Session
from qnet.crypto.keys import PUBLIC_BYTES, SECRET_BYTES, DhKey
from qnet.errors import CryptoError, DecodeError
from qnet.issuance import IssuanceClock
from qnet.messages.fields import U32_MAX, Fields
from qnet.messages.instruments import Place

BUNDLES_PATH: Final = "/v1/peer/payments/bundles"
POLLS_IN_WINDOW: Final = 8
"""How often members ask each other for bundles while a round waits for somebody."""
POLL_MAX_S: Final = 15.0
EXCHANGE: Final = "exchange"
_NAME_BYTES: Final = 32
_CALL_KEYS: Final = frozenset({"epoch", "attempt", "round", "have", "bundles"})
_ANSWER_KEYS: Final = frozenset({"bundles"})

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
        if block.timestamp < begins_at:
            raise NotReadyError(f"the committee of issuance epoch {epoch} is not final")
        trust = reader.set_of(await reader.seats(block), begins_at)
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


class Rounds:
    """The member's part in key generations; implements `TopicHandler` for `Kind.KEYS_ROUND`.

    Args:
        member: ours.
        peers: the others; `answer` takes their calls of `BUNDLES_PATH`.
        quorum: our agreements.
        roster: who makes the keys.
        clock: calendar of issuance epochs.
        safe: for our secrets.
    """

    def __init__(
        self,
        member: Member,
        peers: Peers,
        quorum: Quorum,
        *,
        roster: Roster,
        clock: IssuanceClock,
        safe: Safe,
    ) -> None:
        self._member = member
        self._peers = peers
        self._quorum = quorum
        self._roster = roster
        self.times: Final = Timetable(clock)
        self._safe = safe
        self._courses: dict[int, Course] = {}
        self.changed = asyncio.Event()
        """Set when something came that may let a generation go on."""

    # ---- driving -----------------------------------------------------------------------------

    async def advance(self, epoch: int) -> Made | None:
        """Go as far as possible with an epoch's generation; what was made once it is.

        Raises:
            NotReadyError: the committee is not final yet.
            CommitteeSizeError: this committee makes no keys.
        """
        course = await self._course(epoch)
        await self._take_records(course)
        outcome = course.attempt.outcome
        if isinstance(outcome, Made):
            return outcome
        if course.index is not None and self._member.now() < course.times.ends_at(epoch):
            await self._speak(course, course.index)
        await self._quorum.begin(course.topic, self.schedule(course))
        await self._exchange(course)
        return None

    def schedule(self, course: Course) -> Schedule:
        """Views of the agreement on the open round."""
        id_ = course.attempt.id
        return self.views(course.times.starts_at(id_), id_.epoch + id_.number)

    def views(self, start_s: float, number: int) -> Schedule:
        """Views that are counted from a moment, the first led by member `number` modulo n."""
        size, timeout = self._member.size, self._member.parameters.agreement_timeout_s
        return Schedule(start_s, float(timeout), size, number % size)

    def finish(self, epoch: int) -> None:
        """Forget a generation whose keys are agreed; its working secrets are erased already."""
        course = self._courses.pop(epoch, None)
        for topic in self._quorum.topics:
            if course is not None and topic.kind is Kind.KEYS_ROUND and topic.period == epoch:
                self._quorum.drop(topic)

    def give_up(self, epoch: int) -> None:
        """Forget a generation that came to nothing in time."""
        course = self._courses.get(epoch)
        if course is not None:
            course.attempt.erase()
        self.finish(epoch)

    async def _course(self, epoch: int) -> Course:
        if epoch in self._courses:
            return self._courses[epoch]
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
        self._courses[epoch] = course
        return course

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

    async def _take_records(self, course: Course) -> None:
        """Close every round that was agreed on."""
        while not isinstance(course.attempt.outcome, Made):
            id_ = course.attempt.id
            async with self._member.work() as rows:
                found = await rows.payment_keys.record(id_)
            if found is None:
                return
            self._quorum.drop(course.topic)
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

    # ---- what others say ---------------------------------------------------------------------

    async def answer(self, sender: int, body: bytes) -> bytes:
        """Take bundles that a member shows, and show those it lacks.

        Raises:
            DecodeError: malformed.
            CryptoError: a bundle is not its author's.
        """
        del sender  # bundles are signed; members pass on what others said
        value = cbor.loads(body, max_bytes=MAX_ANSWER_BYTES, max_depth=2)
        fields = Fields(value, _CALL_KEYS, "bundles call")
        epoch, attempt = fields.uint("epoch", U32_MAX), fields.uint("attempt", U32_MAX)
        id_ = RoundId(epoch, attempt, KeyRound(fields.uint("round", max(KeyRound))))
        names = _names(cast("dict[str, object]", value)["have"])
        course = self._courses.get(epoch)
        if course is not None:
            await self._store(course, _wires(fields))
        async with self._member.work() as rows:
            known = await rows.payment_keys.bundles(id_)
        shown = [each.bundle.encode() for each in known if each.bundle.name not in names]
        return cbor.dumps({"bundles": shown})

    async def _exchange(self, course: Course, *, at_once: bool = False) -> None:
        """Show our bundles to all others and take theirs."""
        now = self._member.now()
        if not at_once and now < course.exchange_at:
            return
        course.exchange_at = now + min(course.window_s / POLLS_IN_WINDOW, POLL_MAX_S)
        async with self._member.work() as rows:
            known = {id_: await rows.payment_keys.bundles(id_) for id_ in course.open_rounds}
        await asyncio.gather(
            *(
                self._exchange_with(peer, course, id_, bundles)
                for peer in self._peers.others
                for id_, bundles in known.items()
            )
        )

    async def _exchange_with(
        self, peer: int, course: Course, id_: RoundId, known: list[KnownBundle]
    ) -> None:
        bundles = [each.bundle for each in known]
        ours = [
            bundle
            for bundle in bundles
            if bundle.author == course.index and (peer, bundle.name) not in course.delivered
        ]
        body = cbor.dumps(
            {
                "epoch": id_.epoch,
                "attempt": id_.attempt,
                "round": int(id_.round),
                "have": b"".join(bundle.name for bundle in bundles),
                "bundles": [bundle.encode() for bundle in ours],
            }
        )
        try:
            async with asyncio.timeout(course.window_s / 2):
                answer = await self._peers.call(peer, BUNDLES_PATH, body)
            course.delivered |= {(peer, bundle.name) for bundle in ours}
            value = cbor.loads(answer, max_bytes=MAX_ANSWER_BYTES, max_depth=2)
            await self._store(course, _wires(Fields(value, _ANSWER_KEYS, "bundles")))
        except (PeerError, TimeoutError, DecodeError, CryptoError) as error:
            _log.debug("no bundles", member=peer, why=str(error))

    async def _store(self, course: Course, wires: Sequence[bytes]) -> None:
        """Store bundles of a generation under way.

        Raises:
            DecodeError: malformed, or of another epoch.
            CryptoError: a bundle is not its author's.
        """
        plan, roster = course.plan, course.plan.roster
        bundles = [Bundle.decode(wire) for wire in wires]
        for bundle in bundles:
            if bundle.id.epoch != plan.epoch or not 1 <= bundle.author <= len(roster):
                raise DecodeError("a bundle of another epoch, or of no member")
            bundle.verify(domain=plan.domain, address=roster[bundle.author - 1])
        newest = course.attempt.number + 1
        wanted = [bundle for bundle in bundles if bundle.id.attempt <= newest]
        now, new = self._member.now(), False
        async with self._member.work() as rows:
            for bundle in wanted:
                new |= await rows.payment_keys.add_bundle(bundle, now)
        if new:
            self.changed.set()

    # ---- agreement ---------------------------------------------------------------------------

    async def build(self, topic: Topic) -> tuple[bytes, bytes]:
        """Propose the record of a round.

        Raises:
            NotReadyError: the round is not open here, or still waits for somebody.
        """
        await self._due(topic)
        course = self._current(topic)
        await self._exchange(course, at_once=True)
        known = await self._due(topic)
        record = RoundRecord.of(course.attempt.id, (each.bundle for each in known))
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
        record = RoundRecord.decode(course.attempt.id, document)
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
        self.changed.set()

    def _current(self, topic: Topic) -> Course:
        course = self._courses.get(topic.period)
        if course is None or course.topic != topic or course.attempt.outcome is not None:
            raise NotReadyError("this round of the key generation is not open here")
        return course

    async def _due(self, topic: Topic) -> list[KnownBundle]:
        course = self._current(topic)
        async with self._member.work() as rows:
            known = await rows.payment_keys.bundles(course.attempt.id)
        authors = frozenset(each.bundle.author for each in known)
        if not course.is_due(authors, self._member.now()):
            raise NotReadyError(f"{len(authors)} members have spoken")
        return known


def _exchange_keys(announced: list[KnownBundle]) -> dict[int, bytes]:
    """Index → announced X25519 key; of two that one member announced any will do."""
    found = {each.bundle.author: each.bundle.payload for each in announced}
    return {author: key for author, key in found.items() if len(key) == PUBLIC_BYTES}


def _names(value: object) -> frozenset[bytes]:
    if not isinstance(value, bytes) or len(value) % _NAME_BYTES:
        raise DecodeError("bundles call: names are not 32 bytes each")
    starts = range(0, len(value), _NAME_BYTES)
    return frozenset(value[start : start + _NAME_BYTES] for start in starts)


def _wires(fields: Fields) -> list[bytes]:
    items = fields.items("bundles", MAX_BUNDLES)
    if not all(isinstance(item, bytes) and len(item) <= MAX_BUNDLE_BYTES for item in items):
        raise DecodeError("bundles: an item is not a bounded byte string")
    return cast("list[bytes]", list(items))
