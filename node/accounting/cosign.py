"""The exchange of receipts between neighbours: a state machine without I/O.

For each neighbour and slot a node signs two receipts: as sender of one direction and as receiver
of the other. A receipt is stored durably before it is sent (`PersistReceipts`, then
`Cosigner.persisted`), and what was stored wins after a restart, so no tuple is ever signed with
two bodies. The neighbour's receipts are checked, stored and submitted too: if one of the two
fails, the other delivers for both.

Source: docs/spec/receipts.md, section Exchange.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from node.accounting.actions import (
    Action,
    PersistReceipts,
    SendReceipts,
    SubmitEvidence,
    SubmitReceipts,
    decode_receipt_record,
    split_records,
)
from qnet.crypto.keys import ReceiptKey, recover
from qnet.epochs import EpochClock
from qnet.errors import CryptoError, RemoteProtocolError
from qnet.messages.receipt import (
    NO_SAMPLE,
    LinkReceipt,
    ReceiptId,
    Side,
    SignedReceipt,
    bucket_round,
    buckets_apart,
)
from qnet.parameters import NetworkParameters

RETRY_DIVISOR: Final = 8
"""A neighbour that has not answered is asked again after receipt_grace_s / 8."""
SKEW_DIVISOR: Final = 12
"""Neighbours' clocks may run ahead by slot_s / 12, but at least by a second."""

ReceiptAddressOf: TypeAlias = Callable[[int, int], bytes | None]
"""(registry index, epoch) → receipt address in force, None for a node that is not known."""


@dataclass(frozen=True, slots=True)
class PeerTraffic:
    """What was exchanged with a neighbour in a slot.

    Args:
        sent: cells and packets written.
        received: cells and packets opened.
        sent_root: sample root over the cells sent, 32 bytes.
        received_root: sample root over the cells received, 32 bytes.
    """

    sent: int
    received: int
    sent_root: bytes = NO_SAMPLE
    received_root: bytes = NO_SAMPLE


@dataclass(slots=True)
class CosignStats:
    """Counters for metrics.

    Args:
        signed: own receipts.
        received: neighbours' receipts taken.
        matched: directions in which both sides agree.
        mismatched: directions in which they do not.
        refused: neighbours' receipts that were not taken.
    """

    signed: int = 0
    received: int = 0
    matched: int = 0
    mismatched: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Exchange:
    """Receipts of one slot with one neighbour."""

    own: dict[ReceiptId, SignedReceipt] = field(default_factory=dict)
    theirs: dict[ReceiptId, SignedReceipt] = field(default_factory=dict)
    stored: set[ReceiptId] = field(default_factory=set)
    sent_at: float | None = None

    @property
    def sendable(self) -> list[SignedReceipt]:
        """Own receipts that are stored."""
        return [self.own[key] for key in sorted(self.own) if key in self.stored]

    @property
    def is_waiting(self) -> bool:
        """Whether the neighbour's receipts are missing."""
        return len(self.theirs) < len(Side)


