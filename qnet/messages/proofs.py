"""Evidence for the dispute court: one class per proof.

Source: docs/spec/disputes.md; IDisputeCourt.sol.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import (
    ClassVar,
    Final,
    Generic,
    TypeAlias,
    TypeVar,
)

from qnet.messages.receipt import NO_SAMPLE, LinkReceipt, Side, SignedReceipt
from qnet.messages.report import AuditLeaf, EpochReport, LinkLeaf, NodeLeaf

JAIL_LEAVES: Final = 5
"""Bad epochs that jail a node (BAD_EPOCHS)."""

LeafT = TypeVar("LeafT", NodeLeaf, LinkLeaf, AuditLeaf)
Arguments: TypeAlias = tuple[object, ...]

_NO_LEAF: Final = (NodeLeaf(0, 0, 0, 0, 0, 0, 0, 0, 0, 0).values(), ())
_NO_RECEIPT: Final = LinkReceipt(0, 0, 0, 0, Side.SENDER, 0, NO_SAMPLE)


@dataclass(frozen=True, slots=True)
class Proven(Generic[LeafT]):
    """A leaf of a report with the siblings (32 bytes each) on its way to the root."""

    leaf: LeafT
    proof: tuple[bytes, ...]

    def values(self) -> Arguments:
        """The structure `ProvenLeaf` of the court."""
        return (self.leaf.values(), self.proof)


@dataclass(frozen=True, slots=True)
class SignedReport:
    """A report with one member's signature, 65 bytes."""

    report: EpochReport
    signature: bytes


@dataclass(frozen=True, slots=True)
class ReceiptsProof:
    """A node signed two receipts for one tuple."""

    FUNCTION: ClassVar[str] = "proveReceipts"
    a: SignedReceipt
    b: SignedReceipt

    def arguments(self) -> Arguments:
        """What the court's function takes after id and salt."""
        return (*_receipt(self.a), *_receipt(self.b))


@dataclass(frozen=True, slots=True)
class ReportsProof:
    """A member signed two reports of one attempt of one epoch."""

    FUNCTION: ClassVar[str] = "proveReports"
    member: int
    a: SignedReport
    b: SignedReport

    def arguments(self) -> Arguments:
        """What the court's function takes after id and salt."""
        return (
            self.member,
            self.a.report.values(),
            self.a.signature,
            self.b.report.values(),
            self.b.signature,
        )


@dataclass(frozen=True, slots=True)
class ConsensusesProof:
    """A member signed two consensuses for one moment (unix seconds)."""

    FUNCTION: ClassVar[str] = "proveConsensuses"
    member: int
    valid_after_s: int
    hash_a: bytes
    signature_a: bytes
    hash_b: bytes
    signature_b: bytes

    def arguments(self) -> Arguments:
        """What the court's function takes after id and salt."""
        return (
            self.member,
            self.valid_after_s,
            self.hash_a,
            self.signature_a,
            self.hash_b,
            self.signature_b,
        )


@dataclass(frozen=True, slots=True)
class BadLeafProof:
    """A node leaf does not follow from chain, parameters and the leaf before.

    Args:
        epoch: of the report.
        current: the leaf.
        previous: the node's leaf in the report before; None if it had none.
        parameters: all values of the epoch, in declared order.
    """

    FUNCTION: ClassVar[str] = "proveBadLeaf"
    epoch: int
    current: Proven[NodeLeaf]
    previous: Proven[NodeLeaf] | None
    parameters: tuple[int, ...]

    def arguments(self) -> Arguments:
        """What the court's function takes after id and salt."""
        return (self.epoch, self.current.values(), _or_none(self.previous), self.parameters)


@dataclass(frozen=True, slots=True)
class BadLinkProof:
    """A link leaf contradicts itself, the registry, or the receipts it names."""

    FUNCTION: ClassVar[str] = "proveBadLink"
    epoch: int
    link: Proven[LinkLeaf]
    sent: SignedReceipt | None
    received: SignedReceipt | None

    def arguments(self) -> Arguments:
        """What the court's function takes after id and salt."""
        return (self.epoch, *self.link.values(), *_receipt(self.sent), *_receipt(self.received))


@dataclass(frozen=True, slots=True)
class BadMedianProof:
    """An audit leaf contradicts itself, or the P of its slot is not what follows."""

    FUNCTION: ClassVar[str] = "proveBadMedian"
    epoch: int
    audit: Proven[AuditLeaf]
    current: Proven[NodeLeaf] | None
    previous: Proven[NodeLeaf] | None

    def arguments(self) -> Arguments:
        """What the court's function takes after id and salt."""
        return (
            self.epoch,
            *self.audit.values(),
            _or_none(self.current),
            _or_none(self.previous),
        )


