"""CellPool: the memory that all queued cells of a process share.

Cells are never dropped singly, and no link stops being read: when the pool is full, the circuit
that holds the oldest queued cell is destroyed, and counted.

Source: docs/spec/circuits.md, section "Flow control".
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from node.circuit.cell import CELL_BYTES

PRESSED_PARTS: Final = 2
"""Above 1 / this of the pool, windows shrink."""

T = TypeVar("T")


class CellPool(Generic[T]):
    """Counts queued cells by batch, oldest first.

    Args:
        limit_bytes: size of the pool.
    """

    __slots__ = ("_batches", "_limit", "_next", "dropped_circuits", "used")

    def __init__(self, limit_bytes: int) -> None:
        self._batches: OrderedDict[int, T] = OrderedDict()
        self._next = 0
        self.used = 0
        self.dropped_circuits = 0
        self.set_limit(limit_bytes)

    def set_limit(self, limit_bytes: int) -> None:
        """Change the size of the pool."""
        self._limit = max(1, limit_bytes // CELL_BYTES)

    @property
    def is_pressed(self) -> bool:
        """Whether windows should shrink."""
        return self.used * PRESSED_PARTS > self._limit

    @property
    def is_over(self) -> bool:
        """Whether a circuit must go."""
        return self.used > self._limit

    def oldest(self) -> T:
        """Return the owner of the oldest batch; the pool is not empty."""
        return next(iter(self._batches.values()))

    def enter(self, owner: T, cells: int) -> int:
        """Count a batch and return its ticket."""
        ticket = self._next
        self._next = ticket + 1
        self._batches[ticket] = owner
        self.used += cells
        return ticket

    def leave(self, ticket: int, cells: int, *, last: bool) -> None:
        """Count cells out of a batch; `last` if nothing of it is left."""
        self.used -= cells
        if last:
            del self._batches[ticket]


class PoolShare(Generic[T]):
    """What a circuit holds outside of queues, counted as one batch that is the youngest anew.

    Args:
        pool: the pool.
        owner: the circuit to destroy when the batch is the oldest of a full pool.
    """

    __slots__ = ("_cells", "_owner", "_pool", "_ticket")

    def __init__(self, pool: CellPool[T], owner: T) -> None:
        self._pool = pool
        self._owner = owner
        self._ticket = 0
        self._cells = 0

    def renew(self, cells: int) -> None:
        """Count so many cells from now on."""
        before = self._cells
        if before:
            self._pool.leave(self._ticket, before, last=True)
        if cells:
            self._ticket = self._pool.enter(self._owner, cells)
        self._cells = cells


class CellQueue(Generic[T]):
    """A first-in first-out queue of cells that draws on the pool.

    Args:
        pool: the pool.
        owner: the circuit to destroy when its cell is the oldest of a full pool.
    """

    __slots__ = ("_batches", "_count", "_owner", "_pool")

    def __init__(self, pool: CellPool[T], owner: T) -> None:
        self._pool = pool
        self._owner = owner
        self._batches: list[tuple[int, list[bytes]]] = []
        """Ticket and cells of each batch; a queue without cells holds no memory."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, cells: Sequence[bytes]) -> None:
        """Append a batch (at least one cell)."""
        self._batches.append((self._pool.enter(self._owner, len(cells)), list(cells)))
        self._count += len(cells)

    def pop(self, count: int) -> list[bytes]:
        """Take out up to `count` cells."""
        taken: list[bytes] = []
        batches = self._batches
        whole = 0
        for ticket, cells in batches:
            wanted = count - len(taken)
            if wanted < len(cells):
                if wanted:
                    taken += cells[:wanted]
                    del cells[:wanted]
                    self._pool.leave(ticket, wanted, last=False)
                break
            taken += cells
            self._pool.leave(ticket, len(cells), last=True)
            whole += 1
        del batches[:whole]
        self._count -= len(taken)
        return taken

    def clear(self) -> None:
        """Drop everything."""
        self.pop(self._count)
