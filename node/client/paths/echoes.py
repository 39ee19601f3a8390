"""Measuring the circuits of one client: what arrives, and echoes at random times."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final, Protocol

from node.client.paths.circuit import Circuit
from node.client.paths.measure import LEAST_ECHOES, Measure
from qnet.sampling import uniform_below

LOOK_S: Final = 1.0
FIRST_ECHO_S: Final = (0.2, 1.5)
"""When a circuit is first asked for an echo, after it stands: between these."""
BUSY_ECHO_S: Final = (5.0, 15.0)
"""Time between two echoes of a circuit that carries streams or is not known yet."""
IDLE_ECHO_S: Final = (120.0, 240.0)
"""The same for any other: links of clients that do nothing are to be silent."""


class Watched(Protocol):
    """A circuit and its measure."""

    @property
    def circuit(self) -> Circuit:
        """The circuit."""

    @property
    def measure(self) -> Measure:
        """What it takes."""


@dataclass(slots=True)
class Echoes:
    """Asks circuits for echoes.

    Attributes:
        now: Monotonic clock in seconds.
    """

    now: Callable[[], float]
    _due: dict[Circuit, float] = field(default_factory=dict)

    def look(self, circuits: Collection[Watched]) -> None:
        """Note what arrived and ask who is due; call about every `LOOK_S`."""
        now = self.now()
        self._due = {w.circuit: self._due.get(w.circuit, 0.0) for w in circuits}
        for watched in circuits:
            watched.measure.looked(watched.circuit.bytes_received, now)
            due = self._due[watched.circuit]
            busy = watched.circuit.streams or watched.measure.echoes < LEAST_ECHOES
            if due == 0.0:
                self._due[watched.circuit] = now + _between(FIRST_ECHO_S)
            elif busy and due > now + BUSY_ECHO_S[1]:
                self._due[watched.circuit] = now + _between(BUSY_ECHO_S)
            elif due <= now and watched.circuit.is_open and watched.measure.asked_at is None:
                self._ask(watched.circuit, watched.measure)
                asked_all = watched.measure.echoes + 1 >= LEAST_ECHOES
                pause = IDLE_ECHO_S if asked_all and not watched.circuit.streams else BUSY_ECHO_S
                self._due[watched.circuit] = now + _between(pause)

    def _ask(self, circuit: Circuit, measure: Measure) -> None:
        def answered(echo: asyncio.Future[float]) -> None:
            if echo.cancelled() or echo.exception() is not None:
                measure.asked_at = None
            else:
                measure.echoed(echo.result())

        measure.asked(self.now())
        circuit.probe().add_done_callback(answered)


def _between(bounds: tuple[float, float]) -> float:
    """A moment between two, in steps of a millisecond."""
    low, high = bounds
    return low + uniform_below(round((high - low) * 1000) + 1, secrets.token_bytes) / 1000
