"""Typed wrappers of Epochs, Committee, ReportOracle and RewardVault."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from qnet.chain.contract import Contract
from qnet.chain.pausing import PausingContract
from qnet.chain.values import BlockTag, Call
from qnet.epochs import EpochClock
from qnet.messages.report import EpochReport, NodeLeaf


@dataclass(frozen=True, slots=True)
class EpochInfo:
    """What is fixed about a started epoch; hashes have 32 bytes."""

    epoch: int
    params_hash: bytes
    reveal: bytes
    budget_wei: int
    started_at_s: int
    skipped: bool


@dataclass(frozen=True, slots=True)
class CommitteeMember:
    """A member; addresses have 20 bytes, times are unix seconds."""

    index: int
    owner: bytes
    signer: bytes
    url: str
    bonded: bool
    suspended: bool
    active: bool
    active_from_s: int
    active_until_s: int


class ReportStatus(IntEnum):
    """Where a report stands."""

    NONE = 0
    SUBMITTED = 1
    FINAL = 2
    DISABLED = 3


@dataclass(frozen=True, slots=True)
class OracleReport:
    """A report as the oracle holds it."""

    report: EpochReport
    hash: bytes
    submitted_at_s: int
    status: ReportStatus


@dataclass(frozen=True, slots=True)
class Demand:
    """A demand to see a node's leaf; all zero if there is none.

    Args:
        demander: who put the bond down, 20 bytes.
        bond_wei: what whoever shows the leaf gets.
        deadline_s: unix time until which an answer is due.
    """

    demander: bytes
    bond_wei: int
    deadline_s: int


class Epochs(Contract):
    """The calendar, the beacon and each epoch's budget."""

    NAME: ClassVar[str] = "Epochs"

    async def clock(self) -> EpochClock:
        """Read the calendar, which never changes."""
        return EpochClock(
            genesis_s=await self._read("genesis"),
            slot_s=await self._read("slotSeconds"),
            slots_per_epoch=await self._read("slotsPerEpoch"),
        )

    async def current_epoch(self, at: BlockTag = "latest") -> int:
        """Epoch of the chain's clock."""
        return int(await self._read("currentEpoch", at=at))

    async def next_epoch(self, at: BlockTag = "latest") -> int:
        """First epoch that is not started."""
        return int(await self._read("nextEpoch", at=at))

    async def info(self, epoch: int, at: BlockTag = "latest") -> EpochInfo:
        """Read what is fixed about an epoch; all zero if it is not started."""
        return EpochInfo(epoch, *await self._read("epochInfo", epoch, at=at))

    async def node_count_of(self, epoch: int, at: BlockTag = "latest") -> int:
        """Nodes registered when an epoch was started."""
        return int(await self._read("nodeCountOf", epoch, at=at))

    async def beacon_anchor(self) -> bytes:
        """Hash chain value before the first slot, 32 bytes."""
        return bytes(await self._read("beaconAnchor"))

    async def beacon_head(self, at: BlockTag = "latest") -> bytes:
        """Newest hash chain value revealed on chain, 32 bytes."""
        return bytes(await self._read("beaconHead", at=at))

    def start_epoch(self, epoch: int, reveal: bytes) -> Call:
        """Fix an epoch's parameters and budget; `reveal` is the beacon of its last slot."""
        return self._write("startEpoch", epoch, reveal)

    def skip_epoch(self, epoch: int) -> Call:
        """Give up an epoch whose report is overdue."""
        return self._write("skipEpoch", epoch)


class Committee(Contract):
    """The bonded members and their quorum signatures."""

    NAME: ClassVar[str] = "Committee"

    async def members(self, at: BlockTag = "latest") -> list[CommitteeMember]:
        """Read all members, in order of index; former ones are not active."""
        raw = await self._read("members", at=at)
        return [CommitteeMember(index, *fields) for index, fields in enumerate(raw)]

    async def size(self, at: BlockTag = "latest") -> int:
        """Members whose signatures count."""
        return int(await self._read("size", at=at))

    async def quorum(self, at: BlockTag = "latest") -> int:
        """Signatures needed."""
        return int(await self._read("quorum", at=at))

    async def bond_of(self, index: int, at: BlockTag = "latest") -> int:
        """Bond held for a member, in wei."""
        return int(await self._read("bondOf", index, at=at))

    async def signer_of(self, index: int, at: BlockTag = "latest") -> bytes:
        """Key of a member, whatever has become of it since (20 bytes)."""
        return bytes(await self._read("signerOf", index, at=at))

    async def next_change(self, at: BlockTag = "latest") -> int:
        """Unix time at which a change of the members made now would take effect."""
        return int(await self._read("nextChange", at=at))

    async def is_member(self, signer: bytes, at: BlockTag = "latest") -> bool:
        """Whether an address signs for a member."""
        return bool(await self._read("isMember", signer, at=at))

    async def check_quorum(
        self, digest: bytes, bitmap: int, signatures: bytes, at: BlockTag = "latest"
    ) -> None:
        """Check signatures over a 32-byte digest.

        Raises:
            ContractError: ``BadQuorum`` or ``BadSignature``.
        """
        await self._read("checkQuorum", digest, bitmap, signatures, at=at)

    async def anchor_of(self, valid_after_s: int, at: BlockTag = "latest") -> bytes:
        """Hash of the anchored consensus of a period; zero if there is none."""
        return bytes(await self._read("anchorOf", valid_after_s, at=at))

    def deposit_bond(self) -> Call:
        """Pay the sender's bond (approved before)."""
        return self._write("depositBond")

    def withdraw_bond(self) -> Call:
        """Take the sender's bond back, long after its membership has ended."""
        return self._write("withdrawBond")

    def anchor(
        self, valid_after_s: int, consensus_hash: bytes, bitmap: int, signatures: bytes
    ) -> Call:
        """Write a consensus' hash to the chain."""
        return self._write("anchor", valid_after_s, consensus_hash, bitmap, signatures)

    def add_member(self, owner: bytes, signer: bytes, url: str) -> Call:
        """Admit a member (a proposal's action)."""
        return self._write("addMember", (owner, signer, url))

    def remove_member(self, index: int) -> Call:
        """Dismiss a member (a proposal's action)."""
        return self._write("removeMember", index)


