"""How anonymous one message is, given how likely each user is to have sent it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.bench.economy.account import Interval


@dataclass(frozen=True, slots=True)
class Sight:
    """What an adversary knows about the sender of one message.

    Attributes:
        entropy_bits: Of the sender set; 2 to it is its effective size.
        min_entropy_bits: Of the best guess.
        surprise_bits: -log2 of the likelihood given to the true sender. Where likelihoods are
            exact its mean is that of the entropy.
        hit: Whether the best guess is right, as a chance among equals.
    """

    entropy_bits: float
    min_entropy_bits: float
    surprise_bits: float
    hit: float

    @property
    def best(self) -> float:
        """Chance that the best guess is right, as the adversary sees it."""
        return float(2.0**-self.min_entropy_bits)


def sight(weights: NDArray[np.float64], truth: int) -> Sight:
    """Judge likelihoods.

    Args:
        weights: Of each user, with any positive sum.
        truth: Place of the sender; of weight above 0.
    """
    shares = weights / weights.sum()
    seen = shares[shares > 0]
    most = float(seen.max())
    tied = int(np.count_nonzero(shares >= most * (1 - 1e-12)))
    return Sight(
        entropy_bits=max(0.0, float(-(seen * np.log2(seen)).sum())),
        min_entropy_bits=max(0.0, float(-np.log2(most))),
        surprise_bits=max(0.0, float(-np.log2(shares[truth]))),
        hit=1 / tied if shares[truth] >= most * (1 - 1e-12) else 0.0,
    )


@dataclass(frozen=True, slots=True)
class Summary:
    """Many messages, with intervals over independent worlds.

    Attributes:
        entropy_bits: Mean entropy of the sender set.
        min_entropy_bits: Mean min-entropy.
        surprise_bits: Mean surprise.
        best: Mean chance of the best guess.
        hit: Share of best guesses that were right.
        worlds: Number of worlds.
    """

    entropy_bits: Interval
    min_entropy_bits: Interval
    surprise_bits: Interval
    best: Interval
    hit: Interval
    worlds: int

    @property
    def effective(self) -> Interval:
        """Effective size of the sender set."""
        low, high = 2**self.entropy_bits.low, 2**self.entropy_bits.high
        return Interval(2**self.entropy_bits.mean, (high - low) / 2)

    @classmethod
    def of(cls, worlds: Sequence[Sequence[Sight]]) -> Summary:
        """From the messages of each world; every world counts once."""

        def over(name: str) -> Interval:
            means = [np.mean([getattr(seen, name) for seen in world]) for world in worlds]
            return Interval.of([float(mean) for mean in means])

        return cls(
            over("entropy_bits"),
            over("min_entropy_bits"),
            over("surprise_bits"),
            over("best"),
            over("hit"),
            len(worlds),
        )


def advantage(right: NDArray[np.floating], wrong: NDArray[np.floating]) -> float:
    """Greatest difference of true and false positive rates over all thresholds.

    Args:
        right: Scores of true pairs.
        wrong: Scores of false pairs, ascending.
    """
    ordered = np.sort(right)
    true = 1 - np.arange(len(ordered)) / len(ordered)
    false = 1 - np.searchsorted(wrong, ordered, side="left") / len(wrong)
    return max(0.0, float((true - false).max()))


def true_rate(right: NDArray[np.floating], wrong: NDArray[np.floating], false_rate: float) -> float:
    """Share of true pairs above the threshold that so few false pairs exceed.

    Args:
        right: Scores of true pairs.
        wrong: Scores of false pairs, ascending.
        false_rate: Share of false pairs that may be above, at least 1 / len(wrong).
    """
    place = len(wrong) - 1 - int(false_rate * len(wrong))
    return float(np.mean(right > wrong[place]))


def top_rate(right: NDArray[np.floating], wrong: NDArray[np.floating], users: int) -> float:
    """Chance that a true pair scores above those of all other users.

    Args:
        right: Scores of true pairs.
        wrong: Scores of false pairs, ascending; so many that one of `users` is resolved.
        users: Among whom the best is taken.
    """
    above = 1 - np.searchsorted(wrong, right, side="left") / len(wrong)
    return float(np.mean((1 - above) ** (users - 1)))
