"""Rewards once more, from the published facts and the specification alone.

Written apart from the committee's code on purpose: exact fractions, rounded down only where
docs/spec/rewards.md says so. If this page and the committee agree on every wei, the
specification is complete. Nothing here imports `ledger`.

Source: docs/spec/rewards.md (the numbers QN-REW-… beside each step).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor

from qnet.crypto.kdf import Label, derive_key

PPM = 1_000_000
CARRY = 900
BETA_NEW = Fraction(1, 4)
ENTRY, RELAY, MIX, EXIT = 1, 2, 3, 4
ACTIVE, RETIRED, JAILED, TOMBSTONED = 2, 3, 4, 5
ROLE_NAMES = {ENTRY: "entry", RELAY: "relay", MIX: "mix", EXIT: "exit"}
MIXES_OF_A_ROUTE = 3
FLOOR_PER_MIX_SECOND = 16


@dataclass(frozen=True, slots=True)
class NodeFact:
    """One node as the chain shows it: role and state are the registry's numbers, amounts wei."""

    index: int
    owner: bytes
    role: int
    state: int
    slot: bool
    bond_start: int
    bond_end: int
    pool_start: int
    pool_end: int
    cost: int
    margin: int

    @property
    def bond(self) -> int:
        """Own bond that counts (QN-REW-002)."""
        return min(self.bond_start, self.bond_end)

    def stake(self, factor: int) -> int:
        """Stake that counts: delegations only up to `factor` times the bond (QN-REW-002)."""
        first = self.bond_start + min(self.pool_start, factor * self.bond_start)
        last = self.bond_end + min(self.pool_end, factor * self.bond_end)
        return min(first, last)

    @property
    def takes_part(self) -> bool:
        """Active with stake (QN-REW-005)."""
        return self.state == ACTIVE and self.bond > 0


@dataclass(frozen=True, slots=True)
class Count:
    """A valid receipt: `side` 0 was signed by `source`, 1 by `target`."""

    slot: int
    source: int
    target: int
    side: int
    cells: int


@dataclass(frozen=True, slots=True)
class Probe:
    """A revealed audit result."""

    slot: int
    auditor: int
    target: int
    sent: int
    returned: int


@dataclass(frozen=True, slots=True)
class Burst:
    """A revealed capacity result: bytes received in so many microseconds."""

    auditor: int
    target: int
    size: int
    micros: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything one epoch's rewards depend on."""

    parameters: Mapping[str, int]
    budget: int
    nodes: Sequence[NodeFact]
    members: Sequence[bytes]
    beacons: Sequence[bytes]
    counts: Sequence[Count]
    probes: Sequence[Probe]
    bursts: Sequence[Burst]


@dataclass(slots=True)
class Memory:
    """What one epoch hands to the next: reputation, slot P, epoch P, kbit/s, traffic.

    `n_hat` is that of circuits in cells, `n_hat_mix` that of mixes in packets.
    """

    rho: dict[int, int] = field(default_factory=dict)
    last_p: dict[int, int] = field(default_factory=dict)
    history: dict[int, list[int]] = field(default_factory=dict)
    rate: dict[int, int] = field(default_factory=dict)
    n_hat: int = 0
    n_hat_mix: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One node's result: W and P in ppm; reward, and the operator's part of it, in wei."""

    w: int
    p: int
    reward: int
    operator: int

    @property
    def pool(self) -> int:
        """The delegators' part, wei."""
        return self.reward - self.operator


def recompute(facts: Facts, memory: Memory) -> dict[int, Outcome]:
    """Rewards of one epoch by registry index; `memory` moves on to the next epoch."""
    work, n_hat, n_hat_mix = _work(facts, memory)
    slots = {node.index: _slot_values(node.index, facts, memory) for node in facts.nodes}
    outcomes = {
        node.index: _outcome(node, work.get(node.index, 0), slots[node.index], facts)
        for node in facts.nodes
    }
    for node in facts.nodes:
        if not node.takes_part:
            _remember_idle(node, facts, memory)
        else:
            _remember(node.index, outcomes[node.index], slots[node.index][-1], facts, memory)
    memory.n_hat, memory.n_hat_mix = n_hat, n_hat_mix
    return outcomes


def _outcome(node: NodeFact, work: int, slot_values: Sequence[int], facts: Facts) -> Outcome:
    """P of the epoch (QN-REW-045) and the reward (QN-REW-050)."""
    drop = facts.parameters["slots_per_epoch"] // 12
    best = sorted(slot_values)[drop:]
    p = floor(Fraction(1000 * sum(best), len(best)))
    if not (node.takes_part and node.slot):
        return Outcome(work, p, 0, 0)
    role = ROLE_NAMES[node.role]
    budget = floor(Fraction(facts.budget * facts.parameters[f"weight_{role}_ppm"], PPM))
    stake = node.stake(facts.parameters["delegation_factor"])
    sigma = Fraction(_sigma(stake, facts), PPM)
    own = Fraction(_sigma(node.bond, facts), PPM)
    alpha = Fraction(facts.parameters["alpha_ppm"], PPM)
    bond_factor = (1 + alpha * own) / (1 + alpha)
    share = Fraction(budget, facts.parameters[f"slots_{role}"])
    exact = share * sigma * bond_factor * Fraction(p, PPM) ** 2 * Fraction(work, PPM)
    reward = floor(exact)
    outcome = Outcome(work, p, reward, 0)
    return replace(outcome, operator=_operator_part(node, outcome, stake, facts))


