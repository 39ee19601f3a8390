"""What a client pays on one circuit, decided without I/O.

Each hop is paid by itself: at least a unit ahead of what it sends on, and as much more as one round
trip at the measured rate needs. Payments go by what the client counted, never by what a hop says.
A token is spent up to the k at which it retires, whatever happened, so that k tells nothing; then
the next one follows.

Source: docs/spec/payments.md, QN-PAY-040, 043, 090 and 091; ADR 0010.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from node.circuit.payment import PaymentState, PaymentStatus
from node.payments.relay.tollgate import PRICED_BYTES
from node.payments.user.purse import Spending

AHEAD_MAX: Final = 8
"""Units paid ahead at most: what a hop that takes them and serves nothing can gain."""
SETTLE_S: Final = 0.05
"""Time in which client and hop store a payment, beside the round trip."""
LOOK_S: Final = 0.02
"""Rates are measured over at least so long."""
MEMORY_S: Final = 0.5
"""Time over which a rate is forgotten."""
RETRY_S: Final = 1.0
"""A hop without a token in stock is looked at again after so long."""


@dataclass(frozen=True, slots=True)
class TakeToken:
    """Take a token for a hop from the purse, then call `took`."""

    hop: int


@dataclass(frozen=True, slots=True)
class ShowToken:
    """Send the opening of a token to a hop."""

    hop: int
    token: Spending


@dataclass(frozen=True, slots=True)
class SpendUnits:
    """Store that a token is spent up to k, send the unit to the hop, then call `spent`."""

    hop: int
    token: Spending
    k: int


@dataclass(frozen=True, slots=True)
class DropToken:
    """Tell the purse that a relay did not take a token."""

    token: Spending
    why: str


Order: TypeAlias = TakeToken | ShowToken | SpendUnits | DropToken


class Stage(Enum):
    """How far paying a hop has come."""

    IDLE = "no token yet"
    TAKING = "a token is asked of the purse"
    SHOWN = "the hop was shown a token"
    OPEN = "the hop takes units of the token"
    PAYING = "a unit is being stored and sent"
    OVER = "the hop is paid no more"


@dataclass(slots=True)
class PaidHop:
    """One hop and what it was paid.

    Args:
        relay: registry index.
        price: units a MiB; 0 if it takes no payment.
        stage: how far it has come.
        token: that is shown or open.
        units: paid on this circuit, with all tokens.
        is_premium: whether the hop says that it gives premium weight.
        problem: why it is paid no more.
    """

    relay: int
    price: int
    stage: Stage = Stage.IDLE
    token: Spending | None = None
    units: int = 0
    is_premium: bool = False
    problem: str = ""
    left_bytes: int = 0
    rate: float = 0.0
    retry_at: float = 0.0
    _total: int = 0
    _fresh: int = 0

    def count(self, total: int) -> None:
        """Take what the hop sent on so far off what was paid; what was not paid went for free."""
        used, self._total = total - self._total, total
        self._fresh += used
        self.left_bytes = max(0, self.left_bytes - used)

    def measure(self, span_s: float) -> None:
        """Learn the rate, in bytes a second, from what passed in the time since the last call."""
        sample, self._fresh = self._fresh / span_s, 0
        self.rate += (sample - self.rate) * min(1.0, span_s / MEMORY_S)

    def value(self, units: int) -> int:
        """Bytes that so many units are worth, as the hop counts them."""
        return units * PRICED_BYTES // self.price

    def missing(self, round_trip_s: float) -> int:
        """Units to pay now, so that enough is paid ahead."""
        unit = self.value(1)
        ahead = unit + self.rate * (round_trip_s + SETTLE_S)
        wanted = min(ahead, float(AHEAD_MAX * unit)) - self.left_bytes
        return 0 if wanted <= 0 else -int(-wanted // unit)


@dataclass(slots=True)
class Payer:
    """Pays the hops of one circuit.

    Args:
        hops: entry first.
    """

    hops: list[PaidHop]
    is_leaving: bool = False
    _at: float | None = field(default=None)

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is to be stored or sent."""
        return all(hop.stage in {Stage.IDLE, Stage.OVER} for hop in self.hops)

    def shown(self, hop: int, token: Spending) -> None:
        """A token went with CREATE."""
        paid = self.hops[hop]
        paid.stage, paid.token = Stage.SHOWN, token

    def look(self, now: float, carried: Sequence[int], round_trip_s: float) -> list[Order]:
        """Bring counts up to date; what is to be done.

        Args:
            now: monotonic time.
            carried: bytes that each hop sent on since the circuit was opened.
            round_trip_s: of the whole circuit.
        """
        if self._at is None:
            self._at = now
        span_s = now - self._at
        if span_s >= LOOK_S:
            self._at = now
        orders: list[Order] = []
        for place, (hop, total) in enumerate(zip(self.hops, carried, strict=True)):
            hop.count(total)
            if span_s >= LOOK_S:
                hop.measure(span_s)
            orders += self._next(place, hop, now, round_trip_s)
        return orders

    def took(self, hop: int, token: Spending | None, now: float) -> list[Order]:
        """The purse gave a token, or has none."""
        paid = self.hops[hop]
        if token is None or self.is_leaving:
            paid.stage, paid.retry_at = Stage.IDLE, now + RETRY_S
            return [] if token is None else [DropToken(token, "the circuit ended")]
        paid.stage, paid.token = Stage.SHOWN, token
        return [ShowToken(hop, token)]

    def spent(self, hop: int, added: int) -> list[Order]:
        """Units are stored, and on their way to the hop."""
        paid = self.hops[hop]
        paid.units += added
        paid.left_bytes += paid.value(added)
        if paid.stage is Stage.PAYING:
            paid.stage = Stage.OPEN
        return self._last_units(hop, paid) if self.is_leaving else []

    def expired(self, hop: int) -> list[Order]:
        """The time of the hop's token is over: the next one follows."""
        paid = self.hops[hop]
        paid.stage, paid.token = Stage.IDLE, None
        return []

    def told(self, hop: int, status: PaymentStatus) -> list[Order]:
        """A hop answered."""
        paid = self.hops[hop]
        if status.state is PaymentState.REFUSED:
            return self._refused(paid, status.why)
        paid.is_premium = status.state is PaymentState.PAID
        if paid.stage is not Stage.SHOWN:
            return []
        paid.stage = Stage.OPEN
        return self._last_units(hop, paid) if self.is_leaving else []

    def leave(self) -> list[Order]:
        """The circuit is to end: every open token is paid up to where it retires."""
        self.is_leaving = True
        orders: list[Order] = []
        for place, hop in enumerate(self.hops):
            orders += self._last_units(place, hop)
        return orders

    def give_up(self, hop: int, why: str) -> None:
        """The purse failed: pay the hop no more."""
        paid = self.hops[hop]
        paid.stage, paid.problem = Stage.OVER, why

    def _next(self, place: int, hop: PaidHop, now: float, round_trip_s: float) -> list[Order]:
        if self.is_leaving or not hop.price:
            return []
        if hop.stage is Stage.IDLE and now >= hop.retry_at:
            hop.stage = Stage.TAKING
            return [TakeToken(place)]
        token = hop.token
        if hop.stage is not Stage.OPEN or token is None:
            return []
        if token.is_over:
            hop.stage, hop.token = Stage.TAKING, None
            return [TakeToken(place)]
        missing = hop.missing(round_trip_s)
        if not missing:
            return []
        hop.stage = Stage.PAYING
        return [SpendUnits(place, token, min(token.k + missing, token.last))]

    def _last_units(self, place: int, hop: PaidHop) -> list[Order]:
        token = hop.token
        if hop.stage is not Stage.OPEN:
            return []  # `told`, `took` or `spent` come back to it
        if token is None or token.is_over:
            hop.stage = Stage.OVER
            return []
        hop.stage = Stage.PAYING
        return [SpendUnits(place, token, token.last)]

    def _refused(self, paid: PaidHop, why: str) -> list[Order]:
        token, paid.token = paid.token, None
        paid.stage, paid.problem, paid.is_premium = Stage.OVER, why, False
        return [] if token is None else [DropToken(token, why)]
