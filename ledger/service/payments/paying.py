"""Paying relays what was attested: any keeper may, and one member after the other does.

Source: docs/spec/payments.md, QN-PAY-053.
"""

from typing import Final

from ledger.service.payments.attesting import AttestingService
from ledger.service.payments.collecting import subject_of
from ledger.service.payments.facts import IssuingFacts
from qnet.messages.settlement import ProvenLeaf

BATCH: Final = 20
"""Relays of one transaction."""


class Paying:
    """Notes the transactions that pay relays.

    Args:
        facts: keys, times and chain.
        attesting: has the leaves.
    """

    def __init__(self, facts: IssuingFacts, attesting: AttestingService) -> None:
        self._facts = facts
        self._attesting = attesting
        self._looked_at: dict[int, bytes] = {}

    async def note(self, epoch: int) -> None:
        """Write what is due under an epoch's root into the outbox, when it is our turn."""
        facts = self._facts
        share = facts.clock.terms.deliver_s / facts.member.size
        if facts.elapsed(epoch) < facts.clock.terms.demand_s + facts.turn(epoch) * share:
            return
        state = await facts.channels.issuance_of(epoch, "finalized")
        if state is None or not any(state.root) or self._looked_at.get(epoch) == state.root:
            return
        leaves = await self._attesting.leaves(epoch, state.root)
        if leaves is None:
            return
        due = []
        for leaf in leaves:
            if leaf.cum_units > await facts.channels.paid_units_of(leaf.relay):
                proven = await self._attesting.proven_leaf(epoch, leaf.relay)
                due += [] if proven is None else [proven]
        for start in range(0, len(due), BATCH):
            await self._add(epoch, due[start : start + BATCH])
        self._looked_at[epoch] = state.root

    async def _add(self, epoch: int, batch: list[ProvenLeaf]) -> None:
        call = self._facts.channels.claim(epoch, batch)
        async with self._facts.member.work() as rows:
            await rows.outbox.add(
                "claim",
                epoch,
                subject=subject_of(call.data),
                target=self._facts.channels.address,
                call=call.data,
                label=f"pay {len(batch)} relays for issuance epoch {epoch}",
                not_before=self._facts.member.now(),
            )
