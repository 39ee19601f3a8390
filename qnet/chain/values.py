"""What is read from a chain and what is sent to it, as plain values."""

from dataclasses import dataclass
from typing import Literal

BlockTag = int | Literal["latest", "pending", "safe", "finalized", "earliest"]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a contract (or a payment), ready to be sent, previewed or proposed.

    Args:
        to: 20-byte address; None creates a contract.
        data: call data, or creation code.
        value_wei: native coin sent with it.
        label: what it does, for people, e.g. ``StakeHub.bond(1, 1000)``.
    """

    to: bytes | None
    data: bytes = b""
    value_wei: int = 0
    label: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """Header fields that the programs use; hashes have 32 bytes, the time is in unix seconds."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    base_fee_wei: int


@dataclass(frozen=True, slots=True)
class BlockMark:
    """A block that was seen final: its number and 32-byte hash."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Log:
    """One event as the chain stores it, still encoded."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    tx_hash: bytes
    index: int


@dataclass(frozen=True, slots=True)
class TxReceipt:
    """Result of a mined transaction ("receipt" alone means a bandwidth receipt)."""

    tx_hash: bytes
    succeeded: bool
    block_number: int
    block_hash: bytes
    gas_used: int
    gas_price_wei: int
    contract_address: bytes | None
    logs: tuple[Log, ...]

    @property
    def fee_wei(self) -> int:
        """What the sender paid for it, in wei of the native coin."""
        return self.gas_used * self.gas_price_wei


@dataclass(frozen=True, slots=True)
class Fees:
    """EIP-1559 fees per gas, in wei of the native coin."""

    max_fee_wei: int
    priority_fee_wei: int
