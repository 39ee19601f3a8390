"""Keeps the books of a node: counts cells, signs and exchanges receipts, delivers them.

The pure cores (`Meter`, `TagSketch`, `Cosigner`) decide; here are their clock, disk and wires. A
receipt is on disk before it leaves; members get it again until they answered for it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

import structlog

from node.accounting.actions import (
    Action,
    PersistReceipts,
    SendReceipts,
    SubmitEvidence,
    SubmitReceipts,
)
from node.accounting.cosign import Cosigner, PeerTraffic
from node.accounting.meter import Meter
from node.accounting.sampler import TagSketch, sample_root
from node.errors import UnknownNodeError
from node.htx.events import CloseReason
from node.htx.record import RecordType
from node.io.endpoint import Link
from node.io.ledger_client import MAX_RECEIPTS, LedgerClient
from node.io.spool import ConflictingReceiptError, Spool
from node.view import NetworkView
from qnet import cbor
from qnet.codec import Writer
from qnet.epochs import EpochClock
from qnet.errors import DecodeError, RemoteProtocolError
from qnet.messages.receipt import ReceiptId, SignedReceipt

KEEP_EPOCHS = 8
"""Epochs whose receipts stay in the spool."""

SNAPSHOT_NAME = "meter"
MAX_SNAPSHOT_BYTES = 16 * 2**20
BEACON_GRACE_DIVISOR = 2
"""The slot's beacon is waited for during the first half of the receipt window."""

_log = structlog.get_logger(__name__)


