"""What a committee member signs blindly, decided without I/O: purchases and swaps.

The member writes what is returned as `Served` before it answers, in the transaction in which it
read its memory; the same request gets the same answer again, another one in its place none. With
t > (n + f) / 2 two different requests can then never both be served.

Source: docs/spec/payments.md, QN-PAY-020 to 024 and 030 to 032.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from ledger.errors import IssuingRefusedError
from qnet.crypto.errors import PointError
from qnet.crypto.keys import keccak256
from qnet.crypto.points import G1
from qnet.errors import CryptoError
from qnet.messages.instruments import TOKEN_UNITS, Place, units_of
from qnet.messages.swap import Swap, TokenInput
from qnet.messages.voucher import Purchase

PURCHASE_CLASS: Final = 6
"""Class of the credits that channels buy; smaller ones are made by swaps alone."""


class Why(StrEnum):
    """Why a request is not served."""

    EPOCH = "the issuance epoch is not the running one"
    SOLD_OUT = "as much is issued as the bonds can answer for"
    POINT = "a point is not a valid one"
    SIGNATURE = "not signed by whom it names"
    CHANNEL = "the channel is closed, or closing"
    NONCE = "the nonce does not follow the last"
    ANOTHER = "another request stands in this place already"
    PRICE = "the amount is not the price of the points"
    FUNDS = "the channel holds less"
    INSTRUMENT = "an instrument's signature does not hold"
    TOO_EARLY = "how far the token was spent is not final yet"
    TOO_OLD = "the instrument has expired"
    GONE = "an instrument is being exited, or was"
    BALANCE = "what goes out is not worth what comes in"


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """A channel at a final block.

    Args:
        deposit_wei: put in.
        closing: whether it was closed or is about to be.
    """

    deposit_wei: int
    closing: bool


@dataclass(frozen=True, slots=True)
class EpochFacts:
    """The running issuance epoch.

    Args:
        number: of it.
        open: whether requests are taken (before its end).
        left_units: what may still be issued for vouchers.
        unit_wei: value of a unit.
    """

    number: int
    open: bool
    left_units: int
    unit_wei: int


class InputState(StrEnum):
    """What an instrument's epoch and the chain say about giving it up."""

    TAKEN = "may be given up"
    EARLY = "too early"
    LATE = "too late"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class InputFacts:
    """One input of a swap, as the caller found it.

    Args:
        holds: whether its blind signature verifies under the epoch's key.
        state: by time and chain.
        spent_units: of a token, the most that was claimed, redeemed or exited.
    """

    holds: bool
    state: InputState
    spent_units: int = 0


class Memory(Protocol):
    """What a member has served so far."""

    def last_voucher(self, channel: bytes) -> tuple[int, int]:
        """Nonce and cumulative wei of the channel's last voucher; (0, 0) before the first."""

    def request_at(self, place: bytes) -> bytes | None:
        """Hash of the request that stands in a place, 32 bytes; None if it is free."""


@dataclass(frozen=True, slots=True)
class Served:
    """A request to be signed.

    Args:
        places: that it takes, 32 bytes each; all are free, or all hold it already.
        request: its hash, 32 bytes.
        points: by class, in order: what is signed.
        again: whether it was served before.
    """

    places: tuple[bytes, ...]
    request: bytes
    points: tuple[tuple[int, G1], ...]
    again: bool


def voucher_place(channel: bytes, nonce: int) -> bytes:
    """Where a voucher stands: one for each nonce of a channel."""
    return keccak256(b"voucher" + channel + nonce.to_bytes(8, "big"))


def input_place(message: bytes) -> bytes:
    """Where an instrument is spent, by the message that was signed for it."""
    return keccak256(b"input" + message)


def serve_purchase(
    purchase: Purchase,
    domain: bytes,
    epoch: EpochFacts,
    channel: ChannelFacts | None,
    memory: Memory,
) -> Served:
    """Judge a purchase.

    Args:
        purchase: as it came.
        domain: of PremiumChannels.
        epoch: the running one.
        channel: None if there is none.
        memory: ours.

    Raises:
        IssuingRefusedError: it is not served, with the reason.
    """
    voucher = purchase.voucher
    try:
        purchase.verify(domain)
    except CryptoError:
        raise IssuingRefusedError(Why.SIGNATURE) from None
    points = tuple((PURCHASE_CLASS, _point(data)) for data in purchase.points)
    place, request = voucher_place(voucher.channel, voucher.nonce), voucher.digest(domain)
    found = memory.request_at(place)
    if found == request:
        return Served((place,), request, points, again=True)
    if found is not None:
        raise IssuingRefusedError(Why.ANOTHER)
    if not epoch.open or voucher.epoch != epoch.number:
        raise IssuingRefusedError(Why.EPOCH)
    if channel is None or channel.closing:
        raise IssuingRefusedError(Why.CHANNEL)
    nonce, cumulative = memory.last_voucher(voucher.channel)
    if voucher.nonce != nonce + 1:
        raise IssuingRefusedError(Why.NONCE)
    if voucher.cumulative_wei != cumulative + purchase.units * epoch.unit_wei:
        raise IssuingRefusedError(Why.PRICE)
    if voucher.cumulative_wei > channel.deposit_wei:
        raise IssuingRefusedError(Why.FUNDS)
    if purchase.units > epoch.left_units:
        raise IssuingRefusedError(Why.SOLD_OUT)
    return Served((place,), request, points, again=False)


def serve_swap(
    swap: Swap,
    domain: bytes,
    place: Place,
    epoch: EpochFacts,
    facts: Mapping[bytes, InputFacts],
    memory: Memory,
) -> Served:
    """Judge a swap.

    Args:
        swap: as it came.
        domain: of PremiumChannels.
        place: chain and contract.
        epoch: the running one.
        facts: of each input, by the message that was signed for it.
        memory: ours.

    Raises:
        IssuingRefusedError: it is not served, with the reason.
    """
    try:
        swap.verify(domain)
    except CryptoError:
        raise IssuingRefusedError(Why.SIGNATURE) from None
    points = tuple((output.class_, _point(output.point)) for output in swap.outputs)
    messages = [entry.message(place) for entry in swap.inputs]
    places, request = tuple(map(input_place, messages)), swap.digest(domain)
    found = {memory.request_at(taken) for taken in places}
    if found == {request}:
        return Served(places, request, points, again=True)
    if found != {None}:
        raise IssuingRefusedError(Why.ANOTHER)
    if not epoch.open or swap.epoch != epoch.number:
        raise IssuingRefusedError(Why.EPOCH)
    worth = 0
    for entry, message in zip(swap.inputs, messages, strict=True):
        known = facts[message]
        if not known.holds:
            raise IssuingRefusedError(Why.INSTRUMENT)
        if known.state in _REASONS:
            raise IssuingRefusedError(_REASONS[known.state])
        if isinstance(entry, TokenInput):
            worth += TOKEN_UNITS - known.spent_units
        else:
            worth += units_of(entry.class_)
    if worth != swap.units_out:
        raise IssuingRefusedError(Why.BALANCE)
    return Served(places, request, points, again=False)


_REASONS: Final[Mapping[InputState, Why]] = {
    InputState.EARLY: Why.TOO_EARLY,
    InputState.LATE: Why.TOO_OLD,
    InputState.EXITED: Why.GONE,
}


def _point(data: bytes) -> G1:
    try:
        return G1.decode(data)
    except PointError:
        raise IssuingRefusedError(Why.POINT) from None
