"""Links between nodes: one per neighbour, kept open, shared by all circuits, dialled on demand.

A circuit that needs a link to a node either gets one that stands (dialled or accepted: both are
authenticated) or waits for the one dial in progress. Idle links are closed least recently used
first when the pool is full.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from node.htx.events import CloseReason
from node.io.endpoint import Link
from qnet.errors import QnetError

MAX_LINKS = 4_096
"""Node links kept open by one process."""

REDIAL_PAUSE_S = 0.5
"""After a failed dial, circuits to that node fail at once for this long."""

_log = structlog.get_logger(__name__)


class Waiter(Protocol):
    """Gets the link, or None with the cause."""

    def __call__(self, link: Link | None, cause: str) -> None:
        """Called once."""


@dataclass(slots=True)
class _Neighbour:
    link: Link | None = None
    waiters: list[Waiter] = field(default_factory=list)
    dialling: bool = False
    failed_at: float = float("-inf")
    cause: str = ""
    used_at: float = 0.0


class LinkPool:
    """Links by node id.

    Args:
        dial: Opens an authenticated link to a node, by registry index and node id.
        spawn: Runs a coroutine in the owner's task group.
        now: Clock in seconds.
        circuits_on: How many circuits use a link.
        check: Raises QnetError for an index and id that are not of one listed node.
        on_ready: Called with the node id when a neighbour gets a link.
        max_links: Links kept open.
    """

    def __init__(
        self,
        *,
        dial: Callable[[int, bytes], Awaitable[Link]],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        now: Callable[[], float],
        circuits_on: Callable[[int], int],
        check: Callable[[int, bytes], object] = lambda _index, _node_id: None,
        on_ready: Callable[[bytes], object] = lambda _node_id: None,
        max_links: int = MAX_LINKS,
    ) -> None:
        self._dial = dial
        self._spawn = spawn
        self._now = now
        self._circuits_on = circuits_on
        self._check = check
        self._on_ready = on_ready
        self._max_links = max_links
        self._neighbours: dict[bytes, _Neighbour] = {}

    def __len__(self) -> int:
        return sum(1 for neighbour in self._neighbours.values() if neighbour.link is not None)

    def links(self) -> dict[bytes, Link]:
        """Open links by node id."""
        return {
            node_id: neighbour.link
            for node_id, neighbour in self._neighbours.items()
            if neighbour.link is not None
        }

    def added(self, link: Link) -> None:
        """A link to a node opened (either way); waiting circuits get it."""
        node_id = link.peer.node_id
        if node_id is None:
            return
        neighbour = self._neighbours.setdefault(node_id, _Neighbour())
        if neighbour.link is None or neighbour.link.is_closed:
            neighbour.link = link
            neighbour.used_at = self._now()
            self._on_ready(node_id)
        self._serve_waiters(neighbour)
        self._evict()

    def removed(self, link: Link) -> None:
        """A link closed."""
        node_id = link.peer.node_id
        neighbour = self._neighbours.get(node_id) if node_id is not None else None
        if neighbour is not None and neighbour.link is link:
            neighbour.link = None

    def want(self, index: int, node_id: bytes, waiter: Waiter) -> None:
        """Give `waiter` a link to a node, now or when the dial ends.

        Args:
            index: Registry index.
            node_id: 32 bytes.
            waiter: Called once, perhaps before this returns.
        """
        try:
            # whoever asks for nonsense must neither be remembered nor fail those who do not
            self._check(index, node_id)
        except QnetError as error:
            waiter(None, error.message)
            return
        neighbour = self._neighbours.setdefault(node_id, _Neighbour())
        if neighbour.link is not None and not neighbour.link.is_closed:
            neighbour.used_at = self._now()
            waiter(neighbour.link, "")
            return
        if self._now() - neighbour.failed_at < REDIAL_PAUSE_S:
            waiter(None, neighbour.cause)
            return
        neighbour.waiters.append(waiter)
        if not neighbour.dialling:
            neighbour.dialling = True
            self._spawn(self._connect(index, node_id, neighbour))

    async def _connect(self, index: int, node_id: bytes, neighbour: _Neighbour) -> None:
        try:
            link = await self._dial(index, node_id)
        except (QnetError, OSError, TimeoutError) as error:
            cause = str(error) or type(error).__name__
            _log.info("link failed", node=index, cause=cause)
            neighbour.failed_at, neighbour.cause = self._now(), cause
            if neighbour.link is None:
                waiters, neighbour.waiters = neighbour.waiters, []
                for waiter in waiters:
                    waiter(None, cause)
        else:
            self.added(link)
        finally:
            neighbour.dialling = False

    def _serve_waiters(self, neighbour: _Neighbour) -> None:
        link = neighbour.link
        waiters, neighbour.waiters = neighbour.waiters, []
        for waiter in waiters:
            waiter(link, "")

    def _evict(self) -> None:
        """Close the least recently used link without circuits when there are too many."""
        if len(self) <= self._max_links:
            return
        idle = [
            (neighbour.used_at, neighbour.link)
            for neighbour in self._neighbours.values()
            if neighbour.link is not None and self._circuits_on(neighbour.link.link_id) == 0
        ]
        if idle:
            min(idle, key=lambda entry: entry[0])[1].close(CloseReason.IDLE)
