"""What the network around this machine does to us, judged by our own dials and nothing else.

No third party is asked. A portal or an inspecting proxy answers in place of every node; a firewall
refuses or swallows; a filter lets connections start and cuts them. A failure of one node alone says
nothing about the network.

Source: docs/spec/exits-and-clients.md, section "Recovery".
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import Final

from node.client.paths.dialler import Attempt
from node.errors import Heard, LinkError
from node.htx.events import CloseReason

WINDOW_S: Final = 60
"""Dials older than this say nothing about the network now."""
MIN_WITNESSES: Final = 2
"""Nodes in whose place something else must answer before it is called a portal."""
CLOCK_TOLERANCE_S: Final = 30
"""A difference to the nodes' clocks that is not worth telling."""

_WEB_PORTS: Final = frozenset({80, 443})
"""What strict networks let through."""

_NO_ROUTE: Final = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}
)


class Obstacle(Enum):
    """What stands between this machine and the nodes; the value is the cause in words."""

    NO_ROUTE = "this machine has no route to the network"
    INTERCEPTED = "something answers in place of the network"
    PORTS = "only some ports are let through"
    REFUSED = "every connection is refused: a firewall, or no node runs there"
    CUT_OFF = "connections are cut or silenced once they stand: a filter"
    SILENT = "nothing answers: a firewall drops everything, or no node runs there"


_TRY: Final = {
    Obstacle.NO_ROUTE: ("connect this machine to a network",),
    Obstacle.INTERCEPTED: (
        "sign in to the Wi-Fi: open any http:// page in a browser",
        "turn off the proxy or virus scanner that opens TLS connections",
    ),
    Obstacle.PORTS: ("use nodes or bridges on the ports that are let through",),
    Obstacle.REFUSED: ("try another network", "use a bridge"),
    Obstacle.CUT_OFF: ("try another network", "use a bridge"),
    Obstacle.SILENT: ("try another network", "use a bridge"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """An obstacle and who bears witness.

    Attributes:
        obstacle: Which one.
        failed: Nodes that could not be reached.
        witnesses: Those among them that speak for this obstacle.
        detail: More, in words.
    """

    obstacle: Obstacle
    failed: int
    witnesses: int
    detail: str = ""

    @property
    def cause(self) -> str:
        """The cause in words."""
        told = f"{self.obstacle.value} ({self.witnesses} of {self.failed} nodes tried)"
        return f"{told}: {self.detail}" if self.detail else told

    @property
    def try_(self) -> tuple[str, ...]:
        """What a person can do."""
        return _TRY[self.obstacle]


def diagnose(attempts: Sequence[Attempt], now: float) -> Finding | None:
    """What keeps this machine from the network; None when nothing does, or nobody can tell.

    Args:
        attempts: Dials, oldest first.
        now: Monotonic time.
    """
    latest = list(_latest(attempts, now))
    failures = [(item, item.error) for item in latest if item.error is not None]
    if not failures:
        return None
    kinds = Counter(_obstacle(error) for _, error in failures)
    if len(failures) < len(latest):
        return _closed_ports(latest)
    if kinds[None]:
        return None  # a node itself answered: the network lets us through
    intercepted = kinds[Obstacle.INTERCEPTED]
    if intercepted >= MIN_WITNESSES or intercepted == len(failures):
        return Finding(Obstacle.INTERCEPTED, len(failures), intercepted, _impostor(failures))
    obstacle, count = kinds.most_common(1)[0]
    return Finding(obstacle, len(failures), count) if obstacle is not None else None


@dataclass(frozen=True, slots=True)
class Skew:
    """How far this machine's clock is from the nodes'.

    Attributes:
        seconds: What must be added to the local clock; negative when it is ahead.
        nodes: Nodes that told their time over TLS with their pinned key.
    """

    seconds: float
    nodes: int

    @property
    def cause(self) -> str:
        """The cause in words."""
        side = "behind" if self.seconds > 0 else "ahead"
        said = "1 node says" if self.nodes == 1 else f"{self.nodes} nodes say"
        return (
            f"this machine's clock is {in_words(abs(self.seconds))} {side}: "
            f"{said} so over TLS with their pinned keys"
        )


def clock_skew(attempts: Sequence[Attempt], now: float) -> Skew | None:
    """The median of what nodes told; None when nobody told or it is nothing to speak of."""
    told = [item.told_s - item.wall_s for item in _latest(attempts, now) if item.told_s]
    if not told or abs(median(told)) < CLOCK_TOLERANCE_S:
        return None
    return Skew(median(told), len(told))


def in_words(seconds: float) -> str:
    """A duration as people say it, e.g. `about 5 h 2 min`."""
    if seconds < 120:
        return f"about {seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"about {minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"about {hours} h {minutes} min"
    return f"about {round(hours / 24)} days"


def _latest(attempts: Sequence[Attempt], now: float) -> Iterable[Attempt]:
    """The last dial to each address that is not too old."""
    by_address = {(a.host, a.port): a for a in attempts if now - a.at < WINDOW_S}
    return by_address.values()


def _obstacle(error: LinkError) -> Obstacle | None:
    """What one failed dial speaks for; None when the node itself answered."""
    if error.heard is Heard.NOTHING:
        if error.number in _NO_ROUTE:
            return Obstacle.NO_ROUTE
        return Obstacle.REFUSED if error.number == errno.ECONNREFUSED else Obstacle.SILENT
    if error.heard is Heard.SILENCE:
        return Obstacle.CUT_OFF
    if error.heard is Heard.GARBLED or error.reason is CloseReason.PIN:
        return Obstacle.INTERCEPTED
    return None


def _impostor(failures: Sequence[tuple[Attempt, LinkError]]) -> str:
    """How whoever answers in place of the nodes gave itself away."""
    garbled = any(error.heard is Heard.GARBLED for _, error in failures)
    pinned = any(error.reason is CloseReason.PIN for _, error in failures)
    words = ["no TLS"] * garbled + ["TLS with another certificate's key"] * pinned
    return " or ".join(words)


def _closed_ports(latest: Sequence[Attempt]) -> Finding | None:
    """Some nodes answer and some do not: is it the port that decides?"""
    failed = [item for item in latest if item.error is not None]
    open_ports = {item.port for item in latest if item.error is None}
    closed = sorted({item.port for item in failed} - open_ports)
    if len(failed) < MIN_WITNESSES or not open_ports <= _WEB_PORTS or not closed:
        return None
    if any(item.port in open_ports for item in failed):
        return None
    ports = ", ".join(map(str, closed))
    passes = ", ".join(map(str, sorted(open_ports)))
    return Finding(Obstacle.PORTS, len(failed), len(failed), f"{passes} passes, {ports} does not")
