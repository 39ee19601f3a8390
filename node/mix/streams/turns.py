"""Whose turn it is among many that may have something to send, now or at a time of their own."""

from collections import OrderedDict
from heapq import heappop, heappush
from math import inf


class Turns:
    """Handles (integers) that are ready, in turns, and alarms of others.

    Each has one alarm at most: an earlier one replaces a later one.
    """

    __slots__ = ("_alarms", "_ready", "_times")

    def __init__(self) -> None:
        self._ready: OrderedDict[int, None] = OrderedDict()
        self._alarms: dict[int, float] = {}
        self._times: list[tuple[float, int]] = []

    @property
    def is_ready(self) -> bool:
        """Whether somebody may have something now."""
        return bool(self._ready)

    @property
    def next_at(self) -> float | None:
        """Time of the next alarm in seconds, if there is one."""
        return self._times[0][0] if self._times else None

    def ready(self, handle: int) -> None:
        """One may have something to send; it comes after those that were ready before."""
        self._ready[handle] = None

    def alarm(self, handle: int, at: float) -> None:
        """One will have something at a time (seconds)."""
        if at < self._alarms.get(handle, inf):
            self._alarms[handle] = at
            heappush(self._times, (at, handle))

    def advance(self, now: float) -> None:
        """Those whose alarm is due are ready."""
        while self._times and self._times[0][0] <= now:
            at, handle = heappop(self._times)
            if self._alarms.get(handle) == at:
                del self._alarms[handle]
                self._ready[handle] = None

    def take(self) -> int:
        """Return the one whose turn it is; it has no turn after this one unless it is ready anew.

        Raises:
            KeyError: nobody is ready.
        """
        return self._ready.popitem(last=False)[0]

    def forget(self, handle: int) -> None:
        """One is gone."""
        self._ready.pop(handle, None)
        self._alarms.pop(handle, None)
