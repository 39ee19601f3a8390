"""What signed consensuses say about the local clock.

A quorum signs no period that has not begun. So `valid_after` is a lower bound of the time now, for
which no time server is asked. In the other direction a single old consensus proves nothing: its
source may be stale. When several sources agree on the newest period and the local clock finds it
too old, the clock is the likelier culprit.

Source: docs/spec/directory.md, section Time bounds.
"""

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from qnet.messages.consensus import Consensus
from qnet.messages.freshness import Freshness

CLOCK_WITNESSES: Final = 2
"""Sources that must agree on a period before the local clock is called ahead."""
MAX_WITNESSES: Final = 64
"""Sources remembered; the one heard longest ago is forgotten first."""


class Off(StrEnum):
    """Which way the local clock is off."""

    BEHIND = "behind"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class ClockVerdict:
    """The local clock contradicts the committee.

    Args:
        off: which way.
        by_s: by how much, seconds: at least, if it is behind; about, if it is ahead.
        period: newest period that was signed.
        sources: how many sources gave it.
    """

    off: Off
    by_s: float
    period: int
    sources: int

    @property
    def offset_s(self) -> float:
        """Seconds to add to the local clock."""
        return self.by_s if self.off is Off.BEHIND else -self.by_s

    @property
    def why(self) -> str:
        """The reason, for people."""
        said = "source gives" if self.sources == 1 else "sources give"
        start = f"{self.sources} {said} a quorum's consensus of {self.period}"
        if self.off is Off.BEHIND:
            return f"{start}, which lies {self.by_s:.0f} s ahead of the local clock"
        return f"{start} as the newest; by the local clock the next is {self.by_s:.0f} s overdue"


class ClockWitnesses:
    """Newest period heard from each source, whether it could be used or not."""

    __slots__ = ("_heard", "floor")

    def __init__(self) -> None:
        self._heard: OrderedDict[str, tuple[int, Freshness, int]] = OrderedDict()
        self.floor = 0
        """Lower bound of the time now, unix seconds; 0 while nothing signed was seen."""

    def heard(self, source: str, consensus: Consensus) -> None:
        """A source gave a consensus whose signatures hold.

        Args:
            source: tells apart who may collude; one name for one node.
            consensus: what it gave.
        """
        self.floor = max(self.floor, consensus.valid_after)
        known = self._heard.pop(source, None)
        entry = (consensus.valid_after, Freshness.of(consensus), consensus.interval_s)
        self._heard[source] = entry if known is None or known[0] <= entry[0] else known
        while len(self._heard) > MAX_WITNESSES:
            self._heard.popitem(last=False)

    def verdict(self, now: float) -> ClockVerdict | None:
        """Whether the local clock must be wrong.

        Args:
            now: local clock, unix seconds.
        """
        if not self._heard:
            return None
        newest = max(period for period, _, _ in self._heard.values())
        agreeing = [entry for entry in self._heard.values() if entry[0] == newest]
        _, bounds, interval_s = agreeing[0]
        if now < bounds.usable_from:
            return ClockVerdict(Off.BEHIND, newest - now, newest, len(agreeing))
        if now > bounds.circuits_until and len(agreeing) >= CLOCK_WITNESSES:
            return ClockVerdict(Off.AHEAD, now - newest - interval_s, newest, len(agreeing))
        return None
