"""Signatures beyond a quorum, for when one of its signers stops counting.

A decision names the first quorum that signed. Until the chain is asked a signer may be suspended,
and a seat whose bond was never deposited never counts; the contract then refuses all of it. The
others' signatures are of the same digest, so joining them is no second statement.

Source: docs/spec/agreement.md, QN-AGR-043.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from ledger.domain.issuance_log import IssuanceLog
from ledger.domain.relay_earnings import Earnings
from ledger.domain.report import recompute
from ledger.domain.votes import Decision, Kind, Topic, signatures_of
from ledger.service.member import Member
from ledger.service.quorum import Quorum
from ledger.storage.results import OutboxRow
from qnet.crypto.keys import keccak256
from qnet.messages.consensus import join_signatures, payload_of

KINDS: Final[Mapping[str, Kind]] = {
    "anchor": Kind.CONSENSUS,
    "report": Kind.REPORT,
    "keys": Kind.KEYS,
}
"""Transactions that carry a quorum of signatures."""


class Endorsements:
    """Joins the signatures of a decision anew.

    Args:
        member: ours.
        quorum: asked for more signatures.
    """

    def __init__(self, member: Member, quorum: Quorum) -> None:
        self._member = member
        self._quorum = quorum
        self._ask_at: dict[Topic, float] = {}

    async def rejoin(self, row: OutboxRow) -> bytes | None:
        """Call data of a transaction with the signatures that count on chain now.

        Returns:
            None if they are no quorum yet, or the same as before; the others are asked for theirs.
        """
        if row.kind not in KINDS:
            return None
        topic = Topic(KINDS[row.kind], row.period, row.attempt)
        async with self._member.work() as rows:
            state = await rows.agreements.load(topic)
        if state is None or state.decided is None:
            return None
        committee = self._member.reader.contracts.committee
        counting = {
            seat.index
            for seat in await committee.members()
            if seat.active and seat.bonded and not seat.suspended
        }
        signed = signatures_of(state.decided)
        parts = {place: signed[place] for place in signed if place in counting}
        if len(parts) < await committee.quorum():
            await self._ask(topic)
            return None
        call = await self._call(topic, state.decided, *join_signatures(parts))
        return None if call == row.call else call

    async def _ask(self, topic: Topic) -> None:
        """Ask the others, who answer with whole documents, once in an agreement's timeout."""
        now = self._member.now()
        if now >= self._ask_at.get(topic, now):
            self._ask_at = {topic: now + self._member.parameters.agreement_timeout_s}
            await self._quorum.ask(topic)

    async def _call(
        self, topic: Topic, decision: Decision, bitmap: int, signatures: bytes
    ) -> bytes | None:
        contracts = self._member.reader.contracts
        match topic.kind:
            case Kind.REPORT:
                report = (await asyncio.to_thread(recompute, decision.document)).report
                return contracts.oracle.submit(report, bitmap, signatures).data
            case Kind.CLOSING:
                closing = IssuanceLog.decode(decision.document).closing
                return contracts.channels.close_epoch(closing, bitmap, signatures).data
            case Kind.ATTESTATION:
                earnings = Earnings.decode(decision.document)
                attestation = earnings.attestation(contracts.channels.place)
                return contracts.channels.attest(attestation, bitmap, signatures).data
            case _:
                return await self._anchor(topic, bitmap, signatures)

    async def _anchor(self, topic: Topic, bitmap: int, signatures: bytes) -> bytes | None:
        contracts = self._member.reader.contracts
        if topic.kind is Kind.KEYS:
            async with self._member.work() as rows:
                keys = await rows.payment_keys.get(topic.period)
            if keys is None:
                return None
            channels = contracts.channels
            return channels.register_keys(keys.epoch, keys.keys_hash, bitmap, signatures).data
        async with self._member.work() as rows:
            found = await rows.consensuses.get(topic.period)
        if found is None:
            return None
        hash_ = keccak256(payload_of(found[1]))
        return contracts.committee.anchor(topic.period, hash_, bitmap, signatures).data
