"""The report of an epoch: one pure function from the data blob to leaves, report and next state.

Source: docs/spec/rewards.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ledger.domain.audits import (
    counted_results,
    epoch_performance,
    measured_kbps,
    slot_performance,
)
from ledger.domain.blob import EpochData
from ledger.domain.receipts import match_receipts
from ledger.domain.reputation import next_reputation
from ledger.domain.rewards import Pair, measure_work, reward, role_budget, role_slots
from ledger.domain.state import P_HISTORY, NetworkState, NodeRecord, NodeState, NodeView
from ledger.errors import BadDataError
from qnet.crypto.keys import keccak256
from qnet.eip712 import qnet_domain
from qnet.errors import CryptoError
from qnet.merkle import StandardTree, standard_leaf
from qnet.messages.audit import AuditResult, CapacityResult
from qnet.messages.report import NO_REPORT, EpochReport, NodeLeaf, pack_slot_p

PAIR_LEAF_KIND: Final = 2
AUDIT_LEAF_KIND: Final = 3


@dataclass(frozen=True)
class EpochResult:
    """What follows from a data blob.

    Args:
        chain_id: EVM chain id.
        oracle: ReportOracle, 20 bytes.
        leaves: one per registry index, in order.
        report: what a quorum signs.
        after: state after the epoch.
        matched: cells per pair that counts, ascending.
        audits: results that counted.
    """

    chain_id: int
    oracle: bytes
    leaves: tuple[NodeLeaf, ...]
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
        """Tree over the leaves, in order of index."""
        return StandardTree([leaf.hash(self.chain_id, self.oracle) for leaf in self.leaves])

    def proof(self, index: int) -> list[bytes]:
        """Merkle proof of the leaf of a registry index."""
        return self.tree.proof(index - 1)


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
    work = measure_work(snapshot.nodes, matched, data.before, parameters)
    audits, bursts = _signed_results(data, domain)
    outcomes = [
        _Outcome.of(node, data, work.work_ppm.get(node.index, 0), audits, bursts)
        for node in snapshot.nodes
    ]
    leaves = tuple(outcome.leaf(snapshot.epoch) for outcome in outcomes)
    head = (snapshot.chain_id, int.from_bytes(snapshot.oracle, "big"))
    report = EpochReport(
        epoch=snapshot.epoch,
        params_hash=snapshot.params_hash,
        nodes_root=_root([leaf.hash(snapshot.chain_id, snapshot.oracle) for leaf in leaves]),
        evidence_root=_root(
            [_pair_leaf(head, snapshot.epoch, *pair, cells) for pair, cells in work.matched.items()]
        ),
        audit_root=_root([_audit_leaf(head, result) for result in audits]),
        total_reward_wei=sum(leaf.reward_wei for leaf in leaves),
        node_count=len(leaves),
        data_hash=keccak256(blob),
        previous_hash=snapshot.prev_report_hash,
    )
    after = NetworkState(
        epoch=snapshot.epoch,
        report_hash=report.digest(domain),
        n_hat_cells=work.n_hat_cells,
        records={outcome.node.index: outcome.record for outcome in outcomes},
    )
    return EpochResult(
        snapshot.chain_id, snapshot.oracle, leaves, report, after, work.matched, tuple(audits)
    )


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One node after the epoch."""

    node: NodeView
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
        before = data.before.record(node.index, parameters.reputation_start_ppm)
        if not node.takes_part:
            return cls._absent(node, before, data)
        slots = slot_performance(node.index, audits, parameters.slots_per_epoch, before.last_p)
        p_ppm = epoch_performance(slots)
        earned = 0
        if node.paid:
            earned = reward(
                role_budget(data.snapshot.budget_wei, node.role, parameters),
                role_slots(node.role, parameters),
                node.bond_wei,
                node.bond_wei,
                p_ppm,
                w_ppm,
                parameters,
            )
        record = NodeRecord(
            rho_ppm=next_reputation(before.rho_ppm, p_ppm, w_ppm, node.state, parameters),
            last_p=slots[-1],
            history_ppm=(*before.history_ppm, p_ppm)[-P_HISTORY:],
            kbps=measured_kbps(node.index, bursts, parameters.capacity_burst_bytes, before.kbps),
            cum_operator_wei=before.cum_operator_wei + earned,
            cum_pool_wei=before.cum_pool_wei,
        )
        return cls(node, record, slots, w_ppm, earned)

    @classmethod
    def _absent(cls, node: NodeView, before: NodeRecord, data: EpochData) -> "_Outcome":
        """A node that does not take part earns nothing; only its state moves its reputation."""
        rho = before.rho_ppm
        if node.state is not NodeState.ACTIVE:
            rho = next_reputation(rho, 0, 0, node.state, data.parameters)
        record = NodeRecord(
            rho_ppm=rho,
            last_p=before.last_p,
            history_ppm=before.history_ppm,
            kbps=before.kbps,
            cum_operator_wei=before.cum_operator_wei,
            cum_pool_wei=before.cum_pool_wei,
        )
        return cls(node, record, (), 0, 0)

    def leaf(self, epoch: int) -> NodeLeaf:
        """The node's line of the report."""
        return NodeLeaf(
            epoch=epoch,
            node=self.node.index,
            bond_wei=self.node.bond_wei,
            stake_wei=self.node.bond_wei,
            slot_p=pack_slot_p(self.slots),
            w_ppm=self.w_ppm,
            rho_ppm=self.record.rho_ppm,
            reward_wei=self.reward_wei,
            cum_operator_wei=self.record.cum_operator_wei,
            cum_pool_wei=self.record.cum_pool_wei,
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
        beacons=data.beacons,
        signers=members,
        count=data.parameters.audits_per_slot,
    )
    return counted, bursts


def _root(leaves: Sequence[bytes]) -> bytes:
    return StandardTree(leaves).root if leaves else NO_REPORT


def _words(*values: int) -> bytes:
    return b"".join(value.to_bytes(32, "big") for value in values)


def _pair_leaf(head: tuple[int, int], epoch: int, low: int, high: int, cells: int) -> bytes:
    return standard_leaf(_words(PAIR_LEAF_KIND, *head, epoch, low, high, cells))


def _audit_leaf(head: tuple[int, int], result: AuditResult) -> bytes:
    numbers = (
        result.epoch,
        result.slot,
        result.auditor,
        result.target,
        result.sent,
        result.returned,
        result.p50_ms,
    )
    return standard_leaf(_words(AUDIT_LEAF_KIND, *head, *numbers) + result.probe_root)
