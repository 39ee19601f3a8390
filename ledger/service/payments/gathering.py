"""Bundles of a round, gathered from all members: each shows its own and asks for what it lacks.

Source: docs/spec/payments.md, QN-PAY-002.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, cast

import structlog

from ledger.domain.keygen_bundles import MAX_BUNDLE_BYTES, MAX_BUNDLES, Bundle, KeyRound, RoundId
from ledger.errors import PeerError
from ledger.service.member import Member
from ledger.service.payments.courses import Course
from ledger.service.peers import MAX_ANSWER_BYTES, Peers
from ledger.storage.payment_keys import KnownBundle
from qnet import cbor
from qnet.errors import CryptoError, DecodeError
from qnet.messages.fields import U32_MAX, Fields

BUNDLES_PATH: Final = "/v1/peer/payments/bundles"
POLLS_IN_WINDOW: Final = 8
"""How often members ask each other for bundles while a round waits for somebody."""
POLL_MAX_S: Final = 15.0
_NAME_BYTES: Final = 32
_CALL_KEYS: Final = frozenset({"epoch", "attempt", "round", "have", "bundles"})
_ANSWER_KEYS: Final = frozenset({"bundles"})

_log = structlog.get_logger(__name__)


class Gathering:
    """Exchanges bundles with the other members.

    Args:
        member: ours.
        peers: the others; `answer` takes their calls of `BUNDLES_PATH`.
        running: generations under way, by epoch.
    """

    def __init__(self, member: Member, peers: Peers, running: Mapping[int, Course]) -> None:
        self._member = member
        self._peers = peers
        self._running = running
        self.changed = asyncio.Event()
        """Set when something came that may let a generation go on."""

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
        course = self._running.get(epoch)
        if course is not None:
            await self._store(course, _wires(fields))
        async with self._member.work() as rows:
            known = await rows.payment_keys.bundles(id_)
        shown = [each.bundle.encode() for each in known if each.bundle.name not in names]
        return cbor.dumps({"bundles": shown})

    async def exchange(self, course: Course, *, at_once: bool = False) -> None:
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
