import asyncio
from dataclasses import dataclass, field

import pytest

from node.accounting.cosign import Cosigner
from node.htx.events import CloseReason, PeerIdentity
from node.htx.record import RecordType
from node.io.accounts import SNAPSHOT_NAME, Accounts, spool_key
from node.io.ledger_client import LedgerClient
from node.io.spool import Spool
from node.view import NetworkView
from qnet.crypto.keys import ReceiptKey
from qnet.eip712 import qnet_domain
from qnet.epochs import EpochClock
from qnet.messages.receipt import NO_SAMPLE, LinkReceipt, Side, SignedReceipt
from qnet.parameters import NetworkParameters
from tools.bench.committee import LocalCommittee

PARAMETERS = NetworkParameters.profile("devnet")
DOMAIN = qnet_domain(31337, b"\x0a" * 20)
OWN, PEER = 1, 2
OWN_ID, PEER_ID = b"\x01" * 32, b"\x02" * 32
MEMBER = "http://127.0.0.1:9"


@dataclass
class Line:
    """What accounts need of a link."""

    node_id: bytes | None = PEER_ID
    is_closed: bool = False
    sent: list = field(default_factory=list)
    reason: object = None

    @property
    def peer(self):
        return PeerIdentity(2, self.node_id)

    def send_record(self, kind, content):
        assert kind is RecordType.RECEIPT
        self.sent.append(content)

    def flush(self):
        pass

    def close(self, reason):
        self.is_closed, self.reason = True, reason


class Books:
    """Accounts of one node with a clock of the test's."""

    def __init__(self, path, own=OWN, peer_id=PEER_ID):
        self.now = 1_000_000.0
        self.clock = EpochClock(999_990, PARAMETERS.slot_s, PARAMETERS.slots_per_epoch)
        self.keys = {OWN: KEYS[OWN], PEER: KEYS[PEER]}
        self.spool = Spool(path)
        self.line = Line(peer_id)
        committee = LocalCommittee()
        view = NetworkView(_trust(committee), PARAMETERS, now=lambda: self.now)
        self.accounts = Accounts(
            own=own,
            clock=self.clock,
            cosigner=Cosigner(
                own,
                self.keys[own],
                domain=DOMAIN,
                clock=self.clock,
                parameters=PARAMETERS,
                receipt_address_of=lambda index, _epoch: self.keys[index].address,
            ),
            spool=self.spool,
            ledger=LedgerClient((MEMBER,)),
            view=view,
            link_to=lambda _node_id: self.line,
            now=lambda: self.now,
        )
        for node_id, index in ((OWN_ID, OWN), (PEER_ID, PEER)):
            self.accounts._indexes[node_id] = index
            self.accounts._node_ids[index] = node_id


KEYS = {OWN: ReceiptKey.generate(), PEER: ReceiptKey.generate()}


def _trust(committee):
    from qnet.messages.consensus import CommitteeTrust

    bundle = committee.bundle(())
    return CommitteeTrust(bundle.chain_id, bundle.committee, bundle.signers, bundle.quorum)


@pytest.fixture
async def books(tmp_path):
    made = Books(tmp_path / "a.db")
    async with made.accounts._ledger:
        yield made
    made.spool.close()


@pytest.fixture
async def neighbour(tmp_path):
    made = Books(tmp_path / "b.db", own=PEER, peer_id=OWN_ID)
    async with made.accounts._ledger:
        yield made
    made.spool.close()


def cells(count):
    return [bytes([n % 256]) * 2048 for n in range(count)]


async def close_slot(books):
    """Let the slot end and the time for its beacon pass."""
    slot = books.clock.slot_number_at(books.now)
    books.now = books.clock.slot_bounds(0, slot)[1] + PARAMETERS.receipt_grace_s / 2
    for number in books.accounts._meter.ended_slots(books.now):
        await books.accounts._close(number, books.now)


async def test_receipts_are_stored_before_they_are_sent(books):
    books.accounts.sent(PEER_ID, cells(100))
    books.accounts.received(PEER_ID, cells(40))
    await close_slot(books)
    stored = [SignedReceipt.decode(body) for body in books.spool.since(0)]
    assert {(s.receipt.side, s.receipt.packets) for s in stored} == {
        (Side.SENDER, 100),
        (Side.RECEIVER, 40),
    }
    assert all(s.receipt.sample_root == NO_SAMPLE for s in stored)
    assert len(books.line.sent) == 1
    assert books.spool.counts((MEMBER,)) == {MEMBER: 2}


