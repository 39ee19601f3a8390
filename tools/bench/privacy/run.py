"""`qnet bench privacy`: play every guesser, and the rule for k against the one it replaced."""

from __future__ import annotations

import secrets
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from node.payments.user.purse import RETIRE_MIN, retiring_k
from qnet.messages.instruments import TOKEN_CLASS, TOKEN_UNITS
from tools.bench.machine import machine
from tools.bench.privacy.guessers import CANDIDATES, PointGuesser, Result, match_ends
from tools.bench.privacy.world import CREDIT_CLASS, purchases

HOPS: Final = 2
"""Hops compared: any two of a path are alike."""
RAISE: Final = 16
_SMALL_USE: Final = 12.0
"""Mean of the units that circuits use which end early."""
DEVIATIONS_MAX: Final = 4.0
"""A guesser further above chance than this has found something (once in 30,000 runs by chance)."""


def run(count: int) -> dict[str, Any]:
    """Measure.

    Args:
        count: purchases of each kind, and paths.
    """
    results = []
    for name, class_ in (("credit", CREDIT_CLASS), ("token", TOKEN_CLASS)):
        found = PointGuesser(purchases(count, class_)).results()
        results += [_row(f"{name} to its purchase, {one.name}", one, holds=True) for one in found]
    ends = [drawn_ends(count) for _ in range(HOPS)]
    results.append(_row("hops by k", match_ends("k", *ends), holds=True))
    raised = raised_ends(count)
    results.append(_row("hops by k, raised by up to 16", match_ends("k", *raised), holds=False))
    return {
        "machine": machine(),
        "candidates": CANDIDATES,
        "chance": 1 / CANDIDATES,
        "ok": all(row["at_chance"] for row in results if row["claimed"]),
        "results": results,
    }


def drawn_ends(count: int) -> NDArray[np.intp]:
    """The k that tokens end at under QN-PAY-043: use has no part in it."""
    return np.array([retiring_k(secrets.token_bytes) for _ in range(count)], np.intp)


def raised_ends(count: int) -> list[NDArray[np.intp]]:
    """The k of paths that end early under the rule of the first design, at two hops.

    All hops carry the same traffic; each raises what was used by 0 to 16 units.
    """
    random = np.random.default_rng(secrets.randbits(128))
    used = np.minimum(1 + random.exponential(_SMALL_USE, count).astype(np.intp), RETIRE_MIN)
    return [
        np.minimum(used + random.integers(0, RAISE + 1, count), TOKEN_UNITS) for _ in range(HOPS)
    ]


def _row(case: str, result: Result, *, holds: bool) -> dict[str, Any]:
    return {
        "case": case,
        "trials": result.trials,
        "right": result.right,
        "share": round(result.share, 5),
        "deviations": round(result.deviations, 2),
        "at_chance": result.deviations < DEVIATIONS_MAX,
        "claimed": holds,
    }
