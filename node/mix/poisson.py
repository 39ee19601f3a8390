"""Exponential draws: delays at mixes, times between packets.

Source: docs/spec/mixnet.md, QN-MIX-030; Piotrowska et al.: The Loopix Anonymity System (2017).
"""

from math import log
from typing import Final

from qnet.sampling import RandomBytes

MEAN_DELAY_MS: Final = 30
MAX_DELAY_MS: Final = 0xFFFF

_BITS: Final = 53
"""As many as a float holds exactly."""


def exponential(mean: float, random: RandomBytes) -> float:
    """Draw from the exponential distribution with that mean, in the mean's unit."""
    value = int.from_bytes(random(7), "big") >> (56 - _BITS)
    return -mean * log((value + 1) / (1 << _BITS))


def draw_delay_ms(random: RandomBytes, mean_ms: float = MEAN_DELAY_MS) -> int:
    """Draw how long one mix shall hold a packet, in ms."""
    return min(round(exponential(mean_ms, random)), MAX_DELAY_MS)