def _operator_part(node: NodeFact, outcome: Outcome, stake: int, facts: Facts) -> int:
    """Cost first, then the margin, then what the own bond earns (QN-REW-052)."""
    reward = outcome.reward
    cost = min(node.cost, facts.parameters["cost_max_wei"])
    margin = min(max(node.margin, facts.parameters["margin_min_ppm"]), PPM)
    present = floor(Fraction(cost * outcome.p, PPM))
    first = min(reward, floor(Fraction(present * outcome.w, PPM)))
    second = floor(Fraction((reward - first) * margin, PPM))
    third = floor(Fraction((reward - first - second) * node.bond, stake))
    return first + second + third


def _sigma(stake: int, facts: Facts) -> int:
    """Stake against Z in ppm (QN-REW-010)."""
    return min(floor(Fraction(stake * PPM, facts.parameters["stake_reference_wei"])), PPM)


def _weight(node: NodeFact, facts: Facts, memory: Memory, beta: Fraction) -> int:
    """Selection weight for a bandwidth factor (QN-REW-011, 013)."""
    history = memory.history.get(node.index)
    mean = floor(Fraction(sum(history), len(history))) if history else 900_000
    rho = memory.rho.get(node.index, facts.parameters["reputation_start_ppm"])
    stake = node.stake(facts.parameters["delegation_factor"])
    share = Fraction(_sigma(stake, facts), PPM) * Fraction(mean, PPM) ** 4
    return floor(10**9 * share * Fraction(rho, PPM) * beta)


def _beta(node: NodeFact, facts: Facts, memory: Memory) -> Fraction:
    """Bandwidth factor from the rate measured before the epoch (QN-REW-012)."""
    if node.index not in memory.rate:
        return BETA_NEW
    share = Fraction(memory.rate[node.index] * PPM, facts.parameters["capacity_reference_kbps"])
    return Fraction(min(floor(share), PPM), PPM)


def _work(facts: Facts, memory: Memory) -> tuple[dict[int, int], int, int]:
    """W of every node that takes part, the next N̂ of circuits and of mixes (QN-REW-020 to 034)."""
    nodes = {node.index: node for node in facts.nodes if node.takes_part}
    weight = {i: _weight(node, facts, memory, Fraction(1)) for i, node in nodes.items()}
    total: dict[int, int] = defaultdict(int)
    for i, node in nodes.items():
        total[node.role] += weight[i]
    credited = _credits(facts, memory, nodes)
    by_role = {
        role: sum(credited[i] for i, node in nodes.items() if node.role == role)
        for role in (ENTRY, RELAY, EXIT, MIX)
    }
    mixed = by_role.pop(MIX)
    work = {
        i: _work_factor(
            credited[i], weight[i], total[node.role], facts, _traffic(node, facts, memory)
        )
        for i, node in nodes.items()
    }
    return work, sorted(by_role.values())[1], mixed


def _traffic(node: NodeFact, facts: Facts, memory: Memory) -> tuple[int, int]:
    """N̂ of a node's plane, and the floor below which it says nothing (QN-REW-025, 034)."""
    least = facts.parameters["traffic_floor_cells"]
    if node.role == MIX:
        paid = [one for one in facts.nodes if one.role == MIX and one.takes_part and one.slot]
        seconds = facts.parameters["slots_per_epoch"] * facts.parameters["slot_s"]
        floor_of_loops = FLOOR_PER_MIX_SECOND * len(paid) * seconds
        return memory.n_hat_mix, least * MIXES_OF_A_ROUTE + floor_of_loops
    return memory.n_hat, least


def _work_factor(
    credited: int, weight: int, total: int, facts: Facts, traffic: tuple[int, int]
) -> int:
    """W in ppm (QN-REW-032, 033)."""
    n_hat, least = traffic
    if n_hat < least or total == 0:
        return PPM
    expected = floor(Fraction(n_hat * weight, total))
    target = floor(Fraction(expected * facts.parameters["work_target_ppm"], PPM))
    return PPM if target == 0 else min(PPM, floor(Fraction(credited * PPM, target)))


def _credits(facts: Facts, memory: Memory, nodes: Mapping[int, NodeFact]) -> dict[int, int]:
    """Credited cells, of mixes packets, per node (QN-REW-023 to 027)."""
    asked = {
        i: _weight(node, facts, memory, _beta(node, facts, memory)) for i, node in nodes.items()
    }
    matched = dict.fromkeys(nodes, 0)
    for (a, b), cells in match(facts.counts).items():
        if a not in nodes or b not in nodes or nodes[a].owner == nodes[b].owner:
            continue
        roles = {nodes[a].role, nodes[b].role}
        if roles in ({ENTRY, RELAY}, {RELAY, EXIT}, {MIX}):
            matched[a] += cells
            matched[b] += cells
        elif roles in ({ENTRY, MIX}, {EXIT, MIX}):
            matched[a if nodes[a].role == MIX else b] += cells
    clip = Fraction(facts.parameters["link_clip_ppm"], PPM)
    credited = {}
    for i, node in nodes.items():
        passed = floor(Fraction(matched[i], 2)) if node.role in (RELAY, MIX) else matched[i]
        volume = max(_traffic(node, facts, memory))
        group = sum(asked[j] for j, other in nodes.items() if other.role == node.role)
        most = floor(clip * volume * asked[i] / group) if group else 0
        credited[i] = min(passed, most)
    return credited