class Cosigner:
    """Signs and exchanges the receipts of one node.

    Args:
        own: own registry index.
        key: own receipt key.
        domain: `qnet_domain` of the ReportOracle, 32 bytes.
        clock: the reward calendar.
        parameters: the network's parameters.
        receipt_address_of: looks up a neighbour's receipt address.
    """

    def __init__(
        self,
        own: int,
        key: ReceiptKey,
        *,
        domain: bytes,
        clock: EpochClock,
        parameters: NetworkParameters,
        receipt_address_of: ReceiptAddressOf,
    ) -> None:
        self._own = own
        self._key = key
        self._domain = domain
        self._clock = clock
        self._grace_s = parameters.receipt_grace_s
        self._skew_s = max(parameters.slot_s // SKEW_DIVISOR, 1)
        self._retry_s = max(parameters.receipt_grace_s // RETRY_DIVISOR, 1)
        self._receipt_address_of = receipt_address_of
        self._exchanges: dict[tuple[int, int], _Exchange] = {}
        self.stats = CosignStats()

    def restore(self, receipts: Iterable[SignedReceipt]) -> None:
        """Take over what was stored before a restart; call before anything else."""
        for signed in receipts:
            body = signed.receipt
            is_own = body.signer == self._own
            peer = body.counterpart if is_own else body.signer
            exchange = self._exchange(self._clock.slot_number(body.epoch, body.slot), peer)
            (exchange.own if is_own else exchange.theirs)[body.key] = signed
            exchange.stored.add(body.key)

    def close_slot(self, epoch: int, slot: int, traffic: Mapping[int, PeerTraffic]) -> list[Action]:
        """Sign the receipts of a slot that is over; what was signed before stays as it is.

        Args:
            epoch: reward epoch.
            slot: slot within it.
            traffic: by neighbour; those without any cell are left out.
        """
        signed: list[SignedReceipt] = []
        for peer, counts in sorted(traffic.items()):
            if peer == self._own or not (counts.sent or counts.received):
                continue
            exchange = self._exchange(self._clock.slot_number(epoch, slot), peer)
            bodies = (
                self._body(epoch, slot, peer, Side.SENDER, counts.sent, counts.sent_root),
                self._body(epoch, slot, peer, Side.RECEIVER, counts.received, counts.received_root),
            )
            for body in bodies:
                if body.key not in exchange.own:
                    exchange.own[body.key] = body.sign(self._key, self._domain)
                    signed.append(exchange.own[body.key])
                    self._compare(exchange, exchange.own[body.key])
        self.stats.signed += len(signed)
        return [PersistReceipts(tuple(signed))] if signed else []

    def persisted(self, action: PersistReceipts, now: float) -> list[Action]:
        """Go on after receipts were stored durably: send own ones, submit all."""
        ready: dict[tuple[int, int], _Exchange] = {}
        for signed in action.receipts:
            body = signed.receipt
            is_own = body.signer == self._own
            place = (
                self._clock.slot_number(body.epoch, body.slot),
                body.counterpart if is_own else body.signer,
            )
            exchange = self._exchanges.get(place)
            if exchange is None:  # its window closed while the disk was busy
                continue
            exchange.stored.add(body.key)
            if is_own:
                ready[place] = exchange
        return [*self._send(ready, now), SubmitReceipts(action.receipts)]

    def peer_ready(self, peer: int, now: float) -> list[Action]:
        """Send what a neighbour may lack when a link to it opens."""
        waiting = {
            place: exchange
            for place, exchange in self._exchanges.items()
            if place[1] == peer and exchange.is_waiting
        }
        return self._send(waiting, now)

    def receive(self, peer: int, content: bytes, now: float) -> list[Action]:
        """Take a RECEIPT record from a neighbour.

        Args:
            peer: its registry index, as the link authenticated it.
            content: the record's content.
            now: unix time.

        Raises:
            DecodeError: malformed: close the link.
            RemoteProtocolError: a receipt is not about this link.
            CryptoError: a signature does not hold.
        """
        record = decode_receipt_record(content)
        try:
            for signed in record.receipts:
                self._check(peer, signed)
        except RemoteProtocolError:
            self.stats.refused += 1
            raise
        fresh: list[SignedReceipt] = []
        answers: dict[tuple[int, int], _Exchange] = {}
        actions: list[Action] = []
        for signed in record.receipts:
            body = signed.receipt
            if not self._is_timely(body, now):
                self.stats.refused += 1
                continue
            place = (self._clock.slot_number(body.epoch, body.slot), peer)
            exchange = self._exchange(*place)
            held = exchange.theirs.get(body.key)
            if held is None:
                exchange.theirs[body.key] = signed
                fresh.append(signed)
                self._compare(exchange, signed)
            elif held.receipt != body:
                actions.append(SubmitEvidence(held, signed))
            if record.wants:
                answers[place] = exchange
        self.stats.received += len(fresh)
        if fresh:
            actions.append(PersistReceipts(tuple(fresh)))
        return actions + self._send(answers, now)

    def tick(self, now: float) -> list[Action]:
        """Ask silent neighbours again and forget slots whose window is over."""
        for place in [place for place in self._exchanges if now > self._closes_at(place[0])]:
            del self._exchanges[place]
        silent = {
            place: exchange
            for place, exchange in self._exchanges.items()
            if exchange.is_waiting
            and (exchange.sent_at is None or now >= exchange.sent_at + self._retry_s)
        }
        return self._send(silent, now)

    def _body(
        self, epoch: int, slot: int, peer: int, side: Side, count: int, root: bytes
    ) -> LinkReceipt:
        ends = (self._own, peer) if side is Side.SENDER else (peer, self._own)
        return LinkReceipt(epoch, slot, *ends, side, bucket_round(count), root)

    def _check(self, peer: int, signed: SignedReceipt) -> None:
        body = signed.receipt
        if (body.signer, body.counterpart) != (peer, self._own):
            raise RemoteProtocolError("receipt is not about this link")
        address = self._receipt_address_of(peer, body.epoch)
        if address is None or recover(body.digest(self._domain), signed.signature) != address:
            raise CryptoError

    def _is_timely(self, body: LinkReceipt, now: float) -> bool:
        if body.slot >= self._clock.slots_per_epoch:
            return False
        _, end = self._clock.slot_bounds(body.epoch, body.slot)
        return end - self._skew_s <= now <= end + self._grace_s

    def _closes_at(self, slot_number: int) -> int:
        return self._clock.slot_bounds(0, slot_number)[1] + self._grace_s

    def _exchange(self, slot_number: int, peer: int) -> _Exchange:
        return self._exchanges.setdefault((slot_number, peer), _Exchange())

    def _send(self, exchanges: Mapping[tuple[int, int], _Exchange], now: float) -> list[Action]:
        """Send the stored own receipts, one record or few for each neighbour."""
        batches: dict[tuple[int, bool], list[SignedReceipt]] = {}
        for (_, peer), exchange in sorted(exchanges.items(), key=lambda item: item[0]):
            receipts = exchange.sendable
            if receipts:
                exchange.sent_at = now
                batches.setdefault((peer, exchange.is_waiting), []).extend(receipts)
        return [
            SendReceipts(peer, content)
            for (peer, wants), receipts in batches.items()
            for content in split_records(receipts, wants=wants)
        ]

    def _compare(self, exchange: _Exchange, signed: SignedReceipt) -> None:
        """Count whether both sides of a direction agree, once both are there."""
        body = signed.receipt
        other_side = Side.RECEIVER if body.side is Side.SENDER else Side.SENDER
        key = body.key._replace(side=other_side)
        other = exchange.own.get(key) or exchange.theirs.get(key)
        if other is None:
            return
        if buckets_apart(body.packets, other.receipt.packets) <= 1:
            self.stats.matched += 1
        else:
            self.stats.mismatched += 1
