"""How many reply blocks an exit has, as far as the client can tell, and how many it should have.

Each reply reports what the exit got and has. What the client sent since is under way, until it is
old enough to be lost.

Source: docs/spec/mixnet.md, QN-MIX-115.
"""

from collections import deque
from typing import Final

from node.mix.streams.wire import MAX_BLOCKS, TunnelReply

LEAST: Final = 2 * MAX_BLOCKS
MOST: Final = 256
CALM_S: Final = 5.0
"""After this time without a backlog at the exit its stock may shrink."""


class Supply:
    """Blocks of one tunnel.

    Attributes:
        target: how many the exit should have.
        stock: how many it had at its last report.
        wanted: replies that waited for blocks then.
    """

    __slots__ = (
        "_changed_at",
        "_dead",
        "_order",
        "_sent",
        "_settled",
        "_total",
        "stock",
        "target",
        "wanted",
    )

    def __init__(self) -> None:
        self.target = LEAST
        self.stock = 0
        self.wanted = 0
        self._dead = 0
        self._order = 0
        self._total = 0
        self._settled = 0
        self._changed_at = 0.0
        self._sent: deque[tuple[float, int]] = deque()

    @property
    def missing(self) -> int:
        """Blocks to send now."""
        return max(0, self.target - (self.stock - self._dead) - (self._total - self._settled))

    @property
    def is_short(self) -> bool:
        """Whether replies wait for blocks that are not under way yet."""
        return self.wanted > 0 and self.missing > 0

    def sent(self, count: int, now: float) -> None:
        """Blocks leave at `now` (seconds)."""
        self._total += count
        self._sent.append((now, self._total))

    def forsake(self) -> None:
        """All blocks sent so far lead to a guard that we have left; the newest are used first."""
        self._dead = self.stock = self.stock + self._total - self._settled
        self._settled = self._total

    def reported(self, reply: TunnelReply, wait_s: float, now: float) -> None:
        """Learn from a reply.

        Args:
            reply: what the exit says.
            wait_s: after which what it did not get is lost.
            now: seconds.
        """
        if reply.order <= self._order:
            return
        self._order = reply.order
        self.stock, self.wanted = reply.stock, reply.wanted
        self._dead = min(self._dead, self.stock)
        old = 0
        while self._sent and self._sent[0][0] <= now - wait_s:
            _, old = self._sent.popleft()
        self._settled = min(max(self._settled, old, reply.taken), self._total)
        self._adapt(wait_s, now)

    def _adapt(self, wait_s: float, now: float) -> None:
        """Double the target while it keeps replies waiting; halve it once it was more than enough.

        At most once in a round trip, because what was sent has to take effect.
        """
        if self.wanted and now - self._changed_at >= wait_s / 2:
            self.target = min(2 * self.target, MOST)
            self._changed_at = now
        elif not self.wanted and now - self._changed_at >= CALM_S:
            self.target = max(self.target // 2, LEAST)
            self._changed_at = now
