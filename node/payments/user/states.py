"""What a wallet knows of each instrument, and which changes of its state are allowed.

    REQUESTED -> HELD -> SPENDING -> SPENT -> SWAPPING -> SWAPPED
        |          |                   |          |
        v          +-> SWAPPING        +-> EXITING -> EXITED
       VOID        +-> EXITING

A swap that is refused for good, and nothing else, puts its inputs back where they were. UNSURE is a
token that was found again from the seed: how far it was spent nobody can tell, so it is not shown
to its relay.
STUCK is what some members take for spent, though it never was; it is worth its value on chain.

Source: docs/spec/payments.md, QN-PAY-080 and 081.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.payments.user.derivation import Slot
from qnet.messages.instruments import TOKEN_CLASS, TOKEN_UNITS, units_of


class State(StrEnum):
    """What became of an instrument."""

    REQUESTED = "requested"
    VOID = "void"
    HELD = "held"
    SPENDING = "spending"
    SPENT = "spent"
    UNSURE = "unsure"
    SWAPPING = "swapping"
    SWAPPED = "swapped"
    STUCK = "stuck"
    EXITING = "exiting"
    EXITED = "exited"


ALLOWED: Final[Mapping[State, frozenset[State]]] = {
    State.REQUESTED: frozenset({State.HELD, State.VOID}),
    State.HELD: frozenset(
        {State.SPENDING, State.SPENT, State.UNSURE, State.SWAPPING, State.EXITING}
    ),
    State.SPENDING: frozenset({State.SPENDING, State.SPENT}),
    State.SPENT: frozenset({State.SWAPPING, State.EXITING}),
    State.UNSURE: frozenset({State.SWAPPING, State.EXITING}),
    State.SWAPPING: frozenset({State.SWAPPED, State.STUCK}),
    State.STUCK: frozenset({State.SWAPPING, State.EXITING}),
    State.EXITING: frozenset({State.EXITED}),
    State.VOID: frozenset(),
    State.SWAPPED: frozenset(),
    State.EXITED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Instrument:
    """A credit or a token of the wallet.

    Args:
        slot: where it comes from.
        state: what became of it.
        relay: registry index a token is bound to; 0 for credits.
        signature: the blind signature, compressed, 48 bytes; empty before it is held.
        k: units of a token that were shown.
        last: k at which a token retires, 0 before it is taken.
        request: number of the request it comes out of; 0 for one found again from the seed.
        used: number of the request it goes into; 0 for none.
        was: its state before it went into one; None before that.
    """

    slot: Slot
    state: State
    relay: int = 0
    signature: bytes = b""
    k: int = 0
    last: int = 0
    request: int = 0
    used: int = 0
    was: State | None = None

    @property
    def is_token(self) -> bool:
        """Whether it is bound to a relay."""
        return self.slot.class_ == TOKEN_CLASS

    @property
    def units(self) -> int:
        """What it is worth as far as the wallet knows."""
        if self.is_token:
            return TOKEN_UNITS - self.k
        return units_of(self.slot.class_)


class RequestKind(StrEnum):
    """What is asked of the committee."""

    BUY = "buy"
    SWAP = "swap"


class RequestState(StrEnum):
    """How far a request is."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Blank:
    """An instrument that is to be made.

    Args:
        slot: its place.
        relay: registry index a token is bound to; 0 for credits.
    """

    slot: Slot
    relay: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it is stored, before it is sent.

    Args:
        number: of this wallet, from 1; 0 before it is stored.
        kind: purchase or swap.
        epoch: issuance epoch of what comes out.
        body: wire form.
        blanks: what comes out, in order.
        inputs: what goes in.
        at: unix time it was stored.
        due: unix time from which it may be sent.
        sent: whether members may have heard of it.
        wei: what it costs.
        nonce: of a voucher; 0 for a swap.
        state: how far it is.
        why: why it failed.
    """

    number: int
    kind: RequestKind
    epoch: int
    body: bytes
    blanks: tuple[Blank, ...]
    inputs: tuple[Slot, ...] = ()
    at: float = 0.0
    due: float = 0.0
    sent: bool = False
    wei: int = 0
    nonce: int = 0
    state: RequestState = RequestState.OPEN
    why: str = ""
