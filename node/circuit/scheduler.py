"""LinkScheduler: deficit round robin over the circuits that want to send on one link.

Cells that set circuits up or end them go first; a circuit that never sent on the link is served
before the others, for one quantum. A premium circuit has a larger weight.

Source: Shreedhar, Varghese: Efficient Fair Queuing using Deficit Round Robin (1995); RFC 8290 for
the list of new flows.
"""

from abc import ABC, abstractmethod
from collections import deque
from typing import Final

from node.circuit.cell import destroy_cell

QUANTUM_CELLS: Final = 16
"""Cells that a circuit of weight 1 may send per turn."""


class Lane(ABC):
    """One direction of one circuit on a link. Subclasses make the cells.

    Args:
        weight: share of the link against circuits of weight 1.
    """

    __slots__ = ("credit", "deficit", "is_new", "is_queued", "weight")

    def __init__(self, credit: int, weight: int = 1) -> None:
        self.credit = credit
        self.deficit = 0
        self.is_new = True
        self.is_queued = False
        self.weight = weight

    @property
    @abstractmethod
    def is_ready(self) -> bool:
        """Whether `take` would return a cell: something to send, and credit for it."""

    @abstractmethod
    def take(self, count: int) -> list[bytes]:
        """Return up to `count` cells and spend credit for them."""


class LinkScheduler:
    """What may go out on one link."""

    __slots__ = ("_control", "_new", "_old", "destroyed", "destroying")

    def __init__(self) -> None:
        self._control: deque[bytes | int] = deque()
        self.destroying: set[int] = set()
        """Ids whose DESTROY waits here."""
        self.destroyed: list[int] = []
        """Ids whose DESTROY left, until the owner of the link empties this list."""
        self._new: deque[Lane] = deque()
        self._old: deque[Lane] = deque()

    @property
    def is_ready(self) -> bool:
        """Whether there may be something to pull."""
        return bool(self._control or self._new or self._old)

    def push_control(self, cell: bytes) -> None:
        """Queue a cell that belongs to no lane (CREATE, CREATED)."""
        self._control.append(cell)

    def push_destroy(self, circuit_id: int) -> None:
        """Queue DESTROY; the cell is made when it leaves."""
        self._control.append(circuit_id)
        self.destroying.add(circuit_id)

    def activate(self, lane: Lane) -> None:
        """Let a lane take part if it is ready and does not yet."""
        if not lane.is_queued and lane.is_ready:
            lane.is_queued = True
            (self._new if lane.is_new else self._old).append(lane)

    def pull(self, max_cells: int) -> list[bytes]:
        """Return up to `max_cells` cells, fairly."""
        cells: list[bytes] = []
        while self._control and len(cells) < max_cells:
            cell = self._control.popleft()
            if isinstance(cell, int):
                self.destroying.discard(cell)
                self.destroyed.append(cell)
                cell = destroy_cell(cell)
            cells.append(cell)
        while len(cells) < max_cells and (self._new or self._old):
            lanes = self._new or self._old
            lane = lanes[0]
            if lane.deficit <= 0:
                lane.deficit += QUANTUM_CELLS * lane.weight
            taken = lane.take(min(lane.deficit, max_cells - len(cells)))
            lane.deficit -= len(taken)
            cells += taken
            if not lane.is_ready:
                lanes.popleft()
                lane.is_queued = lane.is_new = False
                lane.deficit = 0
            elif lane.deficit <= 0:
                lanes.popleft()
                lane.is_new = False
                self._old.append(lane)
        return cells
