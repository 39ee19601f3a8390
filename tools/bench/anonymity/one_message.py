"""One message: the sender set by mode, delay, number of mixes and hostile share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tools.bench.anonymity.corrupt import hostile_mixes
from tools.bench.anonymity.delays import density, draw
from tools.bench.anonymity.measures import Sight, Summary, sight
from tools.bench.anonymity.observer import LinkObserver, by_sender, seen_from_ends
from tools.bench.anonymity.repeated import conversation, fits
from tools.bench.anonymity.rows import Row, generator, percent, rounded
from tools.bench.anonymity.setting import Crowd, Mode, crowd_of, mixes_for
from tools.bench.anonymity.world import simulate

CELLS_SEEN: Final = 20
"""Cells of a circuit taken for one message: a second of use."""
TARGETS: Final = 8
"""Messages judged in each world."""
SMALL: Final = 600
"""Load times mean delay below which worlds are small, and `SMALL_FACTOR` times as many are made."""
SMALL_FACTOR: Final = 10
DRAWS: Final = 100_000
"""For an expected set."""
PACKETS_IN_FLIGHT_MAX: Final = 30_000
"""Load times mean delay up to which a world is simulated; above, the closed form stands alone."""


def sights(
    crowd: Crowd, mixes: int, worlds: int, *, links: bool, hostile: float = 0.0
) -> list[list[Sight]]:
    """Judge messages of several worlds.

    Args:
        crowd: Who sends.
        mixes: In each layer.
        worlds: How many.
        links: Whether the adversary sees the links between mixes.
        hostile: Share of mixes it runs.
    """
    found = []
    for number in range(worlds * (SMALL_FACTOR if crowd.load * crowd.mean_delay_s < SMALL else 1)):
        random = generator("message", crowd, mixes, links, hostile, number)
        window = simulate(random, crowd, mixes)
        weigh: Callable[[int], Any]
        if links:
            weigh = LinkObserver(window, hostile_mixes(random, mixes, hostile)).weigh
        else:

            def weigh(target: int, window: Any = window) -> Any:
                return seen_from_ends(window, target)

        world = [
            sight(by_sender(window, weigh(int(target))), int(window.senders[target]))
            for target in window.targets(random, TARGETS)
        ]
        if world:
            found.append(world)
    return found


def message(mode: Mode, users: int, worlds: int, *, links: bool) -> Row:
    """One message in one of the mix modes."""
    crowd = crowd_of(mode, users)
    mixes = mixes_for(crowd.load)
    found = Summary.of(sights(crowd, mixes, worlds, links=links))
    return {
        "mode": mode.value,
        "users": users,
        "adversary sees": "all links" if links else "both ends",
        "mixes in a layer": mixes,
        **_judged(found),
        "expected": rounded(expected_set(crowd)),
    }


def cells(users: int, worlds: int) -> Row:
    """The first second of a circuit in use."""
    crowd = crowd_of(Mode.CIRCUITS, users)
    found = []
    for number in range(worlds):
        seen = list(conversation(generator("cells", users, number), crowd, CELLS_SEEN))
        found.append([seen[-1]])
    return {
        "mode": Mode.CIRCUITS.value,
        "users": users,
        "adversary sees": "both ends",
        "mixes in a layer": 0,
        **_judged(Summary.of(found)),
        "expected": None,
    }


def expected_set(crowd: Crowd) -> float:
    """Effective set seen from both ends in a large network, without simulating one.

    Users of whom at most one packet fits count 6.34 x load x delay. Where users have several,
    the entropy is that of all packets less the mean logarithm of what the sender's own add up to,
    the true one among them (Mecke's formula).
    """
    random = generator("expected", crowd.rate, crowd.mean_delay_s)
    own = density(draw(random, crowd.mean_delay_s, DRAWS), crowd.mean_delay_s)
    summed = own + fits(random, crowd, DRAWS)
    return crowd.load * math.exp(-float(np.log(summed).mean()))


def delay(load: int, mean_delay_s: float, worlds: int) -> Row:
    """Which set a delay gives at a load of one packet per second from each user."""
    crowd = Crowd(load, 1.0, mean_delay_s)
    mixes = mixes_for(load)
    row: Row = {
        "delay ms": round(1000 * mean_delay_s),
        "load per s": load,
        "mixes in a layer": mixes,
        "effective set": None,
        "ci95": None,
        "expected": rounded(expected_set(crowd)),
    }
    if load * mean_delay_s <= PACKETS_IN_FLIGHT_MAX:
        found = Summary.of(sights(crowd, mixes, worlds, links=True))
        row |= {
            "effective set": rounded(found.effective.mean),
            "ci95": rounded(found.effective.half),
        }
    return row


def layer(load: int, mixes: int, worlds: int) -> Row:
    """What more mixes do to the set while the load stays."""
    crowd = Crowd(load, 1.0)
    found = Summary.of(sights(crowd, mixes, worlds, links=True))
    return {
        "load per s": load,
        "mixes in a layer": mixes,
        "packets in a mix": rounded(load * crowd.mean_delay_s / mixes),
        **_judged(found),
    }


def inside(users: int, share: float, worlds: int) -> Row:
    """All links and a share of the mixes, against clients with covers."""
    crowd = crowd_of(Mode.COVERED, users)
    mixes = mixes_for(crowd.load)
    found = Summary.of(sights(crowd, mixes, worlds, links=True, hostile=share))
    return {"users": users, "hostile %": percent(share), **_judged(found)}


def _judged(found: Summary) -> Row:
    effective = found.effective
    return {
        "effective set": rounded(effective.mean),
        "ci95": rounded(effective.half),
        "entropy bits": rounded(found.entropy_bits.mean),
        "entropy ci95": rounded(found.entropy_bits.half),
        "surprise bits": rounded(found.surprise_bits.mean),
        "surprise ci95": rounded(found.surprise_bits.half),
        "min-entropy bits": rounded(found.min_entropy_bits.mean),
        "best guess %": percent(found.best.mean),
        "guessed right %": percent(found.hit.mean),
        "worlds": found.worlds,
    }
