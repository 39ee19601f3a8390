"""Takes to the court what the ledger can prove: double receipts and double consensuses.

One challenge for each culprit: evidence → commitment → proof → execution of the slash. Every step
is a transaction of the outbox, and which step is next follows from the database and the chain
alone, so a restart at any moment loses nothing.

Source: docs/spec/disputes.md.
"""

import asyncio
from typing import Final

import structlog

from ledger.domain.disputes import double_consensuses, double_receipts
from ledger.service.effects import find_challenge
from ledger.service.member import Member
from ledger.storage.challenges import ChallengeRow
from qnet.chain.disputes import ChallengeState, SlashState
from qnet.chain.receipts import why_no_evidence
from qnet.chain.staking import NodeState
from qnet.chain.values import Call
from qnet.errors import ChainRecoverableError
from qnet.messages.evidence import DoubleConsensus
from qnet.messages.evidence_file import EvidenceFile
from qnet.messages.proofs import ConsensusesProof, Proof, ReceiptsProof
from qnet.messages.receipt import SignedReceipt

POLL_S: Final = 2.0
TURN_TIMEOUTS: Final = 4
"""Agreement timeouts that each member leaves the one before it to prove first."""
SLASHES_SEEN: Final = 256
SALT_BYTES: Final = 32

_log = structlog.get_logger(__name__)