async def test_neighbours_end_with_the_same_four_receipts(books, neighbour):
    batch = cells(64)
    books.accounts.sent(PEER_ID, batch)
    neighbour.accounts.received(OWN_ID, batch)
    await close_slot(books)
    await close_slot(neighbour)
    await neighbour.accounts.record(neighbour.line, books.line.sent.pop())
    await books.accounts.record(books.line, neighbour.line.sent.pop())
    assert sorted(books.spool.since(0)) == sorted(neighbour.spool.since(0))
    assert books.accounts.cosigner.stats.mismatched == 0
    assert books.accounts.cosigner.stats.matched == 2


async def test_a_beacon_gives_the_sample(books, monkeypatch):
    async def beacon(_self, _number):
        await asyncio.sleep(0)
        return b"\x07" * 32

    monkeypatch.setattr(LedgerClient, "beacon", beacon)
    books.accounts.sent(PEER_ID, cells(100))
    await close_slot(books)
    roots = {SignedReceipt.decode(b).receipt.sample_root for b in books.spool.since(0)}
    assert len(roots - {NO_SAMPLE}) == 1
    assert not books.accounts._sketches


async def test_without_a_beacon_the_slot_waits_for_half_the_window(books):
    books.accounts.sent(PEER_ID, cells(3))
    slot = books.clock.slot_number_at(books.now)
    books.now = books.clock.slot_bounds(0, slot)[1] + 0.1
    await books.accounts._close(slot, books.now)
    assert books.spool.since(0) == []
    await close_slot(books)
    assert len(books.spool.since(0)) == 2


async def test_counters_survive_a_restart(tmp_path, books):
    books.accounts.sent(PEER_ID, cells(9))
    loop = asyncio.create_task(books.accounts.run())
    async with asyncio.timeout(5):
        while books.spool.noted(SNAPSHOT_NAME) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    loop.cancel()
    again = Books(tmp_path / "a.db")
    assert again.accounts._meter.snapshot() == books.accounts._meter.snapshot()
    again.spool.close()


@pytest.mark.parametrize("damage", [b"\xff", b"\x01", b"\x81\x01", b"\x81\x82\x01\x02"])
async def test_damaged_counters_start_anew(tmp_path, damage):
    spool = Spool(tmp_path / "a.db")
    spool.note(SNAPSHOT_NAME, damage)
    spool.close()
    made = Books(tmp_path / "a.db")
    assert made.accounts._meter.snapshot() == []
    made.spool.close()


@pytest.mark.parametrize("content", [b"", b"\x02\x01", b"\x00\x01" + bytes(120)])
async def test_a_bad_record_closes_the_link(books, content):
    await books.accounts.record(books.line, content)
    assert books.line.reason is CloseReason.PROTOCOL
    assert books.spool.since(0) == []


async def test_a_stranger_is_not_heard(books):
    line = Line(b"\x09" * 32)
    await books.accounts.record(line, b"\x00\x01" + bytes(120))
    assert line.reason is CloseReason.PROTOCOL
    books.accounts.sent(b"\x09" * 32, cells(1))
    assert books.accounts._meter.snapshot() == []


async def test_contradicting_receipts_are_kept_as_evidence(books):
    slot = books.clock.slot_number_at(books.now)
    epoch, within = divmod(slot, PARAMETERS.slots_per_epoch)
    books.now = books.clock.slot_bounds(0, slot)[1] + 0.5

    def record(packets):
        body = LinkReceipt(epoch, within, PEER, OWN, Side.SENDER, packets, NO_SAMPLE)
        return b"\x00\x01" + body.sign(KEYS[PEER], DOMAIN).encode()

    await books.accounts.record(books.line, record(8))
    await books.accounts.record(books.line, record(16))
    assert len(books.spool.since(0)) == 2
    assert not books.line.is_closed


async def test_delivery_goes_on_until_every_receipt_has_an_answer(books, monkeypatch):
    answers = [None, [0, 5]]
    calls = []

    async def submit(_self, member, receipts):
        await asyncio.sleep(0)
        calls.append((member, len(receipts)))
        return answers.pop(0)

    monkeypatch.setattr(LedgerClient, "submit_receipts", submit)
    books.accounts.sent(PEER_ID, cells(3))
    await close_slot(books)
    task = asyncio.create_task(books.accounts.deliver(MEMBER))
    async with asyncio.timeout(5):
        while books.spool.counts((MEMBER,))[MEMBER]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert calls == [(MEMBER, 2)] * 2
    assert books.spool.answers() == {0: 1, 5: 1}
    task.cancel()


def test_spool_keys_tell_receipts_apart():
    body = LinkReceipt(3, 2, 1, 2, Side.SENDER, 0, NO_SAMPLE)
    other = LinkReceipt(3, 2, 2, 1, Side.SENDER, 0, NO_SAMPLE)
    assert len(spool_key(body.key)) == 15
    assert spool_key(body.key) != spool_key(other.key)
