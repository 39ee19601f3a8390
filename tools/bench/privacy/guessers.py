"""Guessers: who try to say which purchase an instrument came from, and which tokens share a path.

A guesser is shown one half and sixteen candidates for the other, one of them right, and picks one.
Chance is right once in sixteen times. Learning guessers train on half of the cases, of which they
know the truth.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tools.bench.privacy.world import POINT_BYTES, Views

CANDIDATES: Final = 16
_RIDGE: Final = 10.0

Bits: TypeAlias = NDArray[np.float32]
Scorer: TypeAlias = Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.float64]]
"""Scores of (left, right) pairs given by their places; the highest of sixteen is the guess."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a guesser fared.

    Attributes:
        name: of the guesser.
        trials: cases.
        right: correct guesses.
    """

    name: str
    trials: int
    right: int

    @property
    def share(self) -> float:
        """Part of the cases that was guessed."""
        return self.right / self.trials

    @property
    def deviations(self) -> float:
        """Standard deviations above chance."""
        chance = 1 / CANDIDATES
        return (self.share - chance) / math.sqrt(chance * (1 - chance) / self.trials)


def play(name: str, count: int, score: Scorer, cases: NDArray[np.intp]) -> Result:
    """Let a guesser choose for each case; ties are broken by lot.

    Args:
        name: of the guesser.
        count: places that candidates are drawn from.
        score: of pairs.
        cases: places whose partner is asked for.
    """
    random = np.random.default_rng(secrets.randbits(128))
    right = 0
    for part in np.array_split(cases, max(1, len(cases) // 4096)):
        others = random.integers(0, count - 1, (len(part), CANDIDATES - 1))
        others += others >= part[:, None]  # never the right one twice
        offered = np.concatenate([part[:, None], others], axis=1)
        left = np.repeat(part, CANDIDATES)
        scores = score(left, offered.reshape(-1)).reshape(offered.shape)
        scores = scores + random.random(scores.shape) * 1e-9
        right += int(np.count_nonzero(scores.argmax(axis=1) == 0))
    return Result(name, len(cases), right)


class PointGuesser:
    """Sees the bytes of all points of a set of purchases.

    Args:
        views: the purchases.
    """

    def __init__(self, views: Views) -> None:
        shape = (views.count, 2, POINT_BYTES)
        self._issued = np.frombuffer(views.issued, np.uint8).reshape(shape)
        self._shown = np.frombuffer(views.shown, np.uint8).reshape(shape)
        self.count = views.count

    def results(self) -> list[Result]:
        """Play with what can be compared and with what can be learned."""
        order = np.random.default_rng(secrets.randbits(128)).permutation(self.count)
        known, asked = order[: self.count // 2], order[self.count // 2 :]
        weights = self._learn(known)
        return [
            play("alike", self.count, self._alike, asked),
            play(
                "learned",
                self.count,
                lambda left, right: (self._bits(left, right) @ weights).astype(np.float64),
                asked,
            ),
        ]

    def _pairs(self, left: NDArray[np.intp], right: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Each point of one half against each of the other: 4 x 48 bytes a pair."""
        issued, shown = self._issued[left], self._shown[right]
        return (issued[:, :, None, :] ^ shown[:, None, :, :]).reshape(len(left), -1)

    def _bits(self, left: NDArray[np.intp], right: NDArray[np.intp]) -> Bits:
        return np.unpackbits(self._pairs(left, right), axis=1).astype(np.float32) * 2 - 1

    def _alike(self, left: NDArray[np.intp], right: NDArray[np.intp]) -> NDArray[np.float64]:
        """Fewest differing bits."""
        differing: NDArray[np.float64]
        differing = np.bitwise_count(self._pairs(left, right)).sum(axis=1, dtype=np.float64)
        return -differing

    def _learn(self, known: NDArray[np.intp]) -> Bits:
        """Weights of the bits that tell true from false pairs best (ridge regression)."""
        width = 4 * POINT_BYTES * 8
        square, target = np.zeros((width, width), np.float32), np.zeros(width, np.float32)
        wrong = np.roll(known, 1)
        for part, other in zip(
            np.array_split(known, max(1, len(known) // 4096)),
            np.array_split(wrong, max(1, len(known) // 4096)),
            strict=True,
        ):
            for right, label in ((part, 1.0), (other, -1.0)):
                bits = self._bits(part, right)
                square += bits.T @ bits
                target += label * bits.sum(axis=0)
        square += _RIDGE * np.eye(width, dtype=np.float32)
        return np.linalg.solve(square, target)


def match_ends(name: str, first: NDArray[np.intp], other: NDArray[np.intp]) -> Result:
    """Guess which token of another hop shares a path, by the k it ended at.

    Half of the paths are known; the guesser takes the most likely partner under the joint
    frequencies it saw there, which no other guesser beats.

    Args:
        name: of the case.
        first: k at one hop, for each path.
        other: k at another hop, in the same order.
    """
    count, top = len(first), int(max(first.max(), other.max())) + 1
    known = count // 2
    joint = np.ones((top, top))
    np.add.at(joint, (first[:known], other[:known]), 1.0)
    ratio = np.log(joint * joint.sum() / np.outer(joint.sum(axis=1), joint.sum(axis=0)))
    return play(
        name,
        count,
        lambda left, right: ratio[first[left], other[right]],
        np.arange(known, count),
    )