class Accounts:
    """Receipts of one node.

    Args:
        own: Registry index.
        clock: The reward calendar.
        cosigner: Signs and exchanges.
        spool: What was signed.
        ledger: The committee.
        view: Turns node ids into registry indexes.
        link_to: The open link to a neighbour, by node id.
        now: Clock in unix seconds.
    """

    def __init__(
        self,
        *,
        own: int,
        clock: EpochClock,
        cosigner: Cosigner,
        spool: Spool,
        ledger: LedgerClient,
        view: NetworkView,
        link_to: Callable[[bytes], Link | None],
        now: Callable[[], float],
    ) -> None:
        self.cosigner = cosigner
        self.spool = spool
        self.own = own
        self._clock = clock
        self._ledger = ledger
        self._view = view
        self._link_to = link_to
        self._now = now
        self._indexes: dict[bytes, int] = {}
        self._node_ids: dict[int, bytes] = {}
        self._meter = self._restored_meter()
        self._sketches: dict[tuple[int, int, bool], TagSketch] = defaultdict(TagSketch)
        self._to_submit = {member: asyncio.Event() for member in ledger.members}
        stored = [SignedReceipt.decode(body) for body in spool.since(self._first_open_epoch())]
        cosigner.restore(stored)

    # counting (called by the driver)

    def sent(self, node_id: bytes, cells: Sequence[bytes]) -> None:
        """Cells left for a neighbour."""
        peer = self._index_of(node_id)
        if peer:
            now = self._now()
            self._meter.count_sent(peer, len(cells), now)
            self._sketches[self._clock.slot_number_at(now), peer, True].observe(cells)

    def received(self, node_id: bytes, cells: Sequence[bytes]) -> None:
        """Cells came from a neighbour."""
        peer = self._index_of(node_id)
        if peer:
            now = self._now()
            self._meter.count_received(peer, len(cells), now)
            self._sketches[self._clock.slot_number_at(now), peer, False].observe(cells)

    # exchange (called by the driver)

    async def link_ready(self, node_id: bytes) -> None:
        """A link to a neighbour opened: send what it may lack."""
        peer = self._index_of(node_id)
        if peer:
            await self._carry_out(self.cosigner.peer_ready(peer, self._now()))

    async def record(self, link: Link, content: bytes) -> None:
        """A RECEIPT record came from a neighbour; a bad one closes the link."""
        node_id = link.peer.node_id
        peer = self._index_of(node_id) if node_id is not None else 0
        if not peer:
            link.close(CloseReason.PROTOCOL)
            return
        try:
            actions = self.cosigner.receive(peer, content, self._now())
        except RemoteProtocolError as error:
            _log.warning("bad receipt record", node=peer, cause=error.message)
            link.close(CloseReason.PROTOCOL)
            return
        await self._carry_out(actions)

    # the clock

    async def run(self) -> None:
        """Close slots as they end, retry the exchange, and keep a snapshot of the counters."""
        while True:
            await asyncio.sleep(min(1.0, self._clock.slot_s / 10))
            now = self._now()
            for slot_number in self._meter.ended_slots(now):
                await self._close(slot_number, now)
            await self._carry_out(self.cosigner.tick(now))
            rows = [list(row) for row in self._meter.snapshot()]
            await asyncio.to_thread(self.spool.note, SNAPSHOT_NAME, cbor.dumps(rows))

    async def deliver(self, member: str) -> None:
        """Send waiting receipts to one member, for ever, until it answers for each."""
        pause_s = 0.2
        while True:
            self._to_submit[member].clear()
            waiting = await asyncio.to_thread(self.spool.waiting, member, MAX_RECEIPTS)
            if not waiting:
                await self._to_submit[member].wait()
                continue
            codes = await self._ledger.submit_receipts(member, [entry.body for entry in waiting])
            if codes is None:
                pause_s = min(pause_s * 2, 5.0)
                await asyncio.sleep(pause_s)
                continue
            pause_s = 0.2
            answers = {entry.row: code for entry, code in zip(waiting, codes, strict=True)}
            await asyncio.to_thread(self.spool.delivered, member, answers)

    # inside

    async def _close(self, slot_number: int, now: float) -> None:
        """Sign a slot's receipts once its beacon is known, or will not be any more."""
        beacon = await self._ledger.beacon(slot_number + 1)
        _, end = self._clock.slot_bounds(0, slot_number)
        grace = self._view.parameters.receipt_grace_s / BEACON_GRACE_DIVISOR
        if beacon is None and now < end + grace:
            return
        traffic = {
            peer: PeerTraffic(
                counts.sent,
                counts.received,
                self._root(slot_number, peer, beacon, sent=True),
                self._root(slot_number, peer, beacon, sent=False),
            )
            for peer, counts in self._meter.close(slot_number).items()
        }
        for key in [key for key in self._sketches if key[0] <= slot_number]:
            del self._sketches[key]
        epoch, slot = divmod(slot_number, self._clock.slots_per_epoch)
        await self._carry_out(self.cosigner.close_slot(epoch, slot, traffic))
        await asyncio.to_thread(self.spool.prune, epoch - KEEP_EPOCHS)

    def _root(self, slot_number: int, peer: int, beacon: bytes | None, *, sent: bool) -> bytes:
        sketch = self._sketches.get((slot_number, peer, sent))
        return sample_root(sketch.tags() if sketch is not None else [], beacon)

    async def _carry_out(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case PersistReceipts():
                    await asyncio.to_thread(self._store, action.receipts)
                    await self._carry_out(self.cosigner.persisted(action, self._now()))
                case SendReceipts():
                    self._send(action)
                case SubmitReceipts():
                    self._wake_deliveries()
                case SubmitEvidence():
                    await asyncio.to_thread(self._store_evidence, action)
                    self._wake_deliveries()

    def _wake_deliveries(self) -> None:
        for event in self._to_submit.values():
            event.set()

    def _store(self, receipts: Sequence[SignedReceipt]) -> None:
        for signed in receipts:
            try:
                self.spool.put(spool_key(signed.receipt.key), signed.encode(), signed.receipt.epoch)
            except ConflictingReceiptError:
                _log.error("receipt contradicts a stored one", key=tuple(signed.receipt.key))

    def _store_evidence(self, action: SubmitEvidence) -> None:
        """The first of two contradicting receipts is stored already; keep the second beside it."""
        second = action.second
        key = spool_key(second.receipt.key) + second.body_hash
        self.spool.put(key, second.encode(), second.receipt.epoch)

    def _send(self, action: SendReceipts) -> None:
        node_id = self._node_ids.get(action.peer)
        link = self._link_to(node_id) if node_id is not None else None
        if link is not None and not link.is_closed:
            link.send_record(RecordType.RECEIPT, action.content)
            link.flush()

    def _index_of(self, node_id: bytes) -> int:
        index = self._indexes.get(node_id)
        if index is None:
            try:
                index = self._view.node(node_id).index
            except UnknownNodeError:
                return 0
            self._indexes[node_id] = index
            self._node_ids[index] = node_id
        return index

    def _first_open_epoch(self) -> int:
        return max(self._clock.epoch_at(self._now()) - 1, 0)

    def _restored_meter(self) -> Meter:
        data = self.spool.noted(SNAPSHOT_NAME)
        if data is None:
            return Meter(self._clock)
        try:
            rows = cbor.loads(data, max_bytes=MAX_SNAPSHOT_BYTES, max_depth=3)
            if not isinstance(rows, list):
                return Meter(self._clock)
            return Meter.restore(self._clock, [_row(row) for row in rows])
        except (DecodeError, ValueError, TypeError) as error:
            _log.warning("counters of the last run are lost", cause=str(error))
            return Meter(self._clock)


def spool_key(key: ReceiptId) -> bytes:
    """What makes a receipt unique, as 15 bytes."""
    epoch, slot, node_from, node_to, side = key
    return Writer().u32(epoch).u16(slot).u32(node_from).u32(node_to).u8(side).bytes()


def _row(row: object) -> tuple[int, int, int, int]:
    if not isinstance(row, list):
        raise DecodeError("meter snapshot: not a row")
    slot, peer, sent, received = row
    return int(slot), int(peer), int(sent), int(received)
