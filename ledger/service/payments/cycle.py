"""What happens when to an issuance epoch: collect, close, attest, pay, and forget.

Source: docs/spec/payments.md, Constants and QN-PAY-050 to 053.
"""

import asyncio
from typing import Final

import structlog

from ledger.domain.schedule import Schedule
from ledger.domain.votes import Kind, Topic
from ledger.errors import NotReadyError
from ledger.service.payments.attesting import AttestingService
from ledger.service.payments.collecting import Collecting
from ledger.service.payments.desk import Desk
from ledger.service.payments.paying import Paying
from ledger.service.quorum import Quorum
from qnet.chain.payments import IssuanceState
from qnet.errors import ChainRecoverableError

POLL_S: Final = 5.0
STEPS_TO_FINISH: Final = 10
"""At least so many steps are made before FINISH_S."""
VIEWS: Final = 4
"""At least so many leaders have a turn before a deadline."""
KINDS: Final = frozenset({Kind.CLOSING, Kind.ATTESTATION})

_log = structlog.get_logger(__name__)


class Cycle:
    """Begins agreements and notes transactions, by the clock and by the chain.

    Args:
        desk: what was served.
        quorum: our agreements.
        collecting: vouchers.
        attesting: claims.
        paying: relays.
    """

    def __init__(
        self,
        desk: Desk,
        quorum: Quorum,
        *,
        collecting: Collecting,
        attesting: AttestingService,
        paying: Paying,
    ) -> None:
        self._desk = desk
        self._facts = desk.facts
        self._quorum = quorum
        self._collecting = collecting
        self._attesting = attesting
        self._paying = paying
        self._erased: set[int] = set()
        self._ask_at: dict[int, float] = {}
        self._kept_from = -1
        self._collected_in = -1

    async def run(self) -> None:
        """Go on for ever; a chain that does not answer only delays."""
        pause_s = min(self._facts.clock.terms.finish_s / STEPS_TO_FINISH, POLL_S)
        while True:
            try:
                await self.step()
            except ChainRecoverableError as error:
                _log.warning("chain does not answer", error=error.message, why=error.why)
            except NotReadyError as error:
                _log.debug("not ready", why=error.message)
            await asyncio.sleep(pause_s)

    async def step(self) -> None:
        """Look once at every epoch that is over and not settled."""
        facts = self._facts
        kept = facts.clock.kept(facts.member.now())
        wanted: set[Topic] = set()
        for epoch in kept:
            elapsed = facts.elapsed(epoch)
            if elapsed < 0:
                await self._collect_early(epoch)
                continue
            if elapsed >= facts.clock.terms.finish_s and epoch not in self._erased:
                await facts.keys.erase(epoch)
                self._erased.add(epoch)
            state = await facts.channels.issuance_of(epoch, "finalized")
            if state is not None:
                wanted |= await self._settle(state, elapsed)
        for topic in self._quorum.topics:
            if topic.kind in KINDS and topic not in wanted:
                self._quorum.drop(topic)
        await self._forget(kept.start)

    async def _collect_early(self, epoch: int) -> None:
        """Collect what the running epoch sold once a reward epoch.

        Relays and users can do without us only as far as the money is in the pool.
        """
        now, rewards = self._facts.member.now(), self._facts.clock.rewards
        reward = rewards.epoch_at(now)
        if reward > self._collected_in:
            due = now + self._facts.turn(reward) * rewards.slot_s
            await self._collecting.note(epoch, None, due_s=due)
            self._collected_in = reward

    async def _settle(self, state: IssuanceState, elapsed: float) -> set[Topic]:
        """Do what is due for one epoch; return the agreements it needs."""
        epoch, terms = state.epoch, self._facts.clock.terms
        topics = set()
        if elapsed < terms.attest_s:
            step = (terms.close_s - terms.finish_s) / (2 * self._facts.member.size)
            due = self._facts.member.now() + self._facts.turn(epoch) * step
            await self._collecting.note(epoch, None, due_s=due)
        if elapsed < terms.close_s and not state.is_closed:
            topics.add(await self._begin(Kind.CLOSING, epoch, terms.finish_s, terms.close_s))
        if await self._is_attestable(state, elapsed):
            opens_s = self._attesting.opens_s
            topics.add(await self._begin(Kind.ATTESTATION, epoch, opens_s, terms.attest_s))
        if elapsed >= terms.demand_s:
            await self._paying.note(epoch)
        return topics

    async def _is_attestable(self, state: IssuanceState, elapsed: float) -> bool:
        """Whether there is something to agree on, or an agreement that we have missed."""
        if any(state.root):
            return await self._attesting.leaves(state.epoch, state.root) is None
        in_time = self._attesting.opens_s <= elapsed < self._facts.clock.terms.attest_s
        return in_time and not state.is_attested and await self._has_claims(state.epoch)

    async def _has_claims(self, epoch: int) -> bool:
        """Whether anything is claimed, as far as we know; the others are asked now and then."""
        async with self._facts.member.work() as rows:
            if await rows.payment_claims.names(epoch, 0, 1):
                return True
        now, terms = self._facts.member.now(), self._facts.clock.terms
        if now >= self._ask_at.get(epoch, 0.0):
            pause = (terms.attest_s - self._attesting.opens_s) / VIEWS
            self._ask_at = {epoch: now + pause}
            await self._attesting.claiming.pull(epoch)
        return False

    async def _begin(self, kind: Kind, epoch: int, since_s: int, until_s: int) -> Topic:
        """Take part in an agreement, with views short enough for several before the deadline."""
        member, topic = self._facts.member, Topic(kind, epoch)
        timeout = min(member.parameters.agreement_timeout_s, (until_s - since_s) / VIEWS)
        start = self._facts.clock.bounds(epoch)[1] + since_s
        await self._quorum.begin(
            topic, Schedule(float(start), float(timeout), member.size, epoch % member.size)
        )
        return topic

    async def _forget(self, oldest: int) -> None:
        """Delete what nobody has to keep any more, once for each epoch that passes."""
        if oldest <= self._kept_from:
            return
        async with self._facts.member.work() as rows:
            await rows.payments.forget(oldest)
            await rows.payment_claims.forget(oldest)
            for kind in KINDS:
                await rows.agreements.trim(kind, oldest)
        self._desk.forget(oldest)
        self._erased = {epoch for epoch in self._erased if epoch >= oldest}
        self._kept_from = oldest
