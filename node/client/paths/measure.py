"""What circuits and nodes take, as this client sees it, and what follows from that.

Passive: how long a circuit took to build, how long the exit took to connect, what arrived while
something arrived. Active: echoes of padding probes. A new stream takes the better of two circuits
drawn at random; the slowest circuit gives way to a fresh one; nodes that stood in slow circuits
are drawn less often for a while, never more often. No clock and no randomness in here.

Source: docs/spec/exits-and-clients.md, section "Adaptive choice".
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import log2
from statistics import median
from typing import Final, Protocol, TypeVar

from qnet.sampling import RandomBytes, uniform_below
from qnet.units import PPM

BUILD_TRIPS: Final = 2.0
"""Round trips through the whole circuit that building it takes, about."""
SMOOTHING: Final = 0.5
"""Share of a new echo in the estimate."""
LEAST_ECHOES: Final = 2
"""Echoes before a circuit is judged."""
ACTIVE_BYTES: Final = 128 << 10
"""Less than this between two looks says nothing about the rate."""
FADING: Final = 0.9
"""What is left of a higher rate seen before at each look that sees a lower one."""
TYPICAL_BYTES: Final = 256 << 10
"""What a stream is expected to carry, for comparing delay with rate."""
KEPT_CIRCUITS: Final = 32
"""Circuits whose round trip tells what is usual."""
SLOW_RATIO: Final = 2.0
"""A circuit is slow if it takes this much longer than the others."""
SLOW_LEAST_S: Final = 0.05
"""...and at least this much longer."""
SLOW_LOOKS: Final = 2
"""Looks in a row at which a circuit is the slowest before it is retired."""
RETIRE_GAP_S: Final = 10.0
"""At most one circuit is retired in this time."""
MAX_NODES: Final = 512
"""Nodes remembered."""
HALF_LIFE_S: Final = 1800.0
"""Time in which half of what speaks against a node is forgotten."""
DAMP_ABOVE: Final = 1.5
"""A node is damped from this slowness on."""
MAX_LOG: Final = 3.0
"""Slower than 2 to this is not told apart."""
LEAST_S: Final = 0.001
"""Shorter round trips are not told apart."""
LEAST_DAMPING_PPM: Final = 125_000
"""A slow node keeps this share of its weight, so that it is tried again."""


@dataclass(slots=True)
class Measure:
    """What one circuit takes.

    Attributes:
        built_s: Time it took to build.
        round_trip_s: Estimate, from building at first, then from echoes.
        echoes: Echoes that came.
        goodput_bytes_s: Rate of arrival seen, 0 while unknown.
        asked_at: When an echo was asked for that has not come; None when none is awaited.
    """

    built_s: float
    round_trip_s: float
    echoes: int = 0
    goodput_bytes_s: float = 0.0
    asked_at: float | None = None
    _bytes: int = 0
    _looked_at: float | None = None

    @classmethod
    def of_built(cls, built_s: float) -> Measure:
        """What building tells."""
        return cls(built_s, built_s / BUILD_TRIPS)

    def asked(self, now: float) -> None:
        """An echo was asked for."""
        self.asked_at = now

    def echoed(self, seconds: float) -> None:
        """An echo came after so long."""
        self.asked_at = None
        share = SMOOTHING if self.echoes else 1.0
        self.echoes += 1
        self.round_trip_s += share * (seconds - self.round_trip_s)

    def connected(self, seconds: float) -> None:
        """The exit connected somewhere: the circuit's part of that is at most all of it."""
        if seconds < self.round_trip_s:
            self.round_trip_s += SMOOTHING * (seconds - self.round_trip_s)

    def looked(self, received_bytes: int, now: float) -> None:
        """So many bytes have arrived in all; call about once a second."""
        if self._looked_at is not None and now > self._looked_at:
            arrived = received_bytes - self._bytes
            rate = arrived / (now - self._looked_at)
            if arrived >= ACTIVE_BYTES:
                self.goodput_bytes_s = max(rate, FADING * self.goodput_bytes_s)
        self._bytes, self._looked_at = received_bytes, now

    def delay_s(self, now: float) -> float:
        """Round trip, or how long an echo is overdue by now if that is longer."""
        overdue = now - self.asked_at if self.asked_at is not None else 0.0
        return max(self.round_trip_s, overdue)

    def expected_s(self, now: float, streams: int, usual_bytes_s: float) -> float:
        """Time in which a new stream of usual size would be through.

        Args:
            now: clock in seconds.
            streams: open streams that share the circuit.
            usual_bytes_s: rate to assume where none was seen; 0 leaves rates out.
        """
        rate = (self.goodput_bytes_s or usual_bytes_s) if usual_bytes_s else 0.0
        transfer_s = TYPICAL_BYTES * (streams + 1) / rate if rate else 0.0
        return 2 * self.delay_s(now) + transfer_s


