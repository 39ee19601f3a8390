"""Clients and mixes together: messages, answers, loss, phase borders, attackers."""

import secrets
from dataclasses import replace
from random import Random

import pytest

from node.errors import StageError
from node.mix.account import MailReceived, ReplyReceived
from node.mix.address import MailAddress
from node.mix.client import Ignored
from node.mix.envelope import seal_frame
from node.mix.frame import AckFrame, DataFrame, Fragment
from node.mix.mail import Mail
from node.mix.outbox import Ended, Outcome
from node.mix.packet import Delivery
from node.mix.surb import SURB_BYTES
from node.mix.unwrap import Cause
from qnet.errors import LocalProtocolError
from tests.node.mix.network import FIRST_PHASE, MAILBOX_NODE, PHASE_S, Network

TEXT = bytes(number % 251 for number in range(9000))


def answers(events):
    return [(event.about, event.text) for event in events if isinstance(event, ReplyReceived)]


def exchange(network, seconds, *, phases=2):
    """Alice writes to Bob, Bob answers; everything that both learned."""
    alice, _, at_alice = network.client()
    bob, account, at_bob = network.client()
    name = secrets.token_bytes(16)
    first = network.phase
    blocks = alice.reply_blocks(name, [first + step // 2 for step in range(2 * phases)])
    sent = alice.write(account.address, Mail(TEXT, blocks), network.now)
    network.run(seconds)
    mails = [event for event in at_bob if isinstance(event, MailReceived)]
    for mail in mails[:1]:
        bob.answer(b"answer" * 500, mail.mail.usable(network.phase))
    network.run(seconds)
    return name, sent, at_alice, mails


def test_a_message_arrives_and_is_answered():
    network = Network(Random(1))
    name, sent, at_alice, mails = exchange(network, 60)
    assert [mail.mail.text for mail in mails] == [TEXT]
    assert [event.message_id for event in mails] == [sent]
    assert (name, b"answer" * 500) in answers(at_alice)
    outcomes = [event.outcome for event in at_alice if isinstance(event, Ended)]
    assert outcomes == [Outcome.DELIVERED]
    client = network.clients[0][0]
    report = client.loops(network.now)
    assert (report.lost, report.alarm) == (0, False)
    assert client.watch.returned > 20
    assert not client.ignored
    assert network.delivered_to_nobody > 50
    assert all(not mix.unwrapper.dropped for mix in network.mixes.values())


def test_a_network_that_loses_three_packets_in_a_hundred_on_each_link():
    network = Network(Random(2), loss=0.03)
    alice, _, at_alice = network.client()
    _, account, at_bob = network.client()
    text = TEXT * 5
    sent = alice.write(account.address, Mail(text), network.now)
    network.run(180)
    assert [event.mail.text for event in at_bob] == [text]
    assert at_alice == [Ended(sent, account.address, Outcome.DELIVERED)]
    assert alice.outbox.repeated > 0


def test_a_phase_border_under_traffic_loses_nothing():
    network = Network(Random(3), start=(FIRST_PHASE + 1) * PHASE_S - 20)
    _, _, at_alice, mails = exchange(network, 40)
    assert network.phase == FIRST_PHASE + 1
    assert [mail.mail.text for mail in mails] == [TEXT]
    assert any(isinstance(event, ReplyReceived) for event in at_alice)
    assert all(not mix.unwrapper.dropped for mix in network.mixes.values())
    assert network.clients[0][0].watch.report(network.now).lost == 0


def test_an_answer_in_a_later_phase_uses_the_block_for_it():
    network = Network(Random(4))
    alice, _, at_alice = network.client()
    bob, account, at_bob = network.client()
    blocks = alice.reply_blocks(bytes(16), range(FIRST_PHASE, FIRST_PHASE + 4))
    alice.write(account.address, Mail(b"later", blocks), network.now)
    network.run(3 * PHASE_S + 10)
    (mail,) = [event.mail for event in at_bob]
    assert bob.answer(b"yes", mail.usable(network.phase)) == 1
    network.run(30)
    assert (bytes(16), b"yes") in answers(at_alice)


def test_a_recipient_that_is_not_there_makes_the_message_fail():
    network = Network(Random(5))
    alice, _, at_alice = network.client()
    nobody = MailAddress(MAILBOX_NODE, secrets.token_bytes(32))
    sent = alice.write(nobody, Mail(b"hello"), network.now)
    network.run(400)
    assert at_alice == []
    assert alice.events() == [Ended(sent, nobody, Outcome.FAILED)]
    assert alice.events() == []


def test_a_mix_under_attack_falls_silent_and_recovers():
    """n-1: links into one mix are held back but for the victim's packet, which stays inside."""
    network = Network(Random(6), loop_hz=1.0)
    alice, _, _ = network.client()
    index = network.layers.layers[0][0].index
    mix = network.mixes[index]
    network.run(80)
    assert not mix.report(network.now).alarm
    network.blocked.add(index)
    network.run(40)
    assert mix.report(network.now).alarm
    before = len(mix.holding)
    surbs = (alice.reply_blocks(bytes(16), [network.phase])[0] for _ in range(300))
    victim = next(surb for surb in surbs if surb.first_index == index)
    network.send(index, victim.use(bytes(2016)), own=True)
    network.run(5)
    assert len(mix.holding) == before + 1
    network.blocked.clear()
    network.run(90)
    assert not mix.report(network.now).alarm
    assert len(mix.holding) < 10


def test_hostile_deliveries_are_counted_and_harmless():
    network = Network(Random(7))
    alice, account, _ = network.client()
    phase, ours = network.phase, account.address.delivery_id(network.phase)

    def deliver(delivery_id, payload):
        return alice.receive(Delivery(phase, delivery_id, payload), network.now)

    fragment = Fragment(bytes(16), 0, 1, b"\0text")
    wrong = [
        AckFrame(bytes(16), 1, frozenset({0})).encode(),
        DataFrame(fragment, bytes(SURB_BYTES)).encode(),
        secrets.token_bytes(2016),
    ]
    for frame in wrong:
        payload = seal_frame(frame, account.address.key, secrets.token_bytes)
        assert deliver(ours, payload) == []
    assert deliver(ours, secrets.token_bytes(2064)) == []
    assert deliver(secrets.token_bytes(16), secrets.token_bytes(2064)) == []
    assert alice.ignored == {Ignored.UNREADABLE: 4, Ignored.UNKNOWN: 1}


def test_a_reply_block_that_comes_back_with_another_frame_is_unreadable():
    network = Network(Random(8))
    alice, _, at_alice = network.client()
    (surb,) = alice.reply_blocks(bytes(16), [network.phase])
    network.send(surb.first_index, surb.use(AckFrame(bytes(16), 1, frozenset({0})).encode()))
    (changed,) = alice.reply_blocks(bytes(16), [network.phase])
    packet = changed.use(bytes(2016))
    network.send(changed.first_index, packet[:-1] + bytes([packet[-1] ^ 1]))
    network.run(5)
    assert at_alice == []
    assert alice.ignored == {Ignored.UNREADABLE: 1, Ignored.CHANGED: 1}


def test_packets_of_dead_phases_are_counted_at_the_first_mix():
    network = Network(Random(9))
    alice, _, _ = network.client()
    (surb,) = alice.reply_blocks(bytes(16), [network.phase])
    network.run(2 * PHASE_S + 1)
    assert not surb.is_usable(network.phase)
    network.send(surb.first_index, surb.use(bytes(2016)))
    network.run(1)
    assert network.mixes[surb.first_index].unwrapper.dropped == {Cause.WRONG_PHASE: 1}


def test_routes_that_the_consensus_does_not_allow():
    network = Network(Random(10))
    with pytest.raises(StageError):
        network.paths.route(network.phase + 20, MAILBOX_NODE, bytes(16))
    with pytest.raises(LocalProtocolError):
        network.paths.route(network.phase, MAILBOX_NODE, bytes(16), through=77)
    none = replace(network.paths, mailbox_nodes=[])
    with pytest.raises(StageError):
        none.drop(network.phase)


def test_what_a_client_remembers_is_bounded():
    network = Network(Random(11))
    alice, _, _ = network.client()
    with pytest.raises(LocalProtocolError):
        alice.reply_blocks(bytes(16), [network.phase] * 4097)
    assert alice.ignored == {Ignored.TOO_MANY_REPLY_BLOCKS: 1}
    surb = Mail(b"", ()).replies
    with pytest.raises(LocalProtocolError):
        alice.answer(b"text", surb)
