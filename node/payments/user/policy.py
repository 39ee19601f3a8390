"""What a wallet does by itself: which purchases and swaps it wants now. No I/O, no clock.

In this order: rests of old tokens come back, tokens for relays that paths will use are made ahead,
credits of ended epochs roll into the running one, small credits are merged, and credits are bought
when few are left. Most swaps are one for one, because what everybody does tells least.

Source: docs/spec/payments.md, QN-PAY-031, 033 and 081.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from node.payments.user.derivation import Slot
from node.payments.user.states import Instrument, State
from node.payments.user.stock import BuyOrder, SwapOrder, for_token, merged, refund
from qnet.issuance import IssuanceClock
from qnet.messages.instruments import TOKEN_UNITS
from qnet.messages.voucher import BATCH_MAX
from qnet.sampling import RandomBytes, uniform_below, weighted_place

Order: TypeAlias = BuyOrder | SwapOrder

SAFETY_SHARE: Final = 35
"""Members take inputs until a 35th of `EXIT_S` before its end: a day on the main network."""
JITTER_MAX_S: Final = 3_600
JITTER_SHARE: Final = 8
"""A swap waits for a random part of an eighth of an issuance epoch, an hour at most."""
URGENT_SHARE: Final = 8
"""A wallet without any token waits for an eighth of that."""
PER_RELAY: Final = 2
"""Tokens made ahead for one relay."""
SECOND: Final = 1_024
"""A relay that has a token already is so much less likely to get the next one."""
_LIKELY: Final = 48
"""Where tokens that were lost from sight most likely retired, if they were used at all."""


@dataclass(frozen=True, slots=True)
class Marks:
    """How much a wallet keeps.

    Args:
        tokens: made ahead, over all relays.
        credits_low: credits of 64 units at which more are bought.
        credits_buy: how many are bought then.
    """

    tokens: int = 12
    credits_low: int = 4
    credits_buy: int = 8


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known besides the stock.

    Args:
        clock: calendar of issuance epochs.
        now: unix time.
        marks: how much to keep.
        relays: weight of each relay that takes payment, by registry index.
        may_buy: credits of 64 units that limit and deposit allow now; 0 while `auto` is off.
        tries: how often a token's rest was refused for being another amount.
        resting: what was refused a short while ago.
    """

    clock: IssuanceClock
    now: float
    marks: Marks = field(default_factory=Marks)
    relays: Mapping[int, int] = field(default_factory=dict)
    may_buy: int = 0
    tries: Mapping[Slot, int] = field(default_factory=dict)
    resting: Collection[Slot] = frozenset()

    @property
    def epoch(self) -> int:
        """The running issuance epoch."""
        return self.clock.epoch_at(self.now)

    def is_spendable(self, epoch: int) -> bool:
        """Whether relays take tokens of an epoch."""
        return self.clock.elapsed(epoch, self.now) < self.clock.terms.spend_s

    def is_free(self, slot: Slot) -> bool:
        """Whether members take the instrument of a slot as an input now."""
        exit_s = self.clock.terms.exit_s
        until_s = exit_s - exit_s // SAFETY_SHARE
        return slot not in self.resting and self.clock.elapsed(slot.epoch, self.now) < until_s

    def is_final(self, epoch: int) -> bool:
        """Whether it is settled how far tokens of an epoch were spent."""
        return self.clock.elapsed(epoch, self.now) >= self.clock.terms.token_s


def plan(stock: Sequence[Instrument], at: Situation, random: RandomBytes) -> list[Order]:
    """Purchases and swaps that are wanted now; no instrument is in two of them."""
    orders: list[Order] = list(_refunds(stock, at))
    free = [
        entry
        for entry in stock
        if entry.state is State.HELD and not entry.is_token and at.is_free(entry.slot)
    ]
    orders += _tokens(stock, free, at, random)
    orders += _rolled(free, at)
    orders += _merged(free)
    orders += _purchases(stock, at)
    return orders


