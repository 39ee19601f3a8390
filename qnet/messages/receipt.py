"""Bandwidth receipts between neighbours, and the buckets their counts are rounded into.

Wire (120 bytes): ``epoch u32 | slot u16 | from u32 | to u32 | side u8 | packets u64 |
sample root 32 | signature 65``.

Source: docs/spec/receipts.md.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple, Self

from qnet.codec import Reader, Writer
from qnet.crypto.keys import EVM_SIGNATURE_BYTES, ReceiptKey, keccak256, recover
from qnet.eip712 import digest
from qnet.errors import CryptoError, DecodeError
from qnet.messages.fields import U64_MAX

RECEIPT_BYTES: Final = 120
RECEIPT_TYPE: Final = (
    "LinkReceipt(uint32 epoch,uint16 slot,uint32 nodeFrom,uint32 nodeTo,uint8 side,"
    "uint64 packets,bytes32 sampleRoot)"
)
MAX_SLOTS_PER_EPOCH: Final = 24
NO_SAMPLE: Final = bytes(32)
"""Sample root of a link that carried nothing, or whose sampling beacon never appeared."""

_STEPS: Final = 16
_STEP_BITS: Final = 4


class Side(IntEnum):
    """Which end of the direction signed."""

    SENDER = 0
    RECEIVER = 1


class ReceiptId(NamedTuple):
    """What makes a receipt unique: exactly one body may ever be signed for it."""

    epoch: int
    slot: int
    node_from: int
    node_to: int
    side: Side


@dataclass(frozen=True, slots=True)
class LinkReceipt:
    """How many cells and packets went from one node to another in one slot.

    Args:
        epoch: reward epoch.
        slot: slot within the epoch, from 0.
        node_from: registry index of the sender.
        node_to: registry index of the receiver.
        side: who signed: the sender or the receiver.
        packets: count, already rounded down to its bucket.
        sample_root: Merkle root over sampled cell tags, 32 bytes.
    """

    epoch: int
    slot: int
    node_from: int
    node_to: int
    side: Side
    packets: int
    sample_root: bytes

    @property
    def key(self) -> ReceiptId:
        """The tuple that may be signed once."""
        return ReceiptId(self.epoch, self.slot, self.node_from, self.node_to, self.side)

    @property
    def signer(self) -> int:
        """Registry index of the node that signs."""
        return self.node_from if self.side is Side.SENDER else self.node_to

    @property
    def counterpart(self) -> int:
        """Registry index of the other node."""
        return self.node_to if self.side is Side.SENDER else self.node_from

    def digest(self, domain: bytes) -> bytes:
        """EIP-712 digest, 32 bytes.

        Args:
            domain: `qnet_domain` of the ReportOracle.
        """
        values = (
            self.epoch,
            self.slot,
            self.node_from,
            self.node_to,
            int(self.side),
            self.packets,
            self.sample_root,
        )
        return digest(domain, RECEIPT_TYPE, values)

    def sign(self, key: ReceiptKey, domain: bytes) -> "SignedReceipt":
        """Sign with the node's receipt key."""
        return SignedReceipt(self, key.sign(self.digest(domain)))


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """A receipt with its signature.

    Args:
        receipt: the body.
        signature: r, s, v of the signer's receipt key, 65 bytes.
    """

    receipt: LinkReceipt
    signature: bytes

    @property
    def body_hash(self) -> bytes:
        """Keccak-256 of the body without its signature: tells two bodies of one key apart."""
        return keccak256(self.encode()[: RECEIPT_BYTES - EVM_SIGNATURE_BYTES])

    def encode(self) -> bytes:
        """Wire form, 120 bytes."""
        body = self.receipt
        return (
            Writer()
            .u32(body.epoch)
            .u16(body.slot)
            .u32(body.node_from)
            .u32(body.node_to)
            .u8(body.side)
            .u64(body.packets)
            .take(body.sample_root)
            .take(self.signature)
            .bytes()
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a receipt; the signature is not checked here (see :meth:`verify`).

        Raises:
            DecodeError: wrong size, field out of bounds, or a count that is not a bucket's.
        """
        if len(data) != RECEIPT_BYTES:
            raise DecodeError(f"receipt of {len(data)} bytes instead of {RECEIPT_BYTES}")
        reader = Reader(data)
        epoch, slot = reader.u32(), reader.u16()
        node_from, node_to, side, packets = reader.u32(), reader.u32(), reader.u8(), reader.u64()
        if slot >= MAX_SLOTS_PER_EPOCH or side > Side.RECEIVER:
            raise DecodeError("receipt: slot or side out of bounds")
        if not node_from or not node_to or node_from == node_to:
            raise DecodeError("receipt: not a link between two registered nodes")
        if bucket_round(packets) != packets:
            raise DecodeError("receipt: count is not rounded to its bucket")
        body = LinkReceipt(epoch, slot, node_from, node_to, Side(side), packets, reader.take(32))
        return cls(body, reader.rest())

    def verify(self, domain: bytes, receipt_address: bytes) -> None:
        """Check that the given address signed.

        Raises:
            CryptoError: it did not.
        """
        if recover(self.receipt.digest(domain), self.signature) != receipt_address:
            raise CryptoError


def bucket_index(count: int) -> int:
    """Number of the bucket that holds a count: 16 equal steps in every octave.

    Counts below 16 have a bucket each; then bucket ``16 (e - 4) + (n >> (e - 4))`` with
    ``e = floor(log2 n)``.

    Raises:
        ValueError: negative, or beyond 64 bits.
    """
    if not 0 <= count <= U64_MAX:
        raise ValueError("a count has 64 bits")
    shift = max(count.bit_length() - 1 - _STEP_BITS, 0)
    return _STEPS * shift + (count >> shift)


def bucket_round(count: int) -> int:
    """Round a count down to the lowest one of its bucket."""
    shift = max(count.bit_length() - 1 - _STEP_BITS, 0)
    return count >> shift << shift


def buckets_apart(left: int, right: int) -> int:
    """Distance in buckets between two counts; receipts match when it is at most 1."""
    return abs(bucket_index(left) - bucket_index(right))
