"""Which circuit goes when the process carries as many as it may: the longest idle one.

A full node that refused every new circuit would be closed to all for as long as somebody keeps
circuits open for nothing.

Source: docs/spec/circuits.md, QN-CIR-006.
"""

import heapq
from collections.abc import Mapping
from typing import Final

from node.circuit.relay_circuit import RelayCircuit
from node.circuit.states import RelayState

EVICT_IDLE_S: Final = 10
"""A circuit that moved a cell within this time is not idle."""
MAX_LEAVING: Final = 1024
"""Evicted circuits that may still wait to tell their client why."""


class Evictions:
    """Chooses and counts the circuits that make room for others.

    Args:
        circuits: all circuits by handle; read only.
    """

    __slots__ = ("_circuits", "_idle", "_leaving", "_next_look", "count")

    def __init__(self, circuits: Mapping[int, RelayCircuit]) -> None:
        self._circuits = circuits
        self._idle: list[tuple[float, int]] = []
        self._next_look = 0.0
        self._leaving: set[int] = set()
        self.count = 0

    @property
    def staying(self) -> int:
        """Circuits, those not counted that are on their way out."""
        return len(self._circuits) - len(self._leaving)

    def gone(self, handle: int) -> None:
        """A circuit is closed."""
        self._leaving.discard(handle)

    def next(self, now: float) -> RelayCircuit | None:
        """Return the circuit to end now, None if none is idle; it counts as evicted."""
        if len(self._leaving) >= MAX_LEAVING:
            return None
        found = self._pop()
        if found is None and now >= self._next_look:
            self._look(now)
            found = self._pop()
        if found is not None:
            self._leaving.add(found.handle)
            self.count += 1
        return found

    def _look(self, now: float) -> None:
        """List what is idle. What moves a cell later is skipped then, so the order stays right."""
        self._next_look = now + 1
        self._idle = [
            (circuit.touched, circuit.handle)
            for circuit in self._circuits.values()
            if circuit.touched <= now - EVICT_IDLE_S and _is_free(circuit)
        ]
        heapq.heapify(self._idle)

    def _pop(self) -> RelayCircuit | None:
        while self._idle:
            touched, handle = heapq.heappop(self._idle)
            circuit = self._circuits.get(handle)
            if circuit is not None and circuit.touched == touched and _is_free(circuit):
                return circuit
        return None


def _is_free(circuit: RelayCircuit) -> bool:
    """Whether it stands and no stream ends here."""
    return circuit.state is RelayState.OPEN and not len(circuit.ends)
