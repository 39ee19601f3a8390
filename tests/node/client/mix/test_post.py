"""Messages between clients with files: killed at any moment, offline, lossy."""

import sqlite3
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.client.mix import post as module
from node.client.mix import received
from node.client.mix.post import EXPIRES_S, MAX_PAUSE_S, PAUSE_S, reply_phases
from node.client.mix.rows import State
from node.mix import client as core
from node.mix.account import AnswerLeft, MailReceived
from node.mix.address import MailAddress
from node.mix.mail import Mail
from qnet.errors import NotFoundError, RejectedError
from tests.node.client.mix.people import Person
from tests.node.mix.network import MAILBOX_NODE, Network


@pytest.fixture
def network():
    return Network(Random(1))


@pytest.fixture
def people(network, tmp_path):
    alice, bob = (Person(network, tmp_path / name / "m.db") for name in ("alice", "bob"))
    return alice, bob


def test_a_message_and_its_answer(network, people):
    alice, bob = people
    sent = alice.write(bob.address, b"hello")
    network.run(20)
    assert alice.state(sent) is State.DELIVERED
    (mail,) = bob.store.received.unread(10)
    assert (mail.text, mail.address, mail.blocks) == (b"hello", bob.address, 2)
    bob.answer(mail.number, b"hello yourself")
    network.run(20)
    (answer,) = alice.store.received.unread(10)
    assert (answer.text, answer.about) == (b"hello yourself", sent)
    (row,) = bob.store.answers.rows()
    assert row.state is State.SENT


def test_an_answer_goes_twice_where_there_are_blocks_and_is_taken_once(network, people):
    alice, bob = people
    alice.write(bob.address, b"hello", replies=2)
    network.run(20)
    bob.answer(1, b"yes")
    network.run(20)
    assert bob.store.received.after(0, 10)[0].blocks == 0
    assert alice.texts() == [b"yes"]
    with pytest.raises(RejectedError):
        bob.answer(1, b"no")


def test_a_sender_killed_before_anything_left_sends_after_a_restart(network, people):
    alice, bob = people
    sent = alice.write(bob.address, b"x" * 5000)
    alice.kill()
    network.run(5)
    alice.start()
    network.run(30)
    assert bob.texts() == [b"x" * 5000]
    assert alice.state(sent) is State.DELIVERED


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 1 << 16),
    kills=st.lists(
        st.tuples(st.sampled_from([0, 1]), st.floats(0.3, 6), st.floats(0, 3)), max_size=6
    ),
)
def test_messages_arrive_once_whoever_is_killed_whenever(tmp_path_factory, seed, kills):
    network = Network(Random(seed), loss=0.01)
    folder = tmp_path_factory.mktemp("people")
    people = [Person(network, folder / name / "m.db") for name in ("alice", "bob")]
    alice, bob = people
    texts = [bytes([65 + number]) * size for number, size in enumerate((10, 4000, 9000))]
    sent = [alice.write(bob.address, text) for text in texts]
    for who, after, off in kills:
        network.run(after)
        people[who].kill()
        network.run(off)
        people[who].start()
    for _ in range(20):
        network.run(20)
        if len(bob.texts()) == 3 and all(alice.state(name) is State.DELIVERED for name in sent):
            break
    assert sorted(bob.texts()) == sorted(texts)
    assert [alice.state(name) for name in sent] == [State.DELIVERED] * 3


def test_an_answer_opens_after_the_asker_was_killed(network, people):
    alice, bob = people
    sent = alice.write(bob.address, b"hello")
    network.run(20)
    alice.kill()
    alice.start()
    bob.answer(1, b"y" * 3000)
    network.run(20)
    (answer,) = alice.store.received.unread(10)
    assert (answer.text, answer.about) == (b"y" * 3000, sent)


