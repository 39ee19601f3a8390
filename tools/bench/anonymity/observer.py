"""Who sent a packet that arrived: exact likelihoods for two observers.

Exponential delays have no memory. Whoever sees all links knows how many packets each mix holds, and
when one leaves, each of them is equally likely to be it. Looking back from an arrival, the
likelihood that the target is in a mix is spread evenly over its packets; each packet that entered
takes its part along to where it came from. A hostile mix says which packet is which.

Source: Danezis, The Traffic Analysis of Continuous-Time Mixes (2004); Piotrowska et al., The Loopix
Anonymity System (2017), section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from node.mix.packet import LAYERS
from tools.bench.anonymity.delays import density
from tools.bench.anonymity.world import Window

_NOTHING_LEFT: Final = -800.0
"""Logarithm of 0: what a mix keeps of the likelihood when its last packet took it along."""

Weights = NDArray[np.float64]


def seen_from_ends(window: Window, target: int) -> Weights:
    """Likelihood of each packet for an observer of clients and arrivals, who sees no mix."""
    return density(window.times[-1, target] - window.times[0], window.crowd.mean_delay_s)


@dataclass(frozen=True, slots=True)
class _Layer:
    """What enters and leaves the mixes of a layer, mix by mix, latest first.

    Attributes:
        packets: Of each event.
        enters: Whether it enters.
        share: The part of the likelihood it takes along if it enters.
        kept: Cumulative logarithm of what a mix keeps.
        before: The same before the event.
        told: For each packet whether its mix is hostile.
    """

    packets: NDArray[np.intp]
    enters: NDArray[np.bool_]
    share: Weights
    kept: Weights
    before: Weights
    told: NDArray[np.bool_]

    def back(self, leaving: Weights) -> Weights:
        """Likelihoods of packets entering, from those of packets leaving."""
        with np.errstate(divide="ignore"):
            added = np.log(leaving[self.packets]) - self.kept
        added[self.enters] = -np.inf
        np.logaddexp.accumulate(added, out=added)
        held = np.exp(added[self.enters] + self.before[self.enters])
        entering = np.empty_like(leaving)
        entering[self.packets[self.enters]] = held * self.share
        return np.where(self.told, leaving, entering)


class LinkObserver:
    """Sees every packet on every link, and into the mixes it runs.

    Args:
        window: What there is to see.
        hostile: For each layer, whether each mix belongs to it; None for no mix.
    """

    def __init__(self, window: Window, hostile: NDArray[np.bool_] | None = None) -> None:
        if hostile is None:
            hostile = np.zeros((LAYERS, window.mixes), np.bool_)
        self._window = window
        self._layers = [_sorted(window, place, hostile[place]) for place in range(LAYERS)]

    def weigh(self, target: int) -> Weights:
        """Likelihood of each packet to be the one that arrived."""
        weights = np.zeros(self._window.count)
        weights[target] = 1.0
        for layer in reversed(self._layers):
            weights = layer.back(weights)
        return weights


def _sorted(window: Window, place: int, hostile: NDArray[np.bool_]) -> _Layer:
    count = window.count
    mixes = window.through[place]
    order = np.lexsort((window.times[place : place + 2].ravel(), np.tile(mixes, 2)))
    held = np.cumsum(np.where(order < count, 1, -1))[::-1]
    order = order[::-1]
    enters = order < count
    with np.errstate(divide="ignore"):
        keeps = np.where(enters, np.log1p(-1 / np.maximum(held, 1)), 0.0)
    keeps = np.maximum(keeps, _NOTHING_LEFT)
    kept = np.cumsum(keeps)
    return _Layer(
        packets=order % count,
        enters=enters,
        share=1 / held[enters],
        kept=kept,
        before=kept - keeps,
        told=hostile[mixes],
    )


def by_sender(window: Window, weights: Weights) -> Weights:
    """Likelihood of each user."""
    summed: Weights = np.bincount(window.senders, weights, window.crowd.users)  # type: ignore[assignment]
    return summed
