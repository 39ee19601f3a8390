"""What the ledger makes of an epoch: the steps of `ledger.domain.report`, without signatures.

Every figure comes from the ledger's functions. A test compares a closing with `recompute` of a
signed data blob.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ledger.domain.audits import epoch_performance
from ledger.domain.reputation import next_reputation
from ledger.domain.rewards import (
    Pair,
    Work,
    measure_work,
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
from qnet.parameters import NetworkParameters


@dataclass(frozen=True, slots=True)
class Measured:
    """What auditors found out about a node in an epoch.

    Attributes:
        slots: P of each slot, permille.
        kbps: Its rate.
    """

    slots: tuple[int, ...]
    kbps: int


@dataclass(frozen=True, slots=True)
class Paid:
    """One node's epoch.

    Attributes:
        p_ppm: Epoch P.
        w_ppm: W.
        reward_wei: R.
        operator_wei: The operator's part of R.
        pool_wei: The delegators' part.
    """

    p_ppm: int
    w_ppm: int
    reward_wei: int
    operator_wei: int
    pool_wei: int


@dataclass(frozen=True, slots=True)
class Closing:
    """An epoch after its report.

    Attributes:
        paid: By registry index, nodes that took part.
        work: Credits.
        after: State for the next epoch.
    """

    paid: Mapping[int, Paid]
    work: Work
    after: NetworkState


def close(
    epoch: int,
    nodes: Sequence[NodeView],
    matched: Mapping[Pair, int],
    measured: Mapping[int, Measured],
    before: NetworkState,
    parameters: NetworkParameters,
) -> Closing:
    """Pay an epoch.

    Args:
        epoch: The epoch.
        nodes: Registry and hub.
        matched: Cells by pair.
        measured: By registry index, every node that takes part.
        before: State before it.
        parameters: Of the epoch.
    """
    work = measure_work(nodes, matched, before, parameters)
    paid: dict[int, Paid] = {}
    records: dict[int, NodeRecord] = {}
    for node in nodes:
        record = before.record(node.index, parameters.reputation_start_ppm)
        if not node.takes_part:
            records[node.index] = _rested(node, record, parameters)
            continue
        found = measured[node.index]
        paid[node.index] = one = _paid(
            node, epoch_performance(found.slots), work.work_ppm[node.index], parameters
        )
        records[node.index] = NodeRecord(
            rho_ppm=next_reputation(record.rho_ppm, one.p_ppm, one.w_ppm, node.state, parameters),
            last_p=found.slots[-1],
            history_ppm=(*record.history_ppm, one.p_ppm)[-P_HISTORY:],
            kbps=found.kbps,
            cum_operator_wei=record.cum_operator_wei + one.operator_wei,
            cum_pool_wei=record.cum_pool_wei + one.pool_wei,
        )
    after = NetworkState(
        epoch=epoch,
        n_hat_cells=work.n_hat_cells,
        n_hat_packets=work.n_hat_packets,
        records=records,
    )
    return Closing(paid, work, after)


def _paid(node: NodeView, p_ppm: int, w_ppm: int, parameters: NetworkParameters) -> Paid:
    stake = node.stake_wei(parameters.delegation_factor)
    earned = 0
    if node.paid:
        earned = reward(
            role_budget(parameters.emission_wei, node.role, parameters),
            role_slots(node.role, parameters),
            stake,
            node.bond_wei,
            p_ppm,
            w_ppm,
            parameters,
        )
    operator, pool = split(
        earned, p_ppm, w_ppm, node.cost_wei, node.margin_ppm, node.bond_wei, stake, parameters
    )
    return Paid(p_ppm, w_ppm, earned, operator, pool)


def _rested(node: NodeView, record: NodeRecord, parameters: NetworkParameters) -> NodeRecord:
    """A node that did not take part: only its state moves its reputation."""
    rho = record.rho_ppm
    if node.state is not NodeState.ACTIVE:
        rho = next_reputation(rho, 0, 0, node.state, parameters)
    return replace(record, rho_ppm=rho, last_p=P_CARRY)
