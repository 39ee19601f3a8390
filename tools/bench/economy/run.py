"""`qnet bench economy`: does honesty pay? All runs, claims, concessions and charts."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from tools.bench.economy import sweep
from tools.bench.economy.account import FIXED_COST, TRAFFIC_COST, Comparison
from tools.bench.economy.agents import NO_ATTACK, scaled_parameters
from tools.bench.economy.claims import Evidence, concessions, judge
from tools.bench.economy.delegation import Holdings, chase
from tools.bench.economy.probing import MEMBERS
from tools.bench.economy.sweep import ONE_SHARE, Plan
from tools.bench.economy.world import Outcome, Setting
from tools.bench.machine import machine
from tools.bench.plot import Axis, Line, chart

BUSY: Final = 10
"""Times the traffic of the run that shows that volume mints nothing."""
PLOT_LOW: Final = -160.0
PLOT_HIGH: Final = 60.0


def run(plan: Plan) -> dict[str, Any]:
    """Simulate everything and judge it."""
    began = time.monotonic()
    evidence = gather(plan)
    claims = judge(evidence)
    broken = [claim.name for claim in claims if not claim.holds]
    return {
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "epochs": plan.epochs,
        "runs": plan.runs,
        "circuits": plan.circuits,
        "probes_per_result": plan.probes or scaled_parameters().probes_per_slot,
        "members": MEMBERS,
        "fixed_cost": FIXED_COST,
        "traffic_cost": TRAFFIC_COST,
        "took_s": round(time.monotonic() - began, 1),
        "results": [row(comparison) for comparison in evidence.comparisons.values()],
        "claims": [claim.row() for claim in claims],
        "concessions": concessions(evidence),
        "passed": not broken,
        "failures": broken,
        "limit": "costs are assumed, probes cannot be told from traffic, users do not leave; "
        "docs/explanation/economy.md",
    }


def gather(plan: Plan) -> Evidence:
    """Run everything."""
    calm = [plan.setting(NO_ATTACK, 0.0, seed) for seed in range(plan.runs)]
    busy = [replace(setting, cells=BUSY * setting.cells) for setting in calm]
    outcomes = sweep.run_all([*sweep.all_settings(plan), *calm, *busy], plan.processes)
    return Evidence(
        comparisons=sweep.compare_all(plan, outcomes),
        outcomes=list(outcomes.values()),
        calm=_found(outcomes, calm),
        busy=_found(outcomes, busy),
        markets=_markets(plan),
    )


def _found(outcomes: Mapping[Setting, Outcome], settings: Sequence[Setting]) -> list[Outcome]:
    return [outcomes[setting] for setting in settings]


def _markets(plan: Plan) -> list[Holdings]:
    task = partial(chase, epochs=plan.epochs, circuits=plan.circuits)
    return sweep.on_processors(task, range(plan.runs), plan.processes)


def row(comparison: Comparison) -> dict[str, Any]:
    """One attack at one share."""
    setting = comparison.setting

    def percent(value: float) -> float:
        return round(100 * value, 2)

    return {
        "attack": setting.attack.label,
        "share_percent": percent(setting.share),
        "profit_percent": percent(comparison.profit.mean),
        "ci95_percent": percent(comparison.profit.half)
        if math.isfinite(comparison.profit.half)
        else None,
        "income_percent": percent(comparison.income.mean),
        "work_done_percent": percent(comparison.traffic),
        "mean_p": round(comparison.performance, 4),
        "mean_w": round(comparison.work, 4),
        "others_w": round(comparison.others_work, 4),
        "pays_at_traffic_cost": comparison.pays,
        "verdict": comparison.verdict,
    }


def charts(results: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """SVG by file name, from the rows of a result."""
    return {
        "economy-attacks.svg": _by_share(results),
        "economy-dropping.svg": _by_drop(results),
    }


def save_charts(results: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write all charts."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in charts(results).items():
        path = folder / name
        path.write_text(content, "utf-8")
        paths.append(path)
    return paths


def _by_share(results: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for attack in sweep.SWEPT:
        rows = [found for found in results if found["attack"] == attack.label]
        points = [(found["share_percent"], found["profit_percent"]) for found in rows]
        halves = [found["ci95_percent"] or 0.0 for found in rows]
        lines.append(Line(attack.label, points, halves))
    most = max(found["share_percent"] for found in results)
    return chart(
        "Profit of an attack against the same nodes honest",
        Axis("share of every role that attacks, %", 0, most),
        Axis("difference, % of honest profit", PLOT_LOW, PLOT_HIGH),
        lines,
    )


def _by_drop(results: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        found
        for found in results
        if found["attack"].startswith("dropping") and found["share_percent"] == 100 * ONE_SHARE
    ]
    drops = [float(found["attack"].removeprefix("dropping, ").split()[0]) for found in rows]
    found = sorted(zip(drops, rows, strict=True), key=lambda item: item[0])
    return chart(
        "A node that lets circuits die",
        Axis("share of circuits dropped, %", 0, 60),
        Axis("%", -100, 100),
        [
            Line("P that audits find", [(x, 100 * r["mean_p"]) for x, r in found]),
            Line(
                "profit, difference",
                [(x, r["profit_percent"]) for x, r in found],
                [r["ci95_percent"] or 0.0 for _, r in found],
            ),
            Line("circuits served", [(x, 100 - x) for x, _ in found]),
        ],
    )
