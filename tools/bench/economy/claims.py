"""What the design promises, each as a check with a name, and what it concedes, as figures."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tools.bench.economy import sweep
from tools.bench.economy.account import Comparison
from tools.bench.economy.agents import Attack, scaled_parameters
from tools.bench.economy.delegation import Holdings
from tools.bench.economy.exact import SPLITS, one_sided_lie, split_pays, two_receipts
from tools.bench.economy.sweep import ONE_SHARE
from tools.bench.economy.world import Outcome

TRUTH_CELLS: Final = 1_000_000
VOLUME_TOLERANCE: Final = 0.01
"""Pay of a network with ten times the traffic may differ by this share: chance of circuits."""
NO_CHANGE: Final = 0.005
"""Share of honest profit below which a difference is chance and rounding."""
RESOLUTION: Final = 0.05
"""Least share of dropped circuits that audits are to see; below it, `concessions` tells."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One promise.

    Attributes:
        name: Of the check.
        source: Where it stands.
        holds: Whether it does.
        found: The figures.
    """

    name: str
    source: str
    holds: bool
    found: str

    def row(self) -> dict[str, Any]:
        """For the result."""
        return {
            "claim": self.name,
            "source": self.source,
            "holds": self.holds,
            "found": self.found,
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was simulated.

    Attributes:
        comparisons: By attack and share.
        outcomes: All runs.
        calm: Honest runs.
        busy: The same with ten times the traffic.
        markets: Delegators who chase yield.
    """

    comparisons: Mapping[tuple[Attack, float], Comparison]
    outcomes: Sequence[Outcome]
    calm: Sequence[Outcome]
    busy: Sequence[Outcome]
    markets: Sequence[Holdings]

    def of(self, attack: Attack) -> list[Comparison]:
        """One attack with all its shares, ascending."""
        found = [(share, c) for (other, share), c in self.comparisons.items() if other == attack]
        return [comparison for _, comparison in sorted(found, key=lambda item: item[0])]

    def named(self, name: str) -> list[Comparison]:
        """All levels of an attack, at the one share."""
        return [
            comparison
            for (attack, share), comparison in self.comparisons.items()
            if attack.name == name and share == ONE_SHARE
        ]


def judge(evidence: Evidence) -> list[Claim]:
    """Check every promise."""
    return [check(evidence) for check in CHECKS]


def emission_within_budget(evidence: Evidence) -> Claim:
    """No epoch of any run pays more than its budget, a role's part of it, or a slot."""
    over = sum(outcome.overpaid for outcome in evidence.outcomes)
    epochs = sum(len(outcome.paid_wei) for outcome in evidence.outcomes)
    most = max(max(outcome.paid_wei) for outcome in evidence.outcomes)
    budget = scaled_parameters().emission_wei
    return Claim(
        "EmissionWithinBudget",
        "QN-REW-051",
        over == 0,
        f"{over} of {epochs:,} epochs above; most paid {100 * most / budget:.1f} % of the budget",
    )


def split_conserves(evidence: Evidence) -> Claim:
    """What operator and delegators get together is the reward."""
    broken = sum(outcome.unsplit for outcome in evidence.outcomes)
    return Claim("SplitConserves", "QN-REW-052", broken == 0, f"{broken} rewards do not add up")


def volume_mints_nothing(evidence: Evidence) -> Claim:
    """Ten times the traffic pays no more."""
    ratio = statistics.fmean(
        sum(busy.paid_wei) / sum(calm.paid_wei)
        for busy, calm in zip(evidence.busy, evidence.calm, strict=True)
    )
    return Claim(
        "VolumeMintsNothing",
        "QN-REW-051",
        ratio <= 1 + VOLUME_TOLERANCE,
        f"ten times the traffic pays {ratio:.4f} times as much",
    )


def splitting_never_pays(evidence: Evidence) -> Claim:
    """Below Z, one stake over many nodes earns less: exactly, and over a year."""
    parameters = scaled_parameters()
    exact = {parts: 100 * split_pays(parts, parameters) for parts in SPLITS}
    as_told = all(round(exact[parts]) == told for parts, told in SPLITS.items())
    found = [c for attack in sweep.SPLITTING for c in evidence.of(attack)]
    shares = "/".join(f"{exact[parts]:.1f}" for parts in SPLITS if parts > 1)
    return Claim(
        "SplittingNeverPays",
        "QN-REW-053",
        as_told and all(c.loses for c in found),
        f"over 2/4/10 nodes {shares} %; {_range(found)}",
    )


