"""An entry's side of the mixnet without sockets: what passes, what waits, what is handed over."""

import secrets

import pytest

from node.circuit.keys.phase import PhaseKeyring
from node.htx.events import CloseReason
from node.io.mixing import CLIENT_BURST, MAX_AT_ONCE, MixIdentity, Mixing, Refused
from node.io.packet_links import MAX_QUEUED_BYTES, Unsent
from node.mix.address import MailAddress
from node.mix.live_paths import LivePaths
from node.mix.mailbox_wire import MailboxRequest, decode_grant, make_claim
from node.mix.mailboxes import Loss
from node.mix.packet import PACKET_BYTES, Delivery, encode_unit, prefix
from qnet.crypto.keys import DhKey
from qnet.epochs import phase_at
from qnet.messages.descriptor import Role
from tests.node.io.mix_rig import ListLink, ListMeter, ListPool
from tests.node.mix.consensuses import PHASE_S, START, consensus

DOCUMENT = consensus(mixes=6)
PHASE = phase_at(START + PHASE_S, PHASE_S)
NODE_ID = bytes(range(32))
NODE = 1


class Closing(ListLink):
    """A link that notes why it was closed."""

    reason = None

    def close(self, reason):
        self.reason, self.is_closed = reason, True


class Rig:
    """The mixnet side of an entry."""

    def __init__(self, role=Role.ENTRY):
        self.keyring, self.meter, self.pool = PhaseKeyring(PHASE), ListMeter(), ListPool()
        self.live = LivePaths(secrets.token_bytes)
        self.live.follow(DOCUMENT)
        self.mixing = Mixing(
            MixIdentity(NODE, NODE_ID, role),
            keyring=self.keyring,
            live=self.live,
            pool=self.pool,
            meter=self.meter,
            admits=lambda _cells: True,
            random=secrets.token_bytes,
            now=lambda: 5.0,
        )

    def first_mix(self):
        return self.live.layers_at(PHASE).layers[0][0].index

    def claim(self, link, key):
        claim = make_claim(key, NODE, self.keyring.public(PHASE), PHASE)
        unit = encode_unit(0, MailboxRequest(PHASE, 1, (claim,)).encode())
        self.mixing.received(link, unit)
        return decode_grant(link.units[0][1])

    def deliver(self, delivery_id):
        delivery = Delivery(PHASE, delivery_id, bytes(2064)).encode(secrets.token_bytes)
        self.mixing.received(self.neighbour(), encode_unit(0, delivery))

    def neighbour(self):
        return Closing(NODE_ID)


def packet(phase=PHASE):
    return prefix(phase) + secrets.token_bytes(PACKET_BYTES - 4)


@pytest.fixture
async def rig():
    return Rig()


async def test_packets_of_one_record_leave_together(rig):
    first = rig.first_mix()
    link = rig.pool.add(rig.live.node(first).node_id)
    sent = [packet() for _ in range(3)]
    rig.mixing.received(Closing(), b"".join(encode_unit(first, each) for each in sent))
    assert not link.records
    rig.mixing._flush()
    assert len(link.records) == 1
    assert link.units == [(0, each) for each in sent]
    assert rig.meter.out == {link.peer.node_id: 3}
    assert not rig.meter.came


async def test_a_client_has_a_budget_of_its_own(rig):
    first = rig.first_mix()
    one, other = Closing(), Closing()
    for _ in range(CLIENT_BURST + 50):
        rig.mixing.received(one, encode_unit(first, packet()))
    assert rig.mixing.refused == {Refused.TOO_FAST: 50}
    entered = rig.mixing.stats.entered
    rig.mixing.received(other, encode_unit(first, packet()))
    assert rig.mixing.stats.entered == entered + 1
    rig.mixing.link_closed(one)
    assert len(rig.mixing._budgets) == 1


async def test_what_waits_is_handed_over_in_parts(rig):
    key = DhKey(secrets.token_bytes(32))
    away = Closing()
    rig.claim(away, key)
    rig.mixing.link_closed(away)
    name = MailAddress(NODE, key.public).delivery_id(PHASE)
    for _ in range(MAX_AT_ONCE + 30):
        rig.deliver(name)
    back = Closing()
    assert rig.claim(back, key).accepted == 1
    assert len(back.units) == 1 + MAX_AT_ONCE
    back.queued_bytes = 1
    rig.mixing.tick()
    assert len(back.units) == 1 + MAX_AT_ONCE
    back.queued_bytes = 0
    rig.mixing.tick()
    assert len(back.units) == 1 + MAX_AT_ONCE + 30
    assert rig.mixing.boxes.stored == 0
    rig.mixing.tick()
    assert len(back.units) == 1 + MAX_AT_ONCE + 30
    assert rig.mixing.stats.handed_over == MAX_AT_ONCE + 30


async def test_a_client_that_does_not_read_loses_its_own(rig):
    key = DhKey(secrets.token_bytes(32))
    slow = Closing()
    rig.claim(slow, key)
    slow.queued_bytes = MAX_QUEUED_BYTES
    rig.deliver(MailAddress(NODE, key.public).delivery_id(PHASE))
    assert rig.mixing.links.unsent == {Unsent.LINK_FULL: 1}
    assert not slow.is_closed


async def test_deliveries_to_the_nodes_own_key_are_its_own():
    rig, taken = Rig(Role.EXIT), []
    rig.mixing.serve_own(taken.append)
    for phase in (PHASE, PHASE + 1, PHASE + 2):
        name = MailAddress(NODE, rig.keyring.public(phase)).delivery_id(phase)
        delivery = Delivery(phase, name, bytes(2064)).encode(secrets.token_bytes)
        rig.mixing.received(rig.neighbour(), encode_unit(0, delivery))
    assert [delivery.phase for delivery in taken] == [PHASE, PHASE + 1]
    rig.keyring.advance(PHASE + 2)
    rig.mixing.tick()
    assert rig.mixing._own_ids.keys() == {PHASE + 1}


async def test_units_without_use_are_counted_and_a_broken_record_ends_the_link(rig):
    first = rig.first_mix()
    client, neighbour = Closing(), rig.neighbour()
    rig.mixing.received(client, encode_unit(0, packet()))
    rig.mixing.received(client, encode_unit(first, b"\2" + packet()[1:]))
    rig.mixing.received(client, encode_unit(first, packet(PHASE + 2)))
    rig.mixing.received(client, encode_unit(NODE, packet()))
    rig.mixing.received(neighbour, encode_unit(0, packet()))
    rig.mixing.received(neighbour, encode_unit(0, MailboxRequest(PHASE).encode()))
    assert rig.mixing.refused == {
        Refused.MALFORMED: 3,
        Refused.WRONG_PHASE: 1,
        Refused.NOT_FIRST_LAYER: 1,
        Refused.NOT_A_MIX: 1,
    }
    rig.mixing.received(client, b"short")
    assert client.reason is CloseReason.PROTOCOL
    assert not neighbour.is_closed


async def test_deliveries_to_nobody_end_here(rig):
    rig.deliver(secrets.token_bytes(16))
    assert rig.mixing.boxes.lost == {Loss.UNKNOWN: 1}
    assert rig.mixing.stats.handed_over == 0
