"""Bounds and deletions of what a client keeps; the flows are in test_post."""

import os
import secrets
import sqlite3
import stat
import threading

import pytest

from node.client.mix import message_file, received
from node.client.mix.addresses import MAX_ADDRESSES
from node.client.mix.rows import Awaited, State
from node.client.mix.store import KEPT_S, MessageStore
from node.mix.account import MailReceived, ReplyPart, ReplyReceived
from node.mix.address import MailAddress
from node.mix.frame import Fragment
from node.mix.mail import Mail
from node.mix.surb import ReplySecret, Surb
from qnet.errors import LocalProtocolError, NotFoundError, RejectedError

ADDRESS = MailAddress(3, bytes(range(32)))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "messages" / "messages.db"


@pytest.fixture
def store(path):
    made = MessageStore(path)
    yield made
    made.close()


def surb(number=0):
    return Surb(number, 1, secrets.token_bytes(240), secrets.token_bytes(32))


def mail(text=b"text", *surbs):
    return MailReceived(secrets.token_bytes(16), Mail(text, surbs), ADDRESS)


def test_only_the_owner_may_read(path, store):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_another_schema_is_refused(path, store):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(LocalProtocolError):
        MessageStore(path)


def test_addresses_and_homes(store):
    home = store.addresses.use_home(3, secrets.token_bytes(32), 1.0)
    assert store.addresses.use_home(3, secrets.token_bytes(32), 9.0).address == home.address
    store.addresses.use_home(4, secrets.token_bytes(32), 5.0)
    assert [each.node_index for each in store.addresses.homes(6.0)] == [3]
    assert store.addresses.rows() == []
    made = [store.addresses.add(secrets.token_bytes(32), 3, 1.0) for _ in range(MAX_ADDRESSES)]
    newest = [str(each.address) for each in store.addresses.mailboxes()]
    assert newest == [row.text for row in reversed(made)]
    with pytest.raises(RejectedError):
        store.addresses.add(secrets.token_bytes(32), 3, 1.0)
    store.addresses.drop(made[0].number)
    store.addresses.add(secrets.token_bytes(32), 3, 1.0)
    assert store.addresses.rows()[0].mailbox is None


def test_the_secret_of_a_dropped_address_is_gone_from_the_file(path, store):
    secret = secrets.token_bytes(32)
    number = store.addresses.add(secret, 3, 1.0).number
    store.addresses.drop(number)
    store.close()
    data = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert secret not in data


def test_what_waits_is_bounded(store, monkeypatch):
    monkeypatch.setattr(message_file, "MAX_WAITING", 1)
    store.received.add_mail(mail(b"text", surb()), 1.0)
    store.answers.add(bytes(16), 1, b"yes", 1.0)
    store.sent.add(bytes(16), str(ADDRESS), b"text", 0, 1.0)
    with pytest.raises(RejectedError):
        store.sent.add(b"x" * 16, str(ADDRESS), b"text", 0, 1.0)
    with pytest.raises(RejectedError):
        store.answers.add(b"x" * 16, 1, b"no", 1.0)
    store.sent.end(bytes(16), State.DELIVERED, 2.0)
    store.sent.add(b"x" * 16, str(ADDRESS), b"text", 0, 1.0)


def test_what_comes_is_bounded_by_number_and_bytes(store, monkeypatch):
    store.received.add_mail(mail(b"x" * 10), 1.0)
    assert store.received.has_room
    monkeypatch.setattr(received, "MAX_INCOMING_BYTES", 10)
    assert not store.received.has_room
    store.received.delete(1, 1.0)
    assert store.received.has_room
    monkeypatch.setattr(received, "MAX_INCOMING", 1)
    assert not store.received.has_room


def test_a_message_comes_once_also_after_it_was_deleted(store):
    one = mail()
    assert store.received.add_mail(one, 1.0)
    assert not store.received.add_mail(one, 2.0)
    store.received.delete(1, 3.0)
    assert not store.received.add_mail(one, 4.0)
    assert store.received.after(0, 10) == []
    with pytest.raises(NotFoundError):
        store.received.delete(1, 5.0)
    store.prune(1.0 + KEPT_S + 1, ())
    assert store.received.add_mail(one, 6.0)


def test_the_same_id_from_two_sources_is_two_messages(store):
    """Who answers us chooses an id; it must not keep a message of somebody else away."""
    one = mail()
    store.received.add_reply(ReplyReceived(b"a" * 16, b"answer", one.message_id), 1.0)
    assert store.received.add_mail(one, 1.0)
    assert [row.text for row in store.received.after(0, 10)] == [b"answer", b"text"]


def test_unread_and_read(store):
    for text in (b"one", b"two", b"three"):
        store.received.add_mail(mail(text), 1.0)
    assert [row.text for row in store.received.unread(2)] == [b"one", b"two"]
    store.received.mark_read([1, 2], 2.0)
    assert [row.text for row in store.received.unread(9)] == [b"three"]
    assert [row.text for row in store.received.after(1, 9)] == [b"two", b"three"]


def test_ended_messages_lose_their_text_at_once_and_are_forgotten_later(store):
    secret = ReplySecret(5, (b"1" * 96, b"2" * 96, b"3" * 96), b"k" * 32)
    store.sent.add(b"m" * 16, str(ADDRESS), b"secret text", 1, 1.0)
    store.sent.begin_round(b"m" * 16, b"body", [Awaited(b"d" * 16, secret, b"m" * 16)], 1.0)
    assert store.sent.awaited() == [Awaited(b"d" * 16, secret, b"m" * 16)]
    store.sent.end(b"m" * 16, State.FAILED, 2.0, "why")
    (row,) = store.sent.rows()
    assert (row.text, row.body, row.why) == (b"", b"", "why")
    assert store.sent.awaited() == []
    store.prune(2.0 + KEPT_S, ())
    assert len(store.sent.rows()) == 1
    store.prune(3.0 + KEPT_S, ())
    assert store.sent.rows() == []


def test_parts_of_answers_that_never_complete_are_forgotten(store):
    part = ReplyPart(b"a" * 16, Fragment(b"m" * 16, 0, 2, b"data"))
    store.received.add_part(part, 1.0)
    store.received.add_part(part, 1.0)
    assert store.received.parts() == [part]
    store.prune(2.0 + KEPT_S, ())
    assert store.received.parts() == []


def test_two_programs_and_threads_write_side_by_side(path, store):
    other = MessageStore(path)

    def write(each):
        for _ in range(20):
            each.sent.add(os.urandom(16), str(ADDRESS), b"text", 0, 1.0)

    threads = [threading.Thread(target=write, args=(each,)) for each in (store, store, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.sent.rows()) == 60
    other.close()


def test_a_write_that_fails_leaves_nothing(store):
    with pytest.raises(sqlite3.IntegrityError):
        store.sent.add(bytes(16), None, b"text", 0, 1.0)
    assert store.sent.rows() == []
