"""Profit: what a coalition was paid, less what its nodes cost, against the same nodes honest."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from qnet.messages.descriptor import Role
from tools.bench.economy.agents import Agent, operators_of, role_counts, scaled_parameters
from tools.bench.economy.world import Outcome, Setting, slot_reward

FIXED_COST: Final = 0.08
"""Cost of a node that carries nothing, as a share of what a slot can pay."""
TRAFFIC_COST: Final = 0.12
"""Cost of an even share of all traffic, likewise; with the fixed part 5 QNET for a relay, which is
what `cost_max_wei` lets an operator take first."""
_T_975: Final = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
_Z_975: Final = 1.96
_TRIFLE: Final = 1e-6
"""QNET."""
_WEI: Final = 10**18


@dataclass(frozen=True, slots=True)
class Books:
    """One coalition over one run, in QNET.

    Attributes:
        income: Paid to its operators, less bonds slashed.
        reward: Paid to operators and delegators together.
        fixed: Cost of running the nodes.
        traffic: Work, in even shares of traffic times what a slot can pay: at a cost of traffic of
            1 this is the cost.
        work: Mean W.
        performance: Mean P.
    """

    income: float
    reward: float
    fixed: float
    traffic: float
    work: float
    performance: float

    def profit(self, traffic_cost: float = TRAFFIC_COST) -> float:
        """Income less costs."""
        return self.income - self.fixed - traffic_cost * self.traffic


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and half the width of its 95 % confidence interval."""

    mean: float
    half: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Interval:
        """From independent samples (Student's distribution)."""
        count = len(samples)
        if count < 2:
            return cls(statistics.fmean(samples), math.inf)
        places = count - 2
        factor = _T_975[places] if places < len(_T_975) else _Z_975 * (1 + 1.5 / places)
        return cls(statistics.fmean(samples), factor * statistics.stdev(samples) / math.sqrt(count))

    @property
    def low(self) -> float:
        """Lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Upper end."""
        return self.mean + self.half


def books_of(outcome: Outcome, share: float) -> Books:
    """Books of the first operators of each role."""
    parameters = scaled_parameters()
    slots = role_counts(parameters)
    setting = outcome.setting
    members = [a for a in outcome.agents if _belongs(a, share, slots, setting)]
    fixed = traffic = 0.0
    for agent in members:
        most = slot_reward(agent.role, parameters) / _WEI
        even = setting.cells / slots[agent.role]
        fixed += FIXED_COST * most * agent.lived
        traffic += most * agent.cells / even
    income = sum(agent.operator_wei - agent.slashed_wei for agent in members) / _WEI
    reward = sum(agent.operator_wei + agent.pool_wei for agent in members) / _WEI
    epochs = setting.epochs * len(members)
    work = sum(agent.w_sum for agent in members) / epochs / 1e6
    performance = sum(agent.p_sum for agent in members) / epochs / 1e6
    return Books(income, reward, fixed, traffic, work, performance)


def _belongs(agent: Agent, share: float, slots: dict[Role, int], setting: Setting) -> bool:
    """Whether a node is of the coalition, or stands in its place in an honest run."""
    if setting.share:
        return agent.attacks
    return agent.rank < operators_of(share, slots[agent.role])


@dataclass(frozen=True, slots=True)
class Comparison:
    """An attack by a coalition of one share against the same nodes honest.

    Attributes:
        setting: The attack, with the first seed.
        profit: Difference, as a share of the honest profit.
        income: Difference of income, likewise.
        traffic: Work done, as a share of the honest work.
        lost: Income lost by it, in QNET.
        saved: Work saved by it, in QNET of cost at a traffic cost of 1; negative if it works more.
        work: Mean W.
        performance: Mean P that the audits found.
        others_work: Mean W of the nodes that do not attack.
    """

    setting: Setting
    profit: Interval
    income: Interval
    traffic: float
    lost: float
    saved: float
    work: float
    performance: float
    others_work: float

    @property
    def loses(self) -> bool:
        """Whether the attack costs money, beyond chance."""
        return self.profit.high < 0

    @property
    def gains(self) -> bool:
        """Whether it brings money, beyond chance."""
        return self.profit.low > 0

    @property
    def pays(self) -> str:
        """For which cost of an even share of traffic, against what a slot pays, it pays."""
        turn = self.lost / self.saved if abs(self.saved) > _TRIFLE else 0.0
        if abs(self.lost) + abs(self.saved) <= 2 * _TRIFLE:
            return "no difference"
        if self.lost <= 0 <= self.saved:
            return "always"
        if self.saved <= 0 <= self.lost:
            return "never"
        return f"{'above' if self.saved > 0 else 'below'} {100 * turn:.1f} %"

    @property
    def verdict(self) -> str:
        """In one word."""
        return "loses" if self.loses else "gains" if self.gains else "even"


def compare(pairs: Iterable[tuple[Outcome, Outcome]], share: float) -> Comparison:
    """Compare runs of an attack with honest runs of the same seeds.

    Args:
        pairs: (honest, attack).
        share: Of every role that the coalition holds.
    """
    found = [(books_of(honest, share), books_of(attack, share), attack) for honest, attack in pairs]
    honest = [one for one, _, _ in found]
    attack = [one for _, one, _ in found]
    scale = statistics.fmean(one.profit() for one in honest)
    profits = [b.profit() - a.profit() for a, b in zip(honest, attack, strict=True)]
    incomes = [
        (b.income - b.fixed) - (a.income - a.fixed) for a, b in zip(honest, attack, strict=True)
    ]
    return Comparison(
        setting=found[0][2].setting,
        profit=Interval.of([value / scale for value in profits]),
        income=Interval.of([value / scale for value in incomes]),
        traffic=statistics.fmean(
            b.traffic / a.traffic for a, b in zip(honest, attack, strict=True)
        ),
        lost=-statistics.fmean(incomes),
        saved=statistics.fmean(a.traffic - b.traffic for a, b in zip(honest, attack, strict=True)),
        work=statistics.fmean(one.work for one in attack),
        performance=statistics.fmean(one.performance for one in attack),
        others_work=statistics.fmean(_others_work(outcome) for _, _, outcome in found),
    )


def _others_work(outcome: Outcome) -> float:
    others = [agent.w_sum for agent in outcome.agents if not agent.attacks]
    return statistics.fmean(others) / outcome.setting.epochs / 1e6
