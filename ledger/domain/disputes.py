"""What is wrong, as proofs that the dispute court takes.

Pure functions from facts (receipts, statements of members, the data of an epoch) to the proofs of
`qnet.messages.proofs`. A report is judged by the leaves that its signers published: those of an
honest report follow from its data, those of a wicked one must have been published or demanded,
for without leaves there is nothing to hold against the roots.

Source: docs/spec/disputes.md.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from ledger.domain.audits import RESULTS_MIN, lower_median
from ledger.domain.blob import EpochData
from ledger.domain.claims import Claims, expected_leaf
from ledger.domain.receipts import is_signed
from ledger.domain.rewards import Plane, plane_of
from ledger.domain.state import P_CARRY, P_ONE, M
from qnet.crypto.keys import EVM_SIGNATURE_BYTES
from qnet.eip712 import qnet_domain
from qnet.messages.evidence import DoubleConsensus, Statement
from qnet.messages.proofs import (
    BadLeafProof,
    BadLinkProof,
    BadMedianProof,
    ConsensusesProof,
    DuplicateAuditProof,
    DuplicateLinkProof,
    DuplicateNodeProof,
    Proof,
    Proven,
    ReceiptsProof,
    RegressionProof,
    ReportsProof,
    SignedReport,
)
from qnet.messages.receipt import Side, SignedReceipt, bucket_round, buckets_apart
from qnet.messages.report import (
    SLOT_P_BITS,
    AuditLeaf,
    EpochReport,
    LinkLeaf,
    NodeLeaf,
    receipt_proof,
    unpack_slot_p,
)

LeafT = TypeVar("LeafT", NodeLeaf, LinkLeaf, AuditLeaf)


# ---- nodes and members -------------------------------------------------------------------------


def double_receipts(receipts: Iterable[SignedReceipt]) -> list[ReceiptsProof]:
    """One proof for each tuple that has two bodies; signatures were checked when they came."""
    bodies: dict[tuple[int, ...], dict[bytes, SignedReceipt]] = {}
    for signed in sorted(set(receipts), key=SignedReceipt.encode):
        bodies.setdefault(signed.receipt.key, {}).setdefault(signed.body_hash, signed)
    pairs = (list(found.values())[:2] for _, found in sorted(bodies.items()) if len(found) > 1)
    return [ReceiptsProof(a, b) for a, b in pairs]


def double_consensuses(evidence: DoubleConsensus) -> list[ConsensusesProof]:
    """One proof for each member who signed both consensuses."""
    return [
        ConsensusesProof(
            member,
            evidence.period,
            evidence.first.hash,
            signature_of(evidence.first, member),
            evidence.second.hash,
            signature_of(evidence.second, member),
        )
        for member in evidence.culprits
    ]


def double_reports(
    first: EpochReport, one: Statement, second: EpochReport, other: Statement
) -> list[ReportsProof]:
    """One proof for each member who signed two reports of one attempt of one epoch.

    Args:
        first: a report.
        one: its hash and signatures.
        second: another report.
        other: its hash and signatures.
    """
    same = (first.epoch, first.attempt) == (second.epoch, second.attempt)
    if not same or first == second:
        return []
    both = one.bitmap & other.bitmap
    return [
        ReportsProof(
            member,
            SignedReport(first, signature_of(one, member)),
            SignedReport(second, signature_of(other, member)),
        )
        for member in range(both.bit_length())
        if both >> member & 1
    ]


def signature_of(statement: Statement, member: int) -> bytes:
    """The signature of one member among those of a statement, 65 bytes."""
    place = (statement.bitmap & ((1 << member) - 1)).bit_count() * EVM_SIGNATURE_BYTES
    return statement.signatures[place : place + EVM_SIGNATURE_BYTES]


# ---- reports -----------------------------------------------------------------------------------


def bad_leaves(claims: Claims, previous: Claims | None, data: EpochData) -> list[BadLeafProof]:
    """Node leaves that do not follow from chain, parameters and the leaf before."""
    proofs = []
    for place, leaf in enumerate(claims.nodes):
        before = _before(previous, leaf.node)
        if not _is_possible_leaf(leaf, data) or leaf != expected_leaf(
            leaf, before.leaf if before else None, data
        ):
            values = tuple(data.parameters.to_map().values())
            proofs.append(BadLeafProof(claims.epoch, claims.node_at(place), before, values))
    return proofs


def bad_links(claims: Claims, data: EpochData) -> list[BadLinkProof]:
    """Link leaves that contradict themselves, the registry or the receipts they name."""
    domain = qnet_domain(claims.chain_id, claims.oracle)
    named = {
        receipt_proof(signed.receipt.digest(domain), signed.signature): signed
        for signed in data.receipts
    }
    keys = {node.index: node.receipt_key for node in data.snapshot.nodes}
    proofs = []
    for place, leaf in enumerate(claims.links):
        sent, received = named.get(leaf.sent_proof), named.get(leaf.received_proof)
        shown = [
            signed if signed is not None and _refutes(signed, leaf, side, keys, domain) else None
            for side, signed in ((Side.SENDER, sent), (Side.RECEIVER, received))
        ]
        if not _is_possible_link(leaf, data) or any(shown):
            proofs.append(BadLinkProof(claims.epoch, claims.link_at(place), shown[0], shown[1]))
    return proofs


def bad_medians(claims: Claims, previous: Claims | None, data: EpochData) -> list[BadMedianProof]:
    """Audit leaves that contradict themselves, or the P that the node leaf gives their slot."""
    proofs = []
    for place, audit in enumerate(claims.audits):
        if not _is_possible_audit(audit, data):
            proofs.append(BadMedianProof(claims.epoch, claims.audit_at(place), None, None))
            continue
        current = claims.node(audit.target)
        if current is None or not data.snapshot.nodes[audit.target - 1].takes_part:
            continue
        before = _before(previous, audit.target) if audit.slot == 0 else None
        slots = unpack_slot_p(current.leaf.slot_p, data.parameters.slots_per_epoch)
        if slots[audit.slot] != _performance(audit, slots, before, previous):
            proofs.append(BadMedianProof(claims.epoch, claims.audit_at(place), current, before))
    return proofs


def duplicates(claims: Claims) -> list[Proof]:
    """Different leaves of one node, of one link, of one target and slot."""
    nodes = _doubled(claims.nodes, lambda leaf: leaf.node)
    links = _doubled(claims.links, lambda leaf: (leaf.slot, leaf.node_from, leaf.node_to))
    audits = _doubled(claims.audits, lambda leaf: (leaf.slot, leaf.target))
    epoch, node, link, audit = claims.epoch, claims.node_at, claims.link_at, claims.audit_at
    return [
        *(DuplicateNodeProof(epoch, node(a), node(b)) for a, b in nodes),
        *(DuplicateLinkProof(epoch, link(a), link(b)) for a, b in links),
        *(DuplicateAuditProof(epoch, audit(a), audit(b)) for a, b in audits),
    ]


def regressions(claims: Claims, previous: Claims | None) -> list[RegressionProof]:
    """Node leaves whose sums are below those of the leaf before."""
    proofs = []
    for place, leaf in enumerate(claims.nodes):
        before = _before(previous, leaf.node)
        if before is not None and (
            leaf.cum_operator_wei < before.leaf.cum_operator_wei
            or leaf.cum_pool_wei < before.leaf.cum_pool_wei
        ):
            proofs.append(RegressionProof(claims.epoch, claims.node_at(place), before))
    return proofs


def find_wrong(claims: Claims, previous: Claims | None, data: EpochData) -> list[Proof]:
    """Everything that can be proven against a report; empty for an honest one.

    Args:
        claims: what its signers published.
        previous: what the signers of the report before published; None for the first report.
        data: what our own chain says about the epoch, and the receipts we hold.
    """
    return [
        *bad_leaves(claims, previous, data),
        *bad_links(claims, data),
        *bad_medians(claims, previous, data),
        *duplicates(claims),
        *regressions(claims, previous),
    ]


# ---- conditions --------------------------------------------------------------------------------


def _before(previous: Claims | None, index: int) -> Proven[NodeLeaf] | None:
    return None if previous is None else previous.node(index)


def _is_possible_leaf(leaf: NodeLeaf, data: EpochData) -> bool:
    slots = data.parameters.slots_per_epoch
    fits = all(value <= P_ONE for value in unpack_slot_p(leaf.slot_p, slots))
    within = leaf.epoch == data.snapshot.epoch and 0 < leaf.node <= len(data.snapshot.nodes)
    return within and leaf.w_ppm <= M and fits and leaf.slot_p >> slots * SLOT_P_BITS == 0


def _is_possible_link(leaf: LinkLeaf, data: EpochData) -> bool:
    """Whether the leaf agrees with itself and the registry (QN-DSP-011)."""
    if leaf.epoch != data.snapshot.epoch or leaf.slot >= data.parameters.slots_per_epoch:
        return False
    part = {node.index: node for node in data.snapshot.nodes if node.takes_part}
    plane = plane_of(part.get(leaf.node_from), part.get(leaf.node_to))
    if leaf.node_from == leaf.node_to or plane is not Plane.CIRCUITS:
        return False
    lowest = all(bucket_round(count) == count for count in (leaf.sent, leaf.received))
    near = buckets_apart(leaf.sent, leaf.received) <= 1
    return lowest and near and leaf.matched == min(leaf.sent, leaf.received) > 0


def _refutes(
    signed: SignedReceipt, leaf: LinkLeaf, side: Side, keys: Mapping[int, bytes], domain: bytes
) -> bool:
    """Whether the receipt that a leaf names says something else, or nobody signed it."""
    body = signed.receipt
    packets = leaf.sent if side is Side.SENDER else leaf.received
    told = leaf.epoch, leaf.slot, leaf.node_from, leaf.node_to, side, packets
    return (*body.key, body.packets) != told or not is_signed(signed, keys, domain)


def _is_possible_audit(leaf: AuditLeaf, data: EpochData) -> bool:
    """Whether the leaf agrees with itself (QN-DSP-012)."""
    slots, nodes = data.parameters.slots_per_epoch, len(data.snapshot.nodes)
    within = leaf.slot < slots and 0 < leaf.target <= nodes
    if leaf.epoch != data.snapshot.epoch or not within:
        return False
    size = len(leaf.auditors)
    if size == 0 or {len(leaf.sent), len(leaf.returned)} != {size}:
        return False
    ascending = all(a < b for a, b in pairwise(leaf.auditors))
    counts = zip(leaf.sent, leaf.returned, strict=True)
    return ascending and all(0 < sent >= returned for sent, returned in counts)


def _performance(
    audit: AuditLeaf,
    slots: Sequence[int],
    before: Proven[NodeLeaf] | None,
    previous: Claims | None,
) -> int:
    """P of a slot from its results, or carried (QN-REW-044)."""
    if len(audit.auditors) >= RESULTS_MIN:
        counts = zip(audit.sent, audit.returned, strict=True)
        return lower_median([returned * P_ONE // sent for sent, returned in counts])
    last = P_CARRY
    if audit.slot:
        last = slots[audit.slot - 1]
    elif before is not None and previous is not None and audit.target in previous.participants:
        last = unpack_slot_p(before.leaf.slot_p, len(slots))[-1]
    return min(last, P_CARRY)


def _doubled(leaves: Sequence[LeafT], key: Callable[[LeafT], object]) -> Iterator[tuple[int, int]]:
    """Places of different leaves with one key."""
    first: dict[object, int] = {}
    for place, leaf in enumerate(leaves):
        known = first.setdefault(key(leaf), place)
        if leaves[known] != leaf:
            yield known, place
