"""What a client takes from its node, and what not."""

import secrets
from contextlib import contextmanager

import pytest

from node.client.mix import berth as module
from node.client.mix.berth import Berth, Dropped
from node.htx.record import RecordType
from node.mix.mailbox_wire import MailboxGrant
from node.mix.packet import PACKET_BYTES, Delivery, encode_unit


class FakeLink:
    """An `EntryLink` without a network."""

    def __init__(self):
        self.is_open, self.sent, self.readers = True, [], []

    @contextmanager
    def reading(self, reader):
        self.readers.append(reader)
        try:
            yield
        finally:
            self.readers.remove(reader)

    def send_record(self, kind, content):
        self.sent.append((kind, content))


@pytest.fixture
def woken():
    return []


@pytest.fixture
def berth(woken):
    return Berth(1, 128, lambda: woken.append(1))


@pytest.fixture
def link(berth):
    found = FakeLink()
    berth.board(found)
    return found


def delivery():
    return Delivery(5, secrets.token_bytes(16), secrets.token_bytes(2064))


def record(*units):
    return b"".join(encode_unit(0, unit) for unit in units)


def test_deliveries_and_grants_are_taken(berth, link, woken):
    one = delivery()
    (reader,) = link.readers
    grant = MailboxGrant(5, [bytes(16)], 1)
    reader(RecordType.PACKETS, record(one.encode(secrets.token_bytes), grant.encode()))
    assert berth.take() == [one]
    assert berth.take() == []
    assert (len(berth.tenancy), berth.received, woken) == (1, 1, [1])


def test_what_is_malformed_is_counted(berth, link):
    (reader,) = link.readers
    reader(RecordType.PACKETS, b"short")
    reader(RecordType.PACKETS, record(b"\x09".ljust(PACKET_BYTES, b"\0")))
    reader(RecordType.PACKETS, record(b"\x04" * PACKET_BYTES))
    reader(RecordType.DIR_DATA, b"for somebody else")
    assert berth.dropped == {Dropped.MALFORMED: 3}


def test_a_node_that_floods_fills_no_memory(berth, link, monkeypatch):
    monkeypatch.setattr(module, "MAX_ARRIVALS", 2)
    (reader,) = link.readers
    reader(RecordType.PACKETS, record(*(delivery().encode(secrets.token_bytes) for _ in range(5))))
    assert len(berth.take()) == 2
    assert berth.dropped == {Dropped.TOO_MANY: 3}


def test_a_link_that_ended_takes_nothing(berth, link):
    berth.send((0, bytes(PACKET_BYTES)))
    assert [kind for kind, _ in link.sent] == [RecordType.PACKETS]
    link.is_open = False
    berth.send((0, bytes(PACKET_BYTES)))
    assert (len(link.sent), berth.sent, berth.is_open) == (1, 1, False)
    berth.leave()
    berth.send((0, bytes(PACKET_BYTES)))
    assert link.readers == []


def test_another_link_takes_the_place(berth, link):
    other = FakeLink()
    berth.board(other)
    assert (link.readers, len(other.readers)) == ([], 1)
