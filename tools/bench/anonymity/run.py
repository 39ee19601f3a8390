"""`qnet bench anonymity`: every table, on all processors, with closed forms held against them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import product
from typing import Any, Final, TypeAlias

from node.mix.rates import MESSAGES, STREAMS
from tools.bench.anonymity.checks import checks
from tools.bench.anonymity.corrupt import SHARES
from tools.bench.anonymity.hostile_nodes import circuits, cost, paths
from tools.bench.anonymity.many_messages import contacts, flow, presence, shrinking, talk
from tools.bench.anonymity.one_message import cells, delay, inside, layer, message
from tools.bench.anonymity.rows import Row, call
from tools.bench.anonymity.setting import (
    MEAN_DELAY_S,
    MIX_MODES,
    MIXES_MAX,
    PAYLOAD_PER_S,
    USERS,
    Crowd,
    Mode,
    crowd_of,
)
from tools.bench.economy.sweep import on_processors
from tools.bench.machine import machine

Work: TypeAlias = Callable[[], Row]

DELAYS_S: Final = (0.01, 0.03, 0.1, 0.3, 1.0)
LOADS: Final = (100, 1_000, 10_000, 100_000, 1_000_000)
MIXES: Final = (1, 3, 10, 50, 500)
ONLINE: Final = (0.3, 0.5, 0.9, 0.99)
DAYS_ONLINE: Final = 3_000
WATCHED_S: Final = (10.0, 60.0, 300.0)
FLOW_WATCHED_S: Final = 60.0
"""Of these, the time shown in the summary."""
FLOW_DELAYS_S: Final = (0.1, 0.3, 1.0)
YEAR_USERS: Final = 2_000
TRACED_PACKETS: Final = 100_000
EPOCHS: Final = 50
"""Draws of the layers."""
TALKS: Final = 3
"""Conversations for each world, as their lengths differ."""
DEALS: Final = 4
"""Draws of hostile mixes for each world."""
VAST: Final = 1_000_000
"""Users at which contacts are sought in two worlds only."""
LIVES: Final = 200
"""Repeats of the time online."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate.

    Attributes:
        users: Sizes of the network, ascending.
        worlds: Independent repeats of each figure.
        days: Of statistical disclosure.
        processes: At once; None for all processors.
    """

    users: tuple[int, ...] = USERS
    worlds: int = 6
    days: int = 30
    processes: int | None = None

    @property
    def middle(self) -> int:
        """The size at which other things vary: 100,000 users, or the most there are."""
        return min(100_000, self.users[-1])


def run(plan: Plan) -> dict[str, Any]:
    """Simulate everything."""
    began = time.monotonic()
    found = gather(plan)
    judged = [check.row() for check in checks(found)]
    broken = [row["check"] for row in judged if not row["holds"]]
    return {
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "users": list(plan.users),
        "worlds": plan.worlds,
        "mean_delay_ms": round(1000 * MEAN_DELAY_S),
        "took_s": round(time.monotonic() - began, 1),
        "results": list(summary(found)),
        **found,
        "checks": judged,
        "passed": not broken,
        "failures": broken,
        "limit": "a passive adversary; links have no latency or loss, all users send alike; "
        "docs/explanation/anonymity.md",
    }


def gather(plan: Plan) -> dict[str, list[Row]]:
    """All tables by name."""
    work: dict[str, list[Work]] = {
        "message": list(_messages(plan)),
        "delay": [
            partial(delay, load, mean, plan.worlds)
            for load, mean in product(LOADS, DELAYS_S)
            if load <= plan.users[-1]
        ],
        "layer": [
            partial(layer, load, mixes, plan.worlds)
            for load, mixes in product(sorted({plan.users[0], plan.middle}), MIXES)
        ],
        "inside": [
            partial(inside, plan.middle, share, DEALS * plan.worlds)
            for share in (0.0, *SHARES, 0.5)
        ],
        "talk": list(_talks(plan)),
        "shrinking": [partial(shrinking, mode, plan.users[-1], plan.worlds) for mode in Mode],
        "contacts": [
            partial(contacts, mode, users, plan.days, plan.worlds if users < VAST else 2)
            for mode, users in product(MIX_MODES, plan.users)
        ],
        "presence": [
            partial(presence, users, online, DAYS_ONLINE, LIVES)
            for users, online in product(sorted({plan.users[0], plan.users[-1]}), ONLINE)
        ],
        "flow": list(_flows(plan)),
        "circuits": [partial(circuits, share, YEAR_USERS, plan.worlds) for share in SHARES],
        "paths": [
            partial(paths, share, mixes, TRACED_PACKETS, EPOCHS)
            for share, mixes in product(SHARES, (10, MIXES_MAX))
        ],
        "cost": [
            partial(cost, "mix mode, payload only", PAYLOAD_PER_S),
            partial(cost, "covers, messages", MESSAGES.total_hz),
            partial(cost, "covers, streams", STREAMS.total_hz),
        ],
    }
    flat = [item for items in work.values() for item in items]
    rows = iter(on_processors(call, flat, plan.processes))
    return {name: [next(rows) for _ in items] for name, items in work.items()}


def _messages(plan: Plan) -> Iterator[Work]:
    for users in plan.users:
        yield partial(cells, users, plan.worlds)
    for mode, users, links in product(MIX_MODES, plan.users, (False, True)):
        yield partial(message, mode, users, plan.worlds, links=links)


def _talks(plan: Plan) -> Iterator[Work]:
    talks = TALKS * plan.worlds
    for mode, users in product(Mode, plan.users):
        yield partial(talk, mode.value, users, crowd_of(mode, users), talks)
    for mean in DELAYS_S:
        crowd = Crowd(plan.users[0], MESSAGES.total_hz, mean)
        yield partial(talk, "covers", crowd.users, crowd, talks)
    for mean in DELAYS_S[:-1]:
        crowd = Crowd(plan.users[0], STREAMS.total_hz, mean)
        yield partial(talk, "covers, streams", crowd.users, crowd, talks)


def _flows(plan: Plan) -> Iterator[Work]:
    for mode, seconds in product(Mode, WATCHED_S):
        yield partial(flow, mode, seconds, None, plan.users, plan.worlds)
    for mean in FLOW_DELAYS_S:
        yield partial(flow, Mode.COVERED, WATCHED_S[-1], mean, plan.users, plan.worlds)


def summary(found: Mapping[str, Sequence[Row]]) -> Iterator[Row]:
    """The headline: every mode at every number of users."""
    flows = {row["mode"]: row for row in found["flow"] if row["watched s"] == FLOW_WATCHED_S}
    talks = {(row["case"], row["users"]): row for row in found["talk"]}
    for row in found["message"]:
        mode, users = row["mode"], row["users"]
        if mode != Mode.CIRCUITS and row["adversary sees"] != "all links":
            continue
        yield {
            "mode": mode,
            "users": users,
            "effective set": row["effective set"],
            "ci95": row["ci95"],
            "min-entropy bits": row["min-entropy bits"],
            "best guess %": row["best guess %"],
            "messages until 90% sure": talks[mode, users]["messages until 90% sure"],
            "flow found in 60 s %": flows[mode][f"best of {users:,} %"],
        }
