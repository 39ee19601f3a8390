"""Bounds of a client and of a mix that a whole network does not reach."""

import secrets
from dataclasses import replace
from random import Random

import pytest

from node.mix import client as module
from node.mix.address import MailAddress
from node.mix.client import Ignored
from node.mix.envelope import seal_frame
from node.mix.frame import AckFrame, DataFrame, Fragment
from node.mix.mail import Mail
from node.mix.outbox import Ended, Outcome
from node.mix.packet import Delivery
from node.mix.relay import LoopPlan, MixRelay
from node.mix.surb import MAX_WAITING
from qnet.errors import LocalProtocolError
from tests.node.mix.network import MAILBOX_NODE, Network


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
    block = alice._block(network.phase, module.Use.ACK, secrets.token_bytes(16))
    forged = AckFrame(sent, 1, frozenset({0})).encode()
    for one in (surb, block):
        network.send(one.first_index, one.use(forged))
    network.run(2)
    assert at_alice == []
    assert alice.ignored == {Ignored.UNREADABLE: 2}
    right = alice._block(network.phase, module.Use.ACK, sent)
    network.send(right.first_index, right.use(forged))
    network.run(2)
    assert at_alice == [Ended(sent, other, Outcome.DELIVERED)]
    assert account.address != other
