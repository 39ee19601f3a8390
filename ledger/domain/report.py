"""The report of an epoch: one pure function from the data blob to leaves, report and next state.

Source: docs/spec/rewards.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ledger.domain.audits import (
    audit_leaves,
    counted_results,
    epoch_performance,
    measured_kbps,
    slot_performance,
)
from ledger.domain.blob import EpochData
from ledger.domain.receipts import match_receipts, pair_totals
from ledger.domain.reputation import next_reputation
from ledger.domain.rewards import (
    Pair,
    Plane,
    measure_work,
    plane_of,
    reward,
    role_budget,
    role_slots,
    split,
)
from ledger.domain.state import (
    P_CARRY,
    P_HISTORY,
    NetworkState,
    NodeRecord,
    NodeState,
    NodeView,
)
from ledger.errors import BadDataError
from qnet.crypto.keys import keccak256
from qnet.eip712 import qnet_domain
from qnet.errors import CryptoError
from qnet.merkle import StandardTree
from qnet.messages.audit import AuditResult, CapacityResult
from qnet.messages.report import (
    NO_REPORT,
    AuditLeaf,
    EpochReport,
    LinkLeaf,
    NodeLeaf,
    pack_slot_p,
)
from qnet.parameters import NetworkParameters


@dataclass(frozen=True)
class EpochResult:
    """What follows from a data blob.

    Args:
        chain_id: EVM chain id.
        oracle: ReportOracle, 20 bytes.
        leaves: one per registry index, in order.
        links: traffic of circuits that counts, ascending by (slot, from, to).
        probes: results that count, ascending by (slot, target).
        report: what a quorum signs.
        after: state after the epoch.
        matched: cells per pair that counts, ascending.
        audits: results that counted.
    """

    chain_id: int
    oracle: bytes
    leaves: tuple[NodeLeaf, ...]
    links: tuple[LinkLeaf, ...]
    probes: tuple[AuditLeaf, ...]
    report: EpochReport
    after: NetworkState
    matched: Mapping[Pair, int]
    audits: tuple[AuditResult, ...]

    @property
    def digest(self) -> bytes:
        """EIP-712 digest of the report, 32 bytes: its hash on chain."""
        return self.report.digest(qnet_domain(self.chain_id, self.oracle))

    @cached_property
    def tree(self) -> StandardTree:
        """Tree over the node leaves, in order of index."""
        return StandardTree(self.hashes(self.leaves))

    def proof(self, index: int) -> list[bytes]:
        """Merkle proof of the leaf of a registry index."""
        return self.tree.proof(index - 1)

    def link_proof(self, place: int) -> list[bytes]:
        """Merkle proof of a leaf of `links`."""
        return StandardTree(self.hashes(self.links)).proof(place)

    def probe_proof(self, place: int) -> list[bytes]:
        """Merkle proof of a leaf of `probes`."""
        return StandardTree(self.hashes(self.probes)).proof(place)

    def hashes(self, leaves: Sequence[NodeLeaf | LinkLeaf | AuditLeaf]) -> list[bytes]:
        """Hashes of leaves of this report, in order."""
        return [leaf.hash(self.chain_id, self.oracle) for leaf in leaves]


def recompute(blob: bytes) -> EpochResult:
    """Compute a report from nothing but its data blob.

    Raises:
        DecodeError: the blob is malformed.
        BadDataError: it contradicts itself.
    """
    data = EpochData.decode(blob)
    _check(data)
    snapshot, parameters = data.snapshot, data.parameters
    domain = qnet_domain(snapshot.chain_id, snapshot.oracle)
    matched = match_receipts(
        data.receipts,
        epoch=snapshot.epoch,
        slots=parameters.slots_per_epoch,
        keys={node.index: node.receipt_key for node in snapshot.nodes},
        domain=domain,
    )
    work = measure_work(snapshot.nodes, pair_totals(matched), data.before, parameters)
    links = _circuit_links(snapshot.nodes, matched)
    audits, bursts = _signed_results(data, domain)
    probes = audit_leaves(audits)
    outcomes = [
        _Outcome.of(node, data, work.work_ppm.get(node.index, 0), audits, bursts)
        for node in snapshot.nodes
    ]
    leaves = tuple(outcome.leaf(snapshot.epoch) for outcome in outcomes)
    report = EpochReport(
        epoch=snapshot.epoch,
        attempt=snapshot.attempt,
        params_hash=snapshot.params_hash,
        nodes_root=_root(data, leaves),
        evidence_root=_root(data, links),
        audit_root=_root(data, probes),
        total_reward_wei=sum(leaf.reward_wei for leaf in leaves),
        node_count=len(leaves),
        data_hash=keccak256(blob),
        previous_hash=snapshot.prev_report_hash,
    )
    after = NetworkState(
        epoch=snapshot.epoch,
        report_hash=report.digest(domain),
        n_hat_cells=work.n_hat_cells,
        n_hat_packets=work.n_hat_packets,
        records={outcome.node.index: outcome.record for outcome in outcomes},
    )
    return EpochResult(
        chain_id=snapshot.chain_id,
        oracle=snapshot.oracle,
        leaves=leaves,
        links=links,
        probes=probes,
        report=report,
        after=after,
        matched=work.matched,
        audits=tuple(audits),
    )


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One node after the epoch."""

    node: NodeView
    stake_wei: int
    record: NodeRecord
    slots: tuple[int, ...]
    w_ppm: int
    reward_wei: int

    @classmethod
    def of(
        cls,
        node: NodeView,
        data: EpochData,
        w_ppm: int,
        audits: Sequence[AuditResult],
        bursts: Sequence[CapacityResult],
    ) -> "_Outcome":
        """Apply the epoch to one node."""
        parameters = data.parameters
        stake = node.stake_wei(parameters.delegation_factor)
        before = data.before.record(node.index, parameters.reputation_start_ppm)
        if not node.takes_part:
            return cls(node, stake, _absent(node, before, parameters), (), 0, 0)
        slots = slot_performance(node.index, audits, parameters.slots_per_epoch, before.last_p)
        p_ppm = epoch_performance(slots)
        earned = 0
        if node.paid:
            earned = reward(
                role_budget(data.snapshot.budget_wei, node.role, parameters),
                role_slots(node.role, parameters),
                stake,
                node.bond_wei,
                p_ppm,
                w_ppm,
                parameters,
            )
        terms = node.cost_wei, node.margin_ppm
        operator, pool = split(earned, p_ppm, w_ppm, *terms, node.bond_wei, stake, parameters)
        record = NodeRecord(
            rho_ppm=next_reputation(before.rho_ppm, p_ppm, w_ppm, node.state, parameters),
            last_p=slots[-1],
            history_ppm=(*before.history_ppm, p_ppm)[-P_HISTORY:],
            kbps=measured_kbps(node.index, bursts, parameters.capacity_burst_bytes, before.kbps),
            cum_operator_wei=before.cum_operator_wei + operator,
            cum_pool_wei=before.cum_pool_wei + pool,
        )
        return cls(node, stake, record, slots, w_ppm, earned)

    def leaf(self, epoch: int) -> NodeLeaf:
        """The node's line of the report."""
        return NodeLeaf(
            epoch=epoch,
            node=self.node.index,
            bond_wei=self.node.bond_wei,
            stake_wei=self.stake_wei,
            slot_p=pack_slot_p(self.slots),
            w_ppm=self.w_ppm,
            rho_ppm=self.record.rho_ppm,
            reward_wei=self.reward_wei,
            cum_operator_wei=self.record.cum_operator_wei,
            cum_pool_wei=self.record.cum_pool_wei,
        )