def test_parts_of_an_answer_survive_the_asker(network, people):
    alice, bob = people
    alice.write(bob.address, b"hello")
    network.run(20)
    bob.answer(1, b"y" * 3000)
    while not alice.store.received.parts():
        network.run(0.01)
    assert not alice.texts()
    alice.kill()
    alice.start()
    network.run(20)
    assert alice.texts() == [b"y" * 3000]
    assert not alice.store.received.parts()


def test_a_replier_killed_sends_its_answer_with_the_same_blocks(network, people):
    alice, bob = people
    alice.write(bob.address, b"hello")
    network.run(20)
    name = bob.answer(1, b"yes")
    bob.post.feed(network.phase, network.now, bob.wall)
    (before,) = bob.store.answers.rows()
    assert len(before.surbs) == 2
    bob.kill()
    bob.start()
    network.run(20)
    (after,) = bob.store.answers.rows()
    assert (after.message_id, after.surbs, after.state) == (name, before.surbs, State.SENT)
    assert alice.texts() == [b"yes"]


def test_a_recipient_that_is_off_gets_it_in_a_later_round(network, people):
    alice, bob = people
    bob.kill()
    sent = alice.write(bob.address, b"hello", replies=0)
    network.run(320)
    (row,) = alice.store.sent.rows(sent)
    assert (row.state, row.rounds) == (State.WAITING, 1)
    assert "offline" in row.why
    bob.start()
    network.run(PAUSE_S + 20)
    assert bob.texts() == [b"hello"]
    assert alice.state(sent) is State.DELIVERED


def test_rounds_come_ever_later_and_end(network, people, monkeypatch):
    alice, bob = people
    sent = alice.write(bob.address, b"hello", replies=0)
    alice.post.feed(network.phase, 0.0, alice.wall)
    pauses = []
    for _ in range(9):
        alice.post._ended(sent, module.Outcome.FAILED, 100.0)
        pauses.append(alice.store.sent.rows(sent)[0].next_at - 100.0)
    assert pauses[:3] == [PAUSE_S, 2 * PAUSE_S, 4 * PAUSE_S]
    assert pauses[-1] == MAX_PAUSE_S
    alice.post._under_way.clear()
    alice.post.feed(network.phase, 0.0, alice.wall + EXPIRES_S + 1)
    (row,) = alice.store.sent.rows(sent)
    assert (row.state, row.text) == (State.FAILED, b"")


def test_after_a_long_rest_a_message_gets_new_reply_blocks(network, people):
    alice, bob = people
    bob.kill()
    sent = alice.write(bob.address, b"hello")
    network.run(10)
    (row,) = alice.store.sent.rows(sent)
    alice.kill()
    network.run(10)
    alice.start()
    network.run(1)
    assert alice.store.sent.rows(sent)[0].body == row.body
    alice.post._under_way.clear()
    alice.store.sent.begin_round(sent, row.body, (), alice.wall - module.REMAKE_S)
    alice.client.outbox = type(alice.client.outbox)(network.random.randbytes)
    alice.post.feed(network.phase, network.now, alice.wall)
    assert alice.store.sent.rows(sent)[0].body != row.body
    bob.start()
    network.run(30)
    bob.answer(1, b"late")
    network.run(20)
    assert alice.texts() == [b"late"]


def test_what_cannot_go_now_waits_and_says_why(network, people):
    alice, _ = people
    nowhere = str(MailAddress(MAILBOX_NODE + 1, bytes(range(32))))
    sent = alice.write(nowhere, b"hello")
    network.run(2)
    (row,) = alice.store.sent.rows(sent)
    assert row.state is State.WAITING
    assert "not in the consensus" in row.why
    assert row.next_at > alice.wall


def test_an_answer_that_needs_more_blocks_than_there_are_fails_at_once(network, people):
    alice, bob = people
    alice.write(bob.address, b"hello", replies=1)
    network.run(20)
    bob.answer(1, b"z" * 2500)
    network.run(2)
    (row,) = bob.store.answers.rows()
    assert row.state is State.FAILED
    assert "2 reply blocks" in row.why
    bob.answer(1, b"short")
    network.run(20)
    assert alice.texts() == [b"short"]


