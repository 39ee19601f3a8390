"""Instruments and requests as rows of the wallet's file, each with a seal over its values.

SQLite notices a file that is cut off, not a byte that was changed inside a row; the seal does.
"""

from collections.abc import Sequence
from typing import Any, Final

from node.payments.user.derivation import Slot
from node.payments.user.states import (
    Blank,
    Instrument,
    Request,
    RequestKind,
    RequestState,
    State,
)
from qnet import cbor
from qnet.crypto.kdf import blake3
from qnet.errors import DecodeError

SEAL_BYTES: Final = 16
MAX_LIST_BYTES: Final = 1 << 14

INSTRUMENT_COLUMNS: Final = (
    *("epoch", "class", "counter", "state", "relay", "signature", "k", "last", "request", "used"),
    "was",
)
REQUEST_COLUMNS: Final = (
    *("number", "kind", "epoch", "body", "blanks", "inputs", "at", "due", "sent", "wei"),
    *("nonce", "state", "why"),
)


def instrument_row(entry: Instrument) -> tuple[Any, ...]:
    """Values of an instrument, its seal last."""
    slot = entry.slot
    values = (slot.epoch, slot.class_, slot.counter, entry.state.value, entry.relay)
    spent = (entry.signature, entry.k, entry.last, entry.request, entry.used)
    return _sealed((*values, *spent, str(entry.was or "")))


def instrument_from(row: Sequence[Any]) -> Instrument:
    """Read a row.

    Raises:
        DecodeError: it is not as it was written.
    """
    epoch, class_, counter, state, relay, signature, k, last, request, used, was = _opened(row)
    return Instrument(
        slot=Slot(epoch, class_, counter),
        state=State(state),
        relay=relay,
        signature=signature,
        k=k,
        last=last,
        request=request,
        used=used,
        was=State(was) if was else None,
    )


def request_row(entry: Request) -> tuple[Any, ...]:
    """Values of a request, its number first, its seal last; the seal leaves the number out."""
    blanks = cbor.dumps([[*_parts(blank.slot), blank.relay] for blank in entry.blanks])
    inputs = cbor.dumps([_parts(slot) for slot in entry.inputs])
    values = (entry.kind.value, entry.epoch, entry.body, blanks, inputs, float(entry.at))
    sending = (float(entry.due), int(entry.sent), str(entry.wei), entry.nonce)
    rest = (entry.state.value, entry.why)
    return (entry.number, *_sealed((*values, *sending, *rest)))


def request_from(row: Sequence[Any]) -> Request:
    """Read a row.

    Raises:
        DecodeError: it is not as it was written.
    """
    kind, epoch, body, blanks, inputs, at, due, sent, wei, nonce, state, why = _opened(row[1:])
    return Request(
        number=row[0],
        kind=RequestKind(kind),
        epoch=epoch,
        body=body,
        blanks=tuple(Blank(Slot(*entry[:3]), entry[3]) for entry in _list(blanks)),
        inputs=tuple(Slot(*entry) for entry in _list(inputs)),
        at=at,
        due=due,
        sent=bool(sent),
        wei=int(wei),
        nonce=nonce,
        state=RequestState(state),
        why=why,
    )


def _parts(slot: Slot) -> list[int]:
    return [slot.epoch, slot.class_, slot.counter]


def _list(data: bytes) -> list[list[int]]:
    found: Any = cbor.loads(data, max_bytes=MAX_LIST_BYTES, max_depth=2)
    return list(found)


def _sealed(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*values, _seal(values))


def _opened(row: Sequence[Any]) -> Sequence[Any]:
    *values, seal = row
    if seal != _seal(tuple(values)):
        raise DecodeError("a row of the wallet was changed")
    return values


def _seal(values: tuple[Any, ...]) -> bytes:
    return blake3(repr(values).encode())[:SEAL_BYTES]