def _absent(node: NodeView, before: NodeRecord, parameters: NetworkParameters) -> NodeRecord:
    """Record of a node that takes no part: only its state moves its reputation."""
    rho = before.rho_ppm
    if node.state is not NodeState.ACTIVE:
        rho = next_reputation(rho, 0, 0, node.state, parameters)
    return replace(before, rho_ppm=rho, last_p=P_CARRY)


def _circuit_links(nodes: Sequence[NodeView], matched: Sequence[LinkLeaf]) -> tuple[LinkLeaf, ...]:
    """Leaves of circuits: what the court knows of pairs that earn (QN-REW-071)."""
    part = {node.index: node for node in nodes if node.takes_part}
    return tuple(
        leaf
        for leaf in matched
        if plane_of(part.get(leaf.node_from), part.get(leaf.node_to)) is Plane.CIRCUITS
    )


def _check(data: EpochData) -> None:
    """Refuse a blob whose parts do not fit together."""
    snapshot = data.snapshot
    if data.parameters.hash() != snapshot.params_hash:
        raise BadDataError("the parameters are not those of the epoch")
    if len(data.beacons) != data.parameters.slots_per_epoch or data.beacons[-1] != snapshot.reveal:
        raise BadDataError("the beacons do not end in the epoch's reveal")
    if any(
        keccak256(after) != before
        for before, after in zip(data.beacons, data.beacons[1:], strict=False)
    ):
        raise BadDataError("the beacons are no hash chain")
    if data.before.report_hash != snapshot.prev_report_hash:
        raise BadDataError("the state before is not that of the last report")
    if data.before.epoch >= snapshot.epoch:
        raise BadDataError("the state before is not older than the epoch")
    if not snapshot.nodes:
        raise BadDataError("no node is registered")


def _signed_results(
    data: EpochData, domain: bytes
) -> tuple[list[AuditResult], list[CapacityResult]]:
    """Results that count, with valid signatures."""
    members = data.snapshot.members
    audits: list[AuditResult] = []
    bursts: list[CapacityResult] = []
    for reveal in data.reveals:
        if reveal.epoch != data.snapshot.epoch or reveal.auditor >= len(members):
            continue
        try:
            reveal.verify(domain, members[reveal.auditor])
        except CryptoError:
            continue
        audits.extend(signed.result for signed in reveal.results)
        bursts.extend(signed.result for signed in reveal.capacities)
    counted = counted_results(
        audits,
        epoch=data.snapshot.epoch,
        targets=len(data.snapshot.nodes),
        beacons=data.beacons,
        signers=members,
        count=data.parameters.audits_per_slot,
    )
    return counted, bursts


def _root(data: EpochData, leaves: Sequence[NodeLeaf | LinkLeaf | AuditLeaf]) -> bytes:
    chain_id, oracle = data.snapshot.chain_id, data.snapshot.oracle
    hashes = [leaf.hash(chain_id, oracle) for leaf in leaves]
    return StandardTree(hashes).root if hashes else NO_REPORT
