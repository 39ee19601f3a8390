"""One network over many epochs: agents, traffic, audits, pay, jail and slashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Final

from ledger.domain.audits import measured_kbps
from ledger.domain.reputation import node_weight
from ledger.domain.rewards import Pair, measure_work, role_budget, role_slots
from ledger.domain.stake import slash_parts
from ledger.domain.state import CIRCUIT_ROLES, M, NetworkState, NodeState, NodeView
from qnet.messages.audit import CapacityResult
from qnet.messages.descriptor import Role
from qnet.parameters import NetworkParameters
from tools.bench.economy.agents import (
    PROBE_LOSS,
    Agent,
    Attack,
    coalition,
    populate,
    scaled_parameters,
)
from tools.bench.economy.books import Closing, Measured, close
from tools.bench.economy.chance import seeded
from tools.bench.economy.probing import Odds, draw_slots
from tools.bench.economy.traffic import CELLS, CIRCUITS, Flow, Hops, Lane, Users

BAD_EPOCHS: Final = 5
BAD_SPAN: Final = 7
"""So many epochs with P below one half within this span jail a node (docs/spec/disputes.md)."""
DAY_S: Final = 86_400
INVENTED_CELLS: Final = 1 << 44
"""What forgers sign for each other: far above any clip."""
CHECK_EVERY: Final = 30
"""Epochs between two comparisons with what would be without forged receipts."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One run.

    Attributes:
        attack: What the coalition does.
        share: Its share of every role.
        seed: Of all chance.
        epochs: Length.
        circuits: That stand for all of an epoch.
        cells: Of all users in an epoch.
        probes: Probes of one auditor in one slot; None for `probes_per_slot`.
    """

    attack: Attack
    share: float
    seed: int
    epochs: int
    circuits: int = CIRCUITS
    cells: int = CELLS
    probes: int | None = None


@dataclass(slots=True)
class Outcome:
    """What a run showed.

    Attributes:
        setting: The run.
        agents: Nodes with what they earned and carried.
        paid_wei: Total of each epoch.
        overpaid: Epochs in which a budget, of a role or in all, was exceeded, or a node got more
            than its slot.
        unsplit: Rewards whose parts did not add up.
        n_hat_excess: Largest rise of N̂ through forged receipts against the bound of QN-REW-028.
        forged_w_ppm: Largest rise of a node's W through forged receipts.
        n_hat_cells: N̂ after each epoch.
    """

    setting: Setting
    agents: list[Agent]
    paid_wei: list[int] = field(default_factory=list)
    overpaid: int = 0
    unsplit: int = 0
    n_hat_excess: float = 0.0
    forged_w_ppm: int = 0
    n_hat_cells: list[int] = field(default_factory=list)


def simulate(setting: Setting) -> Outcome:
    """Run a network."""
    world = World(setting)
    for epoch in range(setting.epochs):
        world.step(epoch)
    return world.outcome


class World:
    """A network between two epochs.

    Args:
        setting: The run.
        parameters: Those of the main network, scaled, if none are given.
    """

    def __init__(self, setting: Setting, parameters: NetworkParameters | None = None) -> None:
        self.parameters = parameters or scaled_parameters()
        self.agents = populate(setting.attack, setting.share, self.parameters)
        self.state = NetworkState()
        self.outcome = Outcome(setting, self.agents)
        self._attack = setting.attack
        self._random = seeded("economy", setting.seed)
        self._users = Users(self._random, setting.circuits, setting.cells)
        self._owners = {agent.index: agent.owner for agent in self.agents}
        self._probes = setting.probes or self.parameters.probes_per_slot
        self._kbps = {agent.index: self._burst(agent) for agent in self.agents}

    def step(self, epoch: int) -> Closing:
        """One epoch from its first circuit to its pay."""
        self._police(epoch)
        views = [self.view(agent) for agent in self.agents]
        weights = self.weights(views)
        flow = self._traffic(epoch, weights)
        honest = flow.receipts()
        matched = self._with_forged(honest)
        measured = self._audit(views, weights)
        closing = close(epoch, views, matched, measured, self.state, self.parameters)
        if matched is not honest and epoch % CHECK_EVERY == CHECK_EVERY - 1:
            self._compare_forged(views, honest, closing)
        self._book(closing, flow)
        self.state = closing.after
        return closing

    def view(self, agent: Agent) -> NodeView:
        """A node as registry and hub show it."""
        return NodeView(
            index=agent.index,
            owner=agent.owner,
            role=agent.role,
            state=agent.state,
            slot=agent.slot,
            receipt_key=agent.owner,
            bond_start_wei=agent.bond_wei,
            bond_end_wei=agent.bond_wei,
            pool_start_wei=agent.pool.assets_wei,
            pool_end_wei=agent.pool.assets_wei,
            cost_wei=self.parameters.cost_max_wei,
            margin_ppm=self.parameters.margin_min_ppm,
        )

    def weights(self, views: Sequence[NodeView]) -> dict[Role, dict[int, int]]:
        """Selection weights as the consensus lists them."""
        start = self.parameters.reputation_start_ppm
        found: dict[Role, dict[int, int]] = {role: {} for role in CIRCUIT_ROLES}
        for view in views:
            if view.takes_part:
                record = self.state.record(view.index, start)
                if not record.kbps:
                    record = replace(record, kbps=self._kbps[view.index])
                stake = view.stake_wei(self.parameters.delegation_factor)
                found[view.role][view.index] = node_weight(record, stake, self.parameters)
        return found

    def _burst(self, agent: Agent) -> int:
        """The rate that auditors measure."""
        size = self.parameters.capacity_burst_bytes
        kbps = agent.behaviour.offers * self.parameters.capacity_reference_kbps
        micros = max(1, round(size * 8_000 / kbps))
        bursts = [CapacityResult(0, auditor, agent.index, size, micros) for auditor in range(3)]
        return measured_kbps(agent.index, bursts, size, 0)

    def _traffic(self, epoch: int, weights: Mapping[Role, Mapping[int, int]]) -> Flow:
        lanes = [Lane.of(weights[role]) for role in CIRCUIT_ROLES]
        lost = {agent.index: _loss(agent) for agent in self.agents}
        paths = self._users.circuits(epoch, lanes, self._owners, lost)
        volume = self._users.volume()
        flow = Flow()
        for hops, times in paths.items():
            entry, relay, end = hops
            kept = (1 - lost[entry]) * (1 - lost[relay]) * (1 - lost[end])
            flow.add(hops, int(times * volume * kept))
        self._buy(flow, volume)
        return flow

    def _buy(self, flow: Flow, volume: int) -> None:
        """Traffic that the coalition pays for itself, over its own nodes."""
        if not self._attack.buys:
            return
        paths = _own_paths(self.agents)
        cells = int(self._attack.buys * volume * self.outcome.setting.circuits)
        for hops in paths:
            flow.add(hops, cells // len(paths))

    def _with_forged(self, matched: dict[Pair, int]) -> dict[Pair, int]:
        """Receipts with those that the coalition signs for traffic that never was."""
        if not self._attack.forges:
            return matched
        ours = {
            role: [agent.index for agent in coalition(self.agents) if agent.role is role]
            for role in CIRCUIT_ROLES
        }
        forged = dict(matched)
        for relay in ours[Role.RELAY]:
            for other in (*ours[Role.ENTRY], *ours[Role.EXIT]):
                forged[min(relay, other), max(relay, other)] = INVENTED_CELLS
        return forged

    def _audit(
        self, views: Sequence[NodeView], weights: Mapping[Role, Mapping[int, int]]
    ) -> dict[int, Measured]:
        lost = {agent.index: _loss(agent) for agent in self.agents}
        mean = {
            role: _mean({index: lost[index] for index in found}, found)
            for role, found in weights.items()
        }
        odds: dict[tuple[Role, float, bool], Odds] = {}
        measured = {}
        for agent, view in zip(self.agents, views, strict=True):
            if not view.takes_part:
                continue
            key = (agent.role, lost[agent.index], agent.attacks)
            if key not in odds:
                kept = prod(1 - mean[role] for role in CIRCUIT_ROLES if role is not agent.role)
                odds[key] = Odds(
                    target=lost[agent.index],
                    others=1 - kept,
                    control=mean[agent.role],
                    wicked=self._attack.auditors,
                    praised=agent.attacks,
                    probes=self._probes,
                ).rounded
            slots = draw_slots(odds[key], self.parameters, self._random)
            measured[agent.index] = Measured(slots, self._kbps[agent.index])
        return measured

    def _police(self, epoch: int) -> None:
        """Jail, release, slash, and hand out free slots."""
        for agent in self.agents:
            if agent.state is NodeState.JAILED and agent.jailed_until <= epoch:
                agent.state = NodeState.ACTIVE
            if agent.state is NodeState.ACTIVE and self._misbehaved(agent, epoch):
                agent.state, agent.slot = NodeState.JAILED, False
                agent.jailed_until = epoch + self.parameters.jail_s // DAY_S
            if agent.attacks and epoch == self._attack.equivocates_at:
                self._slash(agent)
        waiting = [a for a in self.agents if a.state is NodeState.ACTIVE and not a.slot]
        for agent in sorted(waiting, key=lambda agent: not agent.attacks):
            taken = sum(other.slot for other in self.agents if other.role is agent.role)
            agent.slot = taken < role_slots(agent.role, self.parameters)

    def _misbehaved(self, agent: Agent, epoch: int) -> bool:
        history = self.state.record(agent.index, 0).history_ppm[-BAD_SPAN:]
        since = epoch - agent.jailed_until if agent.jailed_until else epoch
        seen = history[max(0, len(history) - since) :]
        return sum(2 * p_ppm < M for p_ppm in seen) >= BAD_EPOCHS

    def _slash(self, agent: Agent) -> None:
        """Proven equivocation: a part of the bond, and exclusion for good."""
        stake = agent.bond_wei + agent.pool.assets_wei
        parts = slash_parts(
            agent.bond_wei,
            agent.pool.assets_wei,
            {},
            {},
            ppm=self.parameters.slash_receipts_ppm,
            max_wei=stake * self.parameters.slash_cap_ppm // M,
        )
        agent.bond_wei -= parts.bond
        agent.slashed_wei += parts.bond
        agent.pool = agent.pool.slashed(parts.pool)
        agent.state, agent.slot = NodeState.TOMBSTONED, False

    def _book(self, closing: Closing, flow: Flow) -> None:
        totals = dict.fromkeys(Role, 0)
        over = False
        for agent in self.agents:
            if agent.state in {NodeState.ACTIVE, NodeState.JAILED}:
                agent.lived += 1
            agent.cells += flow.cells[agent.index]
            paid = closing.paid.get(agent.index)
            if paid is None:
                continue
            agent.w_sum += paid.w_ppm
            agent.p_sum += paid.p_ppm
            agent.operator_wei += paid.operator_wei
            agent.pool_wei += paid.pool_wei
            self.outcome.unsplit += paid.operator_wei + paid.pool_wei != paid.reward_wei
            totals[agent.role] += paid.reward_wei
            over = over or paid.reward_wei > slot_reward(agent.role, self.parameters)
        over = over or sum(totals.values()) > self.parameters.emission_wei
        over = over or any(
            wei > role_budget(self.parameters.emission_wei, role, self.parameters)
            for role, wei in totals.items()
        )
        self.outcome.overpaid += over
        self.outcome.paid_wei.append(sum(totals.values()))
        self.outcome.n_hat_cells.append(closing.work.n_hat_cells)

    def _compare_forged(
        self, views: Sequence[NodeView], honest: Mapping[Pair, int], closing: Closing
    ) -> None:
        """What forged receipts moved: W, and N̂ against what the clip lets the coalition credit."""
        without = measure_work(views, honest, self.state, self.parameters)
        moved = closing.work.n_hat_cells - without.n_hat_cells
        raised = (w_ppm - without.work_ppm[index] for index, w_ppm in closing.work.work_ppm.items())
        self.outcome.forged_w_ppm = max(self.outcome.forged_w_ppm, *raised)
        ours = {agent.index for agent in coalition(self.agents)}
        bound = max(
            sum(
                closing.work.credited[agent.index]
                for agent in self.agents
                if agent.index in ours and agent.role is role and agent.index in closing.paid
            )
            for role in CIRCUIT_ROLES
        )
        self.outcome.n_hat_excess = max(self.outcome.n_hat_excess, moved / max(bound, 1))


def slot_reward(role: Role, parameters: NetworkParameters) -> int:
    """Most that one slot of a role pays in an epoch, in wei."""
    budget = role_budget(parameters.emission_wei, role, parameters)
    return budget // role_slots(role, parameters)


def _loss(agent: Agent) -> float:
    """Share of circuits that die at a node, by its will or not."""
    return 1 - (1 - PROBE_LOSS) * (1 - agent.behaviour.drops)


def _mean(values: Mapping[int, float], weights: Mapping[int, int]) -> float:
    total = sum(weights.values())
    return sum(values[index] * weight for index, weight in weights.items()) / total


def _own_paths(agents: Sequence[Agent]) -> list[Hops]:
    ours = [
        [agent.index for agent in coalition(agents) if agent.role is role] for role in CIRCUIT_ROLES
    ]
    return [(entry, relay, end) for entry in ours[0] for relay in ours[1] for end in ours[2]]
