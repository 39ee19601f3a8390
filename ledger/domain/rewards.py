"""Rewards in integers: clip, N̂, expected, W, R and its parts.

Multiply first, divide once, round down. Circuits and mixes are two planes: each has its own N̂, and
nothing that counts in one counts in the other. Source: docs/spec/rewards.md, QN-REW-024 to 053.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from ledger.domain.reputation import expected_weight, node_weight, stake_factor
from ledger.domain.state import (
    CIRCUIT_ROLES,
    LOOP_PASSAGES,
    MIX_LAYERS,
    M,
    NetworkState,
    NodeRecord,
    NodeView,
)
from qnet.messages.descriptor import Role
from qnet.parameters import NetworkParameters

Pair = tuple[int, int]
"""Two registry indexes, the lower first."""


class Plane(Enum):
    """Where traffic counts."""

    CIRCUITS = auto()
    MIXES = auto()


_PLANES: Final[Mapping[frozenset[Role], Plane]] = {
    frozenset({Role.ENTRY, Role.RELAY}): Plane.CIRCUITS,
    frozenset({Role.RELAY, Role.EXIT}): Plane.CIRCUITS,
    frozenset({Role.ENTRY, Role.MIX}): Plane.MIXES,
    frozenset({Role.MIX}): Plane.MIXES,
    frozenset({Role.MIX, Role.EXIT}): Plane.MIXES,
}
_PASSED: Final = frozenset({Role.RELAY, Role.MIX})
"""Roles both of whose sides count."""


@dataclass(frozen=True, slots=True)
class Work:
    """Credits of one epoch.

    Args:
        matched: cells per pair that counts, ascending.
        credited: cells per node that takes part.
        work_ppm: W per node that takes part.
        n_hat_cells: N̂ of circuits for the next epoch.
        n_hat_packets: N̂ of mixes for the next epoch.
    """

    matched: Mapping[Pair, int]
    credited: Mapping[int, int]
    work_ppm: Mapping[int, int]
    n_hat_cells: int
    n_hat_packets: int


def role_budget(budget_wei: int, role: Role, parameters: NetworkParameters) -> int:
    """B_r: a role's part of an epoch's budget in wei (QN-REW-003)."""
    shares = {
        Role.ENTRY: parameters.weight_entry_ppm,
        Role.RELAY: parameters.weight_relay_ppm,
        Role.MIX: parameters.weight_mix_ppm,
        Role.EXIT: parameters.weight_exit_ppm,
    }
    return budget_wei * shares[role] // M


def role_slots(role: Role, parameters: NetworkParameters) -> int:
    """k_r: paid slots of a role."""
    slots = {
        Role.ENTRY: parameters.slots_entry,
        Role.RELAY: parameters.slots_relay,
        Role.MIX: parameters.slots_mix,
        Role.EXIT: parameters.slots_exit,
    }
    return slots[role]


def reward(
    budget_wei: int,
    slots: int,
    stake_wei: int,
    bond_wei: int,
    p_ppm: int,
    w_ppm: int,
    parameters: NetworkParameters,
) -> int:
    """R of a paid node in wei (QN-REW-050).

    Args:
        budget_wei: B_r, the role's part of the budget.
        slots: k_r.
        stake_wei: stake that counts.
        bond_wei: own bond that counts.
        p_ppm: epoch P.
        w_ppm: W.
        parameters: Z and alpha.
    """
    sigma = stake_factor(stake_wei, parameters.stake_reference_wei)
    own = stake_factor(bond_wei, parameters.stake_reference_wei)
    alpha = parameters.alpha_ppm
    numerator = budget_wei * sigma * (M * M + alpha * own) * p_ppm**2 * w_ppm
    return numerator // (slots * M * (M * M + alpha * M) * M * M * M)


def split(
    reward_wei: int,
    p_ppm: int,
    w_ppm: int,
    cost_wei: int,
    margin_ppm: int,
    bond_wei: int,
    stake_wei: int,
    parameters: NetworkParameters,
) -> tuple[int, int]:
    """Share a reward between operator and pool, in wei (QN-REW-052).

    Args:
        reward_wei: R.
        p_ppm: epoch P.
        w_ppm: W.
        cost_wei: of the node's terms.
        margin_ppm: of the node's terms.
        bond_wei: own bond that counts.
        stake_wei: stake that counts, above 0 if there is a reward.
        parameters: bounds of the terms.
    """
    if reward_wei == 0:
        return 0, 0
    margin = min(max(margin_ppm, parameters.margin_min_ppm), M)
    cost = min(cost_wei, parameters.cost_max_wei)
    first = min(reward_wei, cost * p_ppm // M * w_ppm // M)
    own = (reward_wei - first) * margin // M
    rest = reward_wei - first - own
    from_bond = rest * bond_wei // stake_wei
    return first + own + from_bond, rest - from_bond


Weighing = Callable[[NodeRecord, int, NetworkParameters], int]
"""Weight of a node from its record and the stake that counts."""


def weights_of(
    nodes: Sequence[NodeView],
    state: NetworkState,
    parameters: NetworkParameters,
    weighing: Weighing,
) -> dict[int, int]:
    """Weight of every node that takes part, by index."""
    start, factor = parameters.reputation_start_ppm, parameters.delegation_factor
    return {
        node.index: weighing(state.record(node.index, start), node.stake_wei(factor), parameters)
        for node in nodes
        if node.takes_part
    }


def measure_work(
    nodes: Sequence[NodeView],
    matched: Mapping[Pair, int],
    state: NetworkState,
    parameters: NetworkParameters,
) -> Work:
    """Clip the matched traffic, sum it per node and compare it with what was expected.

    Args:
        nodes: the snapshot.
        matched: cells per pair; pairs that cannot earn are left out (QN-REW-024).
        state: before the epoch.
        parameters: of the epoch.
    """
    views = {node.index: node for node in nodes if node.takes_part}
    asked = weights_of(nodes, state, parameters, node_weight)
    expected = weights_of(nodes, state, parameters, expected_weight)
    asked_in, expected_in = _by_role(views, asked), _by_role(views, expected)
    planes = {pair: plane_of(views.get(pair[0]), views.get(pair[1])) for pair in matched}
    counting = {
        pair: cells for pair, cells in sorted(matched.items()) if cells > 0 and planes[pair]
    }
    carried = _carried(views, counting)
    volumes = _volumes(views, state, parameters)
    credited: dict[int, int] = {}
    work: dict[int, int] = {}
    for index, node in views.items():
        volume, floor = volumes[Plane.MIXES if node.role is Role.MIX else Plane.CIRCUITS]
        total = asked_in[node.role]
        clip = 0
        if total:
            clip = parameters.link_clip_ppm * max(volume, floor) * asked[index] // (M * total)
        credited[index] = min(carried[index], clip)
        target = _target(expected[index], expected_in[node.role], volume, parameters)
        idle = volume < floor or target == 0
        work[index] = M if idle else min(M, credited[index] * M // target)
    totals = _by_role(views, credited)
    middle = sorted(totals[role] for role in CIRCUIT_ROLES)[1]
    return Work(counting, credited, work, middle, totals[Role.MIX])


def plane_of(left: NodeView | None, right: NodeView | None) -> Plane | None:
    """Plane in which traffic between two nodes counts; None if in none (QN-REW-024)."""
    if left is None or right is None or left.owner == right.owner:
        return None
    return _PLANES.get(frozenset({left.role, right.role}))


def _volumes(
    views: Mapping[int, NodeView], state: NetworkState, parameters: NetworkParameters
) -> dict[Plane, tuple[int, int]]:
    """N̂ of each plane, and below what it is not relied on (QN-REW-025)."""
    floor = parameters.traffic_floor_cells
    paid = sum(view.paid for view in views.values() if view.role is Role.MIX)
    loops = LOOP_PASSAGES * paid * parameters.slots_per_epoch * parameters.slot_s
    return {
        Plane.CIRCUITS: (state.n_hat_cells, floor),
        Plane.MIXES: (state.n_hat_packets, MIX_LAYERS * floor + loops),
    }


def _by_role(views: Mapping[int, NodeView], figures: Mapping[int, int]) -> dict[Role, int]:
    """Sum of the figures of each role."""
    totals = dict.fromkeys(Role, 0)
    for index, figure in figures.items():
        totals[views[index].role] += figure
    return totals


def _carried(views: Mapping[int, NodeView], matched: Mapping[Pair, int]) -> dict[int, int]:
    """Cells, or packets, that passed each node (QN-REW-026).

    Where both sides of a node count they are halved once; what entries and exits exchange with
    mixes is the mixes' alone.
    """
    sums = dict.fromkeys(views, 0)
    for pair, cells in matched.items():
        earning = [i for i in pair if views[i].role is Role.MIX] or pair
        for index in earning:
            sums[index] += cells
    return {
        index: cells // 2 if views[index].role in _PASSED else cells
        for index, cells in sums.items()
    }


def _target(weight: int, total: int, volume: int, parameters: NetworkParameters) -> int:
    """What a node must carry for W = 1 (QN-REW-032)."""
    if total == 0:
        return 0
    return volume * weight // total * parameters.work_target_ppm // M
