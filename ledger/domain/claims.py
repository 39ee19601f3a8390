"""What the signers of a report published, and the leaf that should stand there.

Source: docs/spec/disputes.md, QN-DSP-010.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, TypeAlias

from ledger.domain.audits import epoch_performance
from ledger.domain.blob import EpochData
from ledger.domain.report import EpochResult
from ledger.domain.reputation import next_reputation
from ledger.domain.rewards import reward, role_budget, role_slots, split
from ledger.domain.state import NodeState
from qnet.merkle import StandardTree
from qnet.messages.proofs import Proven
from qnet.messages.report import (
    NO_REPORT,
    AuditLeaf,
    EpochReport,
    LinkLeaf,
    NodeLeaf,
    unpack_slot_p,
)

NO_LEAF: Final = NodeLeaf(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
WORD: Final = 1 << 256
"""Sums are taken modulo this, so that no wicked leaf escapes by overflowing."""
Leaf: TypeAlias = NodeLeaf | LinkLeaf | AuditLeaf


@dataclass(frozen=True)
class Claims:
    """The leaves of a report as its signers published them.

    Args:
        chain_id: EVM chain id.
        oracle: ReportOracle, 20 bytes.
        epoch: of the report.
        nodes: node leaves.
        links: link leaves.
        audits: audit leaves.
        participants: registry indexes of the nodes that took part in the epoch.
    """

    chain_id: int
    oracle: bytes
    epoch: int
    nodes: tuple[NodeLeaf, ...]
    links: tuple[LinkLeaf, ...]
    audits: tuple[AuditLeaf, ...]
    participants: frozenset[int]

    @classmethod
    def of(cls, result: EpochResult, data: EpochData) -> "Claims":
        """The leaves of an honest report."""
        return cls(
            chain_id=result.chain_id,
            oracle=result.oracle,
            epoch=result.report.epoch,
            nodes=result.leaves,
            links=result.links,
            audits=result.probes,
            participants=frozenset(node.index for node in data.snapshot.nodes if node.takes_part),
        )

    def belong_to(self, report: EpochReport) -> bool:
        """Whether the leaves have the report's roots."""
        roots = [
            NO_REPORT if tree is None else tree.root
            for tree in (self._node_tree, self._link_tree, self._audit_tree)
        ]
        return roots == [report.nodes_root, report.evidence_root, report.audit_root]

    def node(self, index: int) -> Proven[NodeLeaf] | None:
        """First leaf of a node with its proof; None if there is none."""
        place = self._places.get(index)
        return None if place is None else self.node_at(place)

    def node_at(self, place: int) -> Proven[NodeLeaf]:
        """A node leaf with its proof, by its place."""
        return Proven(self.nodes[place], _siblings(self._node_tree, place))

    def link_at(self, place: int) -> Proven[LinkLeaf]:
        """A link leaf with its proof, by its place."""
        return Proven(self.links[place], _siblings(self._link_tree, place))

    def audit_at(self, place: int) -> Proven[AuditLeaf]:
        """An audit leaf with its proof, by its place."""
        return Proven(self.audits[place], _siblings(self._audit_tree, place))

    @cached_property
    def _places(self) -> dict[int, int]:
        return {self.nodes[place].node: place for place in reversed(range(len(self.nodes)))}

    @cached_property
    def _node_tree(self) -> StandardTree | None:
        return self._tree(self.nodes)

    @cached_property
    def _link_tree(self) -> StandardTree | None:
        return self._tree(self.links)

    @cached_property
    def _audit_tree(self) -> StandardTree | None:
        return self._tree(self.audits)

    def _tree(self, leaves: Sequence[Leaf]) -> StandardTree | None:
        hashes = [leaf.hash(self.chain_id, self.oracle) for leaf in leaves]
        return StandardTree(hashes) if hashes else None


def _siblings(tree: StandardTree | None, place: int) -> tuple[bytes, ...]:
    return () if tree is None else tuple(tree.proof(place))


def expected_leaf(claimed: NodeLeaf, previous: NodeLeaf | None, data: EpochData) -> NodeLeaf:
    """The leaf that follows from what a leaf says about P and W (QN-DSP-010).

    Args:
        claimed: of a registered node.
        previous: the node's leaf in the report before; None if it had none.
        data: snapshot and parameters of the epoch.
    """
    parameters, node = data.parameters, data.snapshot.nodes[claimed.node - 1]
    stake = node.stake_wei(parameters.delegation_factor)
    slot_p, w_ppm = (claimed.slot_p, claimed.w_ppm) if node.takes_part else (0, 0)
    p_ppm = epoch_performance(unpack_slot_p(slot_p, parameters.slots_per_epoch))
    before = previous or replace(NO_LEAF, rho_ppm=parameters.reputation_start_ppm)
    rho = before.rho_ppm
    if node.takes_part or node.state is not NodeState.ACTIVE:
        rho = next_reputation(rho, p_ppm, w_ppm, node.state, parameters)
    earned = 0
    if node.paid:
        budget = role_budget(data.snapshot.budget_wei, node.role, parameters)
        slots = role_slots(node.role, parameters)
        earned = reward(budget, slots, stake, node.bond_wei, p_ppm, w_ppm, parameters)
    terms = node.cost_wei, node.margin_ppm
    operator, pool = split(earned, p_ppm, w_ppm, *terms, node.bond_wei, stake, parameters)
    return NodeLeaf(
        epoch=data.snapshot.epoch,
        node=node.index,
        bond_wei=node.bond_wei,
        stake_wei=stake,
        slot_p=slot_p,
        w_ppm=w_ppm,
        rho_ppm=rho,
        reward_wei=earned,
        cum_operator_wei=(before.cum_operator_wei + operator) % WORD,
        cum_pool_wei=(before.cum_pool_wei + pool) % WORD,
    )