def guesses(token: Instrument) -> list[int]:
    """What k a token's rest may stand at by the committee's knowledge, likeliest first.

    A relay may hand in less than it was shown, never more. Of a token found again from the seed
    nothing is known.
    """
    if token.state is State.UNSURE:
        return [0, *range(_LIKELY, TOKEN_UNITS), *reversed(range(1, _LIKELY))]
    if token.k == TOKEN_UNITS:
        return []
    near = [k for k in (token.k, token.k - 1, 0) if k >= 0]
    rest = [k for k in reversed(range(1, token.k)) if k not in near]
    return list(dict.fromkeys([*near, *rest]))


def jitter_s(at: Situation, stock: Sequence[Instrument], random: RandomBytes) -> float:
    """Random time to wait before a swap leaves, in seconds."""
    start, end = at.clock.bounds(at.epoch)
    longest = min(JITTER_MAX_S, (end - start) / JITTER_SHARE)
    if not any(entry.is_token and entry.state is State.HELD for entry in stock):
        longest /= URGENT_SHARE
    return uniform_below(1 << 32, random) / (1 << 32) * longest


def _refunds(stock: Sequence[Instrument], at: Situation) -> Iterator[SwapOrder]:
    for entry in stock:
        if not entry.is_token or entry.state not in {State.SPENT, State.UNSURE, State.HELD}:
            continue
        if not at.is_final(entry.slot.epoch) or not at.is_free(entry.slot):
            continue
        left = guesses(entry)[at.tries.get(entry.slot, 0) :]
        if left:
            yield refund(entry, left[0])


def _tokens(
    stock: Sequence[Instrument], free: list[Instrument], at: Situation, random: RandomBytes
) -> Iterator[SwapOrder]:
    """Tokens for relays that paths are likely to use; takes the credits out of `free`."""
    ahead: dict[int, int] = {}
    for entry in stock:
        if entry.is_token and entry.state in {State.HELD, State.REQUESTED}:
            ahead[entry.relay] = ahead.get(entry.relay, 0) + (entry.slot.epoch == at.epoch)
    relays = dict(at.relays)
    for _ in range(max(0, at.marks.tokens - sum(ahead.values()))):
        open_ = {
            index: weight * SECOND ** (PER_RELAY - ahead.get(index, 0))
            for index, weight in relays.items()
            if ahead.get(index, 0) < PER_RELAY and weight
        }
        if not open_:
            return
        relay = list(open_)[weighted_place(list(open_.values()), random)]
        order = for_token(free, relay)
        if order is None:
            return
        ahead[relay] = ahead.get(relay, 0) + 1
        _without(free, order)
        yield order


def _rolled(free: list[Instrument], at: Situation) -> Iterator[SwapOrder]:
    """Credits of ended epochs, one for one."""
    for entry in [entry for entry in free if entry.slot.epoch < at.epoch]:
        order = SwapOrder((entry.slot,), ((entry.slot.class_, 0),))
        _without(free, order)
        yield order


def _merged(free: list[Instrument]) -> Iterator[SwapOrder]:
    """Small credits, as soon as they make a large one."""
    small = sorted(
        (entry for entry in free if entry.units < TOKEN_UNITS), key=lambda entry: -entry.units
    )
    if sum(entry.units for entry in small) < TOKEN_UNITS:
        return
    order = merged(small)
    if order is not None and len(order.outputs) < len(order.inputs):
        _without(free, order)
        yield order


def _purchases(stock: Sequence[Instrument], at: Situation) -> Iterator[BuyOrder]:
    waiting = {State.HELD, State.REQUESTED, State.SWAPPING}
    units = sum(entry.units for entry in stock if not entry.is_token and entry.state in waiting)
    wanted = min(at.marks.credits_buy, at.may_buy, BATCH_MAX)
    if units < at.marks.credits_low * TOKEN_UNITS and wanted > 0:
        yield BuyOrder(wanted)


def _without(free: list[Instrument], order: SwapOrder) -> None:
    free[:] = [entry for entry in free if entry.slot not in order.inputs]
