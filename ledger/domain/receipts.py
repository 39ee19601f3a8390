"""Receipts: when they are accepted and what two neighbours' receipts are worth together.

Source: docs/spec/rewards.md, QN-REW-020 to 023.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum

from ledger.domain.rewards import Pair
from qnet.crypto.keys import recover
from qnet.epochs import EpochClock
from qnet.errors import CryptoError
from qnet.messages.receipt import LinkReceipt, ReceiptId, Side, SignedReceipt, buckets_apart
from qnet.messages.report import LinkLeaf, receipt_proof


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
) -> tuple[LinkLeaf, ...]:
    """Traffic that both ends signed, by (slot, from, to) (QN-REW-020 to 022).

    Args:
        receipts: in any order; those that do not count are ignored.
        epoch: the epoch.
        slots: slots in it.
        keys: receipt key by registry index.
        domain: separator of the ReportOracle.
    """
    bodies: dict[ReceiptId, dict[bytes, SignedReceipt]] = {}
    for signed in sorted(set(receipts), key=SignedReceipt.encode):
        body = signed.receipt
        if body.epoch == epoch and body.slot < slots and is_signed(signed, keys, domain):
            bodies.setdefault(body.key, {}).setdefault(signed.body_hash, signed)
    leaves = []
    for key, found in sorted(bodies.items()):
        other = bodies.get(key._replace(side=Side.RECEIVER), {})
        if key.side is Side.SENDER and len(found) == len(other) == 1:
            (sender,), (receiver,) = found.values(), other.values()
            leaf = _link(sender, receiver, domain)
            if leaf.matched:
                leaves.append(leaf)
    return tuple(leaves)


def pair_totals(leaves: Iterable[LinkLeaf]) -> dict[Pair, int]:
    """Matched cells per pair over slots and both directions (QN-REW-023)."""
    totals: dict[Pair, int] = {}
    for leaf in leaves:
        totals[pair_of(leaf)] = totals.get(pair_of(leaf), 0) + leaf.matched
    return totals


def pair_of(leaf: LinkLeaf) -> Pair:
    """The two nodes of a link, the lower first."""
    return min(leaf.node_from, leaf.node_to), max(leaf.node_from, leaf.node_to)


def _link(sender: SignedReceipt, receiver: SignedReceipt, domain: bytes) -> LinkLeaf:
    """What two receipts are worth: the lower if at most one bucket apart, else 0."""
    body = sender.receipt
    sent, received = body.packets, receiver.receipt.packets
    return LinkLeaf(
        epoch=body.epoch,
        slot=body.slot,
        node_from=body.node_from,
        node_to=body.node_to,
        sent=sent,
        received=received,
        matched=min(sent, received) if buckets_apart(sent, received) <= 1 else 0,
        sent_proof=receipt_proof(body.digest(domain), sender.signature),
        received_proof=receipt_proof(receiver.receipt.digest(domain), receiver.signature),
    )
