"""Collecting vouchers on chain: of a channel that closes at once, of all others after the epoch.

A voucher stands for all that its channel paid before, so the newest of each channel is enough.

Source: docs/spec/payments.md, QN-PAY-023 and 050.
"""

from typing import Final

from ledger.domain.issuance_log import decode_request
from ledger.service.payments.facts import IssuingFacts
from qnet.crypto.keys import keccak256
from qnet.messages.voucher import Purchase

BATCH: Final = 20
"""Vouchers of one transaction."""
SUBJECT_BYTES: Final = 7


class Collecting:
    """Notes the transactions that collect vouchers.

    Args:
        facts: keys, times and chain.
    """

    def __init__(self, facts: IssuingFacts) -> None:
        self._facts = facts
        self._collected: dict[bytes, int] = {}

    async def waiting(self, epoch: int, channel: bytes | None = None) -> list[Purchase]:
        """Newest purchase of each channel that is not collected, in order of the channels.

        Args:
            epoch: issuance epoch it was made in.
            channel: looks at this one only.
        """
        async with self._facts.member.work() as rows:
            found = await rows.payments.newest_purchases(epoch, channel)
        newest: dict[bytes, Purchase] = {}
        for row in found:
            request = decode_request(row.wire)
            assert isinstance(request, Purchase)
            newest[request.voucher.channel] = request
        return [purchase for purchase in newest.values() if await self._lacks(purchase)]

    async def note(self, epoch: int, channel: bytes | None, *, due_s: float) -> None:
        """Write the transactions for what waits into the outbox, in batches, each once.

        Args:
            epoch: issuance epoch.
            channel: of this one only.
            due_s: unix time from which we send them, if nobody has by then.
        """
        facts = self._facts
        waiting = await self.waiting(epoch, channel)
        for start in range(0, len(waiting), BATCH):
            batch = waiting[start : start + BATCH]
            vouchers = [purchase.voucher for purchase in batch]
            call = facts.channels.collect(vouchers, [purchase.signature for purchase in batch])
            async with facts.member.work() as rows:
                await rows.outbox.add(
                    "collect",
                    epoch,
                    subject=subject_of(call.data),
                    target=facts.channels.address,
                    call=call.data,
                    label=f"collect {len(batch)} vouchers of issuance epoch {epoch}",
                    not_before=due_s,
                )

    async def _lacks(self, purchase: Purchase) -> bool:
        """Whether the chain has to collect a purchase, and can.

        Who sent a transaction sends it again until it is final, so one look is enough.
        """
        voucher = purchase.voucher
        if self._collected.get(voucher.channel, 0) >= voucher.cumulative_wei:
            return False
        state = await self._facts.channels.channel_of(voucher.channel)
        self._collected[voucher.channel] = state.collected_wei
        return state.collected_wei < voucher.cumulative_wei <= state.deposit_wei


def subject_of(data: bytes) -> int:
    """A number for a row of the outbox that stands for these bytes, below 2^56."""
    return int.from_bytes(keccak256(data)[:SUBJECT_BYTES], "big")