class Measured(Protocol):
    """Something with a measure."""

    @property
    def measure(self) -> Measure:
        """What it takes."""


T = TypeVar("T")
C = TypeVar("C", bound=Measured)


def better_of_two(
    candidates: Sequence[T], expected_s: Callable[[T], float], random: RandomBytes
) -> T:
    """The better of two that are drawn at random (power of two choices).

    Raises:
        ValueError: there is no candidate.
    """
    first = uniform_below(len(candidates), random)
    if len(candidates) == 1:
        return candidates[first]
    second = uniform_below(len(candidates) - 1, random)
    second += second >= first
    return min(candidates[first], candidates[second], key=expected_s)


def usual_rate(circuits: Iterable[Measured]) -> float:
    """Median of the rates seen, in bytes a second; 0 if none was."""
    rates = [c.measure.goodput_bytes_s for c in circuits if c.measure.goodput_bytes_s]
    return median(rates) if rates else 0.0


@dataclass(slots=True)
class Retirement:
    """Decides which circuit gives way to a fresh one.

    Attributes:
        retired_at: When one did last.
    """

    retired_at: float = float("-inf")
    _suspect: object | None = None
    _looks: int = 0

    def slowest(self, circuits: Sequence[C], now: float) -> C | None:
        """The circuit to retire now, if any; looks once.

        A circuit is retired that was the slowest, and slow against the others, at two looks in a
        row, at most one in ten seconds.
        """
        known = [c for c in circuits if c.measure.echoes or c.measure.asked_at is not None]
        slowest = max(known, key=lambda c: c.measure.delay_s(now), default=None)
        others = [c.measure.delay_s(now) for c in known if c is not slowest]
        if slowest is None or not others or not is_slow(slowest.measure, median(others), now):
            self._suspect, self._looks = None, 0
            return None
        self._looks = self._looks + 1 if slowest is self._suspect else 1
        self._suspect = slowest
        if self._looks < SLOW_LOOKS or now - self.retired_at < RETIRE_GAP_S:
            return None
        self.retired_at, self._suspect, self._looks = now, None, 0
        return slowest


def is_slow(measure: Measure, other_s: float, now: float) -> bool:
    """Whether a circuit takes clearly longer than another delay."""
    delay_s = measure.delay_s(now)
    if measure.echoes < LEAST_ECHOES and delay_s == measure.round_trip_s:
        return False
    return delay_s > SLOW_RATIO * other_s and delay_s - other_s > SLOW_LEAST_S


@dataclass(slots=True)
class _Slowness:
    log: float
    at: float

    def now(self, now: float) -> float:
        """What is left of it."""
        return float(self.log * 0.5 ** (max(now - self.at, 0.0) / HALF_LIFE_S))


@dataclass(slots=True)
class NodeSpeeds:
    """Which nodes were found slow; forgets with time, and the longest unseen first."""

    _nodes: OrderedDict[int, _Slowness] = field(default_factory=OrderedDict)
    _usual: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_CIRCUITS))

    def __len__(self) -> int:
        return len(self._nodes)

    def observe(self, indexes: Iterable[int], measure: Measure, now: float) -> None:
        """Learn from a circuit; once is enough for each, when it ends or is retired.

        A node in a slow circuit need not be the slow one: it is suspected a little. A node in a
        circuit as fast as usual is not slow: what was suspected is halved.

        Args:
            indexes: registry indexes of its nodes, the entry left out.
            measure: what it takes.
            now: clock in seconds.
        """
        if measure.echoes < LEAST_ECHOES and measure.asked_at is None:
            return
        delay_s = measure.delay_s(now)
        usual_s = median(self._usual) if self._usual else delay_s
        self._usual.append(delay_s)
        is_usual = len(self._usual) <= LEAST_ECHOES or not is_slow(measure, usual_s, now)
        found = 0.0 if is_usual else min(log2(delay_s / max(usual_s, LEAST_S)), MAX_LOG)
        for index in indexes:
            known = self._nodes.pop(index, _Slowness(0.0, now)).now(now)
            log = known + SMOOTHING * (found - known)
            self._nodes[index] = _Slowness(log, now)
        while len(self._nodes) > MAX_NODES:
            self._nodes.popitem(last=False)

    def damping_ppm(self, now: float) -> dict[int, int]:
        """Factors on the weights of slow nodes, in ppm; never above 1."""
        slow = {index: 2.0 ** entry.now(now) for index, entry in self._nodes.items()}
        return {
            index: max(int(PPM / ratio), LEAST_DAMPING_PPM)
            for index, ratio in slow.items()
            if ratio >= DAMP_ABOVE
        }
