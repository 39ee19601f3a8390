"""Which circuit a stream gets, when circuits retire, and what is told of it."""

import asyncio
from types import SimpleNamespace

import pytest
import pytest_asyncio

from node.circuit.messages import EndReason
from node.client.doors.isolation import IsolationKey
from node.client.paths import circuits as module
from node.client.paths.circuits import Circuits
from node.client.paths.measure import LEAST_ECHOES, RETIRE_GAP_S
from node.client.paths.path_circuit import BUSY_STREAMS, KEY_CIRCUITS, RENEWED, SLOW
from node.directory.atlas import Atlas
from node.directory.guard import Outcome
from node.directory.wishes import Wishes
from node.errors import CircuitError, Stage, StageError
from qnet.epochs import phase_at
from qnet.messages.descriptor import Role
from qnet.parameters import NetworkParameters
from tests.support.network import eventually
from tests.support.signed_network import PERIOD, make_network

CONSENSUS = make_network((Role.ENTRY,) * 2 + (Role.RELAY,) * 4 + (Role.EXIT,) * 4).consensus
ONE, TWO = IsolationKey("l", b"one"), IsolationKey("l", b"two")


class FakeCircuit:
    def __init__(self, link):
        self.link = link
        self.built = asyncio.get_running_loop().create_future()
        self.streams = {}
        self.payments = None
        self.is_open = True
        self.closed = False
        self.failure = ""
        self.failed_hop = self.failed_reason = None
        self.rekeys = self.bytes_received = self.bytes_sent = 0
        self.echoes = []
        self.on_closed = lambda _circuit: None
        self.on_connected = lambda _seconds: None
        if link.is_prompt:
            self.built.set_result(0.02)

    def destroy(self, cause="no longer needed"):
        if not self.closed:
            self.lost(EndReason.CIRCUIT_DESTROYED, cause)

    def lost(self, reason, cause, hop=None):
        self.closed, self.is_open = True, False
        self.failure, self.failed_reason, self.failed_hop = cause, reason, hop
        if not self.built.done():
            self.built.set_exception(CircuitError(Stage.CIRCUIT, "circuit not built", why=cause))
        self.on_closed(self)

    def probe(self):
        self.echoes.append(asyncio.get_running_loop().create_future())
        return self.echoes[-1]


class World:
    """A client without a network."""

    def __init__(self):
        self.now = 100.0
        self.is_prompt = True
        self.made = []
        self.records = []
        self.given_up = []
        self.parameters = NetworkParameters.profile("devnet")
        view = SimpleNamespace(for_circuits=lambda: CONSENSUS, parameters=self.parameters)
        entries = SimpleNamespace(
            guards=lambda consensus: consensus.nodes[:2],
            is_stranded=False,
            causes=lambda: "entry node 1: silent",
            link_to=self.link_to,
            record=lambda node_id, outcome: self.records.append(outcome),
            stalled=lambda node: self.records.append("stalled"),
            give_up=lambda node, cause: self.given_up.append(node.index),
            return_to_primary=asyncio.Event().wait,
        )
        wall = PERIOD + 1.0
        assert CONSENSUS.nodes[0].phase_key(phase_at(wall, self.parameters.key_phase_s))
        self.circuits = Circuits(view, entries, lambda: self.now, lambda: wall, 2)

    async def link_to(self, node):
        await asyncio.sleep(0)
        return self

    def open_circuit(self, hops, phase):
        self.made.append(FakeCircuit(self))
        return self.made[-1]

    async def get(self, key=ONE, host="h.example", port=443):
        return await self.circuits.circuit_for(key, host, port)

    async def spare(self, round_trip_s=0.05):
        made = await self.circuits.build(Wishes(port=443))
        for _ in range(3):
            made.measure.echoed(round_trip_s)
        return made

    def causes(self, what):
        return [event.cause for event in self.circuits.events if event.what == what]


@pytest_asyncio.fixture
async def world():
    return World()


pytestmark = pytest.mark.asyncio


