"""Tunnels through real mixes: packets, reply blocks, phases and losses; only links are calls."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from node.circuit.actions import (
    DeliverData,
    OpenStream,
    ResumeStream,
    StreamConnected,
    StreamData,
    StreamEnded,
)
from node.circuit.keys.phase import PhaseKeyring
from node.circuit.messages import EndReason
from node.errors import Stage, StageError
from node.mix.address import MailAddress
from node.mix.envelope import FRAME_BYTES
from node.mix.packet import decode_delivery
from node.mix.streams import tunnels
from node.mix.streams.exit import Cause, MixExit
from node.mix.streams.tunnels import LINGER_S, MAX_TUNNELS, Ignored, Tunnels
from qnet.errors import LocalProtocolError
from qnet.parameters import NetworkParameters
from tests.node.mix.network import MAILBOX_NODE, PHASE_S, RATES, Network

EXIT = 600
OTHER_NODE = 501
WINDOW_BYTES = 1 << 20
PARAMETERS = NetworkParameters.profile("main")
PAGE = bytes(number % 251 for number in range(60_000))


class ExitNetwork(Network):
    """The network with one exit whose destinations send PAGE after the first bytes."""

    def __init__(self, random, **options):
        super().__init__(random, **options)
        self.keyring = PhaseKeyring(self.phase)
        self.exit = MixExit(
            self.keyring, lambda: PARAMETERS, self.paths.begins_at, random.randbytes
        )
        self.client_, self.account, _ = self.client()
        self.has_key = self.push = True
        self.lost_at_old_guard = 0
        self.tunnels = Tunnels(
            lambda: self.account, self.paths, self._key, random.randbytes, lambda: None
        )
        self.client_.carried.append(self.tunnels)
        self.rest, self.got, self.heard, self.over = {}, {}, {}, {}
        self.connected = []

    def _key(self, index, phase):
        assert index == EXIT
        if not self.has_key:
            raise StageError(Stage.PATH, "no such node")
        return self.keyring.public(phase)

    def _turn(self):
        super()._turn()
        self.keyring.advance(self.phase)
        self.exit.tick(self.phase, self.now)

    def _arrive(self, index, packet):
        if index == EXIT:
            delivery = decode_delivery(packet)
            address = MailAddress(EXIT, self.keyring.public(delivery.phase))
            assert delivery.delivery_id == address.delivery_id(delivery.phase)
            self.exit.receive(delivery, self.phase, self.now)
        elif index == OTHER_NODE:
            self.client_.receive(decode_delivery(packet), self.now)
        elif index == MAILBOX_NODE and self.account.mailbox_node == OTHER_NODE:
            self.lost_at_old_guard += 1
        else:
            super()._arrive(index, packet)

    def _step(self):
        super()._step()
        for action in self.exit.take_actions():
            self._act(action)
        for index, packet in self.exit.packets(self.phase, self.now):
            self.send(index, packet)
        for event in self.tunnels.take_events():
            self._hear(event)

    def _act(self, action):
        key = (action.circuit, action.stream)
        if isinstance(action, OpenStream):
            self.rest[key], self.got[key] = PAGE, b""
            for each in self.exit.stream_connected(*key, b"", self.now):
                self._act(each)
        elif isinstance(action, DeliverData):
            data = b"".join(action.chunks)
            self.got[key] += data
            self.exit.stream_consumed(*key, len(data))
            self._push(key)
        elif isinstance(action, ResumeStream):
            self._push(key)

    def _push(self, key):
        if not self.push:
            return
        taken = self.exit.stream_data(*key, self.rest[key])
        self.rest[key] = self.rest[key][taken:]
        if not self.rest[key]:
            self.exit.stream_ended(*key, EndReason.DONE)

    def _hear(self, event):
        key = (event.circuit_id, event.stream)
        if isinstance(event, StreamConnected):
            self.connected.append(key)
        elif isinstance(event, StreamData):
            data = b"".join(event.chunks)
            self.heard[key] = self.heard.get(key, b"") + data
            self.tunnels._tunnels[event.circuit_id].consumed(event.stream, len(data), self.now)
        elif isinstance(event, StreamEnded):
            self.over[key] = event.reason

    def fetch(self, tunnel=None):
        if tunnel is None:
            tunnel = self.tunnels.open(EXIT, self.now)
        number = tunnel.open_stream("example.org", 443, WINDOW_BYTES, self.now)
        tunnel.send(number, b"GET /")
        return tunnel, (tunnel.handle, number)


def test_a_page_comes_over_three_mixes_and_back():
    network = ExitNetwork(Random(1))
    tunnel, key = network.fetch()
    network.run(60)
    assert network.heard[key] == PAGE
    assert network.over[key] is EndReason.DONE
    assert list(network.got.values()) == [b"GET /"]
    assert not network.exit.dropped
    assert not network.tunnels.ignored
    assert all(not mix.unwrapper.dropped for mix in network.mixes.values())
    assert tunnel.repeated == 0
    assert 0.18 < tunnel.round_trip_s < 3


def test_packets_that_are_lost_on_links():
    network = ExitNetwork(Random(2), loss=0.02)
    _, key = network.fetch()
    network.run(120)
    assert network.heard[key] == PAGE


def test_a_stream_lives_through_key_phases():
    network = ExitNetwork(Random(3))
    tunnel, _ = network.fetch()
    for _ in range(4):
        _, key = network.fetch(tunnel)
        network.run(PHASE_S)
        assert network.heard[key] == PAGE
    assert len(network.exit) == 1
    assert network.exit.dropped[Cause.UNREADABLE] == 0


class Watched:
    """A client whose packets are counted as they leave, as its guard's link shows them."""

    def __init__(self, client):
        self._client, self.times = client, []

    def __getattr__(self, name):
        return getattr(self._client, name)

    def packets(self, phase, now):
        packets = self._client.packets(phase, now)
        self.times += [now] * len(packets)
        return packets


