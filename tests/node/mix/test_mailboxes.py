"""Mailboxes of a node: who gets what, what waits, what is dropped, what attackers reach."""

import secrets

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.circuit.keys.phase import PhaseKeyring
from node.mix import mailboxes as module
from node.mix.address import MailAddress
from node.mix.mailbox_wire import Claim, MailboxRequest, make_claim
from node.mix.mailboxes import FORGET_S, MAX_STORED_EACH, REQUEST_BURST, Loss, Mailboxes
from node.mix.packet import PACKET_BYTES, Delivery, decode_delivery
from qnet.crypto.keys import DhKey

NODE = 9
PHASE = 500


class Node:
    """A mailbox node with its onion keys."""

    def __init__(self):
        self.keyring = PhaseKeyring(PHASE)
        self.boxes = Mailboxes(NODE, self.keyring.exchange, secrets.token_bytes, PHASE)

    def claim(self, key, phase=None):
        phase = self.keyring.current if phase is None else phase
        return make_claim(key, NODE, self.keyring.public(phase), phase)

    def ask(self, link, *keys, ids=0, now=0.0):
        claims = tuple(self.claim(key) for key in keys)
        return self.boxes.request(link, MailboxRequest(PHASE, ids, claims), now)

    def deliver(self, delivery_id, phase=None):
        phase = self.keyring.current if phase is None else phase
        delivery = Delivery(phase, delivery_id, bytes(2064))
        return self.boxes.deliver(delivery, delivery.encode(secrets.token_bytes))

    def write_to(self, key, phase=None):
        phase = self.keyring.current if phase is None else phase
        return self.deliver(MailAddress(NODE, key.public).delivery_id(phase), phase)

    def advance(self, phase, now=0.0):
        self.keyring.advance(phase)
        self.boxes.advance(phase, now)


def new_key():
    return DhKey(secrets.token_bytes(32))


@pytest.fixture
def node():
    return Node()


def test_ids_lead_to_the_link_that_asked(node):
    ids = {link: node.ask(link, ids=3).ids for link in (1, 2)}
    for link, names in ids.items():
        assert len(set(names)) == 3
        assert [node.deliver(name) for name in names] == [link] * 3


def test_a_claimed_address_is_read_where_it_was_claimed_last(node):
    key = new_key()
    assert node.write_to(key) is None
    assert node.ask(1, key).accepted == 1
    assert [node.write_to(key, PHASE + step) for step in (-1, 0, 1)] == [1, 1, 1]
    node.ask(2, key)
    assert node.write_to(key) == 2
    node.boxes.closed(1, 0)
    assert node.write_to(key) == 2


def test_ids_move_with_the_address_of_their_request(node):
    key = new_key()
    (name,) = node.ask(1, key, ids=1).ids
    node.boxes.closed(1, 0)
    assert node.deliver(name) is None
    node.ask(2, key)
    taken = node.boxes.take(2, 9)
    assert [decode_delivery(packet).delivery_id for packet in taken] == [name]
    assert node.deliver(name) == 2


def test_ids_without_an_address_go_with_their_link(node):
    (name,) = node.ask(1, ids=1).ids
    node.ask(1, new_key())
    assert node.deliver(name) == 1
    node.boxes.closed(1, 0)
    assert node.deliver(name) is None
    assert node.boxes.lost == {Loss.UNKNOWN: 1}


def test_deliveries_wait_for_an_address_that_was_seen(node):
    key = new_key()
    node.ask(1, key)
    node.boxes.closed(1, 0)
    for phase in (PHASE + 1, PHASE + 2):
        node.advance(phase)
    assert node.write_to(key) is None
    assert not node.boxes.take(2, 9)
    node.ask(2, key)
    (packet,) = node.boxes.take(2, 9)
    assert len(packet) == PACKET_BYTES
    assert not node.boxes.take(2, 9)
    assert node.boxes.stored == 0


def test_what_waits_goes_with_its_phase(node):
    key = new_key()
    node.ask(1, key)
    node.boxes.closed(1, 0)
    node.write_to(key)
    node.advance(PHASE + 2)
    assert node.boxes.stored == 0
    assert node.boxes.lost == {Loss.DEAD_PHASE: 1}
    node.ask(2, key)
    assert not node.boxes.take(2, 9)


def test_what_waits_is_taken_in_parts_by_who_claims_it_now(node):
    keys = [new_key(), new_key()]
    node.ask(1, *keys)
    node.boxes.closed(1, 0)
    for key in keys * 3:
        node.write_to(key)
    node.ask(2, *keys)
    node.ask(3, keys[0])
    assert [len(node.boxes.take(2, 2)) for _ in range(3)] == [2, 1, 0]
    assert len(node.boxes.take(3, 9)) == 3
    assert node.boxes.stored == 0


def test_one_address_cannot_fill_the_store(node, monkeypatch):
    monkeypatch.setattr(module, "MAX_STORED", MAX_STORED_EACH + 10)
    keys = [new_key(), new_key()]
    node.ask(1, *keys)
    node.boxes.closed(1, 0)
    for key in keys:
        for _ in range(MAX_STORED_EACH + 1):
            node.write_to(key)
    assert node.boxes.stored == MAX_STORED_EACH + 10
    assert node.boxes.lost == {Loss.ADDRESS_FULL: 1, Loss.STORE_FULL: MAX_STORED_EACH + 1 - 10}


