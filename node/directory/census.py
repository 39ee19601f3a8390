"""How many clients an entry serves, told so that no single client shows.

The entry counts links, never who is behind them, and adds noise before the number leaves it. The
noise is drawn once per descriptor's period: who saw it drawn anew could average it away.

Source: docs/spec/directory.md, section "Users".
"""

import math
from collections.abc import Callable
from typing import Final

from qnet.messages.descriptor import MAX_CLIENTS, MIN_CLIENTS

EPSILON: Final = 0.5
"""Privacy parameter: one link more or less changes no number's odds by more than e^this."""
_DRAW_BYTES: Final = 8


def noisy_count(count: int, random: Callable[[int], bytes]) -> int:
    """Return the count with two-sided geometric noise, within the bounds of a descriptor.

    P(noise = k) is proportional to e^(-EPSILON·|k|). The result may be negative: whoever adds up
    many counts would otherwise count noise as clients.

    Args:
        count: the true number.
        random: source of secret bytes.
    """
    noisy = count + _geometric(random) - _geometric(random)
    return min(max(noisy, MIN_CLIENTS), MAX_CLIENTS)


def _geometric(random: Callable[[int], bytes]) -> int:
    """Draw k ≥ 0 with probability (1 - e^-EPSILON)·e^(-EPSILON·k)."""
    share = (int.from_bytes(random(_DRAW_BYTES), "big") + 1) / 2 ** (8 * _DRAW_BYTES)
    return math.floor(-math.log(share) / EPSILON)


class ClientCensus:
    """Counts the distinct links of clients from one descriptor to the next.

    Args:
        random: source of secret bytes.
    """

    __slots__ = ("_noisy", "_open", "_period", "_random", "_seen")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._open = 0
        self._seen = 0
        self._period: int | None = None
        self._noisy = 0

    def opened(self) -> None:
        """A client's link stands."""
        self._open += 1
        self._seen += 1

    def closed(self) -> None:
        """A client's link is gone; it was seen all the same."""
        self._open -= 1

    def publish(self, period: int) -> int:
        """Return the noisy count for the descriptor of a period; the same when asked again.

        Args:
            period: valid_after of the consensus the descriptor is for.
        """
        if period != self._period:
            self._noisy = noisy_count(self._seen, self._random)
            self._period, self._seen = period, self._open
        return self._noisy
