"""Holders who move their stake to whatever paid most, and one who comes only to be paid."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from ledger.domain.state import NodeState, NodeView
from tools.bench.economy.agents import NO_ATTACK, Agent, Behaviour
from tools.bench.economy.chance import seeded
from tools.bench.economy.world import DAY_S, Setting, World

HOLDERS: Final = 300
CHASERS: Final = 0.5
"""Share of the holders who chase yield; the others stay where they are."""
MOVES: Final = 1 / 14
"""Chance that a chaser looks around in an epoch."""
LOOKS_BACK: Final = 7
"""Epochs whose yield a chaser compares."""
BAD_DROPS: Final = 0.6
"""Every tenth node loses this share of its circuits, so that there is a difference to chase."""
POOLED: Final = 0.6
"""All delegations together, as a share of what the nodes could count."""


@dataclass(slots=True)
class Holder:
    """One who delegates.

    Attributes:
        node: Place of the node in the list of agents.
        shares: Of its pool.
        chases: Whether it looks around.
        put_wei: Delegated at first.
        free_from: Epoch from which it may move again.
    """

    node: int
    shares: int
    chases: bool
    put_wei: int
    free_from: int = 0


@dataclass(slots=True)
class Holdings:
    """What became of the holders.

    Attributes:
        chasing_yield: Gain of those who chased, share of what they put in, for a year.
        staying_yield: Gain of those who stayed.
        largest: Most stake that ever lay at one node, against Z.
        visitor_gain_wei: What somebody gained who delegated before each report and left after it.
        slots_kept: Whether no node ever got more than its slot.
        samples: (epoch, share of delegations with bad nodes).
    """

    chasing_yield: float = 0.0
    staying_yield: float = 0.0
    largest: float = 0.0
    visitor_gain_wei: int = 0
    slots_kept: bool = True
    samples: list[tuple[int, float]] = field(default_factory=list)


class Market(World):
    """A network whose delegations move.

    Args:
        seed: Of all chance.
        epochs: Length.
        circuits: That stand for all of an epoch.
    """

    def __init__(self, seed: int, epochs: int, circuits: int) -> None:
        super().__init__(Setting(NO_ATTACK, 0.0, seed, epochs, circuits))
        self._chance = seeded("market", seed)
        for place, agent in enumerate(self.agents):
            agent.pool = replace(agent.pool, assets_wei=0, shares=0)
            agent.behaviour = Behaviour(drops=BAD_DROPS if place % 10 == 9 else 0.0)
        self.holders = [self._settle() for _ in range(HOLDERS)]
        self._at_start = [agent.pool.assets_wei for agent in self.agents]
        self._paid: list[list[int]] = [[] for _ in self.agents]
        self.found = Holdings()

    def view(self, agent: Agent) -> NodeView:
        """A node; its pool may have changed since the epoch began."""
        view = super().view(agent)
        return replace(view, pool_start_wei=self._at_start[agent.index - 1])

    def day(self, epoch: int) -> None:
        """One epoch: move, be paid, settle."""
        self._at_start = [agent.pool.assets_wei for agent in self.agents]
        now = epoch * DAY_S
        for holder in self.holders:
            if holder.chases and holder.free_from <= epoch and self._chance.random() < MOVES:
                self._move(holder, epoch, now)
        self._visit(now)
        before = [agent.pool_wei for agent in self.agents]
        self.step(epoch)
        for place, agent in enumerate(self.agents):
            earned = agent.pool_wei - before[place]
            agent.pool = agent.pool.rewarded(earned, now, self.parameters.stream_s)
            self._paid[place].append(earned)
        self._look(epoch)

    def report(self, epochs: int) -> Holdings:
        """What it came to, when all that streams has arrived."""
        now = epochs * DAY_S + self.parameters.stream_s
        found = self.found
        for chases in (True, False):
            group = [holder for holder in self.holders if holder.chases is chases]
            put = sum(holder.put_wei for holder in group)
            worth = sum(self.agents[holder.node].pool.worth(holder.shares, now) for holder in group)
            gain = (worth - put) / put * 365 / epochs
            if chases:
                found.chasing_yield = gain
            else:
                found.staying_yield = gain
        found.slots_kept = self.outcome.overpaid == 0
        return found

    def _settle(self) -> Holder:
        room = self.parameters.stake_reference_wei * POOLED
        amount = int(room * len(self.agents) / HOLDERS * self._chance.uniform(0.5, 1.5))
        place = self._chance.randrange(len(self.agents))
        agent = self.agents[place]
        agent.pool, shares = agent.pool.deposited(amount, 0)
        return Holder(place, shares, self._chance.random() < CHASERS, amount)

    def _move(self, holder: Holder, epoch: int, now: int) -> None:
        """Redelegate to the node whose delegators earned most for their stake."""
        best = max(range(len(self.agents)), key=self._yield)
        if best == holder.node or self._yield(best) <= self._yield(holder.node):
            return
        source, target = self.agents[holder.node], self.agents[best]
        worth = source.pool.worth(holder.shares, now)
        if target.pool.assets_wei + worth > self.parameters.delegation_factor * target.bond_wei:
            return
        source.pool, amount = source.pool.withdrawn(holder.shares, now)
        target.pool, holder.shares = target.pool.deposited(amount, now)
        holder.node = best
        holder.free_from = epoch + self.parameters.unbond_s // DAY_S + 1

    def _yield(self, place: int) -> float:
        """Pay of a pool in the last days for what lies in it now; nothing from jail."""
        agent = self.agents[place]
        if agent.state is not NodeState.ACTIVE:
            return 0.0
        return sum(self._paid[place][-LOOKS_BACK:]) / max(agent.pool.assets_wei, 1)

    def _visit(self, now: int) -> None:
        """Somebody delegates just before rewards arrive and leaves right after."""
        agent = self.agents[0]
        amount = agent.bond_wei
        pool, shares = agent.pool.deposited(amount, now)
        reward = sum(self._paid[0][-1:])
        worth = pool.rewarded(reward, now, self.parameters.stream_s).worth(shares, now)
        self.found.visitor_gain_wei += worth - amount

    def _look(self, epoch: int) -> None:
        held = sum(agent.pool.assets_wei for agent in self.agents)
        bad = sum(agent.pool.assets_wei for agent in self.agents if agent.behaviour.drops)
        most = max(agent.bond_wei + agent.pool.assets_wei for agent in self.agents)
        self.found.largest = max(self.found.largest, most / self.parameters.stake_reference_wei)
        self.found.samples.append((epoch, bad / held))


def chase(seed: int, epochs: int, circuits: int) -> Holdings:
    """A market over many epochs."""
    market = Market(seed, epochs, circuits)
    for epoch in range(epochs):
        market.day(epoch)
    return market.report(epochs)
