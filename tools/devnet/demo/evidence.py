"""The published evidence of an epoch, read and checked without the committee's code.

Signatures are checked with `eth_account`'s own EIP-712 encoder, amounts and bonds against the
chain; nothing here imports `ledger` or `qnet.messages`.

Source: docs/spec/rewards.md (QN-REW-072), docs/spec/receipts.md, docs/spec/ledger-api.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data

from qnet import cbor
from qnet.address import checksum_address
from qnet.chain.contracts import Contracts
from qnet.codec import Reader
from qnet.crypto.keys import keccak256
from qnet.parameters import NetworkParameters
from tools.devnet.demo.journal import CheckFailedError
from tools.devnet.demo.recompute import Burst, Count, Facts, NodeFact, Probe

MAX_BLOB_BYTES = 16 << 20
SIGNATURE_BYTES = 65
RESULT_BYTES = 113

RECEIPT_FIELDS = (
    ("epoch", "uint32"),
    ("slot", "uint16"),
    ("nodeFrom", "uint32"),
    ("nodeTo", "uint32"),
    ("side", "uint8"),
    ("packets", "uint64"),
    ("sampleRoot", "bytes32"),
)
REPORT_FIELDS = (
    ("epoch", "uint32"),
    ("attempt", "uint32"),
    ("paramsHash", "bytes32"),
    ("nodesRoot", "bytes32"),
    ("evidenceRoot", "bytes32"),
    ("auditRoot", "bytes32"),
    ("totalReward", "uint128"),
    ("nodeCount", "uint32"),
    ("dataHash", "bytes32"),
    ("prevReportHash", "bytes32"),
)
RESULT_FIELDS = (
    ("epoch", "uint32"),
    ("slot", "uint16"),
    ("auditor", "uint32"),
    ("target", "uint32"),
    ("sent", "uint32"),
    ("returned", "uint32"),
    ("p50Ms", "uint32"),
    ("probeRoot", "bytes32"),
)
CAPACITY_FIELDS = (
    ("epoch", "uint32"),
    ("auditor", "uint32"),
    ("target", "uint32"),
    ("size", "uint64"),
    ("micros", "uint64"),
)


@dataclass(frozen=True, slots=True)
class Verifier:
    """Recovers who signed a message of the oracle's domain.

    Attributes:
        chain_id: EVM chain id.
        oracle: address of the ReportOracle, 20 bytes.
    """

    chain_id: int
    oracle: bytes

    def signer(
        self,
        kind: str,
        fields: Sequence[tuple[str, str]],
        values: Sequence[object],
        signature: bytes,
    ) -> bytes:
        """Address (20 bytes) whose key made a 65-byte signature over a typed message."""
        domain = {
            "name": "QNet",
            "version": "1",
            "chainId": self.chain_id,
            "verifyingContract": "0x" + self.oracle.hex(),
        }
        types = {kind: [{"name": name, "type": type_} for name, type_ in fields]}
        message = dict(zip((name for name, _ in fields), values, strict=True))
        signable = encode_typed_data(domain, types, message)
        recovered: str = Account.recover_message(signable, signature=signature)
        return bytes.fromhex(recovered[2:])


@dataclass(frozen=True, slots=True)
class Evidence:
    """One epoch's facts, with how much of it was signed by whom.

    Attributes:
        facts: input of the recomputation.
        receipts: receipts whose signature is their node's.
        both: (slot, from, to) tuples signed by both neighbours.
        probes: audit results whose signature is their member's.
        sample: the busiest link of one slot in words, with both signers.
    """

    facts: Facts
    receipts: int
    both: int
    probes: int
    sample: str


def read_evidence(blob: bytes, contracts: Contracts) -> tuple[Evidence, Mapping[str, Any]]:
    """Read a data blob and check every signature in it.

    Returns:
        The evidence and the decoded map.
    """
    verifier = Verifier(contracts.client.chain_id, contracts.oracle.address)
    value: Any = cbor.loads(blob, max_bytes=MAX_BLOB_BYTES)
    nodes = tuple(_node(row) for row in value["nodes"])
    keys = {row[0]: row[5] for row in value["nodes"]}
    counts = [count for raw in value["receipts"] for count in _count(raw, keys, verifier)]
    members = [bytes(member) for member in value["members"]]
    shown = [_shown(raw, members, verifier) for raw in value["audits"]]
    probes = [probe for found, _ in shown for probe in found]
    facts = Facts(
        parameters={name: _integer(word) for name, word in value["params"].items()},
        budget=_integer(value["budget"]),
        nodes=nodes,
        members=members,
        beacons=[bytes(beacon) for beacon in value["beacons"]],
        counts=counts,
        probes=probes,
        bursts=[burst for _, found in shown for burst in found],
    )
    sides: dict[tuple[int, int, int], set[int]] = {}
    for count in counts:
        sides.setdefault((count.slot, count.source, count.target), set()).add(count.side)
    both = sum(found == {0, 1} for found in sides.values())
    sample = _sample(counts, keys, sides)
    return Evidence(facts, len(counts), both, len(probes), sample), value


def _sample(
    counts: Sequence[Count],
    keys: Mapping[int, bytes],
    sides: Mapping[tuple[int, int, int], set[int]],
) -> str:
    """Tell one pair of receipts: the link and slot with the most cells that both signed."""
    paired = [c for c in counts if sides[c.slot, c.source, c.target] == {0, 1}]
    if not paired:
        return ""
    best = max(paired, key=lambda count: count.cells)
    signers = " and ".join(checksum_address(keys[i]) for i in (best.source, best.target))
    link = f"node {best.source} -> node {best.target}"
    return f"slot {best.slot}, {link}: {best.cells} cells, signed by {signers}"


def _integer(word: object) -> int:
    return int.from_bytes(word, "big") if isinstance(word, bytes) else int(str(word))


def _node(row: Sequence[Any]) -> NodeFact:
    index, owner, role, state, slot, _, *amounts = row
    start, end, pool_start, pool_end, cost, margin = map(_integer, amounts)
    return NodeFact(
        index, bytes(owner), role, state, slot, start, end, pool_start, pool_end, cost, margin
    )


def _count(raw: bytes, keys: Mapping[int, bytes], verifier: Verifier) -> list[Count]:
    """A receipt of 120 bytes, if its signature is its node's; else nothing."""
    reader = Reader(raw)
    epoch, slot, source, target = reader.u32(), reader.u16(), reader.u32(), reader.u32()
    side, cells, root, signature = reader.u8(), reader.u64(), reader.take(32), reader.rest()
    values = (epoch, slot, source, target, side, cells, root)
    signer = verifier.signer("LinkReceipt", RECEIPT_FIELDS, values, signature)
    if signer != keys.get(target if side else source):
        return []
    return [Count(slot, source, target, side, cells)]