def test_a_block_that_comes_in_two_messages_serves_once(network, people):
    alice, bob = people
    alice.write(bob.address, b"one", replies=1)
    network.run(20)
    (surb,) = bob.store.answers.free_blocks(1)

    again = MailReceived(b"m" * 16, Mail(b"two", (surb, surb)), bob.mailbox.address)
    assert bob.post.keep([again], bob.wall)
    assert bob.store.answers.free_blocks(2) == []


def test_without_room_nothing_is_taken_and_the_sender_goes_on(network, people, monkeypatch):
    alice, bob = people
    monkeypatch.setattr(received, "MAX_INCOMING", 0)
    bob.post.keep([], bob.wall)
    sent = alice.write(bob.address, b"hello", replies=0)
    network.run(20)
    assert (bob.texts(), alice.state(sent)) == ([], State.WAITING)
    monkeypatch.setattr(received, "MAX_INCOMING", 1)
    bob.post.keep([], bob.wall)
    network.run(60)
    assert (bob.texts(), alice.state(sent)) == ([b"hello"], State.DELIVERED)


def test_a_store_that_fails_lets_nothing_be_acknowledged(network, people):
    """`keep` raises before the client is asked for packets, and its owner begins anew."""
    alice, bob = people
    alice.write(bob.address, b"hello", replies=0)
    bob.store.close()
    with pytest.raises(sqlite3.ProgrammingError):
        network.run(30)


def test_secrets_of_reply_blocks_die_with_their_phase(network, people):
    alice, bob = people
    alice.write(bob.address, b"hello", replies=2)
    network.run(20)
    assert len(alice.store.sent.awaited()) == 2
    network.run(400)
    assert alice.store.sent.awaited() == []


def test_reply_phases():
    assert reply_phases([4, 5, 6, 7], 5, 2) == [5, 6]
    assert reply_phases([4, 5, 6], 5, 5) == [5, 6, 5, 6, 5]
    assert reply_phases([0xFFFFFF, 0, 1], 0xFFFFFF, 3) == [0xFFFFFF, 0, 1]
    assert reply_phases([1, 2], 5, 3) == []


def test_what_does_not_exist_is_refused(people):
    alice, _ = people
    with pytest.raises(NotFoundError):
        alice.answer(9, b"text")


def test_without_ids_a_message_waits_for_them(network, people):
    alice, bob = people
    alice.post._ids_left = lambda: 0
    sent = alice.write(bob.address, b"hello")
    network.run(5)
    assert alice.store.sent.rows(sent)[0].body == b""
    alice.post._ids_left = lambda: 100
    network.run(20)
    assert bob.texts() == [b"hello"]


def test_an_answer_whose_blocks_die_before_its_turn_fails(network, people):
    alice, bob = people
    alice.write(bob.address, b"hello", replies=2)
    network.run(20)
    bob.answer(1, b"z" * 3000)
    bob.post.feed(network.phase, network.now, bob.wall)
    for phase in (network.phase, network.phase + 3):
        bob.client._payload(phase, network.now)
    assert bob.post.keep(bob.client.events(), bob.wall)
    (row,) = bob.store.answers.rows()
    assert row.state is State.FAILED
    assert "stopped working" in row.why
    assert not bob.post.keep([AnswerLeft(row.message_id, 0, is_sent=True)], bob.wall)


def test_answers_that_find_no_place_come_with_a_later_look(network, people, monkeypatch):
    alice, bob = people
    alice.write(bob.address, b"hello")
    network.run(20)
    bob.answer(1, b"yes")
    monkeypatch.setattr(core, "MAX_ANSWERS", 0)
    bob.post.feed(network.phase, network.now, bob.wall)
    monkeypatch.setattr(core, "MAX_ANSWERS", 10)
    network.run(20)
    assert alice.texts() == [b"yes"]
