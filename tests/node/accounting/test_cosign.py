"""Two cosigners joined without sockets, with disks that lose what was not persisted."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.accounting.actions import (
    Action,
    PersistReceipts,
    ReceiptRecord,
    SendReceipts,
    SubmitEvidence,
    SubmitReceipts,
    decode_receipt_record,
)
from node.accounting.cosign import Cosigner, PeerTraffic
from qnet.crypto.keys import ReceiptKey
from qnet.eip712 import qnet_domain
from qnet.epochs import EpochClock
from qnet.errors import CryptoError, DecodeError, RemoteProtocolError
from qnet.messages.receipt import (
    NO_SAMPLE,
    ReceiptId,
    Side,
    SignedReceipt,
    bucket_round,
    buckets_apart,
)
from tests.support.signed_network import CHAIN_ID, ORACLE, PARAMETERS

GENESIS = 1_000_000
CLOCK = EpochClock(GENESIS, PARAMETERS.slot_s, PARAMETERS.slots_per_epoch)
DOMAIN = qnet_domain(CHAIN_ID, ORACLE)
KEYS = {index: ReceiptKey(bytes([index]) * 32) for index in (1, 2, 3)}
GRACE = PARAMETERS.receipt_grace_s
RETRY = max(GRACE // 8, 1)


def address_of(index: int, _epoch: int) -> bytes | None:
    return KEYS[index].address if index in KEYS else None


def cosigner(own: int) -> Cosigner:
    return Cosigner(
        own,
        KEYS[own],
        domain=DOMAIN,
        clock=CLOCK,
        parameters=PARAMETERS,
        receipt_address_of=address_of,
    )


class Side2:
    """A cosigner with its disk and everything it sent and submitted."""

    def __init__(self, own: int) -> None:
        self.own = own
        self.core = cosigner(own)
        self.disk: dict[ReceiptId, SignedReceipt] = {}
        self.outbox: list[SendReceipts] = []
        self.submitted: set[SignedReceipt] = set()
        self.evidence: list[SubmitEvidence] = []

    def run(self, actions: list[Action], now: float, *, crash: bool = False) -> None:
        for action in actions:
            if isinstance(action, PersistReceipts):
                if crash:
                    self.restart()
                    return
                for signed in action.receipts:
                    assert signed.receipt.key not in self.disk
                    self.disk[signed.receipt.key] = signed
                self.run(self.core.persisted(action, now), now)
            elif isinstance(action, SendReceipts):
                for signed in decode_receipt_record(action.content).receipts:
                    assert self.disk[signed.receipt.key] == signed, "sent before it was stored"
                self.outbox.append(action)
            elif isinstance(action, SubmitReceipts):
                assert all(self.disk[one.receipt.key] == one for one in action.receipts)
                self.submitted |= set(action.receipts)
            else:
                self.evidence.append(action)

    def restart(self) -> None:
        self.core = cosigner(self.own)
        self.core.restore(self.disk.values())


def deliver(sender: Side2, receiver: Side2, now: float) -> None:
    sent, sender.outbox = sender.outbox, []
    for action in sent:
        if action.peer == receiver.own:
            receiver.run(receiver.core.receive(sender.own, action.content, now), now)


def settle(one: Side2, two: Side2, now: float) -> None:
    for _ in range(6):
        deliver(one, two, now)
        deliver(two, one, now)


def end_of(epoch: int, slot: int) -> int:
    return CLOCK.slot_bounds(epoch, slot)[1]


def test_both_neighbours_end_with_all_four_receipts() -> None:
    one, two = Side2(1), Side2(2)
    now = end_of(0, 0)
    one.run(one.core.close_slot(0, 0, {2: PeerTraffic(1000, 500)}), now)
    two.run(two.core.close_slot(0, 0, {1: PeerTraffic(500, 990, b"\1" * 32, b"\2" * 32)}), now)
    settle(one, two, now)
    assert one.disk == two.disk
    assert one.submitted == two.submitted == set(one.disk.values())
    assert len(one.disk) == 4
    assert not one.outbox
    sent = one.disk[ReceiptId(0, 0, 1, 2, Side.SENDER)]
    received = one.disk[ReceiptId(0, 0, 1, 2, Side.RECEIVER)]
    assert (sent.receipt.packets, received.receipt.packets) == (bucket_round(1000), 960)
    assert buckets_apart(sent.receipt.packets, received.receipt.packets) == 1
    assert received.receipt.sample_root == b"\2" * 32
    assert (one.core.stats.signed, one.core.stats.received) == (2, 2)
    assert (one.core.stats.matched, one.core.stats.mismatched) == (2, 0)


def test_disagreement_is_counted() -> None:
    one, two = Side2(1), Side2(2)
    now = end_of(0, 0)
    one.run(one.core.close_slot(0, 0, {2: PeerTraffic(2000, 500)}), now)
    two.run(two.core.close_slot(0, 0, {1: PeerTraffic(500, 1000)}), now)
    settle(one, two, now)
    assert (one.core.stats.matched, one.core.stats.mismatched) == (1, 1)
    assert (two.core.stats.matched, two.core.stats.mismatched) == (1, 1)


def test_nothing_is_signed_without_traffic() -> None:
    core = cosigner(1)
    assert core.close_slot(0, 0, {2: PeerTraffic(0, 0), 1: PeerTraffic(5, 5)}) == []


def test_a_slot_is_signed_once() -> None:
    one = Side2(1)
    now = end_of(0, 0)
    one.run(one.core.close_slot(0, 0, {2: PeerTraffic(10, 10)}), now)
    assert one.core.close_slot(0, 0, {2: PeerTraffic(99, 99)}) == []
    one.restart()
    assert one.core.close_slot(0, 0, {2: PeerTraffic(99, 99)}) == []
    assert {receipt.receipt.packets for receipt in one.disk.values()} == {10}


def test_lost_records_are_sent_again_until_the_answer_comes() -> None:
    one, two = Side2(1), Side2(2)
    now = end_of(0, 0)
    one.run(one.core.close_slot(0, 0, {2: PeerTraffic(10, 10)}), now)
    two.run(two.core.close_slot(0, 0, {1: PeerTraffic(10, 10)}), now)
    one.outbox.clear()  # lost on the way
    deliver(two, one, now)
    one.outbox.clear()
    assert two.core.tick(now + RETRY - 0.1) == []
    two.run(two.core.tick(now + RETRY), now + RETRY)
    settle(one, two, now + RETRY)
    assert two.disk == one.disk
    assert two.core.tick(now + 2 * RETRY) == one.core.tick(now + 2 * RETRY) == []


def test_a_new_link_brings_what_is_missing() -> None:
    one, two = Side2(1), Side2(2)
    now = end_of(0, 0)
    one.run(one.core.close_slot(0, 0, {2: PeerTraffic(10, 10), 3: PeerTraffic(1, 1)}), now)
    two.run(two.core.close_slot(0, 0, {1: PeerTraffic(10, 10)}), now)
    one.outbox.clear()
    two.outbox.clear()
    two.restart()
    two.run(two.core.peer_ready(1, now), now)
    settle(one, two, now)
    assert {key for key in one.disk if 3 not in key[2:4]} == set(two.disk)
    assert two.core.peer_ready(1, now) == []


def test_the_window_closes() -> None:
    one, two = Side2(1), Side2(2)
    closed = end_of(0, 0) + GRACE
    one.run(one.core.close_slot(0, 0, {2: PeerTraffic(10, 10)}), closed)
    late = one.outbox.pop()
    two.run(two.core.receive(1, late.content, closed + 0.1), closed + 0.1)
    assert two.disk == {}
    assert two.core.stats.refused == 2
    assert one.core.tick(closed + 0.1) == []
    assert one.core._exchanges == {}
    slow = PersistReceipts(tuple(one.disk.values()))
    assert one.core.persisted(slow, closed + 1) == [SubmitReceipts(slow.receipts)]


def test_receipts_of_a_running_slot_are_not_taken() -> None:
    one, two = Side2(1), Side2(2)
    end = end_of(0, 0)
    one.run(one.core.close_slot(0, 0, {2: PeerTraffic(10, 10)}), end)
    content = one.outbox.pop().content
    assert two.core.receive(1, content, end - 1.5) == []
    assert two.core.receive(1, content, end - 0.5) != []


def test_two_bodies_for_one_tuple_are_evidence() -> None:
    one, two = Side2(1), Side2(2)
    now = end_of(0, 0)
    one.run(one.core.close_slot(0, 0, {2: PeerTraffic(10, 10)}), now)
    deliver(one, two, now)
    body = one.disk[ReceiptId(0, 0, 1, 2, Side.SENDER)].receipt
    other = replace(body, packets=20).sign(KEYS[1], DOMAIN)
    two.run(two.core.receive(1, ReceiptRecord(wants=False, receipts=(other,)).encode(), now), now)
    assert [(item.first.receipt, item.second) for item in two.evidence] == [(body, other)]
    assert two.disk[body.key].receipt == body


def forged(*, key: int = 1, **changes: object) -> bytes:
    core = Side2(1)
    core.run(core.core.close_slot(0, 0, {2: PeerTraffic(10, 10)}), end_of(0, 0))
    body = core.disk[ReceiptId(0, 0, 1, 2, Side.SENDER)].receipt
    signed = replace(body, **changes).sign(KEYS[key], DOMAIN)
    return ReceiptRecord(wants=False, receipts=(signed,)).encode()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (forged(key=3), CryptoError),
        (forged(node_to=3), RemoteProtocolError),
        (forged(node_from=3), RemoteProtocolError),
        (forged(side=Side.RECEIVER), RemoteProtocolError),
        (b"\0\1", DecodeError),
    ],
    ids=["signer", "to", "from", "side", "malformed"],
)
def test_receipts_that_are_not_the_neighbours_are_refused(
    content: bytes, error: type[Exception]
) -> None:
    core = cosigner(2)
    with pytest.raises(error):
        core.receive(1, content, end_of(0, 0))
    assert core._exchanges == {}


def test_unknown_neighbours_and_slots_are_refused() -> None:
    core = cosigner(2)
    stranger = forged(node_from=9)
    with pytest.raises(CryptoError):
        core.receive(9, stranger, end_of(0, 0))
    assert core.stats.refused == 1
    beyond = forged(slot=CLOCK.slots_per_epoch)
    assert core.receive(1, beyond, end_of(1, 0)) == []


def test_a_bad_receipt_spoils_its_whole_record() -> None:
    one = Side2(1)
    now = end_of(0, 0)
    one.run(one.core.close_slot(0, 0, {2: PeerTraffic(10, 10)}), now)
    good = tuple(one.disk.values())
    bad = replace(good[1], signature=good[0].signature)
    core = cosigner(2)
    with pytest.raises(CryptoError):
        core.receive(1, ReceiptRecord(wants=False, receipts=(good[0], bad)).encode(), now)
    assert core._exchanges == {}


class CrashingNeighbours(RuleBasedStateMachine):
    """Losses, crashes before and after the disk, and retries in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.sides = {1: Side2(1), 2: Side2(2)}
        self.now = float(GENESIS)
        self.slot = 0
        self.signed: dict[ReceiptId, set[bytes]] = {}

    @initialize()
    def first_slot(self) -> None:
        self.now = float(end_of(0, 0))

    @rule(own=st.sampled_from([1, 2]), sent=st.integers(0, 50), got=st.integers(0, 50))
    def close(self, own: int, sent: int, got: int) -> None:
        side = self.sides[own]
        actions = side.core.close_slot(0, self.slot, {3 - own: PeerTraffic(sent, got, NO_SAMPLE)})
        side.run(actions, self.now)

    @rule(own=st.sampled_from([1, 2]), sent=st.integers(0, 50))
    def close_and_crash_before_the_disk(self, own: int, sent: int) -> None:
        side = self.sides[own]
        actions = side.core.close_slot(0, self.slot, {3 - own: PeerTraffic(sent, 1)})
        side.run(actions, self.now, crash=True)

    @rule(own=st.sampled_from([1, 2]))
    def crash(self, own: int) -> None:
        self.sides[own].outbox.clear()
        self.sides[own].restart()

    @rule(own=st.sampled_from([1, 2]))
    def pass_on(self, own: int) -> None:
        deliver(self.sides[own], self.sides[3 - own], self.now)

    @rule(own=st.sampled_from([1, 2]))
    def reconnect(self, own: int) -> None:
        side = self.sides[own]
        side.run(side.core.peer_ready(3 - own, self.now), self.now)

    @rule(own=st.sampled_from([1, 2]))
    def retry(self, own: int) -> None:
        self.now += RETRY / 4
        side = self.sides[own]
        side.run(side.core.tick(self.now), self.now)

    @rule()
    def next_slot(self) -> None:
        if self.slot < CLOCK.slots_per_epoch - 1:
            self.slot += 1
            self.now = max(self.now, float(end_of(0, self.slot)))

    @invariant()
    def one_body_per_tuple_ever(self) -> None:
        for side in self.sides.values():
            assert not side.evidence
            for key, signed in side.disk.items():
                self.signed.setdefault(key, set()).add(signed.body_hash)
        assert all(len(bodies) == 1 for bodies in self.signed.values())

    @invariant()
    def everything_stored_is_submitted(self) -> None:
        for side in self.sides.values():
            assert side.submitted == set(side.disk.values())


TestCrashingNeighbours = CrashingNeighbours.TestCase
TestCrashingNeighbours.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
