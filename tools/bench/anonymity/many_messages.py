"""Many messages and streams: rows on conversations, contacts, presence and flows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import islice
from typing import Final

import numpy as np

from tools.bench.anonymity.delays import collision, entropy_width_s
from tools.bench.anonymity.flows import match, own_delay_s
from tools.bench.anonymity.measures import top_rate
from tools.bench.anonymity.repeated import (
    SURE,
    contacts_found,
    conversation,
    messages_until_sure,
    still_present,
)
from tools.bench.anonymity.rows import Row, generator, percent, rounded
from tools.bench.anonymity.setting import Crowd, Mode, crowd_of
from tools.bench.economy.account import Interval

MESSAGES_MOST: Final = 5_000
CONTACTS: Final = 10
MESSAGES_PER_DAY: Final = 20
WEEK: Final = 7
DENSE: Final = 3.0
"""Packets of a user within the delay, from which on the closed form of a conversation holds."""


def talk(name: str, users: int, crowd: Crowd, worlds: int) -> Row:
    """Messages of one conversation until the observer is sure of the sender.

    Args:
        name: Of the case.
        users: Of the network.
        crowd: Those of them who send at present.
        worlds: Repeats.
    """
    needed = [
        messages_until_sure(generator("talk", name, crowd, number), crowd, MESSAGES_MOST)
        for number in range(worlds)
    ]
    ordered = sorted(needed)
    told = collision(crowd.mean_delay_s) / crowd.rate / 2
    is_dense = crowd.rate * entropy_width_s(crowd.mean_delay_s) >= DENSE
    return {
        "case": name,
        "users": users,
        "sending": crowd.users,
        "packets per s": crowd.rate,
        "delay ms": rounded(1000 * crowd.mean_delay_s),
        f"messages until {SURE:.0%} sure": rounded(statistics.median(ordered)),
        "closed form": rounded(math.log(9 * users) / told) if is_dense else None,
        "fewest": ordered[0],
        "most": ordered[-1],
        "worlds": worlds,
    }


def shrinking(mode: Mode, users: int, worlds: int, most: int = 12) -> Row:
    """Effective set after each message of a conversation."""
    crowd = crowd_of(mode, users)
    runs = []
    for number in range(worlds):
        seen = conversation(generator("shrink", mode, users, number), crowd, most)
        bits = [one.entropy_bits for one in seen]
        runs.append(bits + [0.0] * (most - len(bits)))
    return {
        "mode": mode.value,
        "users": users,
        "sizes": [rounded(2 ** float(np.mean(after))) for after in zip(*runs, strict=True)],
    }


def contacts(mode: Mode, users: int, days: int, worlds: int) -> Row:
    """Contacts of a recipient found by statistical disclosure."""
    crowd = crowd_of(mode, users)
    runs = [
        list(
            contacts_found(
                generator("contacts", mode, users, number), crowd, CONTACTS, MESSAGES_PER_DAY, days
            )
        )
        for number in range(worlds)
    ]
    means = [Interval.of(day) for day in zip(*runs, strict=True)]
    return {
        "mode": mode.value,
        "users": users,
        **{
            f"found % on day {day}": percent(means[day - 1].mean)
            for day in (1, 3, 10, 30)
            if day <= days
        },
        "ci95 at the end": percent(means[-1].half) if worlds > 2 else None,
        "days until half": next(
            (day for day, found in enumerate(means, 1) if found.mean >= 0.5), None
        ),
        "worlds": worlds,
    }


def presence(users: int, online: float, days: int, lives: int) -> Row:
    """Users who were always online when an answer came."""
    left = still_present(generator("online", users, online), users, online, lives)
    after = np.array(list(islice(left, days)))
    week = Interval.of(after[WEEK - 1].tolist())
    is_alone = after == 1
    alone = np.median(is_alone.argmax(axis=0) + 1) if is_alone[-1].all() else None
    return {
        "users": users,
        "online %": percent(online),
        f"left after {WEEK} days": rounded(week.mean),
        "ci95": rounded(week.half),
        "closed form": rounded(1 + (users - 1) * online**WEEK),
        "days until alone": None if alone is None else rounded(float(alone)),
        "lives": lives,
    }


def flow(
    mode: Mode, seconds: float, mean_delay_s: float | None, users: Sequence[int], worlds: int
) -> Row:
    """The matched filter on flows."""
    found = [
        match(
            generator("flow", mode, seconds, mean_delay_s, number),
            mode,
            seconds=seconds,
            mean_delay_s=mean_delay_s,
        )
        for number in range(worlds)
    ]
    right = np.concatenate([one.right for one in found])
    wrong = np.sort(np.concatenate([one.wrong for one in found]))
    gained = Interval.of([one.advantage for one in found])
    true = Interval.of([one.true_rate for one in found])
    return {
        "mode": mode.value,
        "delay ms": rounded(1000 * (mean_delay_s or own_delay_s(mode))),
        "watched s": rounded(seconds),
        "advantage": rounded(gained.mean),
        "advantage ci95": rounded(gained.half),
        "true % at 0.1 % false": percent(true.mean),
        "true ci95": percent(true.half),
        **{f"best of {count:,} %": percent(top_rate(right, wrong, count)) for count in users},
        "worlds": worlds,
    }
