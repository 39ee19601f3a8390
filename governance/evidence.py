"""Looking at evidence before a bond is risked for it: does it show what it says?

Source: docs/spec/disputes.md.
"""

from collections.abc import Sequence

from governance.errors import EvidenceFailsError
from qnet.address import checksum_address
from qnet.chain.contracts import Contracts
from qnet.chain.reporting import ReportStatus
from qnet.chain.staking import NodeState
from qnet.crypto.keys import recover
from qnet.eip712 import qnet_domain
from qnet.errors import CryptoError
from qnet.merkle import verify
from qnet.messages.consensus import consensus_digest
from qnet.messages.proofs import (
    BadLeafProof,
    BadLinkProof,
    BadMedianProof,
    ChargeEvidence,
    ConsensusesProof,
    DuplicateAuditProof,
    DuplicateLinkProof,
    DuplicateNodeProof,
    Evidence,
    EvidenceFile,
    JailEvidence,
    Proven,
    ReceiptsProof,
    RegressionProof,
    ReportsProof,
)
from qnet.messages.receipt import SignedReceipt
from qnet.messages.report import NO_REPORT, SLOT_P_BITS, AuditLeaf, LinkLeaf, NodeLeaf, unpack_slot_p
from qnet.units import PPM

BAD_SPAN = 7
"""Epochs within which five bad ones jail a node."""
NO_LEAF = NodeLeaf(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


async def check_evidence(contracts: Contracts, file: EvidenceFile) -> list[str]:
    """Check evidence against the chain as far as that is possible without the court.

    Returns:
        What it shows, in words, line by line.

    Raises:
        EvidenceFailsError: it is for another court, too old, or does not show what it says.
    """
    here = (contracts.client.chain_id, contracts.court.address)
    if (file.chain_id, file.court) != here:
        raise EvidenceFailsError(
            "the evidence is for another court",
            why=f"chain {file.chain_id}, court {checksum_address(file.court)}",
        )
    match file.evidence:
        case ReceiptsProof():
            return await _receipts(contracts, file.evidence)
        case ReportsProof():
            return await _reports(contracts, file.evidence)
        case ConsensusesProof():
            return await _consensuses(contracts, file.evidence)
        case ChargeEvidence():
            return await _charge(contracts, file.evidence)
        case JailEvidence():
            return await _jail(contracts, file.evidence)
        case _:
            return await _wrong_report(contracts, file.evidence)


def _require(holds: object, why: str) -> None:
    if not holds:
        raise EvidenceFailsError("the evidence does not hold", why=why)


async def _require_fresh(contracts: Contracts, end_s: int) -> None:
    """Refuse evidence that the court would call stale (QN-DSP-003)."""
    parameters = await contracts.parameters.all()
    now = (await contracts.client.block("latest")).timestamp
    until = end_s + min(parameters.evidence_s, parameters.unbond_s)
    if now > until:
        until += await contracts.court.paused_since(end_s)
    _require(now <= until, f"it is too old: it counted until {now - until} s ago")


async def _epoch_end(contracts: Contracts, epoch: int) -> int:
    return (await contracts.epochs.clock()).epoch_bounds(epoch)[1]


def _signer(digest: bytes, signature: bytes) -> bytes:
    try:
        return recover(digest, signature)
    except CryptoError:
        return b""


async def _receipts(contracts: Contracts, proof: ReceiptsProof) -> list[str]:
    a, b = proof.a.receipt, proof.b.receipt
    _require(a.key == b.key and a != b, "the receipts are of two tuples, or are the same")
    await _require_fresh(contracts, await _epoch_end(contracts, a.epoch))
    key = await contracts.registry.receipt_key_at(a.signer, a.epoch)
    for signed in (proof.a, proof.b):
        _require(await _signed_by(contracts, signed, key), f"node {a.signer} did not sign both")
    return [
        f"node {a.signer} signed two receipts for epoch {a.epoch}, slot {a.slot},"
        f" {a.node_from} -> {a.node_to}",
        f"one says {a.packets} packets, the other {b.packets}",
    ]


async def _signed_by(contracts: Contracts, signed: SignedReceipt, key: bytes) -> bool:
    domain = qnet_domain(contracts.client.chain_id, contracts.oracle.address)
    return _signer(signed.receipt.digest(domain), signed.signature) == key


async def _reports(contracts: Contracts, proof: ReportsProof) -> list[str]:
    a, b = proof.a.report, proof.b.report
    _require((a.epoch, a.attempt) == (b.epoch, b.attempt), "the reports are of two attempts")
    _require(a != b, "the reports are the same")
    await _require_fresh(contracts, await _epoch_end(contracts, a.epoch))
    domain = qnet_domain(contracts.client.chain_id, contracts.oracle.address)
    key = await contracts.committee.signer_of(proof.member)
    for signed in (proof.a, proof.b):
        found = _signer(signed.report.digest(domain), signed.signature)
        _require(found == key, f"member {proof.member} did not sign both")
    return [f"member {proof.member} signed two reports of epoch {a.epoch}, attempt {a.attempt}"]


async def _consensuses(contracts: Contracts, proof: ConsensusesProof) -> list[str]:
    _require(proof.hash_a != proof.hash_b, "the consensuses are the same")
    await _require_fresh(contracts, proof.valid_after_s)
    key = await contracts.committee.signer_of(proof.member)
    place = (contracts.client.chain_id, contracts.committee.address, proof.valid_after_s)
    for hashed, signature in (
        (proof.hash_a, proof.signature_a),
        (proof.hash_b, proof.signature_b),
    ):
        found = _signer(consensus_digest(*place, hashed), signature)
        _require(found == key, f"member {proof.member} did not sign both")
    return [f"member {proof.member} signed two consensuses for {proof.valid_after_s}"]


async def _charge(contracts: Contracts, evidence: ChargeEvidence) -> list[str]:
    challenger, _ = await contracts.court.wrong_report_of(evidence.hash)
    _require(any(challenger), "nobody has proven this report wrong")
    charged = [place for place in range(256) if evidence.bitmap >> place & 1]
    for place, member in enumerate(charged):
        signature = evidence.signatures[65 * place : 65 * place + 65]
        key = await contracts.committee.signer_of(member)
        _require(_signer(evidence.hash, signature) == key, f"member {member} did not sign it")
    return [f"members {charged} signed the wrong report of epoch {evidence.epoch}"]


async def _jail(contracts: Contracts, evidence: JailEvidence) -> list[str]:
    leaves = [proven.leaf for proven in evidence.leaves]
    first, last = leaves[0], leaves[-1]
    ascending = all(a.epoch < b.epoch for a, b in zip(leaves, leaves[1:], strict=False))
    _require(ascending, "the epochs do not ascend")
    _require({leaf.node for leaf in leaves} == {first.node}, "the leaves are of several nodes")
    _require(last.epoch - first.epoch < BAD_SPAN, f"they span more than {BAD_SPAN} epochs")
    slots = await contracts.parameters.get("slots_per_epoch")
    for proven in evidence.leaves:
        epoch = proven.leaf.epoch
        held = await contracts.oracle.report(epoch)
        _require(held.status is ReportStatus.FINAL, f"the report of epoch {epoch} is not final")
        _require_member(contracts, held.report.nodes_root, proven)
        p_ppm = epoch_performance(unpack_slot_p(proven.leaf.slot_p, slots))
        _require(2 * p_ppm < PPM, f"P of epoch {epoch} is {p_ppm} ppm, not below one half")
    return [f"node {first.node} stayed below P = 1/2 in 5 of {BAD_SPAN} epochs up to {last.epoch}"]


def epoch_performance(values: Sequence[int]) -> int:
    """P of an epoch in ppm from its slots' P in permille (QN-REW-045)."""
    best = sorted(values)[len(values) // 12 :]
    return 1000 * sum(best) // len(best)


def _require_member(
    contracts: Contracts, root: bytes, proven: Proven[NodeLeaf] | Proven[LinkLeaf] | Proven[AuditLeaf]
) -> None:
    """Require that a leaf is part of a report."""
    hashed = proven.leaf.hash(contracts.client.chain_id, contracts.oracle.address)
    _require(verify(root, hashed, proven.proof), "a leaf is not part of the report")


async def _wrong_report(contracts: Contracts, proof: Evidence) -> list[str]:
    """Check proofs that a report is wrong."""
    assert not isinstance(
        proof, ReceiptsProof | ReportsProof | ConsensusesProof | ChargeEvidence | JailEvidence
    )
    held = await contracts.oracle.report(proof.epoch)
    _require(held.status is not ReportStatus.NONE, f"epoch {proof.epoch} has no report")
    if held.status is ReportStatus.FINAL:
        end_s = await _epoch_end(contracts, proof.epoch)
        await _require_fresh(contracts, max(end_s, held.submitted_at_s))
    report = held.report
    match proof:
        case BadLeafProof(current=current):
            _require_member(contracts, report.nodes_root, current)
            _require(await _is_wrong(contracts, proof), "the leaf is what follows")
            shown = f"the leaf of node {current.leaf.node} is not what follows"
        case RegressionProof(current=current, previous=before):
            _require_member(contracts, report.nodes_root, current)
            fell = (
                current.leaf.cum_operator_wei < before.leaf.cum_operator_wei
                or current.leaf.cum_pool_wei < before.leaf.cum_pool_wei
            )
            _require(fell and current.leaf.node == before.leaf.node, "no sum has fallen")
            shown = f"sums of node {current.leaf.node} fell"
        case DuplicateNodeProof(a=a, b=b):
            _require_pair(contracts, report.nodes_root, a, b)
            _require(a.leaf.node == b.leaf.node, "the leaves are of two nodes")
            shown = f"two leaves are of node {a.leaf.node}"
        case DuplicateLinkProof(a=a, b=b):
            _require_pair(contracts, report.evidence_root, a, b)
            same = _link_key(a.leaf) == _link_key(b.leaf)
            _require(same, "the leaves are of two tuples")
            shown = f"two leaves are of slot, from, to {_link_key(a.leaf)}"
        case DuplicateAuditProof(a=a, b=b):
            _require_pair(contracts, report.audit_root, a, b)
            same = (a.leaf.slot, a.leaf.target) == (b.leaf.slot, b.leaf.target)
            _require(same, "the leaves are of two tuples")
            shown = f"two leaves are of slot {a.leaf.slot}, target {a.leaf.target}"
        case BadLinkProof(link=link):
            _require_member(contracts, report.evidence_root, link)
            shown = f"the link leaf of {_link_key(link.leaf)} is wrong (the court decides)"
        case BadMedianProof(audit=audit):
            _require_member(contracts, report.audit_root, audit)
            shown = (
                f"slot {audit.leaf.slot} of node {audit.leaf.target} is judged wrongly"
                " (the court decides)"
            )
    wrong = "final" if held.status is ReportStatus.FINAL else "not final: it would be disabled"
    return [f"in the report of epoch {proof.epoch} {shown}", f"the report is {wrong}"]


async def _is_wrong(contracts: Contracts, proof: BadLeafProof) -> bool:
    """Whether a node leaf is malformed or is not what follows (QN-DSP-010)."""
    leaf = proof.current.leaf
    slots = await contracts.parameters.get("slots_per_epoch")
    count = await contracts.epochs.node_count_of(proof.epoch)
    malformed = (
        leaf.epoch != proof.epoch
        or not 0 < leaf.node <= count
        or leaf.w_ppm > PPM
        or leaf.slot_p >> SLOT_P_BITS * slots
        or any(value > 1000 for value in unpack_slot_p(leaf.slot_p, slots))
    )
    if malformed:
        return True
    previous = proof.previous.leaf if proof.previous else NO_LEAF
    expected = await contracts.court.expected_leaf(leaf, previous, proof.parameters)
    return expected != leaf or not await _took_part(contracts, leaf)


async def _took_part(contracts: Contracts, leaf: NodeLeaf) -> bool:
    """Whether a node that is said to have worked could have (QN-REW-005)."""
    if not leaf.slot_p and not leaf.w_ppm:
        return True
    status = await contracts.registry.status_at(leaf.node, leaf.epoch)
    return status.state is NodeState.ACTIVE and leaf.bond_wei > 0


def _link_key(leaf: LinkLeaf) -> tuple[int, int, int]:
    return (leaf.slot, leaf.node_from, leaf.node_to)


def _require_pair(
    contracts: Contracts,
    root: bytes,
    a: Proven[NodeLeaf] | Proven[LinkLeaf] | Proven[AuditLeaf],
    b: Proven[NodeLeaf] | Proven[LinkLeaf] | Proven[AuditLeaf],
) -> None:
    """Require two different leaves of a report."""
    _require(root != NO_REPORT and a.leaf != b.leaf, "the leaves are the same")
    _require_member(contracts, root, a)
    _require_member(contracts, root, b)
