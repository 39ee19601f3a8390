"""Looking at evidence before a bond is risked for it: does it show what it says?

Source: docs/spec/disputes.md.
"""

from governance.errors import EvidenceFailsError
from qnet.address import checksum_address
from qnet.chain.contracts import Contracts
from qnet.chain.errors import ContractError
from qnet.chain.receipts import why_no_evidence
from qnet.chain.reporting import ReportStatus
from qnet.crypto.keys import recover
from qnet.eip712 import qnet_domain
from qnet.errors import CryptoError
from qnet.messages.consensus import consensus_digest
from qnet.messages.evidence_file import EvidenceFile
from qnet.messages.proofs import (
    BadLeafProof,
    BadLinkProof,
    BadMedianProof,
    ChargeEvidence,
    ConsensusesProof,
    DuplicateAuditProof,
    DuplicateLinkProof,
    DuplicateNodeProof,
    JailEvidence,
    ReceiptsProof,
    RegressionProof,
    ReportProof,
    ReportsProof,
)
from qnet.messages.receipt import SignedReceipt
from qnet.messages.report import LinkLeaf

SIGNATURE_BYTES = 65


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
    problem = await why_no_evidence(contracts, a)
    _require(not problem, problem)
    key = await contracts.registry.receipt_key_at(a.signer, a.epoch)
    for signed in (proof.a, proof.b):
        _require(await _signed_by(contracts, signed, key), f"node {a.signer} did not sign both")
    return [
        (
            f"node {a.signer} signed two receipts for epoch {a.epoch}, slot {a.slot},"
            f" {a.node_from} -> {a.node_to}"
        ),
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
        signature = evidence.signatures[SIGNATURE_BYTES * place :][:SIGNATURE_BYTES]
        key = await contracts.committee.signer_of(member)
        _require(_signer(evidence.hash, signature) == key, f"member {member} did not sign it")
    return [f"members {charged} signed the wrong report of epoch {evidence.epoch}"]


async def _jail(contracts: Contracts, evidence: JailEvidence) -> list[str]:
    await _ask_judge(contracts, evidence)
    leaves = [proven.leaf for proven in evidence.leaves]
    await _require_fresh(contracts, await _epoch_end(contracts, leaves[-1].epoch))
    epochs = ", ".join(str(leaf.epoch) for leaf in leaves)
    return [f"node {leaves[0].node} stayed below P = 1/2 in the epochs {epochs}"]


async def _wrong_report(contracts: Contracts, proof: ReportProof) -> list[str]:
    """Check a proof that a report is wrong."""
    held = await contracts.oracle.report(proof.epoch)
    if held.status is ReportStatus.FINAL:
        end_s = await _epoch_end(contracts, proof.epoch)
        await _require_fresh(contracts, max(end_s, held.submitted_at_s))
    await _ask_judge(contracts, proof)
    final = held.status is ReportStatus.FINAL
    return [
        f"the report of epoch {proof.epoch} is wrong: {_shown(proof)}",
        "it is final: it stays, but its signers can be charged"
        if final
        else "it would be disabled with all that follow it",
    ]


async def _ask_judge(contracts: Contracts, evidence: ReportProof | JailEvidence) -> None:
    """Let the contract with the rules of leaves say whether evidence holds."""
    judge = await contracts.court.judge()
    try:
        await judge.check(evidence)
    except ContractError as error:
        raise EvidenceFailsError(
            "the evidence does not hold", why=f"{error.message}; {error.why}"
        ) from error


def _shown(proof: ReportProof) -> str:
    """What a proof shows, in words."""
    match proof:
        case BadLeafProof(current=current):
            words = f"the leaf of node {current.leaf.node} is not what follows"
        case BadLinkProof(link=link):
            words = f"the link leaf of {_tuple(link.leaf)} contradicts itself or its receipts"
        case BadMedianProof(audit=audit):
            words = f"slot {audit.leaf.slot} of node {audit.leaf.target} is judged wrongly"
        case DuplicateNodeProof(a=a):
            words = f"two leaves are of node {a.leaf.node}"
        case DuplicateLinkProof(a=link):
            words = f"two leaves are of {_tuple(link.leaf)}"
        case DuplicateAuditProof(a=audit):
            words = f"two leaves are of slot {audit.leaf.slot}, target {audit.leaf.target}"
        case RegressionProof(current=current):
            words = f"the sums of node {current.leaf.node} fell"
    return words


def _tuple(leaf: LinkLeaf) -> str:
    return f"slot {leaf.slot}, {leaf.node_from} -> {leaf.node_to}"
