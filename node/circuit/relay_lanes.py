"""What the circuits of a relay share, and the two lanes of each.

Cells towards the next hop are ready as they stand. Cells towards the client get their layer when
they leave.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from node.circuit.actions import Action, DeliverData
from node.circuit.flow import INITIAL_CELLS
from node.circuit.journal import Journal
from node.circuit.pool import CellPool, CellQueue
from node.circuit.scheduler import Lane
from node.circuit.states import RelayState
from qnet.parameters import NetworkParameters

if TYPE_CHECKING:
    from node.circuit.relay_circuit import RelayCircuit


@dataclass(slots=True)
class Surroundings:
    """What all circuits of a node share.

    Args:
        random: source of secret bytes.
        parameters: network parameters in force.
        exits: whether the node serves connections and names.
        pool: memory for queued cells.
        actions: what the driver is to do.
        told: circuits whose last words were sent and that must go.
        awake: circuits that may hold ciphers.
        watch: asks for a look at (time, circuit handle, stream).
        used: bytes that premium circuits sent on since they were last asked for, by handle.
        now: time of the last call, in seconds.
    """

    random: Callable[[int], bytes]
    parameters: NetworkParameters
    exits: bool
    pool: CellPool[RelayCircuit]
    watch: Callable[[float, int, int], None]
    actions: Journal[Action] = field(default_factory=lambda: Journal(DeliverData))
    told: list[RelayCircuit] = field(default_factory=list)
    awake: set[RelayCircuit] = field(default_factory=set)
    used: dict[int, int] = field(default_factory=dict)
    now: float = 0.0


class ForwardLane(Lane):
    """Cells towards the next hop, ready as they stand."""

    __slots__ = ("_circuit", "queue")

    def __init__(self, circuit: RelayCircuit) -> None:
        super().__init__(INITIAL_CELLS)
        self._circuit = circuit
        self.queue = CellQueue(circuit.around.pool, circuit)

    @property
    def is_ready(self) -> bool:
        """Whether a cell may go."""
        return self.credit > 0 and len(self.queue) > 0

    def take(self, count: int) -> list[bytes]:
        """Return up to `count` cells; the client's side gets its credit back."""
        cells = self.queue.pop(min(count, self.credit))
        self.credit -= len(cells)
        circuit = self._circuit
        circuit.previous.consumed(len(cells))
        if circuit.is_premium:
            circuit.count_used(len(cells))
        return cells


class BackwardLane(Lane):
    """Cells towards the client: those of the next hop and our own, layered when they leave."""

    __slots__ = ("_circuit", "_own_turn", "queue")

    def __init__(self, circuit: RelayCircuit) -> None:
        super().__init__(INITIAL_CELLS)
        self._circuit = circuit
        self._own_turn = False
        self.queue = CellQueue(circuit.around.pool, circuit)

    @property
    def is_ready(self) -> bool:
        """Whether a cell may go."""
        return self.credit > 0 and (len(self.queue) > 0 or self._circuit.has_content)

    def take(self, count: int) -> list[bytes]:
        """Return up to `count` cells; the next hop gets its credit back."""
        count = min(count, self.credit)
        circuit = self._circuit
        cells: list[bytes] = []
        queue = self.queue
        while (room := count - len(cells)) > 0 and (len(queue) or circuit.has_content):
            if not circuit.has_content:
                cells += circuit.wrap(queue.pop(room))
            elif not len(queue):
                cells += circuit.speak(room)
                self._own_turn = False
            elif self._own_turn and circuit.state is RelayState.OPEN:
                cells += circuit.speak(1)
                self._own_turn = False
            else:
                cells += circuit.wrap(queue.pop(1))
                self._own_turn = True
        self.credit -= len(cells)
        if circuit.is_premium:
            circuit.count_used(len(cells))
        circuit.renew_buffer()
        return cells
