"""The reward rules once more, with exact fractions and no shared code: docs/spec/rewards.md."""

from fractions import Fraction
from math import floor

EARNS_WITH = {(1, 2), (2, 1), (2, 4), (4, 2), (3, 1), (3, 3), (3, 4)}
"""Whose role earns from a pair with whose."""


def ratio(value: int, one: int) -> Fraction:
    return min(Fraction(floor(Fraction(value * 10**6, one)), 10**6), Fraction(1))


def stake(node, parameters) -> int:
    return min(
        bond + min(pool, parameters.delegation_factor * bond)
        for bond, pool in (
            (node.bond_start_wei, node.pool_start_wei),
            (node.bond_end_wei, node.pool_end_wei),
        )
    )


def asked_weight(node, record, parameters) -> int:
    """Of clients: the expected one times the measured rate."""
    beta = Fraction(1, 4)
    if record is not None and record.kbps:
        beta = ratio(record.kbps, parameters.capacity_reference_kbps)
    return expected_weight(node, record, parameters, beta)


def expected_weight(node, record, parameters, beta=1) -> int:
    sigma = ratio(stake(node, parameters), parameters.stake_reference_wei)
    history = record.history_ppm if record else ()
    mean = Fraction(sum(history) // len(history) if history else 900_000, 10**6)
    rho = Fraction(record.rho_ppm if record else parameters.reputation_start_ppm, 10**6)
    return floor(10**9 * sigma * mean**4 * rho * beta)


def shares(part, weight):
    """Of each node in its role."""
    found = {}
    for i, node in part.items():
        total = sum(weight[j] for j, other in part.items() if other.role == node.role)
        found[i] = Fraction(weight[i], total) if total else Fraction(0)
    return found


def work(nodes, traffic, state, parameters):
    """(credited, W, N̂, N̂_mix) by plain definition; roles: 1 entry, 2 relay, 3 mix, 4 exit."""
    part = {node.index: node for node in nodes if node.state == 2 and stake(node, parameters) > 0}
    share, asked = (
        shares(part, {i: weigh(n, state.records.get(i), parameters) for i, n in part.items()})
        for weigh in (expected_weight, asked_weight)
    )
    loops = 16 * sum(n.slot for n in part.values() if n.role == 3)
    loops *= parameters.slots_per_epoch * parameters.slot_s
    floors = {
        i: parameters.traffic_floor_cells * 3 + loops
        if node.role == 3
        else parameters.traffic_floor_cells
        for i, node in part.items()
    }
    known = {i: state.n_hat_packets if part[i].role == 3 else state.n_hat_cells for i in part}
    sums = dict.fromkeys(part, 0)
    for (a, b), cells in traffic.items():
        if a not in part or b not in part or part[a].owner == part[b].owner:
            continue
        for i, other in ((a, b), (b, a)):
            if (int(part[i].role), int(part[other].role)) in EARNS_WITH:
                sums[i] += cells
    clip = Fraction(parameters.link_clip_ppm, 10**6)
    credited = {
        i: min(
            s // 2 if part[i].role in (2, 3) else s,
            floor(clip * max(known[i], floors[i]) * asked[i]),
        )
        for i, s in sums.items()
    }
    factor = {}
    for i in part:
        expected = floor(known[i] * share[i])
        target = floor(Fraction(expected * parameters.work_target_ppm, 10**6))
        if known[i] < floors[i] or target == 0:
            factor[i] = 10**6
        else:
            factor[i] = min(10**6, floor(Fraction(credited[i] * 10**6, target)))
    totals = {r: sum(credited[i] for i in part if part[i].role == r) for r in (1, 2, 3, 4)}
    mixed = totals.pop(3)
    return credited, factor, sorted(totals.values())[1], mixed


def reward(budget, slots, stake, bond, p_ppm, w_ppm, parameters) -> int:
    sigma = ratio(stake, parameters.stake_reference_wei)
    own = ratio(bond, parameters.stake_reference_wei)
    alpha = Fraction(parameters.alpha_ppm, 10**6)
    p, w = Fraction(p_ppm, 10**6), Fraction(w_ppm, 10**6)
    return floor(Fraction(budget, slots) * sigma * (1 + alpha * own) / (1 + alpha) * p**2 * w)


def split(whole, p_ppm, w_ppm, cost, margin, bond, total, parameters):
    """Operator's and pool's part, each step with exact fractions."""
    present = floor(min(cost, parameters.cost_max_wei) * Fraction(p_ppm, 10**6))
    first = min(whole, floor(present * Fraction(w_ppm, 10**6)))
    share = Fraction(min(max(margin, parameters.margin_min_ppm), 10**6), 10**6)
    own = floor((whole - first) * share)
    rest = whole - first - own
    of_bond = floor(rest * Fraction(bond, total))
    return first + own + of_bond, rest - of_bond
