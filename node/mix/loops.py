"""Whether loops come back: what tells a mix, or a client, that somebody holds packets back.

An attacker who lets only one honest packet into a mix (n-1 attack) cannot know which of the packets
that he holds back are the mix's own. Lost loops are compared with what honest loss explains.

Source: docs/spec/mixnet.md, section Loops of mixes; Danezis, Sassaman: Heartbeat Traffic to Counter
(n-1) Attacks (2003).
"""

from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from heapq import heappop, heappush
from math import comb
from typing import Final

WINDOW: Final = 64
HONEST_LOSS_PPM: Final = 20_000
FALSE_ALARM: Final = 1e-8
RECOVERY: Final = 8
MAX_WAITING: Final = 4096
_PPM: Final = 1_000_000


def chance_of_losses(judged: int, lost: int, loss_ppm: int = HONEST_LOSS_PPM) -> float:
    """Chance that `lost` or more of `judged` loops are lost when nobody attacks (binomial)."""
    loss = loss_ppm / _PPM
    return sum(
        comb(judged, number) * loss**number * (1 - loss) ** (judged - number)
        for number in range(lost, judged + 1)
    )


@lru_cache(maxsize=1024)
def alarm_threshold(judged: int, loss_ppm: int = HONEST_LOSS_PPM) -> int:
    """Least number of lost loops, of those judged, that is an alarm; more than all if none is."""
    for lost in range(judged + 1):
        if chance_of_losses(judged, lost, loss_ppm) <= FALSE_ALARM:
            return lost
    return judged + 1


@dataclass(frozen=True, slots=True)
class LoopReport:
    """What the last loops say.

    Args:
        judged: loops of the window.
        lost: of them.
        alarm: whether honest loss does not explain it.
    """

    judged: int
    lost: int
    alarm: bool


class LoopWatch:
    """Waits for loops.

    A mix knows a loop by its replay tag, a client by its delivery id: 16 bytes in both cases.

    Args:
        loss_ppm: loss that is nobody's attack.

    Attributes:
        sent: loops so far.
        returned: of them, in time.
        changed: of them, with another payload than was sent; they count as lost.
        refused: loops not watched because too many were under way.
        trips: how long the last ones took, in seconds, where the time they left is known.
    """

    __slots__ = (
        "_deadlines",
        "_in_a_row",
        "_loss_ppm",
        "_needed",
        "_waiting",
        "_window",
        "changed",
        "refused",
        "returned",
        "sent",
        "trips",
    )

    def __init__(self, loss_ppm: int = HONEST_LOSS_PPM) -> None:
        self._loss_ppm = loss_ppm
        self._waiting: dict[bytes, float | None] = {}
        self._deadlines: list[tuple[float, bytes]] = []
        self._window: deque[bool] = deque(maxlen=WINDOW)
        self._in_a_row = 0
        self._needed = RECOVERY
        self.sent = 0
        self.returned = 0
        self.changed = 0
        self.refused = 0
        self.trips: deque[float] = deque(maxlen=WINDOW)

    @property
    def next_at(self) -> float | None:
        """When the next loop is lost if it does not come; None if none is under way."""
        return self._deadlines[0][0] if self._deadlines else None

    def expect(self, loop: bytes, deadline: float, now: float | None = None) -> bool:
        """Wait for a loop; false if too many are awaited.

        Args:
            loop: replay tag or delivery id, 16 bytes.
            deadline: when it is lost, in seconds.
            now: when it leaves, in seconds, for its trip to be timed.
        """
        if len(self._deadlines) >= MAX_WAITING:
            self.refused += 1
            return False
        self._waiting[loop] = now
        heappush(self._deadlines, (deadline, loop))
        self.sent += 1
        return True

    def passed(self, loop: bytes, now: float | None = None, *, intact: bool = True) -> bool:
        """Tell that something came; returns whether it is a loop of ours.

        Args:
            loop: replay tag or delivery id, 16 bytes.
            now: seconds, for its trip to be timed.
            intact: whether its payload is what was sent, where that can be told.
        """
        if loop not in self._waiting:
            return False
        left_at = self._waiting.pop(loop)
        if left_at is not None and now is not None:
            self.trips.append(now - left_at)
        self._judge(lost=not intact)
        self.changed += not intact
        self.returned += intact
        return True

    def report(self, now: float) -> LoopReport:
        """Judge what is overdue at `now` (seconds) and say how it stands."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, loop = heappop(self._deadlines)
            if loop in self._waiting:
                del self._waiting[loop]
                self._judge(lost=True)
        return LoopReport(len(self._window), sum(self._window), self.is_alarmed)

    @property
    def is_alarmed(self) -> bool:
        """Whether the loops judged so far are an alarm."""
        return sum(self._window) >= alarm_threshold(len(self._window), self._loss_ppm)

    def _judge(self, *, lost: bool) -> None:
        """Note a loop; end an alarm when enough in a row came, twice as many after each alarm."""
        self._window.append(lost)
        self._in_a_row = 0 if lost else self._in_a_row + 1
        if len(self._window) == WINDOW and not self.is_alarmed:
            self._needed = RECOVERY
        elif self._in_a_row >= self._needed and self.is_alarmed:
            self._window.clear()
            self._window.extend([False] * self._needed)
            self._needed = min(2 * self._needed, WINDOW)
