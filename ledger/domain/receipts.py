"""Receipts: when they are accepted and what two neighbours' receipts are worth together.

Source: docs/spec/rewards.md, QN-REW-020 to 023.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum

from ledger.domain.rewards import Pair
from qnet.crypto.keys import recover
from qnet.epochs import EpochClock
from qnet.errors import CryptoError
from qnet.messages.receipt import LinkReceipt, Side, SignedReceipt, buckets_apart


class ReceiptStatus(IntEnum):
    """Answer to a submitted receipt."""

    STORED = 0
    DUPLICATE = 1
    LATE = 2
    BAD_SIGNATURE = 3
    UNKNOWN_NODE = 4
    EQUIVOCATION = 5
    EARLY = 6


def check_time(
    receipt: LinkReceipt, clock: EpochClock, grace_s: int, now: float
) -> ReceiptStatus | None:
    """EARLY before the end of the slot, LATE after the grace time, None in between."""
    if receipt.slot >= clock.slots_per_epoch:
        return ReceiptStatus.EARLY
    _, end = clock.slot_bounds(receipt.epoch, receipt.slot)
    if now < end:
        return ReceiptStatus.EARLY
    return ReceiptStatus.LATE if now > end + grace_s else None


def receipts_close(epoch: int, clock: EpochClock, grace_s: int) -> int:
    """Unix time after which no receipt of an epoch is accepted."""
    return clock.epoch_bounds(epoch)[1] + grace_s


def is_signed(signed: SignedReceipt, keys: Mapping[int, bytes], domain: bytes) -> bool:
    """Whether a receipt is signed by the key of its signer (QN-REW-021).

    Args:
        signed: the receipt.
        keys: receipt key by registry index, 20 bytes each.
        domain: separator of the ReportOracle.
    """
    try:
        return recover(signed.receipt.digest(domain), signed.signature) == keys.get(
            signed.receipt.signer
        )
    except CryptoError:
        return False


def match_receipts(
    receipts: Iterable[SignedReceipt],
    *,
    epoch: int,
    slots: int,
    keys: Mapping[int, bytes],
    domain: bytes,
) -> dict[Pair, int]:
    """Matched cells per pair of nodes over an epoch (QN-REW-020 to 023).

    Args:
        receipts: in any order; those that do not count are ignored.
        epoch: the epoch.
        slots: slots in it.
        keys: receipt key by registry index.
        domain: separator of the ReportOracle.
    """
    counts: dict[tuple[int, int, int], dict[Side, int]] = {}
    bodies: dict[tuple[int, int, int, int, Side], bytes] = {}
    doubled: set[tuple[int, int, int, int, Side]] = set()
    for signed in receipts:
        body = signed.receipt
        if body.epoch != epoch or body.slot >= slots or not is_signed(signed, keys, domain):
            continue
        if bodies.setdefault(body.key, signed.body_hash) != signed.body_hash:
            doubled.add(body.key)
        direction = (body.slot, body.node_from, body.node_to)
        counts.setdefault(direction, {})[body.side] = body.packets
    for _, slot, node_from, node_to, side in doubled:
        del counts[slot, node_from, node_to][Side(side)]
    matched: dict[Pair, int] = {}
    for (_, node_from, node_to), sides in counts.items():
        pair = (min(node_from, node_to), max(node_from, node_to))
        matched[pair] = matched.get(pair, 0) + _credit(sides)
    return matched


def _credit(sides: Mapping[Side, int]) -> int:
    """The lower side if both are there and at most one bucket apart, else 0 (QN-REW-022)."""
    if len(sides) < len(Side):
        return 0
    sent, received = sides[Side.SENDER], sides[Side.RECEIVER]
    return min(sent, received) if buckets_apart(sent, received) <= 1 else 0