class Challenger:
    """Carries stored evidence to the court.

    Args:
        member: ours.
        account: that pays bonds and sends the outbox, 20 bytes.
    """

    def __init__(self, member: Member, account: bytes) -> None:
        self._member = member
        self._account = account
        self._unfunded: set[int] = set()

    async def run(self) -> None:
        """Look for evidence, for ever; a chain that does not answer only delays."""
        while True:
            try:
                await self.step()
            except ChainRecoverableError as error:
                _log.warning("challenges wait", error=error.message, why=error.why)
            await asyncio.sleep(POLL_S)

    async def step(self) -> None:
        """Note new evidence, and carry every challenge one step further."""
        await self._note_receipts()
        await self._note_consensuses()
        async with self._member.work() as rows:
            open_rows = await rows.challenges.open_rows()
        for row in open_rows:
            if row.state == "opened":
                await self._prove(row)
        for row in open_rows:
            # one after the other: an approval must be spent by the challenge it was made for
            if row.state == "noted" and await self._open(row):
                break

    # ---- evidence ------------------------------------------------------------------------------

    @property
    def _kept_s(self) -> int:
        """For how long the court takes evidence (QN-DSP-003), but for pauses."""
        parameters = self._member.parameters
        return min(parameters.evidence_s, parameters.unbond_s)

    async def _note_receipts(self) -> None:
        oldest = max(self._member.clock.epoch_at(self._member.now() - self._kept_s), 0)
        async with self._member.work() as rows:
            wires = await rows.receipts.doubled(oldest)
        for proof in double_receipts(map(SignedReceipt.decode, wires)):
            await self._note("receipts", proof.a.receipt.signer, proof)

    async def _note_consensuses(self) -> None:
        async with self._member.work() as rows:
            wires = await rows.evidence.newest()
        for evidence in map(DoubleConsensus.decode, wires):
            if evidence.period < self._member.now() - self._kept_s:
                continue
            for proof in double_consensuses(evidence):
                if proof.member != self._member.index:
                    await self._note("consensuses", proof.member, proof)

    async def _note(self, kind: str, subject: int, proof: Proof) -> None:
        contracts = self._member.reader.contracts
        file = EvidenceFile(contracts.client.chain_id, contracts.court.address, proof)
        async with self._member.work() as rows:
            new = await rows.challenges.add(
                kind,
                subject,
                evidence=file.encode(),
                salt=self._member.random(SALT_BYTES),
                now=self._member.now(),
            )
        if new:
            _log.warning("evidence", kind=kind, subject=subject)

    # ---- steps ---------------------------------------------------------------------------------

    async def _open(self, row: ChallengeRow) -> bool:
        """Commit to the proof when it is our turn and nobody was faster; True while under way."""
        if await self._is_caught(row):
            await self._finish(row, proven=False, note="already caught")
            return False
        if self._member.now() > row.noted_at + self._kept_s:
            await self._finish(row, proven=False, note="too old to be brought")
            return False
        problem = await self._problem(row)
        if problem:
            await self._finish(row, proven=False, note=problem)
            return False
        if self._member.now() < row.noted_at + self._turn(row):
            return False
        contracts = self._member.reader.contracts
        commitment = contracts.court.commitment(self._account, row.salt, _proof_of(row))
        number = await find_challenge(contracts, commitment)
        if number is not None:
            async with self._member.work() as rows:
                await rows.challenges.opened(row.row_id, number)
            return False
        bond = self._member.parameters.challenge_bond_wei
        court = contracts.court.address
        if await contracts.token.allowance(self._account, court) >= bond:
            await self._send("open", row, contracts.court.open(commitment))
        elif await contracts.token.balance_of(self._account) >= bond:
            await self._send("approve", row, contracts.token.approve(court, bond))
        elif row.row_id not in self._unfunded:
            self._unfunded.add(row.row_id)
            _log.warning("no tokens for a challenge bond", bond_wei=str(bond), kind=row.kind)
        return True

    async def _prove(self, row: ChallengeRow) -> None:
        """Show the proof, then carry out the slash when its escrow is over."""
        assert row.challenge is not None
        contracts = self._member.reader.contracts
        challenge = await contracts.court.challenge(row.challenge)
        if challenge.state is ChallengeState.OPEN:
            if self._member.now() > challenge.deadline_s and not await contracts.court.is_paused():
                await self._finish(row, proven=False, note="no proof was taken in time")
                return
            call = contracts.court.prove(row.challenge, row.salt, _proof_of(row))
            await self._send("prove", row, call)
        elif challenge.state is ChallengeState.PROVEN:
            await self._execute(row)
        else:
            await self._finish(row, proven=False, note="expired")

    async def _execute(self, row: ChallengeRow) -> None:
        slasher, is_member = self._member.reader.contracts.slasher, row.kind == "consensuses"
        newest = await slasher.count()
        for number in range(newest, max(newest - SLASHES_SEEN, 0), -1):
            slash = await slasher.slash(number)
            if (slash.is_member, slash.subject) != (is_member, row.subject):
                continue
            if slash.state is not SlashState.ESCROW:
                await self._finish(row, proven=True, note=slash.state.name.lower())
            elif self._member.now() > slash.executable_at_s + self._turn(row):
                await self._send("execute", row, slasher.execute(number), subject=number)
            return
        await self._finish(row, proven=True, note="nothing was left to slash")

    async def _is_caught(self, row: ChallengeRow) -> bool:
        """Whether the culprit is out, or on its way out, already."""
        contracts = self._member.reader.contracts
        if row.kind == "receipts":
            node = await contracts.registry.node(row.subject)
            frozen = await contracts.hub.freezes_of(row.subject) > 0
            return frozen or node.state is NodeState.TOMBSTONED
        member = (await contracts.committee.members())[row.subject]
        return member.suspended or not member.bonded

    async def _problem(self, row: ChallengeRow) -> str:
        """Why the court would not take the proof, and keep our bond."""
        proof = _proof_of(row)
        if isinstance(proof, ConsensusesProof):
            return ""
        return await why_no_evidence(self._member.reader.contracts, proof.a.receipt)

    def _turn(self, row: ChallengeRow) -> float:
        """Seconds this member leaves to those before it; a culprit of the committee is last."""
        place = (self._member.index - row.subject - 1) % self._member.size
        return float(place * TURN_TIMEOUTS * self._member.parameters.agreement_timeout_s)

    async def _send(
        self, kind: str, row: ChallengeRow, call: Call, *, subject: int | None = None
    ) -> None:
        """Note a transaction of a challenge, once; give up when it was given up."""
        assert call.to is not None
        about = row.row_id if subject is None else subject
        async with self._member.work() as rows:
            new = await rows.outbox.add(
                kind,
                0,
                subject=about,
                target=call.to,
                call=call.data,
                label=f"{kind}: {row.kind} of {row.subject}",
                not_before=self._member.now(),
            )
            known = None if new else await rows.outbox.get(kind, 0, subject=about)
        if known is not None and known.state == "failed":
            await self._finish(row, proven=False, note=known.note)

    async def _finish(self, row: ChallengeRow, *, proven: bool, note: str) -> None:
        async with self._member.work() as rows:
            await rows.challenges.finished(row.row_id, proven=proven, note=note)
        _log.info("challenge", kind=row.kind, subject=row.subject, proven=proven, note=note)


def _proof_of(row: ChallengeRow) -> ReceiptsProof | ConsensusesProof:
    evidence = EvidenceFile.decode(row.evidence).evidence
    assert isinstance(evidence, ReceiptsProof | ConsensusesProof)
    return evidence
