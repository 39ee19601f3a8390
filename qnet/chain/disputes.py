"""Typed wrappers of DisputeCourt and Slasher: evidence, escrow, and what offences cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final

from qnet.chain.abi import SELECTOR_BYTES, encode_values
from qnet.chain.contract import Contract
from qnet.chain.pausing import PausingContract
from qnet.chain.values import BlockTag, Call
from qnet.crypto.keys import keccak256
from qnet.messages.proofs import ChargeEvidence, JailEvidence, Proof, ReportProof
from qnet.messages.report import NodeLeaf

ARGUMENTS_FROM: Final = SELECTOR_BYTES + 64
"""A commitment covers the call's data from here on: after selector, id and salt."""

NO_SALT: Final = bytes(32)


class ChallengeState(IntEnum):
    """Where a challenge stands."""

    NONE = 0
    OPEN = 1
    PROVEN = 2
    EXPIRED = 3


class SlashState(IntEnum):
    """Where a slash stands."""

    NONE = 0
    ESCROW = 1
    VETOED = 2
    EXECUTED = 3


@dataclass(frozen=True, slots=True)
class Challenge:
    """A commitment to a proof; addresses have 20 bytes, times are unix seconds.

    Args:
        challenge_id: its number, from 1.
        challenger: who committed.
        opened_at_s: the proof may follow later than this.
        deadline_s: last moment for the proof, before pauses are added.
        state: where it stands.
        bond_wei: what comes back with a proof that holds.
        commitment: 32 bytes.
    """

    challenge_id: int
    challenger: bytes
    opened_at_s: int
    deadline_s: int
    state: ChallengeState
    bond_wei: int
    commitment: bytes


@dataclass(frozen=True, slots=True)
class Slash:
    """A slash of a node or a member; addresses have 20 bytes, times are unix seconds.

    Args:
        slash_id: its number, from 1.
        state: where it stands.
        is_member: whether a member of the committee is slashed, else a node.
        is_premium: whether the pool of premium payments is refilled, else the vault.
        subject: number of the member or the node.
        epoch: epoch of the offence.
        ppm: share of a node's bond; a member loses all.
        queued_at_s: when it was queued.
        executable_at_s: end of the escrow, before pauses are added.
        challenger: who brought the evidence.
        refill_wei: what is refilled.
        evidence: what was proven, 32 bytes.
    """

    slash_id: int
    state: SlashState
    is_member: bool
    is_premium: bool
    subject: int
    epoch: int
    ppm: int
    queued_at_s: int
    executable_at_s: int
    challenger: bytes
    refill_wei: int
    evidence: bytes


class DisputeCourt(PausingContract):
    """Decides proofs in one step."""

    NAME: ClassVar[str] = "DisputeCourt"

    async def challenge(self, challenge_id: int, at: BlockTag = "latest") -> Challenge:
        """Read a challenge; its state is NONE if there is none."""
        raw = await self._read("challengeOf", challenge_id, at=at)
        challenger, opened, deadline, state, bond, commitment = raw
        return Challenge(
            challenge_id, challenger, opened, deadline, ChallengeState(state), bond, commitment
        )

    async def count(self, at: BlockTag = "latest") -> int:
        """Challenges opened so far."""
        return int(await self._read("count", at=at))

    async def wrong_report_of(
        self, report_hash: bytes, at: BlockTag = "latest"
    ) -> tuple[bytes, int]:
        """Who proved a report wrong (zero address if nobody did), and what is refilled, in wei."""
        challenger, refill = await self._read("wrongReportOf", report_hash, at=at)
        return challenger, refill

    async def expected_leaf(
        self,
        claimed: NodeLeaf,
        previous: NodeLeaf,
        parameters: Sequence[int],
        at: BlockTag = "latest",
    ) -> NodeLeaf:
        """Compute the leaf that follows from what a leaf claims about P and W."""
        arguments = (claimed.values(), previous.values(), list(parameters))
        return NodeLeaf(*await self._read("expectedLeaf", *arguments, at=at))

    async def judge(self) -> "ReportJudge":
        """The contract that holds the rules of leaves; made by the court's constructor."""
        return ReportJudge(self.client, await self.address_from("judge"))

    def commitment(self, challenger: bytes, salt: bytes, proof: Proof) -> bytes:
        """Return the 32 bytes that bind a proof to its challenger.

        Args:
            challenger: the account that will open and prove, 20 bytes.
            salt: 32 random bytes, kept secret until the proof.
            proof: what will be shown.
        """
        data = self.prove(0, salt, proof).data
        kinds = ("address", "bytes32", "bytes4", "bytes32")
        parts = (challenger, salt, data[:SELECTOR_BYTES], keccak256(data[ARGUMENTS_FROM:]))
        return keccak256(encode_values(kinds, parts))

    def open(self, commitment: bytes) -> Call:
        """Commit to a proof; takes a challenge bond (approved before)."""
        return self._write("open", commitment)

    def prove(self, challenge_id: int, salt: bytes, proof: Proof) -> Call:
        """Show the proof that the sender committed to."""
        return self._write(proof.FUNCTION, challenge_id, salt, *proof.arguments())

    def expire(self, challenge_id: int) -> Call:
        """Burn the bond of a challenge whose proof did not come in time."""
        return self._write("expire", challenge_id)

    def charge(self, evidence: ChargeEvidence) -> Call:
        """Charge the signers of a report that was proven wrong."""
        return self._write(evidence.FUNCTION, *evidence.arguments())

    def jail(self, evidence: JailEvidence) -> Call:
        """Jail a node that performed badly for days."""
        return self._write(evidence.FUNCTION, *evidence.arguments())


