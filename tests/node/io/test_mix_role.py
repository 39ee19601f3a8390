"""The mix of a node: batches, due times, loops, overload."""

import secrets
import time

import pytest

from node.circuit.keys.phase import PhaseKeyring
from node.io import mix_role as module
from node.io.mix_role import MixRole, Shed
from node.io.packet_links import PacketLinks
from node.mix.live_paths import LivePaths
from node.mix.packet import DELIVERY, PACKET_BYTES
from node.mix.replay import ReplayFilter
from node.mix.unwrap import Cause, Unwrapper
from qnet.epochs import phase_at
from tests.node.io.mix_rig import ListMeter, ListPool
from tests.node.mix.consensuses import PHASE_S, START, consensus
from tests.support.network import eventually
from tools.bench.mix_packets import MARK, Target, _make

DOCUMENT = consensus(mixes=6)
PHASE = phase_at(START + PHASE_S, PHASE_S)
ENTRY = DOCUMENT.nodes[0]


class Rig:
    """The mix of a layer, with links to whom it likes."""

    def __init__(self, layer):
        self.live = LivePaths(secrets.token_bytes)
        self.live.follow(DOCUMENT)
        self.index = self.live.layers_at(PHASE).layers[layer - 1][0].index
        self.keyring = PhaseKeyring(PHASE)
        self.pool = ListPool()
        self.links = PacketLinks(self.pool, ListMeter(), self.node_id, lambda _cells: True)
        self.to_self = []
        self.mix = MixRole(
            self.index,
            Unwrapper(
                self.node_id(self.index),
                self.keyring,
                lambda phase: self.live.layers_of(self.index, phase),
                ReplayFilter(1 << 12),
                secrets.token_bytes,
            ),
            live=self.live,
            links=self.links,
            phase=lambda: PHASE,
            to_self=self.to_self.append,
            random=secrets.token_bytes,
            now=time.monotonic,
        )

    def node_id(self, index):
        return self.live.node(index).node_id

    def peers(self, layer):
        return [mix.index for mix in self.live.layers_at(PHASE).layers[layer - 1]]

    def made(self, count, sink=ENTRY.index):
        layer = self.live.layers_at(PHASE).layer_of(self.index)
        target = Target(self.node_id(self.index), self.keyring.public(PHASE), PHASE, layer, sink)
        return _make(target, count)


@pytest.fixture(params=[1, 2, 3])
async def rig(request):
    return Rig(request.param)


async def test_packets_leave_when_they_are_due(rig):
    link = rig.pool.add(ENTRY.node_id)
    made = rig.made(200)
    for each in made:
        rig.mix.receive(each.packet, 1)
    assert rig.mix.waiting == 200

    def names():
        return [packet[4:20] for _, packet in link.units if packet[4:12] == MARK]

    await eventually(lambda: len(names()) >= 200)
    assert sorted(names()) == sorted(each.name for each in made)
    assert rig.mix.forwarded + rig.mix.delivered == 200
    assert 0 <= rig.mix.late_s < 1


async def test_a_delivery_to_the_node_itself_stays_there():
    rig = Rig(3)
    rig.mix.receive(rig.made(1, sink=rig.index)[0].packet, 1)
    await eventually(lambda: rig.to_self)
    assert rig.to_self[0][0] == DELIVERY
    assert len(rig.to_self[0]) == PACKET_BYTES


async def test_more_than_it_can_open_is_dropped_and_counted(rig, monkeypatch):
    monkeypatch.setattr(module, "MAX_INBOUND", 100)
    for number in range(130):
        rig.mix.receive(bytes(PACKET_BYTES), number)
    assert rig.mix.shed == {Shed.OVERLOAD: 30}
    await eventually(lambda: rig.mix.relay.unwrapper.dropped[Cause.MALFORMED] == 100)
    assert rig.mix.waiting == 0


async def test_a_neighbour_that_floods_leaves_room_for_others(rig, monkeypatch):
    monkeypatch.setattr(module, "MAX_INBOUND", 100)
    link = rig.pool.add(ENTRY.node_id)
    made = rig.made(40)
    for _ in range(1000):
        rig.mix.receive(bytes(PACKET_BYTES), 1)
    for each in made:
        rig.mix.receive(each.packet, 2)
    assert rig.mix.shed == {Shed.FLOOD: 950}
    await eventually(lambda: sum(packet[4:12] == MARK for _, packet in link.units) == 40)
    for _ in range(50):
        rig.mix.receive(bytes(PACKET_BYTES), 1)
    assert rig.mix.shed == {Shed.FLOOD: 950}


async def test_loops_go_to_an_entry_and_name_the_first_mix(rig):
    link = rig.pool.add(ENTRY.node_id)
    rig.mix.relay.next_loop_at = 0.0
    rig.mix.wake()
    await eventually(lambda: rig.mix.loops)
    assert rig.mix.layer
    for first, packet in link.units:
        assert rig.live.layers_of(first, PHASE) == [1]
        assert len(packet) == PACKET_BYTES
    assert rig.mix.relay.watch.sent == rig.mix.loops


async def test_a_loop_that_no_entry_takes_is_not_awaited(rig):
    rig.mix.relay.next_loop_at = time.monotonic()
    rig.mix.wake()
    await eventually(lambda: any(index == ENTRY.index for index, _ in rig.pool.asked))
    waiter = next(waiter for index, waiter in rig.pool.asked if index == ENTRY.index)
    waiter(None, "refused")
    assert rig.mix.shed == {Shed.NO_LOOP_ROUTE: 1}
    assert rig.mix.relay.watch.sent == 0


async def test_dead_mixes_lose_no_loops():
    """A mix that no link leads to is on no loop's way, unless half of its layer is."""
    rig = Rig(2)
    first, second = rig.peers(1)
    heavier, lighter = sorted((first, second), key=lambda i: -rig.live.node(i).weight)
    assert [mix.index for mix in rig.mix.relay.paths.layers_at(PHASE).layers[0]] == [first, second]
    rig.pool.add(rig.node_id(lighter))
    assert len(rig.mix.relay.paths.layers_at(PHASE).layers[0]) == 2
    rig.pool.add(rig.node_id(heavier))
    del rig.pool.open[rig.node_id(lighter)]
    assert [mix.index for mix in rig.mix.relay.paths.layers_at(PHASE).layers[0]] == [heavier]
    rig.pool.add(ENTRY.node_id)
    rig.mix.relay.next_loop_at = time.monotonic()
    rig.mix.wake()
    await eventually(lambda: rig.mix.loops)
    assert {index for index, _ in rig.pool.asked} == {lighter}
