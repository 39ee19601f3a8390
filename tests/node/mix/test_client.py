"""Bounds of a client and of a mix that a whole network does not reach."""

import secrets
from dataclasses import replace
from random import Random

import pytest

from node.mix import client as module
from node.mix.account import AnswerLeft, Mailbox, ReplyPart, ReplyReceived
from node.mix.address import MailAddress
from node.mix.client import Ignored
from node.mix.envelope import seal_frame
from node.mix.frame import (
    DATA_BYTES,
    AckFrame,
    DataFrame,
    Fragment,
    ReplyFrame,
    fragments_of,
)
from node.mix.mail import Mail, reply_fragments
from node.mix.outbox import Ended, Outcome
from node.mix.packet import Delivery
from node.mix.relay import LoopPlan, MixRelay
from node.mix.surb import MAX_WAITING
from qnet.crypto.keys import DhKey
from qnet.errors import LocalProtocolError
from tests.node.mix.network import MAILBOX_NODE, Network


def acknowledging(client, network, message_id):
    """A reply block of the client for an acknowledgement."""
    delivery_id = client.account.new_id()
    surb, secret = client._block(network.phase, delivery_id)
    client._book.remember(delivery_id, secret, module.Purpose(module.Use.ACK, message_id))
    return surb


def test_answers_that_wait_are_bounded(monkeypatch):
    network = Network(Random(1))
    alice, account, _ = network.client()
    monkeypatch.setattr(module, "MAX_ANSWERS", 1)
    surbs = alice.reply_blocks(bytes(16), [network.phase] * 2)
    assert alice.answer(b"text", surbs) == 1
    with pytest.raises(LocalProtocolError):
        alice.answer(b"text", surbs)
    fragment = Fragment(bytes(16), 0, 1, Mail(b"text").encode())
    frame = DataFrame(fragment, surbs[1].encode()).encode()
    payload = seal_frame(frame, account.address.key, secrets.token_bytes)
    name = account.address.delivery_id(network.phase)
    (event,) = alice.receive(Delivery(network.phase, name, payload), network.now)
    assert event.mail.text == b"text"
    assert alice.ignored == {Ignored.TOO_MANY_ANSWERS: 1}


def test_answers_with_dead_blocks_are_left_out():
    network = Network(Random(2))
    alice, _, _ = network.client()
    alice.answer(b"text", alice.reply_blocks(bytes(16), [network.phase]))
    assert alice._payload(network.phase + 2, network.now) is None


def test_a_stranger_cannot_send_answers_to_any_node():
    """Reply blocks come from strangers: their first node must be a mix of the first layer."""
    network = Network(Random(5))
    alice, _, _ = network.client()
    (surb,) = alice.reply_blocks(bytes(16), [network.phase])
    others = [mix.index for layer in network.layers.layers[1:] for mix in layer]
    alice.answer(b"text", [replace(surb, first_index=others[0])])
    alice.answer(b"text", [replace(surb, first_index=MAILBOX_NODE)])
    assert alice._payload(network.phase, network.now) is None
    alice.answer(b"text", [surb])
    assert alice._payload(network.phase, network.now)[0] == surb.first_index


class Errand:
    """Something that is carried beside messages."""

    def __init__(self, packets):
        self.packets, self.received = packets, []

    def payload(self, _phase, _now):
        return self.packets.pop() if self.packets else None

    def receive(self, delivery, _now):
        self.received.append(delivery)
        return delivery.delivery_id == bytes(16)


def test_messages_and_what_else_is_carried_take_turns():
    network = Network(Random(7))
    alice, account, _ = network.client()
    errand = Errand([(1, bytes([number])) for number in range(4)])
    alice.carried.append(errand)
    for _ in range(4):
        alice.write(account.address, Mail(b"text"), network.now)
    sent = [alice._payload(network.phase, network.now) for _ in range(9)]
    assert [len(packet[1]) == 1 for packet in sent[:-1]] == [False, True] * 4
    assert sent[-1] is None
    alice.receive(Delivery(network.phase, bytes(16), bytes(2064)), network.now)
    assert not alice.ignored
    alice.receive(Delivery(network.phase, bytes(15) + b"x", bytes(2064)), network.now)
    assert alice.ignored == {Ignored.UNKNOWN: 1}
    assert len(errand.received) == 2


def test_units_for_our_node_go_in_place_of_drops():
    network = Network(Random(8))
    alice, account, _ = network.client()
    alice.control += [(0, b"one"), (0, b"two")]
    alice.write(account.address, Mail(b"text"), network.now)
    packets = [alice.packets(network.phase, network.now + 0.5 * step) for step in range(20)]
    flat = [packet for some in packets for packet in some]
    assert [packet for packet in flat if not packet[0]] == [(0, b"one"), (0, b"two")]
    assert len(flat) > 20
    assert alice.outbox.next_at > network.now + 1


def test_without_ids_a_client_sends_drops_only_and_no_try_counts():
    network = Network(Random(9))
    alice, account, _ = network.client()
    alice.account = replace(account, new_id=lambda: None)
    alice.write(account.address, Mail(b"text"), network.now)
    assert len(alice.packets(network.phase, network.now + 3)) > 3
    assert alice.outbox.next_at == network.now
    assert alice.watch.sent == 0
    with pytest.raises(LocalProtocolError):
        alice.reply_blocks(bytes(16), [network.phase])


