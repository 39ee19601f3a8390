"""Unbiased draws from a source of random bytes, with integers only.

The source is an argument: the operating system's for clients, a beacon's stream for draws that
everybody can repeat, a seeded one in statistical tests.
"""

from bisect import bisect_right
from collections.abc import Callable, MutableSequence, Sequence
from itertools import accumulate
from typing import TypeAlias, TypeVar

RandomBytes: TypeAlias = Callable[[int], bytes]
"""Returns the asked number of bytes."""

T = TypeVar("T")


def uniform_below(bound: int, random: RandomBytes) -> int:
    """Return an integer in [0, bound), each equally likely (by rejection).

    Raises:
        ValueError: `bound` is not positive.
    """
    if bound <= 0:
        raise ValueError("nothing to draw from")
    bits = (bound - 1).bit_length()
    size, surplus = (bits + 7) // 8, -bits % 8
    while True:
        value = int.from_bytes(random(size), "big") >> surplus
        if value < bound:
            return value


def weighted_place(weights: Sequence[int], random: RandomBytes) -> int:
    """Return a place with probability weight / sum of the weights.

    Raises:
        ValueError: a weight is negative or all are 0.
    """
    if min(weights, default=0) < 0:
        raise ValueError("a weight is negative")
    sums = list(accumulate(weights))
    return bisect_right(sums, uniform_below(sums[-1] if sums else 0, random))


def shuffle(items: MutableSequence[T], random: RandomBytes) -> None:
    """Put items into a random order, in place (Fisher and Yates)."""
    for last in range(len(items) - 1, 0, -1):
        other = uniform_below(last + 1, random)
        items[last], items[other] = items[other], items[last]
