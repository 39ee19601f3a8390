"""Matching the traffic of users with the traffic of destinations, both seen as counts over time.

Every user fetches pages now and then. An observer holds the counts of packets on a user's link
against those at a destination, after shifting and smearing them as the network does, and takes the
correlation: the matched filter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from node.mix.packet import LAYERS
from node.mix.rates import STREAMS
from tools.bench.anonymity.measures import advantage, true_rate
from tools.bench.anonymity.setting import (
    JITTER_S,
    MEAN_DELAY_S,
    Mode,
)

BIN_S: Final = 0.05
SECONDS: Final = 60.0
PAGES_PER_S: Final = 0.1
PAGE_MEDIAN: Final = 40.0
"""Packets of a page, 80 KB; the mean is 1.65 times that."""
PAGE_SIGMA: Final = 1.0
FAST_PER_S: Final = (100.0, 600.0)
"""Rates at which pages arrive, by user: 0.2 to 1.2 MB/s."""
ELSEWHERE: Final = 0.5
"""Pages a user fetches by other circuits on the same link, against those of the circuit watched."""
STRANGERS: Final = 3_000
"""Users who are compared with every target; more are accounted for by the rate of false matches."""
TARGETS: Final = 100
BLOCK: Final = 1_000
"""Strangers compared at once, so that memory is bounded."""
FALSE_RATE: Final = 1e-3
_SMEAR_DRAWS: Final = 200_000

Counts = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Match:
    """How well flows were matched.

    Attributes:
        advantage: Greatest difference of true and false positive rates.
        true_rate: True positives where one in a thousand strangers is taken for the user.
        right: Scores of true pairs.
        wrong: Scores of false pairs, ascending.
    """

    advantage: float
    true_rate: float
    right: NDArray[np.float32]
    wrong: NDArray[np.float32]


def match(
    random: np.random.Generator,
    mode: Mode,
    targets: int = TARGETS,
    strangers: int = STRANGERS,
    seconds: float = SECONDS,
    mean_delay_s: float | None = None,
) -> Match:
    """Watch targets at both ends, and strangers at theirs.

    Args:
        random: Source of chance.
        mode: How packets travel.
        targets: Flows known at the destination.
        strangers: Other users.
        seconds: Time watched.
        mean_delay_s: Of one hop; None for that of the mode.
    """
    mean_delay_s = mean_delay_s or own_delay_s(mode)
    bins = round(seconds / BIN_S)
    entered, own = _links(random, mode, targets, bins)
    left = _delayed(random, own, mean_delay_s)
    kernel = smear(random, mean_delay_s)
    known = _standard(left)
    right = (_standard(_smeared(entered, kernel)) * known).sum(axis=1)
    found = []
    for start in range(0, strangers, BLOCK):
        others, _ = _links(random, mode, min(BLOCK, strangers - start), bins)
        found.append((_standard(_smeared(others, kernel)) @ known.T).ravel())
    wrong = np.sort(np.concatenate(found))
    return Match(advantage(right, wrong), true_rate(right, wrong, FALSE_RATE), right, wrong)


def own_delay_s(mode: Mode) -> float:
    """Mean delay of one hop in a mode."""
    return JITTER_S if mode is Mode.CIRCUITS else MEAN_DELAY_S


def smear(random: np.random.Generator, mean_s: float) -> Counts:
    """Share of packets that leave so many bins after the one they entered in."""
    ages = random.random(_SMEAR_DRAWS) * BIN_S + random.gamma(LAYERS, mean_s, _SMEAR_DRAWS)
    return (np.bincount((ages / BIN_S).astype(np.intp)) / _SMEAR_DRAWS).astype(np.float32)


def _links(random: np.random.Generator, mode: Mode, users: int, bins: int) -> tuple[Counts, Counts]:
    """Counts on users' links, and what of them belongs to the flow that is watched."""
    wanted = _pages(random, users, bins, PAGES_PER_S)
    if mode is Mode.COVERED:
        slots = random.poisson(STREAMS.payload_hz * BIN_S, (users, bins)).astype(np.float32)
        others = random.poisson((STREAMS.loop_hz + STREAMS.drop_hz) * BIN_S, (users, bins))
        return slots + others.astype(np.float32), _drained(wanted, slots)
    rates = random.uniform(*FAST_PER_S, (users, 1)).astype(np.float32) * BIN_S
    most = np.broadcast_to(np.floor(rates), (users, bins))
    own = _drained(wanted, most)
    elsewhere = _pages(random, users, bins, ELSEWHERE * PAGES_PER_S)
    return own + _drained(elsewhere, most), own


def _pages(random: np.random.Generator, users: int, bins: int, per_s: float) -> Counts:
    """Packets asked for in each bin."""
    begins = random.random((users, bins), dtype=np.float32) < per_s * BIN_S
    pages = np.zeros((users, bins), np.float32)
    sizes = random.lognormal(np.log(PAGE_MEDIAN), PAGE_SIGMA, int(np.count_nonzero(begins)))
    pages[begins] = np.ceil(sizes)
    return pages


def _drained(wanted: Counts, most: Counts) -> Counts:
    """What is sent of what waits, bin by bin."""
    sent = np.empty_like(wanted)
    waiting = np.zeros(len(wanted), np.float32)
    for place in range(wanted.shape[1]):
        waiting += wanted[:, place]
        np.minimum(waiting, most[:, place], out=sent[:, place])
        waiting -= sent[:, place]
    return sent


def _delayed(random: np.random.Generator, sent: Counts, mean_s: float) -> Counts:
    """The same packets where they leave, each after a delay of its own."""
    users, bins = sent.shape
    owners, places = np.nonzero(sent)
    repeats = sent[owners, places].astype(np.intp)
    owners, places = np.repeat(owners, repeats), np.repeat(places, repeats)
    ages = random.random(len(owners)) + random.gamma(LAYERS, mean_s / BIN_S, len(owners))
    places = places + ages.astype(np.intp)
    inside = places < bins
    flat = np.bincount(owners[inside] * bins + places[inside], minlength=users * bins)
    return flat.reshape(users, bins).astype(np.float32)


def _smeared(counts: Counts, kernel: Counts) -> Counts:
    """What is expected where they leave."""
    bins = counts.shape[1]
    size = bins + len(kernel)
    spectrum = np.fft.rfft(counts, size) * np.fft.rfft(kernel, size)
    found: Counts = np.fft.irfft(spectrum, size)[:, :bins].astype(np.float32)
    return found


def _standard(counts: Counts) -> Counts:
    """Rows of mean 0 and length 1; a row that never changes becomes 0."""
    centred = counts - counts.mean(axis=1, keepdims=True)
    length = np.sqrt((centred * centred).sum(axis=1, keepdims=True))
    unit: Counts = centred / np.where(length > 0, length, 1)
    return unit
