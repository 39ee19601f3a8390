"""The delay of a whole path, and what follows from it in closed form.

Three exponential delays of one mean add up to an Erlang distribution of shape 3. To somebody who
sees only both ends of a mixnet with Poisson traffic, a packet sent x before an arrival has a weight
proportional to its density at x. The figures here hold for many packets in flight.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from node.mix.packet import LAYERS

EULER: Final = 0.5772156649015329
HORIZON: Final = 20.0
"""Mean delays of one hop after which a packet is taken to have left: 2 in a million stay longer."""

Numbers = NDArray[np.float64]


def density(age_s: Numbers, mean_s: float) -> Numbers:
    """Erlang-3 density, per second.

    Args:
        age_s: Time since a packet was sent; 0 or less gives 0.
        mean_s: Mean delay of one hop.
    """
    scaled = np.maximum(age_s, 0.0) / mean_s
    weights: Numbers = 0.5 * scaled * scaled * np.exp(-scaled) / mean_s
    return weights


def draw(random: np.random.Generator, mean_s: float, count: int) -> Numbers:
    """Delays of whole paths."""
    return random.gamma(LAYERS, mean_s, count)


def entropy_width_s(mean_s: float, shape: int = LAYERS) -> float:
    """Seconds of equally likely sending times that an Erlang delay is worth: e to its entropy.

    Times the load, it is the effective anonymity set: 6.34 mean delays for three hops, e for one.
    """
    digamma = -EULER + sum(1 / place for place in range(1, shape))
    nats = shape + math.lgamma(shape) + (1 - shape) * digamma
    return mean_s * math.exp(nats)


def peak(mean_s: float) -> float:
    """Greatest density, per second; divided by the load, the chance of the best guess."""
    return 2 * math.exp(-2) / mean_s


def collision(mean_s: float) -> float:
    """Integral of the squared density, per second: 3/16 over the mean delay.

    Divided by twice a user's own rate, it is what one more message of a conversation tells about
    its sender in nats, where every user has many packets in flight.
    """
    return 3 / 16 / mean_s
