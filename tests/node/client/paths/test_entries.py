"""The client's guards while nodes fail, come back, or the whole network is gone."""

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from node.client.paths.entries import (
    LOST_S,
    ONE_FAILURE_S,
    RETRY_GRACE_S,
    SET_ASIDE_MAX_S,
    SET_ASIDE_S,
    STORE_S,
    Entries,
)
from node.client.paths.guard_file import DAMAGED_SUFFIX, MAX_BYTES, GuardFile
from node.directory.guard import MAX_NEW_PER_DAY, MIN_CIRCUITS, GuardState, Outcome
from node.errors import CircuitError, LinkError, UnknownNodeError
from node.htx.events import CloseReason
from qnet.messages.descriptor import Role
from qnet.parameters import NetworkParameters
from tests.support.signed_network import PERIOD, make_network

CONSENSUS = make_network((Role.ENTRY,) * 8 + (Role.RELAY,)).consensus


class World:
    """A network whose nodes answer or not, and a clock that a test moves."""

    def __init__(self, path=None, *, uses_guards=True):
        self.now = 1000.0
        self.silent = set()
        self.dialled = []
        self.told = []
        self.listeners = []
        view = SimpleNamespace(
            held=SimpleNamespace(consensus=CONSENSUS),
            parameters=NetworkParameters.profile("devnet"),
            on_change=self.listeners.append,
            node=self.node,
        )
        self.entries = Entries(
            view, path, lambda: self.now, lambda: PERIOD + self.now, self, uses_guards
        )
        self.entries.report = lambda index, what: self.told.append((index, what))

    def node(self, node_id):
        found = CONSENSUS.by_node_id.get(node_id)
        if found is None:
            raise UnknownNodeError("not listed")
        return found

    async def dial(self, address, *, handler, parameters, role, timeout_s):
        self.dialled.append(address.identity)
        if address.identity in self.silent:
            raise LinkError(CloseReason.TIMEOUT, "no link: timeout")
        handler.link_opened(SimpleNamespace(is_closed=False, close=lambda _reason: None))

    def guards(self):
        return self.entries.guards(CONSENSUS)

    async def try_all(self):
        """Try whatever may be used now, once."""
        for node in self.guards():
            try:
                await self.entries.link_to(node)
            except CircuitError:
                continue

    def silence(self, nodes):
        self.silent = {node.identity for node in nodes}


@pytest.fixture
def world():
    return World()


@pytest.mark.asyncio
async def test_an_offline_machine_keeps_its_guards():
    world = World()
    first = world.guards()
    world.silence(CONSENSUS.nodes)
    for _ in range(2000):
        await world.try_all()
        world.now += 60.0
    assert len(world.entries.state.guards) == 3
    world.silent.clear()
    world.now += SET_ASIDE_MAX_S + RETRY_GRACE_S
    assert world.guards() == first


@pytest.mark.asyncio
async def test_when_others_answer_a_lost_guard_is_replaced_and_preferred_when_back():
    world = World()
    first = world.guards()
    await world.try_all()
    for node in first:
        world.entries.record(node.node_id, Outcome.BUILT)
    world.entries.links.clear()
    world.silence(first)
    await world.try_all()
    world.now += 1
    for listener in world.listeners:
        listener(CONSENSUS)  # somebody answered
    (other,) = world.guards()
    assert other not in first
    await world.entries.link_to(other)
    world.entries.record(other.node_id, Outcome.BUILT)
    world.silent.clear()
    assert world.guards() == (other,)
    world.now += SET_ASIDE_S + RETRY_GRACE_S
    assert set(world.guards()) == set(first)


@pytest.mark.asyncio
async def test_lost_guards_are_tried_again_in_the_background(monkeypatch):
    world = World()
    first = world.guards()
    world.silence(first[:1])
    await world.try_all()
    assert world.guards() == first[1:]
    world.silent.clear()
    world.now += SET_ASIDE_S

    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda _seconds: real(0))
    task = asyncio.create_task(world.entries.return_to_primary())
    async with asyncio.timeout(5):
        while not any("answers again" in what for _, what in world.told):
            await real(0)
    task.cancel()
    assert set(world.guards()) == set(first)


@pytest.mark.asyncio
async def test_pauses_double_up_to_a_limit():
    world = World()
    node = world.guards()[0]
    world.silence([node])
    pauses = []
    for _ in range(9):
        with pytest.raises(CircuitError):
            await world.entries.link_to(node)
        pauses.append(world.entries._aside[node.node_id].until - world.now)
        world.now += pauses[-1]
    assert pauses[:3] == [SET_ASIDE_S, 2 * SET_ASIDE_S, 4 * SET_ASIDE_S]
    assert pauses[-1] == SET_ASIDE_MAX_S
    world.silent.clear()
    await world.entries.link_to(node)
    assert node.node_id not in world.entries._aside