@dataclass(frozen=True, slots=True)
class DuplicateNodeProof:
    """Two leaves of a report are of one node."""

    FUNCTION: ClassVar[str] = "proveDuplicateNode"
    epoch: int
    a: Proven[NodeLeaf]
    b: Proven[NodeLeaf]

    def arguments(self) -> Arguments:
        """What the court's function takes after id and salt."""
        return (self.epoch, self.a.values(), self.b.values())


@dataclass(frozen=True, slots=True)
class DuplicateLinkProof:
    """Two link leaves of a report are of one (slot, from, to)."""

    FUNCTION: ClassVar[str] = "proveDuplicateLink"
    epoch: int
    a: Proven[LinkLeaf]
    b: Proven[LinkLeaf]

    def arguments(self) -> Arguments:
        """What the court's function takes after id and salt."""
        return (self.epoch, *self.a.values(), *self.b.values())


@dataclass(frozen=True, slots=True)
class DuplicateAuditProof:
    """Two audit leaves of a report are of one (slot, target)."""

    FUNCTION: ClassVar[str] = "proveDuplicateAudit"
    epoch: int
    a: Proven[AuditLeaf]
    b: Proven[AuditLeaf]

    def arguments(self) -> Arguments:
        """What the court's function takes after id and salt."""
        return (self.epoch, *self.a.values(), *self.b.values())


@dataclass(frozen=True, slots=True)
class RegressionProof:
    """A node's sums fell from one report to the next."""

    FUNCTION: ClassVar[str] = "proveRegression"
    epoch: int
    current: Proven[NodeLeaf]
    previous: Proven[NodeLeaf]

    def arguments(self) -> Arguments:
        """What the court's function takes after id and salt."""
        return (self.epoch, self.current.values(), self.previous.values())


@dataclass(frozen=True, slots=True)
class ChargeEvidence:
    """Signatures (65 bytes each) of members under a report that was proven wrong."""

    FUNCTION: ClassVar[str] = "charge"
    epoch: int
    hash: bytes
    bitmap: int
    signatures: bytes

    def arguments(self) -> Arguments:
        """What the court's function takes."""
        return (self.epoch, self.hash, self.bitmap, self.signatures)


@dataclass(frozen=True, slots=True)
class JailEvidence:
    """Five leaves of one node with P below one half, in ascending order of epoch."""

    FUNCTION: ClassVar[str] = "jail"
    leaves: tuple[Proven[NodeLeaf], ...]

    def arguments(self) -> Arguments:
        """What the court's function takes."""
        return (tuple(leaf.values() for leaf in self.leaves),)


ReportProof: TypeAlias = (
    BadLeafProof
    | BadLinkProof
    | BadMedianProof
    | DuplicateNodeProof
    | DuplicateLinkProof
    | DuplicateAuditProof
    | RegressionProof
)
"""What shows that a report is wrong."""
Proof: TypeAlias = ReceiptsProof | ReportsProof | ConsensusesProof | ReportProof
"""What takes a challenge first."""
Evidence: TypeAlias = Proof | ChargeEvidence | JailEvidence

KINDS: Final[Mapping[str, type[Evidence]]] = {
    "receipts": ReceiptsProof,
    "reports": ReportsProof,
    "consensuses": ConsensusesProof,
    "bad-leaf": BadLeafProof,
    "bad-link": BadLinkProof,
    "bad-median": BadMedianProof,
    "duplicate-node": DuplicateNodeProof,
    "duplicate-link": DuplicateLinkProof,
    "duplicate-audit": DuplicateAuditProof,
    "regression": RegressionProof,
    "charge": ChargeEvidence,
    "jail": JailEvidence,
}
"""Name in a file → class."""


def _receipt(signed: SignedReceipt | None) -> Arguments:
    """Receipt and signature; empty ones stand for none."""
    body = signed.receipt if signed else _NO_RECEIPT
    values = (
        body.epoch,
        body.slot,
        body.node_from,
        body.node_to,
        int(body.side),
        body.packets,
        body.sample_root,
    )
    return (values, signed.signature if signed else b"")


def _or_none(proven: Proven[NodeLeaf] | None) -> Arguments:
    return proven.values() if proven else _NO_LEAF
