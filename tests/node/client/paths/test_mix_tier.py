"""Which tunnel a stream takes, how its exit is chosen, and what status says."""

import asyncio
from types import SimpleNamespace

import pytest

from node.circuit.actions import (
    NameResolved,
    StreamConnected,
    StreamData,
    StreamEnded,
    StreamWritable,
)
from node.circuit.messages import Answer, EndReason
from node.client.doors.isolation import IsolationKey
from node.client.paths import mix_tier
from node.client.paths.mix_tier import AVOIDED_S, MixTier
from node.directory.wishes import Position
from node.errors import Stage, StageError
from node.mix.rates import STREAMS
from qnet.parameters import NetworkParameters

GUARD = 3
PARAMETERS = NetworkParameters.profile("main")
ONE, TWO = IsolationKey("127.0.0.1:1", b"one"), IsolationKey("127.0.0.1:1", b"two")
GOOD, PRIVATE = Answer(bytes([1, 2, 3, 4]), 60), Answer(bytes([10, 0, 0, 1]), 60)


class World:
    """A tier in a network of exits 10 to 12; nothing is sent."""

    def __init__(self):
        self.now = 1000.0
        self.wishes, self.exits, self.ports = [], [10, 11, 12], {}
        live = SimpleNamespace(
            paths=SimpleNamespace(mean_delay_ms=30),
            phase_key=lambda _index, _phase: bytes(32),
            node=self._node,
        )
        self.account = SimpleNamespace(mailbox_node=GUARD)
        self.tier = MixTier(
            self._account,
            live,
            choose=self._choose,
            parameters=lambda: PARAMETERS,
            admits=lambda answers: tuple(each for each in answers if each != PRIVATE),
            random=bytes,
            now=lambda: self.now,
        )

    def _account(self):
        if self.account is None:
            raise StageError(Stage.LINK, "no guard can be reached")
        return self.account

    def _node(self, index):
        if index not in self.exits:
            raise StageError(Stage.PATH, "no such node")
        return SimpleNamespace(policy=self.ports.get(index, "accept *:*"))

    def _choose(self, wishes):
        self.wishes.append(wishes)
        fitting = [index for index in self.exits if index not in wishes.excluded]
        if not fitting:
            raise StageError(Stage.PATH, "no exit node fits")
        return SimpleNamespace(exit=SimpleNamespace(index=fitting[0]))

    async def reach(self):
        """The schedule had its first turn."""
        self.tier._wake()
        await asyncio.sleep(0)

    async def stream(self, key=ONE, host="example.org", port=443, sink=None):
        made = await self.tier.circuit_for(key, host, port)
        return made, made.circuit.open_stream(host, port, sink or Sink())

    async def lose(self, made):
        made.tunnel.lose("the exit does not answer")
        await self.reach()


class Sink:
    def __init__(self):
        self.heard = []

    def stream_connected(self, address):
        self.heard.append(address)

    def stream_data(self, chunks):
        self.heard.append(b"".join(chunks))

    def stream_ended(self, reason):
        self.heard.append(reason)

    def stream_writable(self):
        self.heard.append("writable")

    def name_resolved(self, answers):
        self.heard.append(answers)


@pytest.fixture
async def world():
    made = World()
    await made.reach()
    return made


async def test_streams_of_a_key_share_a_tunnel_and_others_do_not(world):
    first, _ = await world.stream()
    again, number = await world.stream(port=80)
    other, _ = await world.stream(TWO)
    assert again is first
    assert number == 2
    assert other is not first
    assert world.tier.opened == 2


async def test_the_exit_is_independent_of_the_guard_and_admits_the_port(world):
    await world.stream(host="example.org", port=25)
    (wishes,) = world.wishes
    assert (wishes.host, wishes.port) == ("example.org", 25)
    assert wishes.pinned == {Position.ENTRY: GUARD}


async def test_another_port_may_need_another_exit(world):
    world.ports[10] = "accept *:443"
    first, _ = await world.stream()
    other, _ = await world.stream(port=25)
    assert other is not first


async def test_an_exit_that_is_gone_gets_no_new_streams(world):
    first, _ = await world.stream()
    world.exits.remove(10)
    other, _ = await world.stream()
    assert other is not first
    assert other.tunnel.exit_index == 11