def hurting_pays_nothing(evidence: Evidence) -> Claim:
    """What rivals lose goes to nobody."""
    found = evidence.of(sweep.HURTING)
    return Claim(
        "HurtingPaysNothing",
        "QN-REW-051",
        all(c.income.mean <= NO_CHANGE and c.profit.mean <= NO_CHANGE for c in found),
        f"rivals lose 60 % of circuits: {_range(found)}",
    )


def lazy_loses(evidence: Evidence) -> Claim:
    """Serving less than the target costs more than it saves: nothing below earns as much."""
    swept, levels = evidence.of(sweep.LAZY), evidence.named("lazy")
    target = max(c.profit.mean for c in levels if _offers(c) == sweep.TARGET)
    below = [c for c in levels if _offers(c) < sweep.TARGET]
    holds = all(c.loses for c in swept) and all(c.profit.mean < target for c in below)
    return Claim(
        "LazyLosesBelowTarget",
        "QN-REW-033",
        holds,
        f"offers 40 %: {_range(swept)}; {_levels(below)}; offers the target: {100 * target:+.1f} %",
    )


def dropping_loses(evidence: Evidence) -> Claim:
    """Letting circuits die costs more than it saves."""
    found = [
        c
        for c in (*evidence.of(sweep.DROPPING), *evidence.named("dropping"))
        if c.setting.attack.behaviour.drops >= RESOLUTION
    ]
    paying = sorted({c.setting.attack.level for c in found if not c.loses}, key=_number)
    told = f"does not lose: {', '.join(paying)}; " if paying else ""
    return Claim("DroppingLoses", "QN-REW-044, 050", not paying, told + _range(found))


def self_dealing_pays_nothing(evidence: Evidence) -> Claim:
    """Traffic between one's own nodes: invented, it leaves W as it is; bought, it costs."""
    invented = [o for o in evidence.outcomes if o.setting.attack == sweep.SELF_DEALING]
    bought = evidence.of(sweep.BUYING)
    raised = max((outcome.forged_w_ppm for outcome in invented), default=0)
    return Claim(
        "SelfDealingPaysNothing",
        "QN-REW-024",
        raised == 0 and all(c.loses for c in bought),
        f"receipts between nodes of one owner raise W by {raised} ppm; bought: {_range(bought)}",
    )