def test_streams_change_no_time_at_which_a_client_sends():
    for streams in (0, 3):
        network = ExitNetwork(Random(11), loop_hz=0.01)
        client = Watched(network.client_)
        network.clients[0] = (client, network.account)
        for _ in range(streams):
            network.fetch()
        network.run(PHASE_S - 10)
        gaps = [later - sooner for sooner, later in pairwise(client.times)]
        assert abs(sum(gaps) / len(gaps) * RATES.total_hz - 1) < 0.25
        short = sum(gap < 0.1 / RATES.total_hz for gap in gaps) / len(gaps)
        assert 0.04 < short < 0.16  # 1 - exp(-0.1) = 0.095
    assert len(network.over) == 3


def test_an_exit_that_restarted_is_noticed_at_once():
    network = ExitNetwork(Random(5))
    _, key = network.fetch()
    network.run(4)
    network.exit = MixExit(
        network.keyring, lambda: PARAMETERS, network.paths.begins_at, network.random.randbytes
    )
    network.run(10)
    assert network.over[key] is EndReason.CIRCUIT_DESTROYED
    assert network.exit.dropped[Cause.UNKNOWN] > 0
    assert len(network.tunnels) == 0


def test_an_exit_without_a_key_ends_its_tunnels():
    network = ExitNetwork(Random(6))
    _, key = network.fetch()
    network.has_key = False
    network.run(2)
    assert network.over[key] is EndReason.CIRCUIT_DESTROYED


def test_without_ids_nothing_is_answered_and_with_them_it_goes_on():
    network = ExitNetwork(Random(7))
    account, none = network.account, network.account
    network.account = type(account)(account.key, MAILBOX_NODE, lambda: None)
    _, key = network.fetch()
    network.run(8)
    assert network.tunnels.without_ids > 0
    assert key not in network.heard
    network.account = none
    network.run(60)
    assert network.heard[key] == PAGE


def test_a_tunnel_that_nobody_uses_is_left():
    network = ExitNetwork(Random(8))
    tunnel, (_, number) = network.fetch()
    network.run(40)
    tunnel.end(number, EndReason.DONE)
    network.run(LINGER_S + 20)
    assert len(network.tunnels) == 0
    assert len(network.exit) == 0
    assert network.exit.dropped[Cause.LEFT] == 1


def test_tunnels_of_a_client_are_bounded():
    network = ExitNetwork(Random(9))
    for _ in range(MAX_TUNNELS + 3):
        tunnel = network.tunnels.open(EXIT, network.now)
        assert len(network.tunnels) <= MAX_TUNNELS
    for each in network.tunnels._tunnels.values():
        network.fetch(each)
    with pytest.raises(LocalProtocolError):
        network.tunnels.open(EXIT, network.now)
    assert tunnel.is_usable


def test_replies_that_somebody_changed_are_counted():
    network = ExitNetwork(Random(10))
    network.fetch()
    send = network.send

    def spoil(index, packet, **options):
        changed = bytearray(packet)
        if network.random.random() < 0.2:
            changed[-1] ^= 1
        send(index, bytes(changed), **options)

    network.send = spoil
    network.run(20)
    assert network.tunnels.ignored[Ignored.CHANGED] > 0


def test_what_an_exit_garbles_ends_the_tunnel():
    network = ExitNetwork(Random(12))
    tunnel, key = network.fetch()
    network.tunnels._reply(tunnel, bytes(FRAME_BYTES), network.now)
    network.run(1)
    assert network.tunnels.ignored[Ignored.MALFORMED] == 1
    assert network.over[key] is EndReason.CIRCUIT_DESTROYED


def test_replies_to_a_tunnel_that_is_over_are_counted():
    network = ExitNetwork(Random(13))
    tunnel, _ = network.fetch()
    while not network.exit.packets_sent:
        network.run(0.01)
    tunnel.lose("no more")
    network.run(5)
    assert network.tunnels.ignored[Ignored.LATE] > 0


def test_the_oldest_blocks_give_way_and_the_stream_goes_on(monkeypatch):
    monkeypatch.setattr(tunnels, "MAX_WAITING", 40)
    network = ExitNetwork(Random(14))
    _, key = network.fetch()
    network.run(120)
    assert network.tunnels.forgotten > 0
    assert network.heard[key] == PAGE


def test_a_client_that_changes_its_guard_goes_on_at_once():
    network = ExitNetwork(Random(15))
    _, key = network.fetch()
    while len(network.heard.get(key, b"")) < 5000:
        network.run(0.1)
    old = network.account
    network.account = replace(
        old, mailbox_node=OTHER_NODE, new_id=lambda: b"N" + network.random.randbytes(15)
    )
    network.run(60)
    assert network.heard[key] == PAGE
    assert network.lost_at_old_guard > 0


def test_an_idle_stream_is_heard_phases_later():
    network = ExitNetwork(Random(16))
    network.push = False
    _, key = network.fetch()
    network.run(4.5 * PHASE_S)
    network.push = True
    network._push(next(iter(network.rest)))
    network.run(5)
    assert len(network.heard[key]) > 5000


def test_a_client_that_was_away_blames_no_exit():
    network = ExitNetwork(Random(17))
    _, key = network.fetch()
    clients, network.clients = network.clients, []
    network.run(60)
    network.clients = clients
    network.client_._schedule.next_at = network.now
    network.run(60)
    assert network.heard[key] == PAGE
    assert len(network.tunnels) == 1
