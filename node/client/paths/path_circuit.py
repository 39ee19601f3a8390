"""A circuit with its path and measure, and which of several a new stream gets.

Source: docs/spec/exits-and-clients.md, section "Adaptive choice".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from node.client.doors.isolation import IsolationKey
from node.client.paths.circuit import Circuit
from node.client.paths.measure import Measure, better_of_two, is_slow
from node.directory.path import Path
from qnet.sampling import RandomBytes

KEY_CIRCUITS = 2
"""Circuits of one isolation key, when the first is slow or busy."""
BUSY_STREAMS = 8
"""Open streams at which a circuit is busy."""

AGED, SLOW, UNUSED, RENEWED = "aged", "slow", "no longer needed", "new identity"
OWN_CAUSES = frozenset({AGED, SLOW, UNUSED, RENEWED})
"""Ends that the client itself wanted."""


@dataclass(slots=True, eq=False)
class PathCircuit:
    """A circuit and the path it takes.

    Attributes:
        circuit: The circuit.
        path: Its nodes.
        built_s: Seconds it took to build.
        opened_at: Monotonic time.
        measure: What it takes.
        number: Of this client's circuits, from 1.
        key: Whose streams it carries; None while unbound.
        retired: Why it takes no new streams; empty while it does.
        is_judged: Whether its nodes were judged by what it takes.
    """

    circuit: Circuit
    path: Path
    built_s: float
    opened_at: float
    measure: Measure
    number: int
    key: IsolationKey | None = None
    retired: str = ""
    is_judged: bool = False

    def row(self, now: float) -> dict[str, Any]:
        """What status shows."""
        return {
            "number": self.number,
            "path": [node.index for node in self.path.nodes],
            "roles": [node.role.name.lower() for node in self.path.nodes],
            "state": self.retired or ("ready" if self.key is None else "in use"),
            "age_s": round(now - self.opened_at, 1),
            "built_ms": round(self.built_s * 1000, 1),
            "round_trip_ms": round(self.measure.round_trip_s * 1000, 1),
            "goodput_bytes_s": round(self.measure.goodput_bytes_s),
            "streams": len(self.circuit.streams),
            "rekeys": self.circuit.rekeys,
            "bytes_received": self.circuit.bytes_received,
            "bytes_sent": self.circuit.bytes_sent,
            "payments": [] if self.circuit.payments is None else self.circuit.payments.row(),
        }


@dataclass(slots=True)
class CircuitEvent:
    """Something worth telling about a circuit.

    Attributes:
        at: Unix time.
        path: Registry indexes, entry first; of a guard, its own.
        what: `failed`, `retired`, `renewed` or `guard`.
        cause: Why, in words.
        rebuilt_s: For the loss of a circuit in use: seconds until another one stood in for it;
            None while there is none.
    """

    at: float
    path: tuple[int, ...]
    what: str
    cause: str = ""
    rebuilt_s: float | None = None


def share(
    key: IsolationKey,
    fitting: Sequence[PathCircuit],
    *,
    now: float,
    rate: float,
    random: RandomBytes,
) -> PathCircuit | None:
    """The circuit for a new stream of a key; None if one must be built.

    Args:
        key: whose stream it is.
        fitting: circuits that take new streams and reach the destination, of any key.
        now: clock in seconds.
        rate: rate to assume of circuits that showed none, in bytes a second.
        random: source of random bytes.
    """
    own = [made for made in fitting if made.key == key]
    spare = [made for made in fitting if made.key is None]
    if own and not (len(own) < KEY_CIRCUITS and _wants_more(own, spare, now)):
        spare = []
    candidates = spare or own
    if not candidates:
        return None
    return better_of_two(
        candidates,
        lambda made: made.measure.expected_s(now, len(made.circuit.streams), rate),
        random,
    )


def _wants_more(own: Sequence[PathCircuit], spare: Sequence[PathCircuit], now: float) -> bool:
    """Whether a spare circuit would serve a key clearly better than its own ones."""
    if not spare:
        return False
    if all(len(made.circuit.streams) >= BUSY_STREAMS for made in own):
        return True
    best_s = min(made.measure.delay_s(now) for made in spare)
    return all(is_slow(made.measure, best_s, now) for made in own)