def _shown(
    raw: bytes, members: Sequence[bytes], verifier: Verifier
) -> tuple[list[Probe], list[Burst]]:
    """The signed results of one reveal."""
    reader = Reader(raw)
    _, epoch, slot, auditor = reader.u8(), reader.u32(), reader.u16(), reader.u32()
    _, results, capacities = reader.take(32), reader.u32(), reader.u32()
    found: list[Probe] = []
    bursts: list[Burst] = []
    for _ in range(results):
        target, sent, returned, p50 = reader.u32(), reader.u32(), reader.u32(), reader.u32()
        root, signature = reader.take(32), reader.take(SIGNATURE_BYTES)
        values = (epoch, slot, auditor, target, sent, returned, p50, root)
        if verifier.signer("AuditResult", RESULT_FIELDS, values, signature) == members[auditor]:
            found.append(Probe(slot, auditor, target, sent, returned))
    for _ in range(capacities):
        target, size, micros = reader.u32(), reader.u64(), reader.u64()
        signature, burst = reader.take(SIGNATURE_BYTES), (epoch, auditor, target, size, micros)
        signer = verifier.signer("CapacityResult", CAPACITY_FIELDS, burst, signature)
        if signer == members[auditor]:
            bursts.append(Burst(auditor, target, size, micros))
    return found, bursts


async def check_against_chain(
    epoch: int, blob: bytes, evidence: Evidence, value: Mapping[str, Any], contracts: Contracts
) -> None:
    """Check what the blob says about the chain by asking the chain.

    Raises:
        CheckFailedError: hash, parameters, budget, or a node's role, stake or terms differ.
    """
    report = (await contracts.oracle.report(epoch)).report
    if keccak256(blob) != report.data_hash:
        raise CheckFailedError(f"epoch {epoch}: the data's hash is not the one on the chain")
    info = await contracts.epochs.info(epoch)
    parameters = NetworkParameters.from_map(dict(evidence.facts.parameters))
    if not parameters.hash() == info.params_hash == report.params_hash == value["params_hash"]:
        raise CheckFailedError(f"epoch {epoch}: the parameters are not those on the chain")
    if evidence.facts.budget != info.budget_wei:
        raise CheckFailedError(f"epoch {epoch}: the budget is not the one on the chain")
    for node in evidence.facts.nodes:
        if node != await _node_on_chain(contracts, node.index, epoch):
            raise CheckFailedError(f"epoch {epoch}: node {node.index} differs from the chain")


async def _node_on_chain(contracts: Contracts, index: int, epoch: int) -> NodeFact:
    """What registry and hub say about a node in an epoch."""
    start, end = (await contracts.epochs.clock()).epoch_bounds(epoch)
    entered = await contracts.registry.node(index)
    status = await contracts.registry.status_at(index, epoch)
    terms = await contracts.hub.terms_at(index, epoch)
    return NodeFact(
        index=index,
        owner=entered.owner,
        role=int(entered.role),
        state=int(status.state),
        slot=status.has_slot,
        bond_start=await contracts.hub.bond_at(index, start),
        bond_end=await contracts.hub.bond_at(index, end),
        pool_start=await contracts.hub.pool_at(index, start),
        pool_end=await contracts.hub.pool_at(index, end),
        cost=terms.cost_wei,
        margin=terms.margin_ppm,
    )


def report_signers(
    document: Mapping[str, Any], members: Sequence[bytes], verifier: Verifier
) -> set[int]:
    """Members whose signatures over a report are valid.

    Args:
        document: a member's answer: report, bitmap and concatenated signatures.
        members: signing addresses in member order.
        verifier: of the oracle's domain.

    Raises:
        CheckFailedError: a signature is somebody else's.
    """
    told = document["report"]
    names = (
        "epoch", "attempt", "params_hash", "nodes_root", "evidence_root", "audit_root",
        "total_reward_wei", "node_count", "data_hash", "previous_hash",
    )  # fmt: skip
    values = [_json_value(told[name]) for name in names]
    bitmap = int(str(document["bitmap"]), 0)
    joined = bytes.fromhex(str(document["signatures"]).removeprefix("0x"))
    chosen = [index for index in range(len(members)) if bitmap >> index & 1]
    for place, index in enumerate(chosen):
        signature = joined[place * SIGNATURE_BYTES : (place + 1) * SIGNATURE_BYTES]
        if verifier.signer("EpochReport", REPORT_FIELDS, values, signature) != members[index]:
            raise CheckFailedError(f"member {index} did not sign the report it is named on")
    return set(chosen)


def _json_value(text: str) -> int | bytes:
    return bytes.fromhex(text[2:]) if text.startswith("0x") else int(text)