def test_nobody_claims_the_address_of_another(node):
    key, mine = new_key(), new_key()
    node.ask(1, key)
    claim = node.claim(mine)
    stolen = Claim(key.public, PHASE, claim.proof)
    request = MailboxRequest(PHASE, 0, (stolen, claim))
    assert node.boxes.request(2, request, 0).accepted == 2
    assert node.write_to(key) == 1
    assert node.boxes.lost == {Loss.BAD_CLAIM: 1}


def test_a_claim_of_a_dead_phase_is_refused(node):
    key = new_key()
    claim = node.claim(key)
    node.advance(PHASE + 2)
    request = MailboxRequest(PHASE, 0, (claim, Claim(bytes(32), PHASE + 2, bytes(16))))
    assert node.boxes.request(1, request, 0).accepted == 0
    assert node.boxes.lost == {Loss.BAD_CLAIM: 2}


def test_a_link_that_asks_too_often_gets_no_answer(node):
    answers = [node.ask(1, now=5.0) for _ in range(REQUEST_BURST + 3)]
    assert answers[REQUEST_BURST:] == [None] * 3
    assert node.ask(1, now=6.0) is not None
    assert node.ask(2, now=5.0) is not None
    assert node.boxes.lost == {Loss.TOO_MANY_REQUESTS: 3}


def test_a_link_claims_a_bounded_number_of_addresses(node, monkeypatch):
    monkeypatch.setattr(module, "MAX_CLAIMS_EACH", 3)
    keys = [new_key() for _ in range(4)]
    assert node.ask(1, *keys).accepted == 0b0111
    assert node.ask(1, *keys[:2]).accepted == 0b11
    assert node.boxes.lost == {Loss.TOO_MANY_CLAIMS: 1}


def test_addresses_that_were_left_longest_are_forgotten_first(node, monkeypatch):
    monkeypatch.setattr(module, "MAX_ADDRESSES", 3)
    keys = [new_key() for _ in range(5)]
    for link, key in enumerate(keys[:3]):
        node.ask(link, key)
    node.boxes.closed(1, 1.0)
    node.boxes.closed(0, 2.0)
    assert node.ask(7, keys[3]).accepted == 1
    assert node.write_to(keys[1]) is None
    assert node.boxes.stored == 0
    assert node.write_to(keys[0]) is None
    assert node.boxes.stored == 1
    assert node.ask(8, keys[4]).accepted == 1
    assert node.boxes.stored == 0
    assert node.ask(9, keys[0]).accepted == 0
    assert node.boxes.addresses == 3
    assert node.boxes.lost[Loss.FORGOTTEN] == 2


def test_an_address_that_nobody_claims_for_a_week_is_forgotten(node):
    key, held = new_key(), new_key()
    node.ask(1, key)
    node.ask(2, held)
    node.boxes.closed(1, 0.0)
    node.advance(PHASE + 1, FORGET_S)
    assert node.boxes.addresses == 2
    node.advance(PHASE + 2, FORGET_S + 1)
    assert node.boxes.addresses == 1
    assert node.write_to(held) == 2


def test_deliveries_of_dead_phases_and_strangers_are_counted(node):
    assert node.deliver(secrets.token_bytes(16)) is None
    assert node.deliver(secrets.token_bytes(16), PHASE + 2) is None
    assert node.boxes.lost == {Loss.UNKNOWN: 1, Loss.DEAD_PHASE: 1}


@settings(max_examples=40, stateful_step_count=40, deadline=None)
class Machine(RuleBasedStateMachine):
    """Any order of claims, closings, deliveries and phases keeps the books straight."""

    def __init__(self):
        super().__init__()
        self.node = Node()
        self.keys = [new_key() for _ in range(4)]
        self.claimed = {}
        self.seen = set()
        self.now = 0.0

    @rule(link=st.integers(1, 3), number=st.integers(0, 3))
    def claim(self, link, number):
        self.now += 10
        answer = self.node.ask(link, self.keys[number], ids=1, now=self.now)
        assert answer.accepted == 1
        self.claimed[number] = link
        self.seen.add(number)
        assert all(len(packet) == PACKET_BYTES for packet in self.node.boxes.take(link, 1000))
        assert self.node.deliver(answer.ids[0]) == link

    @rule(link=st.integers(1, 3))
    def close(self, link):
        self.node.boxes.closed(link, self.now)
        self.claimed = {each: held for each, held in self.claimed.items() if held != link}

    @rule(number=st.integers(0, 3))
    def write(self, number):
        before = self.node.boxes.stored
        assert self.node.write_to(self.keys[number]) == self.claimed.get(number)
        waits = number in self.seen and number not in self.claimed
        assert self.node.boxes.stored == before + waits

    @rule()
    def advance(self):
        self.node.advance(self.node.keyring.current + 1, self.now)

    @invariant()
    def books(self):
        boxes = self.node.boxes
        assert boxes.stored == sum(len(box.stored) for box in boxes._addresses.values())
        assert boxes.addresses == len(self.seen)
        assert {box.key for box in boxes._addresses.values() if box.link is None} == set(
            boxes._idle
        )


TestMachine = Machine.TestCase