class ReportJudge(Contract):
    """The rules of leaves, without a state of its own."""

    NAME: ClassVar[str] = "ReportJudge"

    async def check(self, evidence: ReportProof | JailEvidence, at: BlockTag = "latest") -> None:
        """Ask whether evidence holds, before a bond is put down for it.

        Raises:
            ContractError: it does not; as the court would say.
        """
        challenge = () if isinstance(evidence, JailEvidence) else (0, NO_SALT)
        await self._read(evidence.FUNCTION, *challenge, *evidence.arguments(), at=at)


class Slasher(PausingContract):
    """Holds slashes in escrow and carries them out."""

    NAME: ClassVar[str] = "Slasher"

    async def slash(self, slash_id: int, at: BlockTag = "latest") -> Slash:
        """Read a slash; its state is NONE if there is none."""
        raw = await self._read("slashOf", slash_id, at=at)
        state, is_member, is_premium, subject, epoch, ppm, *rest = raw
        queued, executable, challenger, refill, proof = rest
        return Slash(
            slash_id=slash_id,
            state=SlashState(state),
            is_member=is_member,
            is_premium=is_premium,
            subject=subject,
            epoch=epoch,
            ppm=ppm,
            queued_at_s=queued,
            executable_at_s=executable,
            challenger=challenger,
            refill_wei=refill,
            evidence=proof,
        )

    async def count(self, at: BlockTag = "latest") -> int:
        """Slashes queued so far."""
        return int(await self._read("count", at=at))

    async def is_used(self, evidence: bytes, at: BlockTag = "latest") -> bool:
        """Whether a piece of evidence (32 bytes) has slashed before."""
        return bool(await self._read("isUsed", evidence, at=at))

    async def allowance_of(self, index: int, epoch: int, at: BlockTag = "latest") -> int:
        """What a node can still lose now for something in an epoch, in wei."""
        return int(await self._read("allowanceOf", index, epoch, at=at))

    async def vetoer(self, at: BlockTag = "latest") -> bytes:
        """Who may stop slashes in escrow, besides the owner; 20 bytes."""
        return bytes(await self._read("vetoer", at=at))

    def execute(self, slash_id: int) -> Call:
        """Carry out a slash after its escrow; anybody may send it."""
        return self._write("execute", slash_id)

    def veto(self, slash_id: int) -> Call:
        """Stop a slash in escrow (the vetoer, or a proposal's action)."""
        return self._write("veto", slash_id)

    def overrule(self, slash_id: int) -> Call:
        """Carry out a vetoed slash after all (a proposal's action)."""
        return self._write("overrule", slash_id)

    def set_vetoer(self, account: bytes) -> Call:
        """Appoint who may veto (a proposal's action)."""
        return self._write("setVetoer", account)