def one_sided_lie_pays_nothing(_: Evidence) -> Claim:
    """A count that the neighbour does not sign earns no more than the truth; two earn nothing."""
    lies = [TRUTH_CELLS * factor // 100 for factor in (50, 90, 104, 110, 200, 100_000)]
    truth = one_sided_lie(TRUTH_CELLS, TRUTH_CELLS, sender_lies=True)
    told = max(
        one_sided_lie(TRUTH_CELLS, lie, sender_lies=s) for lie in lies for s in (True, False)
    )
    twice = two_receipts(TRUTH_CELLS, 2 * TRUTH_CELLS)
    return Claim(
        "OneSidedLiePaysNothing",
        "QN-REW-020, 022",
        told <= truth and twice == 0,
        f"truth {truth:,} cells, best lie {told:,}, two receipts {twice}",
    )


def forgers_earn_what_honest_earn(evidence: Evidence) -> Claim:
    """Forged receipts bring at most the pay of honest nodes, and N̂ moves by the clip at most."""
    found = evidence.of(sweep.FORGING)
    most = max(c.income.mean for c in found)
    moved = max(o.n_hat_excess for o in evidence.outcomes if o.setting.attack.forges)
    return Claim(
        "ForgersEarnAtMostHonest",
        "QN-REW-028",
        most <= NO_CHANGE and moved <= 1,
        f"income at most {100 * most:+.2f} % of honest profit; N̂ moved {100 * moved:.0f} % of "
        "what the clip allows",
    )


def faking_pays_nothing(evidence: Evidence) -> Claim:
    """Forged receipts do not pay for the work they replace, at any share."""
    found = evidence.of(sweep.FORGING)
    paying = [c.setting.share for c in found if not c.loses]
    first = found[0] if found else None
    told = f"W {first.work:.2f} at a share of {100 * first.setting.share:g} %; " if first else ""
    return Claim("FakingPaysNothing", "ADR 0006", not paying, told + _range(found))


def minority_of_auditors_gains_nothing(evidence: Evidence) -> Claim:
    """Five of sixteen members who lie bring their nodes nothing, whether those serve or drop."""
    found = [*evidence.of(sweep.BLAMING), *evidence.of(sweep.AUDITORS)]
    paying = sorted({c.setting.attack.level for c in found if c.profit.mean > NO_CHANGE})
    told = f"gains when it {', '.join(paying)}; " if paying else ""
    return Claim("AuditorMinorityGainsNothing", "QN-REW-044", not paying, told + _range(found))


def minority_of_auditors_blames_nobody(evidence: Evidence) -> Claim:
    """Five of sixteen members who lie do not lower the P of honest nodes."""
    levels = [
        statistics.fmean(a.p_sum / len(o.paid_wei) / 1e6 for a in o.agents if not a.attacks)
        for o in evidence.outcomes
        if o.setting.attack == sweep.BLAMING
    ]
    worst = min(levels)
    return Claim(
        "AuditorMinorityBlamesNobody",
        "QN-REW-044",
        worst >= 1 - VOLUME_TOLERANCE,
        f"mean P of honest nodes {worst:.4f} with five liars among sixteen",
    )


def equivocation_loses(evidence: Evidence) -> Claim:
    """Two receipts for one tuple cost a part of the bond and the node."""
    found = evidence.of(sweep.EQUIVOCATING)
    return Claim("EquivocationLoses", "QN-DSP-030", all(c.loses for c in found), _range(found))


def saturation_bounds(evidence: Evidence) -> Claim:
    """However delegators herd, no node gets more than its slot, and bad nodes lose them."""
    kept = all(found.slots_kept for found in evidence.markets)
    largest = max(found.largest for found in evidence.markets)
    first = statistics.fmean(found.samples[0][1] for found in evidence.markets)
    last = statistics.fmean(found.samples[-1][1] for found in evidence.markets)
    return Claim(
        "SaturationBounds",
        "QN-REW-010",
        kept and last < first,
        f"the largest node held {largest:.2f} Z and got one slot's pay; nodes that serve badly "
        f"hold {100 * last:.1f} % of delegations, at first {100 * first:.1f} %",
    )


def visitors_gain_nothing(evidence: Evidence) -> Claim:
    """Who delegates for a report's rewards alone gets none."""
    gain = max(found.visitor_gain_wei for found in evidence.markets)
    return Claim(
        "VisitorsGainNothing", "QN-STK-002, 010", gain <= 0, f"gain {gain} wei over all epochs"
    )


CHECKS: Final[Sequence[Callable[[Evidence], Claim]]] = (
    emission_within_budget,
    split_conserves,
    volume_mints_nothing,
    splitting_never_pays,
    hurting_pays_nothing,
    lazy_loses,
    dropping_loses,
    self_dealing_pays_nothing,
    one_sided_lie_pays_nothing,
    forgers_earn_what_honest_earn,
    faking_pays_nothing,
    minority_of_auditors_gains_nothing,
    minority_of_auditors_blames_nobody,
    equivocation_loses,
    saturation_bounds,
    visitors_gain_nothing,
)


def concessions(evidence: Evidence) -> list[dict[str, Any]]:
    """What the design does not prevent, measured."""
    little = [c for c in evidence.named("dropping") if _drops(c) < RESOLUTION]
    tolerated = [c for c in evidence.named("lazy") if _offers(c) >= sweep.TARGET]
    waiting = evidence.of(sweep.WAITING)
    chasing = statistics.fmean(m.chasing_yield for m in evidence.markets)
    staying = statistics.fmean(m.staying_yield for m in evidence.markets)
    rows = [
        ("audits do not see a loss this small", _levels(little)),
        ("traffic above the target is not asked for", _levels(tolerated)),
        ("forgers raise N̂, and honest nodes miss it", _harmed(evidence.of(sweep.FORGING))),
        (
            "a rival's slot, once it is jailed, goes to a node that waits",
            f"{_range(waiting)}; pays {_pays(waiting)}",
        ),
        (
            "delegators who chase yield against those who stay, a year",
            f"{100 * chasing:.2f} % against {100 * staying:.2f} %",
        ),
    ]
    return [{"concession": what, "found": found} for what, found in rows]


def _drops(comparison: Comparison) -> float:
    return comparison.setting.attack.behaviour.drops


def _offers(comparison: Comparison) -> float:
    return comparison.setting.attack.behaviour.offers


def _levels(found: Iterable[Comparison]) -> str:
    told = [f"{c.setting.attack.label}: {100 * c.profit.mean:+.1f} %" for c in found]
    return "; ".join(told) or "nothing ran"


def _harmed(found: Iterable[Comparison]) -> str:
    told = [f"{100 * c.setting.share:g} %: {c.others_work:.2f}" for c in found]
    return "W of the others at a share of " + (", ".join(told) or "none")


def _pays(found: Iterable[Comparison]) -> str:
    told = sorted({comparison.pays for comparison in found})
    return f"at a cost of traffic {', '.join(told)} of a slot's pay"


def _range(found: Iterable[Comparison]) -> str:
    values = [100 * c.profit.mean for c in found]
    if not values:
        return "nothing ran"
    return f"profit {min(values):+.1f} to {max(values):+.1f} % of honest profit"


def _number(level: str) -> float:
    return float(level.split(maxsplit=1)[0])
