"""What a client pays a hop with inside a circuit, and what the hop answers.

PAY is an opening (104 bytes) or a unit (33 bytes), told apart by length; PAY_STATUS is
``status u8 | left u32``. Whether a token is good is decided elsewhere.

Source: docs/spec/payments.md, QN-PAY-040, 090 and 091.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self, TypeAlias

from node.circuit.cell import CELL_BYTES
from qnet.codec import Reader, Writer
from qnet.errors import DecodeError
from qnet.messages.instruments import OPENING_BYTES, UNIT_BYTES, Opening, Unit

STATUS_BYTES: Final = 5
LEFT_MAX: Final = (1 << 32) - 1
_KIB: Final = 1024

Payment: TypeAlias = Opening | Unit


def decode_payment(data: bytes) -> Payment:
    """Read PAY.

    Raises:
        DecodeError: neither an opening nor a unit, or k out of bounds.
    """
    if len(data) == OPENING_BYTES:
        return Opening.decode(data)
    if len(data) == UNIT_BYTES:
        return Unit.decode(data)
    raise DecodeError(f"payment of {len(data)} bytes")


class Refusal(IntEnum):
    """Why an opening or a unit is not taken; the numbers stand in PAY_STATUS."""

    EPOCH = 1
    KNOWN = 2
    POINT = 3
    SIGNATURE = 4
    BUSY = 5
    FAILURES = 6
    CHAIN = 7
    CLOSED = 8
    FREE = 9

    @property
    def words(self) -> str:
        """The reason for people."""
        return _WORDS[self]


_WORDS: Final = {
    Refusal.EPOCH: "the epoch's keys are unknown, or its tokens are not taken any more",
    Refusal.KNOWN: "the token was shown before",
    Refusal.POINT: "the signature is no valid point",
    Refusal.SIGNATURE: "the signature does not hold",
    Refusal.BUSY: "too many openings wait",
    Refusal.FAILURES: "bad signatures came this way a moment ago",
    Refusal.CHAIN: "the preimage does not fit",
    Refusal.CLOSED: "no token is open on the circuit",
    Refusal.FREE: "the node takes no payment",
}


class PaymentState(IntEnum):
    """How a hop treats a circuit."""

    PAID = 0
    """Premium weight."""
    USED_UP = 1
    """A token is open, and no unit of it is left: free weight."""
    REFUSED = 2
    """What was shown is not taken."""


@dataclass(frozen=True, slots=True)
class PaymentStatus:
    """What a hop says about a circuit's payments.

    Args:
        state: how it treats the circuit.
        left: KiB left of what was paid; with REFUSED the number of the reason.
    """

    state: PaymentState
    left: int

    @classmethod
    def of(cls, left_bytes: int) -> Self:
        """The status of a circuit with a token and so many bytes left."""
        state = PaymentState.PAID if left_bytes > 0 else PaymentState.USED_UP
        return cls(state, min(-(-left_bytes // _KIB), LEFT_MAX))

    @classmethod
    def refused(cls, why: Refusal) -> Self:
        """A refusal."""
        return cls(PaymentState.REFUSED, why)

    @property
    def why(self) -> str:
        """The reason of a refusal for people; unknown numbers are said as they are."""
        known = self.left in _REASONS
        return Refusal(self.left).words if known else f"reason {self.left}"

    def encode(self) -> bytes:
        """Data of PAY_STATUS, 5 bytes."""
        return Writer().u8(self.state).u32(self.left).bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read PAY_STATUS.

        Raises:
            DecodeError: malformed.
        """
        reader = Reader(data)
        state, left = reader.u8(), reader.u32()
        reader.finish()
        if state > PaymentState.REFUSED:
            raise DecodeError(f"payment status {state}")
        return cls(PaymentState(state), left)


_REASONS: Final = frozenset(Refusal)


class Carriage:
    """What each hop of a circuit sent on, counted by its client.

    A hop sends on what the client says to hops behind it, what those say, and what it says itself.

    Args:
        hops: number of hops.
    """

    __slots__ = ("_heard", "_told")

    def __init__(self, hops: int) -> None:
        self._told = [0] * hops
        self._heard = [0] * hops

    def told(self, position: int) -> None:
        """A cell left for a hop."""
        self._told[position] += 1

    def heard(self, position: int, cells: int) -> None:
        """Cells of a hop came."""
        self._heard[position] += cells

    def bytes_by_hop(self) -> list[int]:
        """Bytes of RELAY cells that each hop sent on, from the entry on."""
        found: list[int] = []
        behind = own = 0
        for told, heard in zip(reversed(self._told), reversed(self._heard), strict=True):
            own += heard
            found.append((own + behind) * CELL_BYTES)
            behind += told
        return found[::-1]