@pytest.mark.asyncio
async def test_while_the_network_fails_nobody_is_set_aside_and_none_chosen(world):
    first = world.guards()
    world.silence(first)
    await world.try_all()
    world.entries.is_cut_off = True
    assert world.guards() == first
    assert world.entries.is_stranded
    assert "timeout" in world.entries.causes()
    world.entries.forgive()
    assert not world.entries.is_stranded


@pytest.mark.asyncio
async def test_a_link_that_broke_is_used_after_the_other_for_a_moment(world):
    first = world.guards()
    await world.try_all()
    world.entries._lost(first[0], "broke")
    assert world.guards() == first[1:]
    world.entries._lost(first[1], "broke")
    assert set(world.guards()) == set(first)
    assert len(world.entries.state.guards) == 2
    world.now += LOST_S
    assert world.guards() == first


def test_a_link_that_breaks_with_many_circuits_is_one_failure(world):
    node = world.guards()[0]
    for _ in range(MIN_CIRCUITS):
        world.entries.record(node.node_id, Outcome.FAILED)
    assert world.entries.state.guards[0].failed == 1
    world.now += ONE_FAILURE_S
    world.entries.record(node.node_id, Outcome.FAILED)
    assert world.entries.state.guards[0].failed == 2


def test_a_failing_guard_is_dropped_and_people_are_told(world):
    node = world.guards()[0]
    for _ in range(MIN_CIRCUITS):
        world.now += 2 * ONE_FAILURE_S
        world.entries.record(node.node_id, Outcome.FAILED)
    assert node not in world.guards()
    assert (node.index, "guard dropped: 100 % of its circuits failed") in world.told


def test_a_guard_behind_which_circuits_break_is_told_once(world):
    node = world.guards()[0]
    for _ in range(2 * MIN_CIRCUITS):
        world.entries.record(node.node_id, Outcome.BROKEN)
    told = [what for index, what in world.told if index == node.index and "broke" in what]
    assert told == ["100 % of the circuits through this guard broke after it"]
    assert node in world.guards()


def test_few_new_guards_a_day(world):
    for _ in range(50):
        for node in world.guards():
            world.entries._set_aside(node.node_id, "silent")
        world.now += 1
        world.entries._hear()
    assert len(world.entries.state.guards) == MAX_NEW_PER_DAY


def test_doubted_guards_serve_when_there_is_no_other(world):
    first, second = world.guards()
    world.entries.give_up(first, "circuits break", cut=False)
    assert first not in world.guards()
    world.entries.state = GuardState(world.entries.state.guards[:2])
    for guard in world.entries.state.guards:
        world.entries.give_up(world.node(guard.node_id), "circuits break", cut=False)
    world.now += 1
    limited = world.entries.guards(
        replace(CONSENSUS, nodes=tuple(n for n in CONSENSUS.nodes if n in {first, second}))
    )
    assert set(limited) == {first, second}
    world.entries.give_up(first, "answers nothing", cut=True)
    assert first not in world.guards(), "what is silent is no help"


def test_probes_use_every_entry():
    assert len(World(uses_guards=False).guards()) == 8


# the file


def test_guards_survive_a_restart_and_counts_are_stored_later(tmp_path):
    path = tmp_path / "guards.json"
    world = World(path)
    world.guards()
    assert GuardFile(path).load() == world.entries.state
    node_id = world.entries.state.guards[0].node_id
    world.entries.record(node_id, Outcome.BUILT)
    assert GuardFile(path).load().guards[0].built == 0
    world.now += STORE_S
    world.entries.tick()
    assert GuardFile(path).load() == world.entries.state
    world.entries.record(node_id, Outcome.BUILT)
    world.entries.close()
    again = World(path)
    again.entries.load()
    assert again.entries.state == world.entries.state
    assert again.entries.state.guards[0].built == 2


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b"\xff\xfe", b"[" * 60_000, b" " * (MAX_BYTES + 1), b'{"guards": 1}'],
)
def test_a_damaged_file_is_kept_aside(tmp_path, damage):
    path = tmp_path / "guards.json"
    path.write_bytes(damage)
    assert GuardFile(path).load() == GuardState()
    assert path.with_name(path.name + DAMAGED_SUFFIX).read_bytes() == damage
    world = World(path)
    world.entries.load()
    world.guards()
    assert len(json.loads(path.read_bytes())["guards"]) == 2


def test_without_a_file_nothing_is_kept():
    assert GuardFile(None).load() == GuardState()
    GuardFile(None).store(GuardState())


def test_a_full_disk_does_not_stop_the_client(tmp_path):
    world = World(tmp_path / "missing" / "guards.json")
    assert len(world.guards()) == 2