def match(counts: Iterable[Count]) -> dict[tuple[int, int], int]:
    """Cells per unordered pair that both sides signed within one bucket (QN-REW-020 to 023)."""
    sides: dict[tuple[int, int, int], dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for count in counts:
        sides[count.slot, count.source, count.target][count.side].add(count.cells)
    pairs: dict[tuple[int, int], int] = defaultdict(int)
    for (_, source, target), told in sides.items():
        if len(told[0]) == len(told[1]) == 1:
            (sent,), (received,) = told[0], told[1]
            if buckets_between(sent, received) <= 1:
                pairs[min(source, target), max(source, target)] += min(sent, received)
    return dict(pairs)


def bucket_number(cells: int) -> int:
    """Place of a bucket value among all of them: 16 to an octave, single steps below 16."""
    octave = max(0, cells.bit_length() - 5)
    return 16 * octave + (cells >> octave)


def buckets_between(a: int, b: int) -> int:
    """Distance of two bucket values."""
    return abs(bucket_number(a) - bucket_number(b))


def _slot_values(target: int, facts: Facts, memory: Memory) -> list[int]:
    """P of each slot in permille (QN-REW-040, 043, 044)."""
    values = []
    before = memory.last_p.get(target, CARRY)
    for slot in range(facts.parameters["slots_per_epoch"]):
        judged = _results(target, slot, facts)
        before = sorted(judged)[(len(judged) - 1) // 2] if len(judged) >= 3 else min(before, CARRY)
        values.append(before)
    return values


def _results(target: int, slot: int, facts: Facts) -> list[int]:
    told: dict[int, set[tuple[int, int]]] = defaultdict(set)
    drawn = _drawn(target, slot, facts)
    for probe in facts.probes:
        if (probe.slot, probe.target) == (slot, target) and probe.auditor in drawn:
            told[probe.auditor].add((probe.sent, probe.returned))
    return [
        floor(Fraction(returned * 1000, sent))
        for answers in told.values()
        if len(answers) == 1
        for sent, returned in answers
        if sent >= 1 and 0 <= returned <= sent
    ]


def _drawn(target: int, slot: int, facts: Facts) -> set[int]:
    """Members that must probe a target in a slot."""

    def draw(member: int) -> bytes:
        place = target.to_bytes(4, "big") + facts.members[member]
        return derive_key(Label.BEACON_DRAW, b"audit" + facts.beacons[slot] + place)

    wanted = min(facts.parameters["audits_per_slot"], len(facts.members))
    return set(sorted(range(len(facts.members)), key=draw)[:wanted])


def _remember_idle(node: NodeFact, facts: Facts, memory: Memory) -> None:
    """What remains of a node that took no part (QN-REW-044, QN-REW-061)."""
    memory.last_p.pop(node.index, None)
    start = facts.parameters["reputation_start_ppm"]
    rho = memory.rho.get(node.index, start)
    if node.state == JAILED:
        rho = min(rho, start)
    elif node.state in {RETIRED, TOMBSTONED}:
        rho = 0
    memory.rho[node.index] = rho


def _remember(index: int, outcome: Outcome, last: int, facts: Facts, memory: Memory) -> None:
    """Reputation and history after the epoch (QN-REW-060)."""
    parameters = facts.parameters
    rho = memory.rho.get(index, parameters["reputation_start_ppm"])
    quality = floor(Fraction(outcome.p * outcome.w, PPM))
    if quality > rho:
        rho += floor(Fraction(quality - rho, parameters["reputation_rise"]))
    else:
        rho -= floor(Fraction(rho - quality, parameters["reputation_fall"]))
    memory.rho[index] = rho
    memory.last_p[index] = last
    memory.history[index] = [*memory.history.get(index, []), outcome.p][-7:]
    rate = _rate(index, facts)
    if rate is not None:
        memory.rate[index] = rate


def _rate(target: int, facts: Facts) -> int | None:
    """Lower median of the auditors' kbit/s, if three or more measured (QN-REW-012)."""
    limit = facts.parameters["capacity_burst_bytes"]
    told: dict[int, int] = {}
    for burst in facts.bursts:
        if burst.target == target and 0 < burst.size <= limit and burst.micros > 0:
            kbps = floor(Fraction(8000 * burst.size, burst.micros))
            told[burst.auditor] = max(kbps, told.get(burst.auditor, 0))
    rates = sorted(told.values())
    return rates[(len(rates) - 1) // 2] if len(rates) >= 3 else None
