"""How long a consensus may be used, scaled by the network's own interval.

Source: docs/spec/directory.md, section Time bounds.
"""

from dataclasses import dataclass
from typing import Final, Self

from qnet.messages.consensus import Consensus
from qnet.messages.errors import ConsensusTimeError, TimeBound

CIRCUIT_INTERVALS: Final = 2
"""Circuits need a consensus younger than this many intervals."""
REFRESH_INTERVALS: Final = 3
"""Up to this many intervals it serves to fetch the next one."""
SKEW_DIVISOR: Final = 12
"""Clocks may differ by interval / 12: 5 minutes of an hour."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """The time bounds of one consensus, unix seconds.

    Args:
        valid_after: start of its period.
        usable_from: earliest local time at which it is accepted.
        circuits_until: last time at which circuits are built with it.
        refresh_until: last time at which it is used at all.
    """

    valid_after: int
    usable_from: int
    circuits_until: int
    refresh_until: int

    @classmethod
    def of(cls, consensus: Consensus) -> Self:
        """Compute the bounds of a consensus."""
        start, interval = consensus.valid_after, consensus.interval_s
        return cls(
            valid_after=start,
            usable_from=start - interval // SKEW_DIVISOR,
            circuits_until=start + CIRCUIT_INTERVALS * interval,
            refresh_until=start + REFRESH_INTERVALS * interval,
        )

    def check_refresh(self, now: float) -> None:
        """Refuse a consensus that is from the future or too old for anything.

        Raises:
            ConsensusTimeError: naming the bound.
        """
        if now < self.usable_from:
            raise self._error(TimeBound.FUTURE, self.usable_from, now)
        if now > self.refresh_until:
            raise self._error(TimeBound.REFRESH, self.refresh_until, now)

    def check_circuits(self, now: float) -> None:
        """Refuse a consensus with which no circuit may be built.

        Raises:
            ConsensusTimeError: naming the bound.
        """
        self.check_refresh(now)
        if now > self.circuits_until:
            raise self._error(TimeBound.CIRCUITS, self.circuits_until, now)

    def _error(self, bound: TimeBound, limit: int, now: float) -> ConsensusTimeError:
        return ConsensusTimeError(bound, valid_after=self.valid_after, limit=limit, now=now)