async def test_streams_of_one_key_share_a_circuit_and_others_never_do(world):
    first = await world.get(ONE)
    assert await world.get(ONE) is first
    second = await world.get(TWO)
    assert second is not first
    for _ in range(20):
        await world.spare()
    for number in range(50):
        key = IsolationKey("l", bytes([number % 5]))
        assert (await world.get(key)).key == key
    owners = {}
    for made in world.circuits.open:
        owners.setdefault(made.key, []).append(made)
    assert {made.key for made in owners[ONE]} == {ONE}


async def test_streams_that_come_together_share_one_new_circuit(world):
    found = await asyncio.gather(*(world.get(ONE, f"{n}.example") for n in range(10)))
    assert len(set(map(id, found))) == 1
    assert len(world.made) == 1


async def test_streams_that_wait_together_fail_together(world, monkeypatch):
    monkeypatch.setattr(module, "BUILD_PATIENCE_S", 0.01)
    world.is_prompt = False
    results = await asyncio.gather(*(world.get(ONE) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(result, CircuitError) for result in results)
    assert len(world.made) == module.BUILD_TRIES
    assert world.records.count(Outcome.BROKEN) == module.BUILD_TRIES


async def test_of_spare_circuits_the_faster_is_taken(world):
    slow, fast = await world.spare(0.5), await world.spare(0.05)
    assert await world.get(ONE) is fast
    assert await world.get(TWO) is slow


async def test_a_key_moves_to_a_spare_circuit_when_its_own_is_slow(world):
    own = await world.get(ONE)
    for _ in range(3):
        own.measure.echoed(0.05)
    spare = await world.spare(0.05)
    assert await world.get(ONE) is own
    own.measure.asked(world.now)
    world.now += 2.0  # the echo is overdue
    assert await world.get(ONE) is spare
    assert spare.key == ONE


async def test_a_busy_key_gets_one_more_circuit_and_no_third(world):
    own = await world.get(ONE)
    for _ in range(4):
        await world.spare()
    own.circuit.streams = dict.fromkeys(range(BUSY_STREAMS))
    for _ in range(10):
        found = await world.get(ONE)
        found.circuit.streams[len(found.circuit.streams)] = None
    assert len([made for made in world.circuits.open if made.key == ONE]) == KEY_CIRCUITS


async def test_no_new_stream_on_an_old_full_or_closed_circuit(world):
    old = await world.get(ONE)
    world.now += world.parameters.circuit_max_age_s
    fresh = await world.get(ONE)
    assert fresh is not old
    fresh.circuit.streams = dict.fromkeys(range(world.parameters.streams_per_circuit_max))
    assert await world.get(ONE) not in {old, fresh}


async def test_a_new_identity_retires_all_and_lets_streams_end(world):
    used, spare = await world.get(ONE), await world.spare()
    used.circuit.streams[1] = None
    assert world.circuits.new_identity() == 2
    assert spare.circuit.closed
    assert not used.circuit.closed
    assert used.retired == RENEWED
    assert await world.get(ONE) is not used
    used.circuit.streams.clear()
    world.circuits.new_identity()
    assert used.circuit.closed
    assert world.causes("renewed")
    assert not world.causes("failed")
    assert world.circuits.failed == 0


async def test_a_circuit_that_was_on_its_way_is_not_kept_after_a_new_identity(world):
    building = asyncio.create_task(world.get(ONE))
    await asyncio.sleep(0)
    world.circuits.new_identity()
    old = await building
    assert old.retired == RENEWED
    assert await world.get(ONE) is not old


async def test_the_slowest_is_retired_for_a_fresh_one(world):
    slow = await world.spare(1.0)
    for _ in range(3):
        await world.spare(0.05)
    world.circuits._retire_slowest()
    assert not slow.retired
    world.now += 1
    world.circuits._retire_slowest()
    assert slow.retired == SLOW
    assert slow.circuit.closed
    assert "1000 ms" in world.causes("retired")[0]
    nodes = {node.index for node in slow.path.nodes[1:]}
    assert set(world.circuits.choice.speeds.damping_ppm(world.now)) <= nodes
    another = await world.spare(1.0)
    for _ in range(5):
        world.now += 1
        world.circuits._retire_slowest()
    assert not another.retired
    world.now += RETIRE_GAP_S
    world.circuits._retire_slowest()
    assert another.retired == SLOW


async def look_for(world, made, seconds):
    """Let time pass, with every echo answered; returns how many were asked for."""
    before = len(made.circuit.echoes)
    for _ in range(seconds):
        world.now += 1.0
        world.circuits.echoes.look(world.circuits.open)
        for echo in made.circuit.echoes:
            if not echo.done():
                echo.set_result(0.07)
        await asyncio.sleep(0)
    return len(made.circuit.echoes) - before


async def test_echoes_of_a_circuit_in_use_are_asked_a_few_a_minute(world):
    made = await world.spare()
    made.circuit.streams[1] = None
    assert 30 <= await look_for(world, made, 600) <= 100
    assert made.measure.round_trip_s == pytest.approx(0.07, rel=0.1)


async def test_a_circuit_without_streams_is_left_in_peace_once_it_is_known(world):
    made = await world.spare()
    made.measure.echoes = 0
    assert await look_for(world, made, 60) == LEAST_ECHOES
    assert 3 <= await look_for(world, made, 1000) <= 9
    made.circuit.streams[1] = None
    assert await look_for(world, made, 60) >= 3


async def test_an_echo_that_fails_is_forgotten(world):
    made = await world.spare()
    while not made.circuit.echoes:
        world.now += 1.0
        world.circuits.echoes.look(world.circuits.open)
    assert made.measure.asked_at is not None
    made.circuit.echoes[0].cancel()
    await asyncio.sleep(0)
    assert made.measure.asked_at is None


async def test_ends_blame_the_guard_or_what_comes_after_it(world):
    first, second = await world.get(ONE), await world.get(TWO)
    world.records.clear()
    first.circuit.lost(EndReason.LINK_LOST, "link to entry closed", 0)
    second.circuit.lost(EndReason.NEXT_DESTROYED, "second hop: refused", 1)
    assert world.records == [Outcome.FAILED, Outcome.BROKEN]
    assert len(world.causes("failed")) == 2
    assert (await world.get(ONE)) in world.circuits.open
    assert world.circuits.events[0].rebuilt_s is not None


async def test_spare_circuits_are_kept(world):
    task = asyncio.create_task(world.circuits.keep_ready())
    await world.circuits.first(5.0)
    await eventually(lambda: len(world.circuits.open) == 2)
    (await world.get(ONE)).circuit.streams[0] = None
    await eventually(lambda: [made.key for made in world.circuits.open].count(None) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert {row["state"] for row in world.circuits.rows()} == {"ready", "in use"}


async def test_exits_are_listed_with_country_policy_and_share(world):
    world.circuits.use_atlas(Atlas.parse(geo=b"127.17.0.0/16 CH\n127.18.0.0/16 IS\n"))
    rows = world.circuits.exits(443)
    assert [row["index"] for row in rows] == [10, 9, 8, 7]
    assert [row["country"] for row in rows] == ["", "", "IS", "CH"]
    assert sum(row["share_ppm"] for row in rows) == pytest.approx(10**6, abs=4)
    assert all(row["usable"] and row["policy"] for row in rows)
    world.circuits.wish_countries(frozenset({"CH"}))
    assert [row["index"] for row in world.circuits.exits(443) if row["usable"]] == [7]


async def test_a_wished_country_holds_for_every_circuit(world):
    world.circuits.use_atlas(Atlas.parse(geo=b"127.17.0.0/16 CH\n127.18.0.0/16 IS\n"))
    before = await world.get(ONE)
    world.circuits.wish_countries(frozenset({"CH", "IS"}), frozenset({"IS"}))
    assert before.retired == RENEWED
    exits = {(await world.get(IsolationKey("l", bytes([n])))).path.exit.index for n in range(8)}
    assert exits == {7}
    world.circuits.wish_countries(frozenset({"DE"}))
    with pytest.raises(StageError, match="no exit node fits") as caught:
        await world.get(TWO)
    assert "none is in DE" in caught.value.why


async def test_without_a_guard_that_answers_the_error_says_so(world):
    world.circuits.entries.guards = lambda _consensus: ()
    world.circuits.entries.is_stranded = True
    with pytest.raises(StageError, match="no guard can be reached") as caught:
        await world.get(ONE)
    assert caught.value.stage is Stage.LINK
    assert caught.value.why == "entry node 1: silent"