def test_a_second_address_is_read_and_nothing_is_known_across_addresses():
    """Parts of one message to two addresses must not make one message: that would join them."""
    network = Network(Random(10))
    alice, account, _ = network.client()
    second = Mailbox(DhKey(secrets.token_bytes(32)), MAILBOX_NODE + 1)
    alice.account = replace(account, others=(second,))
    (surb,) = alice.reply_blocks(bytes(16), [network.phase])
    body = Mail(b"x" * 2 * DATA_BYTES).encode()[: 2 * DATA_BYTES]
    for part, mailbox in zip(fragments_of(bytes(16), body, DATA_BYTES), (0, 1), strict=True):
        address = second.address if mailbox else account.address
        payload = seal_frame(
            DataFrame(part, surb.encode()).encode(), address.key, secrets.token_bytes
        )
        name = address.delivery_id(network.phase)
        assert alice.receive(Delivery(network.phase, name, payload), network.now) == []
    assert not alice.ignored
    assert len(alice.inboxes) == 2


def test_a_client_without_room_acknowledges_nothing():
    network = Network(Random(11))
    alice, account, _ = network.client()
    alice.takes_mail = False
    (surb,) = alice.reply_blocks(bytes(16), [network.phase])
    frame = DataFrame(Fragment(bytes(16), 0, 1, Mail(b"t").encode()), surb.encode()).encode()
    payload = seal_frame(frame, account.address.key, secrets.token_bytes)
    name = account.address.delivery_id(network.phase)
    assert alice.receive(Delivery(network.phase, name, payload), network.now) == []
    assert alice.ignored == {Ignored.NO_ROOM: 1}
    assert alice._payload(network.phase, network.now) is None


def test_an_answer_tells_when_it_left_or_why_not():
    network = Network(Random(12))
    alice, _, _ = network.client()
    name = secrets.token_bytes(16)
    alice.answer(b"text", alice.reply_blocks(bytes(16), [network.phase, network.phase]), name)
    alice._payload(network.phase, network.now)
    alice.answer(b"text", alice.reply_blocks(bytes(16), [network.phase]), name)
    alice._payload(network.phase + 2, network.now)
    assert alice.events() == [
        AnswerLeft(name, 0, is_sent=True),
        AnswerLeft(name, 0, is_sent=False),
    ]


def test_parts_of_an_answer_are_told_and_can_be_resumed():
    network = Network(Random(13))
    alice, _, at_alice = network.client()
    bob, _, _ = network.client()
    blocks = alice.make_blocks(b"a" * 16, [network.phase] * 2)
    pairs = reply_fragments(b"r" * 16, b"x" * 3000, [surb for surb, _, _ in blocks])
    first, second = pairs
    network.send(first[0].first_index, first[0].use(ReplyFrame(first[1]).encode()))
    network.run(2)
    assert [type(event) for event in at_alice] == [ReplyPart]
    again, _, at_again = network.client()
    again.resume_reply(at_alice[0], network.now)
    _, delivery_id, secret = blocks[1]
    assert again.await_reply(delivery_id, secret, b"a" * 16)
    network.clients[0], network.events[0] = (again, network.clients[0][1]), at_again
    network.send(second[0].first_index, second[0].use(ReplyFrame(second[1]).encode()))
    network.run(2)
    assert at_again == [ReplyReceived(b"a" * 16, b"x" * 3000, b"r" * 16)]
    assert bob.ignored == {}


def test_loops_are_timed():
    network = Network(Random(14))
    alice, _, _ = network.client()
    network.run(60)
    assert len(alice.watch.trips) > 10
    assert all(0.06 <= seconds < 2 for seconds in alice.watch.trips)


def test_a_client_whose_blocks_are_all_under_way_sends_no_data_but_keeps_its_rate():
    network = Network(Random(3))
    alice, account, _ = network.client()
    for _ in range(MAX_WAITING // 512):
        for _ in range(512):
            alice._book.remember(secrets.token_bytes(16), None, None)
    alice.write(account.address, Mail(b"text"), network.now)
    packets = alice.packets(network.phase, network.now + 3)
    assert len(packets) > 3
    assert alice.ignored == {Ignored.TOO_MANY_REPLY_BLOCKS: 1}
    assert alice.watch.sent == 0


def test_a_mix_skips_loops_after_a_stall_and_has_none_without_a_layer():
    network = Network(Random(4))
    mix = network.mixes[1]
    assert len(mix.loops(network.phase, network.now + 1000)) == 4
    none = MixRelay(
        MAILBOX_NODE,
        mix.unwrapper,
        network.paths,
        lambda _phase: 0,
        LoopPlan(1.0, 2.0),
        secrets.token_bytes,
        network.now,
    )
    with pytest.raises(LocalProtocolError):
        none.loops(network.phase, network.now + 100)


def test_a_block_acknowledges_only_the_message_that_it_came_with():
    network = Network(Random(6))
    alice, account, at_alice = network.client()
    other = MailAddress(MAILBOX_NODE, secrets.token_bytes(32))
    sent = alice.write(other, Mail(b"text"), network.now)
    (surb,) = alice.reply_blocks(sent, [network.phase])
    block = acknowledging(alice, network, secrets.token_bytes(16))
    forged = AckFrame(sent, 1, frozenset({0})).encode()
    for one in (surb, block):
        network.send(one.first_index, one.use(forged))
    network.run(2)
    assert at_alice == []
    assert alice.ignored == {Ignored.UNREADABLE: 2}
    right = acknowledging(alice, network, sent)
    network.send(right.first_index, right.use(forged))
    network.run(2)
    assert at_alice == [Ended(sent, other, Outcome.DELIVERED)]
    assert account.address != other
