"""When a client sends, whatever it has to say: payloads, loops and drops at Poisson times.

The three processes together are one Poisson process whose events are marked by lot; neither the
times nor the lots depend on what waits.

Source: docs/spec/mixnet.md, section Sending.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Generic, TypeVar

from node.mix.poisson import exponential
from qnet.errors import LocalProtocolError
from qnet.sampling import RandomBytes, weighted_place

MAX_CATCH_UP: Final = 16
_PARTS_PER_HZ: Final = 1_000_000

T = TypeVar("T")


class Kind(IntEnum):
    """What to send now."""

    PAYLOAD = 0
    LOOP = 1
    DROP = 2


@dataclass(frozen=True, slots=True)
class Rates:
    """Mean numbers of packets in a second.

    Args:
        payload_hz: of payloads, or drops in their place.
        loop_hz: of loops.
        drop_hz: of drops besides.
    """

    payload_hz: float
    loop_hz: float
    drop_hz: float

    @property
    def total_hz(self) -> float:
        """Of all packets."""
        return self.payload_hz + self.loop_hz + self.drop_hz


@dataclass(frozen=True, slots=True)
class Emission(Generic[T]):
    """One packet to send now.

    Args:
        kind: what.
        payload: what the supply gave, for a payload; else nothing.
    """

    kind: Kind
    payload: T | None = None


class SenderSchedule(Generic[T]):
    """Decides when what is sent.

    Args:
        rates: of the three processes.
        random: source of random bytes.
        now: seconds, on the clock of all later calls.

    Attributes:
        next_at: when `take` has something to give.
        stalls: times that packets were skipped because `take` came too late.

    Raises:
        LocalProtocolError: a rate is negative, or all are 0.
    """

    __slots__ = ("_random", "_weights", "mean_s", "next_at", "stalls")

    def __init__(self, rates: Rates, random: RandomBytes, now: float) -> None:
        parts = (rates.payload_hz, rates.loop_hz, rates.drop_hz)
        if min(parts) < 0 or rates.total_hz <= 0:
            raise LocalProtocolError("rates are positive")
        self._weights = [round(hz * _PARTS_PER_HZ) for hz in parts]
        self._random = random
        self.mean_s: Final = 1 / rates.total_hz
        self.next_at = now + exponential(self.mean_s, random)
        self.stalls = 0

    def take(self, now: float, supply: Callable[[], T | None]) -> list[Emission[T]]:
        """Return what is to be sent by now, and choose the next time.

        Args:
            now: seconds.
            supply: gives a payload or None, whenever the payload process fires.
        """
        emissions: list[Emission[T]] = []
        while self.next_at <= now:
            if len(emissions) == MAX_CATCH_UP:
                self.stalls += 1
                self.next_at = now + exponential(self.mean_s, self._random)
                break
            emissions.append(self._emission(supply))
            self.next_at += exponential(self.mean_s, self._random)
        return emissions

    def _emission(self, supply: Callable[[], T | None]) -> Emission[T]:
        kind = Kind(weighted_place(self._weights, self._random))
        if kind is not Kind.PAYLOAD:
            return Emission(kind)
        payload = supply()
        return Emission(Kind.DROP) if payload is None else Emission(kind, payload)
