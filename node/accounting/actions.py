"""What the receipt exchange asks of its driver, and the RECEIPT record between neighbours.

Record: ``flags u8 (1: send me yours) | count u8 | receipts of 120 bytes``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from qnet.codec import Reader, Writer
from qnet.errors import DecodeError
from qnet.messages.receipt import RECEIPT_BYTES, SignedReceipt

MAX_RECEIPTS_PER_RECORD: Final = 64
FLAG_WANT: Final = 1


@dataclass(frozen=True, slots=True)
class PersistReceipts:
    """Store receipts durably, then call `Cosigner.persisted` with this action."""

    receipts: tuple[SignedReceipt, ...]


@dataclass(frozen=True, slots=True)
class SendReceipts:
    """Send a RECEIPT record to a neighbour; drop it if there is no link.

    Args:
        peer: registry index.
        content: the record's content.
    """

    peer: int
    content: bytes


@dataclass(frozen=True, slots=True)
class SubmitReceipts:
    """Hand stored receipts to the committee, until it answered for each."""

    receipts: tuple[SignedReceipt, ...]


@dataclass(frozen=True, slots=True)
class SubmitEvidence:
    """Hand two receipts of one tuple with different bodies to the committee."""

    first: SignedReceipt
    second: SignedReceipt


Action: TypeAlias = PersistReceipts | SendReceipts | SubmitReceipts | SubmitEvidence


@dataclass(frozen=True, slots=True)
class ReceiptRecord:
    """Content of a RECEIPT record.

    Args:
        wants: the sender lacks the receiver's receipts.
        receipts: up to 64.
    """

    wants: bool
    receipts: tuple[SignedReceipt, ...]

    def encode(self) -> bytes:
        """Wire form, at most 7,682 bytes."""
        writer = Writer().u8(FLAG_WANT if self.wants else 0).u8(len(self.receipts))
        for receipt in self.receipts:
            writer.take(receipt.encode())
        return writer.bytes()


def decode_receipt_record(content: bytes) -> ReceiptRecord:
    """Read a RECEIPT record; signatures are not checked here.

    Raises:
        DecodeError: malformed.
    """
    reader = Reader(content)
    flags, count = reader.u8(), reader.u8()
    if flags > FLAG_WANT or not 1 <= count <= MAX_RECEIPTS_PER_RECORD:
        raise DecodeError("receipt record: flags or count out of bounds")
    receipts = tuple(SignedReceipt.decode(reader.take(RECEIPT_BYTES)) for _ in range(count))
    reader.finish()
    return ReceiptRecord(bool(flags), receipts)


def split_records(receipts: Sequence[SignedReceipt], *, wants: bool) -> list[bytes]:
    """Encode receipts into as many records as they need."""
    return [
        ReceiptRecord(wants, tuple(receipts[start : start + MAX_RECEIPTS_PER_RECORD])).encode()
        for start in range(0, len(receipts), MAX_RECEIPTS_PER_RECORD)
    ]
