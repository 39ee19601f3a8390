"""Which attacks run with which shares and seeds, and their runs, on all processors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Final, TypeVar

from tools.bench.economy.account import Comparison, compare
from tools.bench.economy.agents import NO_ATTACK, Attack, Behaviour, scaled_parameters
from tools.bench.economy.probing import WICKED_MAX
from tools.bench.economy.traffic import CIRCUITS
from tools.bench.economy.world import Outcome, Setting, simulate

T = TypeVar("T")
R = TypeVar("R")

SHARES: Final = (0.04, 0.1, 0.2, 0.35, 0.5)
"""Of every role that a coalition holds; 0.04 is one node of each."""
DROPS: Final = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6)
"""Shares of circuits that droppers let die."""
ONE_SHARE: Final = 0.1
"""Where only the strength of an attack varies."""
EQUIVOCATION_EPOCH: Final = 30


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _drops(share: float) -> Behaviour:
    return Behaviour(drops=share)


TARGET: Final = scaled_parameters().work_target_ppm / 10**6
"""Share of the expected traffic that a node is asked to carry."""
LAZY: Final = Attack("lazy", "offers 40 %", Behaviour(offers=0.4))
DROPPING: Final = Attack("dropping", "30 %", _drops(0.3))
SELF_DEALING: Final = Attack(
    "self-dealing, invented", "", Behaviour(offers=0.4), forges=True, one_owner=True
)
BUYING: Final = Attack("self-dealing, bought", "half an even share", buys=0.5)
SPLITTING: Final = tuple(
    Attack("splitting", f"over {parts}", parts=parts, self_bonded=True) for parts in (2, 4, 10)
)
FORGING: Final = Attack(
    "colluding, forged receipts", "offers 20 %", Behaviour(offers=0.2), forges=True
)
AUDITORS: Final = Attack("colluding auditors", "drops 30 %", _drops(0.3), auditors=WICKED_MAX)
BLAMING: Final = Attack("colluding auditors", "serves", auditors=WICKED_MAX)
HURTING: Final = Attack("hurting rivals", "60 % of circuits", hurts=0.6)
WAITING: Final = Attack("hurting rivals", "with nodes that wait", hurts=0.6, waits=3)
EQUIVOCATING: Final = Attack("equivocating", "once", equivocates_at=EQUIVOCATION_EPOCH)

SWEPT: Final = (
    LAZY,
    DROPPING,
    SELF_DEALING,
    BUYING,
    SPLITTING[1],
    FORGING,
    AUDITORS,
    BLAMING,
    HURTING,
    EQUIVOCATING,
)
"""Over all shares."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate.

    Attributes:
        epochs: Length of each run.
        runs: Seeds of each.
        circuits: That stand for all of an epoch.
        shares: Of the coalitions.
        probes: Probes of one auditor in one slot; None for `probes_per_slot`.
        processes: At once; None for all processors.
    """

    epochs: int = 365
    runs: int = 3
    circuits: int = CIRCUITS
    shares: tuple[float, ...] = SHARES
    probes: int | None = None
    processes: int | None = None

    def setting(self, attack: Attack, share: float, seed: int = 0) -> Setting:
        """A run of this plan."""
        return Setting(attack, share, seed, self.epochs, circuits=self.circuits, probes=self.probes)


def cases(plan: Plan) -> list[tuple[Attack, float]]:
    """Every attack with every share it runs at."""
    swept = [(attack, share) for attack in SWEPT for share in plan.shares]
    levels = [
        *(Attack("dropping", _percent(drop), _drops(drop)) for drop in DROPS),
        *(
            Attack("lazy", f"offers {_percent(offer)}", Behaviour(offers=offer))
            for offer in (0.2, 0.6, 0.8, TARGET, 0.9)
        ),
        *(SPLITTING[0], SPLITTING[2], WAITING),
    ]
    known = set(swept)
    return swept + [(attack, ONE_SHARE) for attack in levels if (attack, ONE_SHARE) not in known]


def honest_setting(setting: Setting) -> Setting:
    """The run that a run is compared with; most attacks share one for each seed."""
    attack = setting.attack.counterpart
    share = setting.share if attack != NO_ATTACK else 0.0
    return replace(setting, attack=attack, share=share)


def on_processors(task: Callable[[T], R], items: Sequence[T], processes: int | None) -> list[R]:
    """Results of a task for every item, in order, on several processors.

    Args:
        task: A function of a module, as new processes import it.
        items: What to call it with.
        processes: At once; None for all processors.
    """
    workers = min(processes or os.cpu_count() or 1, len(items))
    if workers <= 1:
        return [task(item) for item in items]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        return list(pool.map(task, items))


def run_all(settings: Iterable[Setting], processes: int | None) -> dict[Setting, Outcome]:
    """Every run once."""
    todo = list(dict.fromkeys(settings))
    return dict(zip(todo, on_processors(simulate, todo, processes), strict=True))


def compare_all(
    plan: Plan, outcomes: Mapping[Setting, Outcome]
) -> dict[tuple[Attack, float], Comparison]:
    """Every case against honest runs."""
    found = {}
    for attack, share in cases(plan):
        settings = [plan.setting(attack, share, seed) for seed in range(plan.runs)]
        pairs = [(outcomes[honest_setting(one)], outcomes[one]) for one in settings]
        found[attack, share] = compare(pairs, share)
    return found


def all_settings(plan: Plan) -> list[Setting]:
    """Runs of a plan, honest ones first."""
    runs = [
        plan.setting(attack, share, seed)
        for attack, share in cases(plan)
        for seed in range(plan.runs)
    ]
    return [*dict.fromkeys(map(honest_setting, runs)), *runs]
