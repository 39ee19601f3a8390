"""What the circuits of a client share, and the lane of each.

Cells are built when they leave, so that rekeys, deadlines and streams fall in one order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from node.circuit.actions import Event
from node.circuit.flow import INITIAL_CELLS
from node.circuit.journal import Journal
from node.circuit.origin_streams import new_events
from node.circuit.pool import CellPool
from node.circuit.scheduler import Lane
from qnet.parameters import NetworkParameters

if TYPE_CHECKING:
    from node.circuit.origin_circuit import OriginCircuit


@dataclass(slots=True)
class OriginSurroundings:
    """What all circuits of a client on one link share.

    Args:
        random: source of secret bytes.
        parameters: network parameters in force.
        pool: memory for what waits.
        ended: what to do when a circuit ended by itself or by its client.
        events: what the driver is told.
        now: time of the last call, in seconds.
    """

    random: Callable[[int], bytes]
    parameters: NetworkParameters
    pool: CellPool[OriginCircuit]
    ended: Callable[[OriginCircuit], None]
    events: Journal[Event] = field(default_factory=new_events)
    now: float = 0.0


class OriginLane(Lane):
    """Cells from the client into one circuit, built when they leave."""

    __slots__ = ("_circuit",)

    def __init__(self, circuit: OriginCircuit) -> None:
        super().__init__(INITIAL_CELLS)
        self._circuit = circuit

    @property
    def is_ready(self) -> bool:
        """Whether a cell may go."""
        return self.credit > 0 and self._circuit.has_content

    def take(self, count: int) -> list[bytes]:
        """Return up to `count` cells."""
        circuit = self._circuit
        cells: list[bytes] = []
        for _ in range(min(count, self.credit)):
            if not circuit.has_content:
                break
            cells.append(circuit.build_cell())
        self.credit -= len(cells)
        circuit.renew_buffer()
        return cells
