"""What a wallet holds, in numbers; and which credits to give for what.

Source: docs/spec/payments.md, QN-PAY-030 and 031.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from node.payments.user.derivation import Slot
from node.payments.user.states import Instrument, State
from qnet.errors import LocalProtocolError
from qnet.messages.instruments import CLASSES, TOKEN_CLASS, TOKEN_UNITS, units_of
from qnet.messages.swap import INPUTS_MAX, OUTPUTS_MAX


@dataclass(frozen=True, slots=True)
class BuyOrder:
    """Credits of the largest class to be bought.

    Args:
        credits: 1 to 64.
    """

    credits: int


@dataclass(frozen=True, slots=True)
class SwapOrder:
    """One swap.

    Args:
        inputs: 1 to 8 credits, or one token.
        outputs: class and relay (0 for credits) of each instrument that comes out, 1 to 8.
    """

    inputs: tuple[Slot, ...]
    outputs: tuple[tuple[int, int], ...]


def compose(units: int) -> tuple[int, ...]:
    """Classes of the fewest credits that are worth so many units, largest first.

    Raises:
        LocalProtocolError: nothing, or less.
    """
    if units <= 0:
        raise LocalProtocolError("credits are worth a unit at least")
    largest = CLASSES - 1
    classes = [largest] * (units >> largest)
    classes += [class_ for class_ in reversed(range(largest)) if units >> class_ & 1]
    return tuple(classes)


def worth(entries: Iterable[Instrument]) -> int:
    """Units of all together."""
    return sum(entry.units for entry in entries)


def for_token(credits_: Sequence[Instrument], relay: int) -> SwapOrder | None:
    """The swap for a token of one relay; None if the credits do not suffice for it.

    One credit of 64 units for one token is what most swaps look like, so it comes first; otherwise
    the largest small ones, with change. Of equal ones those of the oldest epoch are taken.
    """
    ordered = sorted(credits_, key=lambda entry: (-entry.units, entry.slot.epoch))
    taken: list[Instrument] = []
    for entry in ordered[:INPUTS_MAX]:
        taken.append(entry)
        if worth(taken) >= TOKEN_UNITS:
            break
    change = worth(taken) - TOKEN_UNITS
    if change < 0:
        return None
    classes = (TOKEN_CLASS, *(compose(change) if change else ()))
    return _order(taken, classes, relay)


def merged(credits_: Sequence[Instrument]) -> SwapOrder | None:
    """The swap of up to eight credits for the fewest of the same worth; None if none fits."""
    taken = list(credits_[:INPUTS_MAX])
    while taken:
        classes = compose(worth(taken))
        if len(classes) <= min(OUTPUTS_MAX, len(taken)):
            return _order(taken, classes)
        taken.pop()
    return None


def refund(token: Instrument, k: int) -> SwapOrder:
    """The swap of what is left of a token of which `k` units were spent, below 64."""
    return _order([token], compose(TOKEN_UNITS - k))


def _order(taken: Sequence[Instrument], classes: Sequence[int], relay: int = 0) -> SwapOrder:
    outputs = tuple((class_, relay if class_ == TOKEN_CLASS else 0) for class_ in classes)
    return SwapOrder(tuple(entry.slot for entry in taken), outputs)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a wallet has, in units; tokens by their relay.

    Args:
        credits: held or asked for.
        tokens: of each relay, how many are held.
        refundable: what is left in tokens that were used.
        stuck: what only the chain will pay.
    """

    credits: int
    tokens: dict[int, int]
    refundable: int
    stuck: int

    @classmethod
    def of(cls, entries: Iterable[Instrument]) -> "Holdings":
        """Count."""
        credits_ = refundable = stuck = 0
        tokens: dict[int, int] = {}
        for entry in entries:
            if entry.state is State.STUCK:
                stuck += entry.units
            elif not entry.is_token and entry.state in {State.HELD, State.REQUESTED}:
                credits_ += units_of(entry.slot.class_)
            elif entry.is_token and entry.state is State.HELD:
                tokens[entry.relay] = tokens.get(entry.relay, 0) + 1
            elif entry.is_token and entry.state in {State.SPENDING, State.SPENT, State.UNSURE}:
                refundable += entry.units
        return cls(credits_, tokens, refundable, stuck)
