"""Evidence for the dispute court: one class per proof, and the file it travels in.

A committee member's ledger writes such files, anybody can take them to the court. Integers stand
in a file as decimal text, bytes as 0x-hexadecimal, a missing part as null.

Source: docs/spec/disputes.md; IDisputeCourt.sol.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import (
    Any,
    ClassVar,
    Final,
    Generic,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from qnet.errors import DecodeError
from qnet.merkle import MAX_PROOF_HASHES
from qnet.messages.receipt import NO_SAMPLE, LinkReceipt, Side, SignedReceipt
from qnet.messages.report import AuditLeaf, EpochReport, LinkLeaf, NodeLeaf

EVIDENCE_SCHEMA: Final = "qnet.evidence/1"
MAX_FILE_BYTES: Final = 1 << 20
JAIL_LEAVES: Final = 5
"""Bad epochs that jail a node (BAD_EPOCHS)."""

_MAX_ITEMS: Final = 4096
_MAX_INTEGER_DIGITS: Final = 78
_HEAD: Final = frozenset({"schema", "chain_id", "court", "kind", "evidence"})

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


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """Evidence bound to one court.

    Args:
        chain_id: EVM chain id.
        court: DisputeCourt, 20 bytes.
        evidence: what it shows.
    """

    chain_id: int
    court: bytes
    evidence: Evidence

    @property
    def kind(self) -> str:
        """Name of the kind of evidence."""
        return next(name for name, class_ in KINDS.items() if isinstance(self.evidence, class_))

    def encode(self) -> bytes:
        """The file's content."""
        document = {
            "schema": EVIDENCE_SCHEMA,
            "chain_id": str(self.chain_id),
            "court": "0x" + self.court.hex(),
            "kind": self.kind,
            "evidence": _to_json(self.evidence),
        }
        return json.dumps(document, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> "EvidenceFile":
        """Read a file; whether the evidence holds is not checked here.

        Raises:
            DecodeError: too long, malformed, or of an unknown kind.
        """
        if len(data) > MAX_FILE_BYTES:
            raise DecodeError("evidence: longer than 1 MiB")
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DecodeError("evidence: not JSON") from error
        if not isinstance(document, dict) or document.keys() != _HEAD:
            raise DecodeError("evidence: not a map of the expected fields")
        if document["schema"] != EVIDENCE_SCHEMA:
            raise DecodeError(f"evidence: the schema is not {EVIDENCE_SCHEMA}")
        class_ = KINDS.get(str(document["kind"]))
        if class_ is None:
            raise DecodeError(f"evidence: unknown kind {str(document['kind'])[:20]!r}")
        evidence = _from_json(document["evidence"], class_, "evidence")
        if isinstance(evidence, JailEvidence) and len(evidence.leaves) != JAIL_LEAVES:
            raise DecodeError(f"evidence: {len(evidence.leaves)} leaves instead of {JAIL_LEAVES}")
        court = _octets(document["court"], "court")
        if len(court) != 20:
            raise DecodeError("evidence: the court's address does not have 20 bytes")
        return cls(_integer(document["chain_id"], "chain_id"), court, evidence)


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


# -- the file's values -----------------------------------------------------------------------


def _to_json(value: object) -> object:
    """Write integers as decimal text, bytes as 0x, records by field name."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, int):
        return str(int(value))
    if is_dataclass(value):
        return {item.name: _to_json(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Sequence):
        return [_to_json(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no place in evidence")


@cache
def _hints(class_: type) -> dict[str, Any]:
    return get_type_hints(class_)


def _from_json(value: object, kind: Any, where: str) -> Any:
    """Read what `_to_json` wrote as a value of type `kind`."""
    origin = get_origin(kind)
    if origin in {Union, UnionType}:
        inner = next(item for item in get_args(kind) if item is not NoneType)
        return None if value is None else _from_json(value, inner, where)
    if origin is tuple:
        return _items(value, get_args(kind)[0], where)
    if kind in {bytes, int, Side}:
        return _scalar(value, kind, where)
    if kind in {EpochReport, NodeLeaf, LinkLeaf, AuditLeaf}:
        return kind.from_json(value)
    return _record(value, kind, where)


def _scalar(value: object, kind: Any, where: str) -> int | bytes:
    if kind is bytes:
        return _octets(value, where)
    number = _integer(value, where)
    if kind is Side and number not in set(Side):
        raise DecodeError(f"{where}: an unknown side")
    return kind(number)  # type: ignore[no-any-return]


def _record(value: object, kind: Any, where: str) -> Any:
    class_ = get_origin(kind) or kind
    names = [item.name for item in fields(class_)]
    if not isinstance(value, dict) or value.keys() != set(names):
        raise DecodeError(f"{where}: not a map of the expected fields")
    hints = dict(_hints(class_))
    if get_args(kind):
        hints["leaf"] = get_args(kind)[0]
    return class_(**{n: _from_json(value[n], hints[n], f"{where}.{n}") for n in names})


def _items(value: object, kind: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list) or len(value) > _MAX_ITEMS:
        raise DecodeError(f"{where}: not a list, or a list that is too long")
    if kind is bytes and (len(value) > MAX_PROOF_HASHES):
        raise DecodeError(f"{where}: a proof of {len(value)} steps")
    found = tuple(_from_json(item, kind, where) for item in value)
    if kind is bytes and any(len(item) != 32 for item in found):
        raise DecodeError(f"{where}: a step of the proof does not have 32 bytes")
    return found


def _integer(value: object, where: str) -> int:
    if (
        not isinstance(value, str)
        or not value.isascii()
        or not value.isdecimal()
        or len(value) > _MAX_INTEGER_DIGITS
        or int(value) >> 256
    ):
        raise DecodeError(f"{where}: not an unsigned integer in decimal text")
    return int(value)


def _octets(value: object, where: str) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise DecodeError(f"{where}: not bytes in hexadecimal")
    try:
        return bytes.fromhex(value[2:])
    except ValueError as error:
        raise DecodeError(f"{where}: not bytes in hexadecimal") from error
