"""Packets on their way out: full records, counted after the write, dropped rather than waiting."""

import secrets

import pytest

from node.errors import Stage, StageError
from node.htx.record import RecordType
from node.io.pacing import Pacer
from node.io.packet_links import MAX_QUEUED_BYTES, MAX_WAITING, PacketLinks, Unsent
from node.mix.packet import PACKET_BYTES
from tests.node.io.mix_rig import ListLink, ListMeter, ListPool


def node_id_of(index):
    if index > 9:
        raise StageError(Stage.PATH, "not listed")
    return bytes([index]) * 32


@pytest.fixture
def pool():
    return ListPool()


@pytest.fixture
def meter():
    return ListMeter()


@pytest.fixture
def links(pool, meter):
    return PacketLinks(pool, meter, node_id_of, lambda _cells: True)


def packets(count):
    return [secrets.token_bytes(PACKET_BYTES) for _ in range(count)]


def test_packets_of_one_wake_up_share_records(links, pool, meter):
    link, other = pool.add(node_id_of(1)), pool.add(node_id_of(2))
    many, one = packets(16), packets(1)
    for packet in many:
        links.put(1, packet)
    links.put(2, one[0])
    assert not link.records
    links.flush()
    assert [kind for kind, _ in link.records] == [RecordType.PACKETS] * 3
    assert link.units == [(0, packet) for packet in many]
    assert other.units == [(0, one[0])]
    assert meter.out == {node_id_of(1): 16, node_id_of(2): 1}
    assert links.sent == 17
    links.flush()
    assert len(link.records) == 3


def test_packets_wait_for_a_dial_and_no_longer(links, pool):
    links.put(1, packets(1)[0])
    links.flush()
    ((_, waiter),) = pool.asked
    waiter(pool.add(node_id_of(1)), "")
    assert len(pool.open[node_id_of(1)].units) == 1
    links.put(2, packets(1)[0])
    links.flush()
    pool.asked[-1][1](None, "refused")
    assert links.unsent == {Unsent.NO_LINK: 1}


def test_dials_hold_a_bounded_number_of_packets(links, pool):
    for index in (1, 2):
        for packet in packets(1) * (MAX_WAITING - 10):
            links.put(index, packet)
    links.flush()
    assert links.unsent == {Unsent.DIALS_FULL: MAX_WAITING - 10}
    for _, waiter in pool.asked:
        waiter(None, "")
    pool.asked.clear()
    links.put(2, packets(1)[0])
    links.flush()
    assert len(pool.asked) == 1


def test_a_node_that_is_not_listed_gets_nothing(links):
    links.put(10, packets(1)[0])
    links.flush()
    assert links.unsent == {Unsent.UNKNOWN_NODE: 1}


def test_a_slow_neighbour_loses_packets_and_a_closed_one_all(links, pool, meter):
    link = pool.add(node_id_of(1))
    link.queued_bytes = MAX_QUEUED_BYTES
    links.put(1, packets(1)[0])
    links.flush()
    link.is_closed = True
    links.put(1, packets(1)[0])
    links.flush()
    assert links.unsent == {Unsent.LINK_FULL: 1, Unsent.NO_LINK: 1}
    assert not meter.out


def test_packets_beyond_the_operators_limit_are_dropped(pool, meter):
    clock = [0.0]
    pacer = Pacer(1000, lambda: clock[0], 256)
    links = PacketLinks(pool, meter, node_id_of, pacer.overdraw)
    link = pool.add(node_id_of(1))
    for step in range(200):
        clock[0] = step / 10
        for packet in packets(20):
            links.write(link, [packet])
    kbps = len(link.units) * PACKET_BYTES * 8 / 1000 / clock[0]
    assert 950 < kbps < 1080
    assert links.unsent == {Unsent.RATE_LIMIT: 4000 - len(link.units)}


def test_packets_for_clients_are_not_metered(links, meter):
    link = ListLink()
    assert links.write(link, packets(2))
    assert links.write(link, packets(1), 5)
    assert [index for index, _ in link.units] == [0, 0, 5]
    assert not meter.out
