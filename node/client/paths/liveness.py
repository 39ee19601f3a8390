"""Circuits that went silent: asked for an echo, and ended when it does not come.

A node may accept cells and pass none on; nothing in the protocol ends such a circuit. So a circuit
with open streams from which nothing came for a while asks every hop for an echo. If the last hop
does not answer in time, the circuit ends and the first hop that kept silent is named.

Source: docs/spec/exits-and-clients.md, section "Detection".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from node.circuit.messages import EndReason
from node.client.paths.circuit import Circuit, failure_cause

QUIET_S: Final = 2.0
"""A circuit with open streams is asked for an echo when nothing came for this long."""
QUIET_MAX_S: Final = 32.0
"""While echoes come and nothing else does, the pause doubles up to this."""
ANSWER_S: Final = 5.0
"""A circuit whose last hop does not answer within this is ended."""
LATE_S: Final = 1.0
"""An echo that takes longer is reason to ask every circuit, before somebody needs it."""


@dataclass(slots=True)
class _Watch:
    """What is known of one circuit.

    Attributes:
        heard_at: When something last came from it.
        received: Bytes received by then.
        asked: Streams and bytes sent, to notice that the application waits again.
        pause_s: Silence that is worth a probe.
        probes: Echoes awaited, entry first.
        probed_at: When they were asked for.
    """

    heard_at: float
    received: int
    asked: tuple[int, int]
    pause_s: float = QUIET_S
    probes: list[asyncio.Future[float]] = field(default_factory=list)
    probed_at: float = 0.0

    def is_late(self, now: float) -> bool:
        """Whether an echo is overdue."""
        waits = bool(self.probes) and not _has_answered(self.probes[-1])
        return waits and now - self.probed_at >= LATE_S


class Liveness:
    """Watches the circuits of one client.

    Args:
        now: Monotonic clock in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._watches: dict[Circuit, _Watch] = {}
        self.silent = 0

    def __len__(self) -> int:
        return len(self._watches)

    def tick(self, circuits: Iterable[Circuit]) -> None:
        """Look at all circuits; call about once a second."""
        now = self._now()
        watches, self._watches = self._watches, {}
        alarm = any(watch.is_late(now) for watch in watches.values())
        for circuit in circuits:
            if not circuit.is_open or not (circuit.streams or alarm):
                continue
            watch = watches.get(circuit) or _Watch(now, circuit.bytes_received, _asked(circuit))
            if not circuit.streams:
                watch.pause_s = 0.0
            self._watches[circuit] = watch
            self._look(circuit, watch, now)

    def _look(self, circuit: Circuit, watch: _Watch, now: float) -> None:
        asked = _asked(circuit)
        if asked != watch.asked:
            watch.asked, watch.pause_s = asked, QUIET_S
        if circuit.bytes_received != watch.received:
            watch.received, watch.heard_at = circuit.bytes_received, now
            watch.pause_s, watch.probes = QUIET_S, []
        elif watch.probes and _has_answered(watch.probes[-1]):
            watch.heard_at, watch.probes = now, []
            watch.pause_s = min(2 * watch.pause_s, QUIET_MAX_S)
        elif watch.probes:
            if now - watch.probed_at >= ANSWER_S:
                self._end(circuit, watch)
        elif now - watch.heard_at >= watch.pause_s:
            watch.probes = [circuit.probe(hop) for hop in range(len(circuit.origin.hops))]
            watch.probed_at = now

    def _end(self, circuit: Circuit, watch: _Watch) -> None:
        silent = next(hop for hop, echo in enumerate(watch.probes) if not _has_answered(echo))
        self.silent += 1
        circuit.origin.destroy()
        circuit.entry.wake()
        cause = f"{failure_cause(EndReason.BUILD_TIMEOUT, silent)} when asked for an echo"
        circuit.lost(EndReason.BUILD_TIMEOUT, cause, silent)


def _asked(circuit: Circuit) -> tuple[int, int]:
    return circuit.bytes_sent, max(circuit.streams, default=0)


def _has_answered(echo: asyncio.Future[float]) -> bool:
    return echo.done() and not echo.cancelled() and echo.exception() is None