class ReportOracle(PausingContract):
    """One quorum-signed report per epoch."""

    NAME: ClassVar[str] = "ReportOracle"

    async def report(self, epoch: int, at: BlockTag = "latest") -> OracleReport:
        """Read an epoch's report; its status is NONE if there is none."""
        raw, report_hash, submitted_at, status = await self._read("report", epoch, at=at)
        return OracleReport(EpochReport(*raw), report_hash, submitted_at, ReportStatus(status))

    async def is_final(self, epoch: int, at: BlockTag = "latest") -> bool:
        """Whether nodes can settle from an epoch's report."""
        return bool(await self._read("isFinal", epoch, at=at))

    async def nodes_root(self, epoch: int, at: BlockTag = "latest") -> bytes:
        """Merkle root over an epoch's node leaves, 32 bytes."""
        return bytes(await self._read("nodesRoot", epoch, at=at))

    async def next_epoch(self, at: BlockTag = "latest") -> int:
        """First epoch that is neither reported nor skipped."""
        return int(await self._read("nextEpoch", at=at))

    async def last_report_hash(self, at: BlockTag = "latest") -> bytes:
        """Hash of the last live report, 32 bytes; zero before the first."""
        return bytes(await self._read("lastReportHash", at=at))

    async def unfinished(self, at: BlockTag = "latest") -> int:
        """Reports that are submitted and not final."""
        return int(await self._read("unfinished", at=at))

    async def report_deadline(self, epoch: int) -> int:
        """Last moment to submit an epoch's report, unix seconds."""
        return int(await self._read("reportDeadline", epoch))

    async def attempt_of(self, epoch: int, at: BlockTag = "latest") -> int:
        """How often an epoch's report was disabled: the attempt of its next report."""
        return int(await self._read("attemptOf", epoch, at=at))

    async def final_through(self, at: BlockTag = "latest") -> int:
        """Last epoch whose report is final, plus one; 0 if there is none."""
        return int(await self._read("finalThrough", at=at))

    async def predecessor_of(self, epoch: int, at: BlockTag = "latest") -> int:
        """Epoch of the report before that of an epoch, plus one; 0 if there is none."""
        return int(await self._read("predecessorOf", epoch, at=at))

    async def window_end(self, epoch: int, at: BlockTag = "latest") -> int:
        """Unix time from which a submitted report can be finalized."""
        return int(await self._read("windowEnd", epoch, at=at))

    async def demand_of(self, epoch: int, node: int, at: BlockTag = "latest") -> Demand:
        """Read a demand to see a node's leaf."""
        return Demand(*await self._read("demandOf", epoch, node, at=at))

    def submit(self, report: EpochReport, bitmap: int, signatures: bytes) -> Call:
        """Submit a report with the signatures of a quorum."""
        return self._write("submit", report.values(), bitmap, signatures)

    def finalize(self, epoch: int) -> Call:
        """Make a report final after its window."""
        return self._write("finalize", epoch)

    def disable(self, epoch: int) -> Call:
        """Take a report back (a proposal's action)."""
        return self._write("disable", epoch)

    def demand_leaf(self, epoch: int, node: int) -> Call:
        """Demand to see a node's leaf; takes a challenge bond (approved before)."""
        return self._write("demandLeaf", epoch, node)

    def answer_leaf(self, leaf: NodeLeaf, proof: Sequence[bytes]) -> Call:
        """Show a demanded leaf; the sender gets the bond."""
        return self._write("answerLeaf", leaf.values(), list(proof))

    def expire_demand(self, epoch: int, node: int) -> Call:
        """Disable a report whose leaf was not shown in time; the bond goes back."""
        return self._write("expireDemand", epoch, node)


class RewardVault(Contract):
    """The tokens that rewards are paid from."""

    NAME: ClassVar[str] = "RewardVault"

    async def total_funded(self, at: BlockTag = "latest") -> int:
        """Budgets promised to epochs so far, in wei."""
        return int(await self._read("totalFunded", at=at))

    async def total_earned(self, at: BlockTag = "latest") -> int:
        """Rewards earned by final reports, in wei."""
        return int(await self._read("totalEarned", at=at))

    async def total_paid(self, at: BlockTag = "latest") -> int:
        """Rewards pulled by settlements, in wei."""
        return int(await self._read("totalPaid", at=at))

    async def reserve(self, at: BlockTag = "latest") -> int:
        """Balance that nobody has earned, in wei; it counts for no quorum."""
        return int(await self._read("reserve", at=at))

    async def reserve_at(self, timestamp_s: int, at: BlockTag = "latest") -> int:
        """Reserve as last recorded up to a past moment, in wei."""
        return int(await self._read("reserveAt", timestamp_s, at=at))

    def record_reserve(self) -> Call:
        """Record the reserve, after tokens were sent to the vault."""
        return self._write("recordReserve")

    async def funded_of(self, epoch: int, at: BlockTag = "latest") -> int:
        """Budget promised to an epoch, in wei."""
        return int(await self._read("fundedOf", epoch, at=at))
