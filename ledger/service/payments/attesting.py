"""Attesting what relays earned: the committee agrees on leaves, and shows them to whoever asks.

Source: docs/spec/payments.md, QN-PAY-052, 053 and 071.
"""

import asyncio
from typing import Final

import structlog

from ledger.domain.relay_earnings import Earnings, earned, highest
from ledger.domain.votes import Decision, Topic
from ledger.errors import BadDataError, NotReadyError, OmittedRequestError
from ledger.service.payments.claiming import Claiming
from ledger.service.payments.exchange import briefly
from ledger.service.payments.facts import IssuingFacts
from qnet.chain.payments import IssuanceState
from qnet.errors import RemoteProtocolError
from qnet.messages.settlement import ClaimLeaf, ClaimTree, ProvenLeaf

RING: Final = 16
"""Issuance epochs kept on chain."""
TREES_KEPT: Final = 4

_log = structlog.get_logger(__name__)


class AttestingService:
    """The member's part in attestations; implements `TopicHandler`.

    Args:
        facts: keys, times and chain.
        claiming: has the claims of relays.
    """

    def __init__(self, facts: IssuingFacts, claiming: Claiming) -> None:
        self._facts = facts
        self.claiming = claiming
        self._trees: dict[int, ClaimTree] = {}

    @property
    def opens_s(self) -> int:
        """Seconds after an epoch from which it is attested."""
        terms = self._facts.clock.terms
        return max(terms.close_s, terms.claim_s)

    async def build(self, topic: Topic) -> tuple[bytes, bytes]:
        """Propose what all claims give that any member took in time.

        Raises:
            NotReadyError: claims are still taken, none is known, or they exceed what was issued.
        """
        epoch = topic.period
        state = await self._state(epoch)
        await briefly(self.claiming.pull(epoch))
        async with self._facts.member.work() as rows:
            names = tuple(sorted(await rows.payment_claims.of_epoch(epoch)))
        if not names:
            raise NotReadyError(f"nothing is claimed for issuance epoch {epoch}")
        earnings = await self._earnings(epoch, state, names)
        if sum(leaf.epoch_units for leaf in earnings.leaves) > await self._left(epoch):
            raise NotReadyError(f"more is claimed than issuance epoch {epoch} can pay")
        return self._digest(earnings), earnings.encode()

    async def check(self, topic: Topic, digest: bytes, document: bytes, *, certified: bool) -> None:
        """Refuse leaves that the claims do not give, or that leave out what we took in time.

        Raises:
            QnetError: with the reason.
        """
        earnings = Earnings.decode(document)
        if earnings.epoch != topic.period or self._digest(earnings) != digest:
            raise BadDataError("the leaves are of another attestation")
        if certified:
            return
        epoch = earnings.epoch
        state = await self._state(epoch)
        await briefly(self.claiming.fetch(epoch, earnings.claims))
        if await self._earnings(epoch, state, earnings.claims) != earnings:
            raise BadDataError("the leaves are not what the claims give")
        listed = highest(await self.claiming.of(epoch, earnings.claims))
        ours = highest(await self.claiming.of(epoch, await self._in_time(epoch)))
        if omitted := sum(k > listed.get(token, 0) for token, k in ours.items()):
            raise OmittedRequestError(epoch, omitted)

    async def _in_time(self, epoch: int) -> tuple[bytes, ...]:
        async with self._facts.member.work() as rows:
            return tuple(await rows.payment_claims.in_time(epoch))

    async def decided(self, topic: Topic, decision: Decision) -> None:
        """Store the leaves and note the transaction that attests them."""
        earnings, facts = Earnings.decode(decision.document), self._facts
        if self._digest(earnings) != decision.digest or earnings.epoch != topic.period:
            raise RemoteProtocolError("a decided attestation does not follow from its leaves")
        attestation = earnings.attestation(facts.place)
        call = facts.channels.attest(attestation, decision.bitmap, decision.signatures)
        delay = facts.turn(earnings.epoch) * facts.member.parameters.agreement_timeout_s
        async with facts.member.work() as rows:
            await rows.payment_claims.attest(earnings.epoch, earnings.leaves)
            new = await rows.outbox.add(
                "attest",
                earnings.epoch,
                target=facts.channels.address,
                call=call.data,
                label=f"attest the claims of issuance epoch {earnings.epoch}",
                not_before=facts.member.now() + delay,
            )
        if new:
            _log.info("attestation", epoch=earnings.epoch, units=attestation.units)

    # ---- leaves ------------------------------------------------------------------------------

    async def proven_leaf(self, epoch: int, relay: int) -> ProvenLeaf | None:
        """A relay's leaf with its path under the root on chain; None if there is no such root."""
        state = await self._facts.channels.issuance_of(epoch)
        tree = None if state is None else await self._tree(epoch, state.root)
        return None if tree is None else tree.prove(relay)

    async def leaves(self, epoch: int, root: bytes) -> tuple[ClaimLeaf, ...] | None:
        """All leaves under a root, None if they are not known here."""
        if await self._tree(epoch, root) is None:
            return None
        async with self._facts.member.work() as rows:
            return await rows.payment_claims.leaves(epoch)

    async def _tree(self, epoch: int, root: bytes) -> ClaimTree | None:
        tree = self._trees.get(epoch)
        if tree is None:
            async with self._facts.member.work() as rows:
                leaves = await rows.payment_claims.leaves(epoch)
            if not leaves:
                return None
            tree = await asyncio.to_thread(Earnings(epoch, b"", (), leaves).tree, self._facts.place)
            if len(self._trees) >= TREES_KEPT:
                self._trees.pop(min(self._trees))
            self._trees[epoch] = tree
        return tree if tree.root == root else None

    # ---- parts -------------------------------------------------------------------------------

    def _digest(self, earnings: Earnings) -> bytes:
        return earnings.attestation(self._facts.place).digest(self._facts.domain)

    async def _state(self, epoch: int) -> IssuanceState:
        """What the chain says about an epoch that can be attested now."""
        elapsed, terms = self._facts.elapsed(epoch), self._facts.clock.terms
        if not self.opens_s <= elapsed < terms.attest_s:
            raise NotReadyError(f"it is not the time to attest issuance epoch {epoch}")
        state = await self._facts.channels.issuance_of(epoch, "finalized")
        if state is None or state.is_attested:
            raise NotReadyError(f"issuance epoch {epoch} has no keys, or is attested")
        return state

    async def _left(self, epoch: int) -> int:
        return await self._facts.channels.left_of(epoch, "finalized")

    async def _earnings(
        self, epoch: int, state: IssuanceState, names: tuple[bytes, ...]
    ) -> Earnings:
        claims = await self.claiming.of(epoch, names)
        before = await self._before(epoch, {each.relay for each in claims})
        leaves = await asyncio.to_thread(earned, claims, before)
        return Earnings(epoch, state.log_root, names, leaves)

    async def _before(self, epoch: int, relays: set[int]) -> dict[int, int]:
        """Units of relays in the attested epochs before, as the newest root in force has them.

        Without such a root nothing waits to be paid, and what was paid is all there was.
        """
        channels = self._facts.channels
        for earlier in range(epoch - 1, max(epoch - RING, -1), -1):
            state = await channels.issuance_of(earlier, "finalized")
            if state is None or not any(state.root):
                continue
            leaves = await self.leaves(earlier, state.root)
            if leaves is None:
                raise NotReadyError(f"the leaves of issuance epoch {earlier} are not known here")
            return {leaf.relay: leaf.cum_units for leaf in leaves}
        paid = {relay: await channels.paid_units_of(relay, "finalized") for relay in relays}
        return {relay: units for relay, units in paid.items() if units}
