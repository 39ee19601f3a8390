"""Vouchers: what the owner of a channel signs to buy credits of the largest class.

A request (wire): ``channel 20 | cumulative u128 | nonce u64 | epoch u32 | count u8 |
points 48 each | signature 65``.

Source: docs/spec/payments.md, QN-PAY-021.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from qnet.codec import Reader, Writer
from qnet.crypto.keys import (
    ADDRESS_BYTES,
    EVM_SIGNATURE_BYTES,
    ReceiptKey,
    constant_time_equal,
    keccak256,
    recover,
)
from qnet.eip712 import digest
from qnet.errors import CryptoError, DecodeError
from qnet.messages.instruments import POINT_BYTES, TOKEN_UNITS

BATCH_MAX: Final = 64
"""Points of one voucher."""
VOUCHER_TYPE: Final = (
    "Voucher(address channel,uint128 cumulative,uint64 nonce,uint32 epoch,bytes32 batchHash)"
)
CUMULATIVE_BYTES: Final = 16


def batch_hash(points: Sequence[bytes]) -> bytes:
    """keccak256 over compressed blinded points, 32 bytes."""
    return keccak256(b"".join(points))


@dataclass(frozen=True, slots=True)
class Voucher:
    """A promise to pay for one batch of credits.

    Args:
        channel: the channel's owner, 20 bytes.
        cumulative_wei: all that the channel paid, this batch included.
        nonce: 1 for the first voucher of a channel, then counting.
        epoch: issuance epoch.
        batch_hash: of the blinded points, 32 bytes.
    """

    channel: bytes
    cumulative_wei: int
    nonce: int
    epoch: int
    batch_hash: bytes

    def values(self) -> tuple[bytes, int, int, int, bytes]:
        """The fields, as the contract takes them."""
        return self.channel, self.cumulative_wei, self.nonce, self.epoch, self.batch_hash

    def digest(self, domain: bytes) -> bytes:
        """EIP-712 digest, 32 bytes; `domain` is that of PremiumChannels."""
        return digest(domain, VOUCHER_TYPE, self.values())


@dataclass(frozen=True, slots=True)
class Purchase:
    """A voucher with the points it pays for and its owner's signature.

    Args:
        voucher: whose `batch_hash` is that of the points.
        points: 1 to 64 compressed points of 48 bytes.
        signature: 65 bytes.
    """

    voucher: Voucher
    points: tuple[bytes, ...]
    signature: bytes

    @classmethod
    def make(
        cls,
        key: ReceiptKey,
        domain: bytes,
        points: Sequence[bytes],
        *,
        cumulative_wei: int,
        nonce: int,
        epoch: int,
    ) -> Self:
        """Sign a purchase as the channel's owner."""
        voucher = Voucher(key.address, cumulative_wei, nonce, epoch, batch_hash(points))
        return cls(voucher, tuple(points), key.sign(voucher.digest(domain)))

    @property
    def units(self) -> int:
        """What is bought."""
        return TOKEN_UNITS * len(self.points)

    def verify(self, domain: bytes) -> None:
        """Check that the channel's owner signed exactly these points.

        Raises:
            CryptoError: not so.
        """
        if not constant_time_equal(batch_hash(self.points), self.voucher.batch_hash):
            raise CryptoError
        signer = recover(self.voucher.digest(domain), self.signature)
        if not constant_time_equal(signer, self.voucher.channel):
            raise CryptoError

    def encode(self) -> bytes:
        """Wire form."""
        voucher = self.voucher
        writer = Writer().take(voucher.channel)
        writer.take(voucher.cumulative_wei.to_bytes(CUMULATIVE_BYTES, "big"))
        writer.u64(voucher.nonce).u32(voucher.epoch).u8(len(self.points))
        return writer.take(b"".join(self.points)).take(self.signature).bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a purchase; neither points nor signature are checked here.

        Raises:
            DecodeError: malformed, or more or fewer points than one voucher may pay for.
        """
        reader = Reader(data)
        channel = reader.take(ADDRESS_BYTES)
        cumulative = int.from_bytes(reader.take(CUMULATIVE_BYTES), "big")
        nonce, epoch, count = reader.u64(), reader.u32(), reader.u8()
        if not 1 <= count <= BATCH_MAX:
            raise DecodeError(f"purchase of {count} points, 1 to {BATCH_MAX} are allowed")
        points = tuple(reader.take(POINT_BYTES) for _ in range(count))
        signature = reader.take(EVM_SIGNATURE_BYTES)
        reader.finish()
        voucher = Voucher(channel, cumulative, nonce, epoch, batch_hash(points))
        return cls(voucher, points, signature)