async def test_an_exit_that_does_not_answer_is_avoided_for_a_while(world):
    sink = Sink()
    made, _ = await world.stream(sink=sink)
    await world.lose(made)
    assert sink.heard == [EndReason.CIRCUIT_DESTROYED]
    assert world.tier.failed == 1
    again, _ = await world.stream()
    assert again.tunnel.exit_index == 11
    await world.lose(again)
    world.now += AVOIDED_S + 1
    later, _ = await world.stream()
    assert later.tunnel.exit_index == 10


async def test_if_all_exits_are_avoided_one_is_taken_all_the_same(world):
    world.exits = [10]
    made, _ = await world.stream()
    await world.lose(made)
    again, _ = await world.stream()
    assert again.tunnel.exit_index == 10
    world.exits = []
    await world.lose(again)
    with pytest.raises(StageError):
        await world.stream()


async def test_without_any_exit_the_rule_is_named(world):
    world.exits = []
    with pytest.raises(StageError, match="no exit node fits"):
        await world.stream()


async def test_old_and_renewed_tunnels_get_no_new_streams(world):
    first, _ = await world.stream()
    world.now += PARAMETERS.circuit_max_age_s + 1
    second, _ = await world.stream()
    assert second is not first
    assert first.retired == "aged"
    assert world.tier.renew() == 1
    third, _ = await world.stream()
    assert third is not second
    assert [row["state"] for row in world.tier.status(5)["paths"]] == [
        "aged",
        "new identity",
        "in use",
    ]


async def test_a_full_tunnel_gets_no_more_streams(world):
    made, _ = await world.stream()
    made.streams.update((number, Sink()) for number in range(2, 1000))
    other, _ = await world.stream()
    assert other is not made


async def test_a_mixnet_that_is_not_reached_is_said(monkeypatch):
    monkeypatch.setattr(mix_tier, "REACH_S", 0.01)
    world = World()
    with pytest.raises(StageError, match="not reached yet"):
        await world.stream()
    world.account = None
    with pytest.raises(StageError, match="no guard"):
        await world.stream()


async def test_status_says_what_to_expect(world):
    found = world.tier.status(1000)
    assert found["round_trip_ms"] is found["connect_ms"] is None
    assert found["round_trip_ms_expected"] == round(6 * 30 + 1000 / STREAMS.payload_hz)
    assert found["down_bytes_s_at_most"] == 16 * 7 * 1976
    assert found["up_bytes_s_at_most"] == 16 * 1691
    assert found["crowd_at_most"] == 1000
    assert world.tier.status(0)["crowd_at_most"] == 0


async def test_events_reach_their_streams(world):
    sink, name, refused = Sink(), Sink(), Sink()
    made, number = await world.stream(sink=sink)
    world.now += 0.3
    handle = made.tunnel.handle
    names = [made.resolve("example.org", each) for each in (name, refused)]
    for event in (
        StreamConnected(handle, number, b"\x01\x02\x03\x04"),
        StreamData(handle, number, (b"he", b"llo")),
        StreamWritable(handle, number),
        StreamEnded(handle, number, EndReason.DONE),
        NameResolved(handle, names[0], (GOOD, PRIVATE)),
        NameResolved(handle, names[1], (PRIVATE,)),
        StreamEnded(handle, number, EndReason.RESET),
        StreamData(handle, number, (b"late",)),
        StreamEnded(handle, number, EndReason.RESET),
        NameResolved(handle, names[1], ()),
    ):
        made.happened(event)
    assert sink.heard == [
        b"\x01\x02\x03\x04",
        b"hello",
        "writable",
        EndReason.DONE,
        EndReason.RESET,
    ]
    assert name.heard == [(GOOD,)]
    assert refused.heard == [EndReason.RESOLVE_FAILED]
    assert made.streams == {}
    assert world.tier.status(5)["connect_ms"] == 300


async def test_what_an_application_does_reaches_the_tunnel(world):
    made, number = await world.stream()
    assert made.send(number, b"hello") == 5
    made.consumed(number, 0)
    made.end(number)
    assert number in made.streams
    made.end(number, EndReason.RESET)
    assert number not in made.streams
    made.released(number)
    assert made.send(number, b"more") == 0
