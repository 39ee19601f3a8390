"""The auditor over real sockets: nodes as processes of their own, some killed or frozen."""

import asyncio
import signal
import time

import pytest
import pytest_asyncio

from node.io.control import call
from node.prober.app import serve
from node.prober.client import MemberClient
from qnet.errors import KeyAccessError
from qnet.parameters import NetworkParameters
from tests.node.prober.desk import TOKEN, desk
from tests.support.network import eventually, held
from tools.bench.network import local_network

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.e2e]

ROLES = ("entry", "entry", "relay", "relay", "exit", "exit")
PROBES = NetworkParameters.profile("devnet").probes_per_slot
ALL = [(1, 2), (2, 1), (3, 4), (4, 3), (5, 6), (6, 5)]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def network():
    async with held(local_network(ROLES, policy="accept *:*")) as running:
        await everyone_knows_everyone(running)
        yield running


class Running:
    """An auditor in this process."""

    def __init__(self, member, home, stop):
        self.member = member
        self.home = home
        self.stop = stop

    async def slot(self, number, targets, **options):
        """Results of one slot."""
        before = len(self.member.posted)
        if self.member.work is not None:
            await asyncio.sleep(max(self.member.work.ends_at - time.time(), 0))
        self.member.give(number, targets, **options)
        await eventually(lambda: len(self.member.posted) > before, 15.0)
        return self.member.posted[-1]


@pytest_asyncio.fixture(loop_scope="module")
async def auditor(network, tmp_path):
    stop = asyncio.Event()
    (tmp_path / "state").mkdir()
    async with desk() as member, asyncio.TaskGroup() as group:
        client = MemberClient(member.url, TOKEN)
        group.create_task(serve(tmp_path, network.bundle(), client, stop))
        await eventually(lambda: member.asked > 0, 20.0)
        yield Running(member, tmp_path, stop)
        stop.set()


def outcomes(results):
    return {
        item.target: [(p.micros is not None, p.control_ok) for p in item.probes]
        for item in results.results
    }


async def test_every_role_is_probed_and_measured(auditor):
    results = await auditor.slot(1, ALL, capacity=[1, 3, 5])
    assert outcomes(results) == {index: [(True, None)] * PROBES for index, _ in ALL}
    assert all(p.micros < 2_000_000 for item in results.results for p in item.probes)
    assert {burst.target: burst.bytes for burst in results.capacity} == dict.fromkeys(
        (1, 3, 5), 1 << 18
    )
    status = await call(auditor.home / "control.sock", "status")
    assert status["probes"]["returned"] == PROBES * len(ALL)
    assert status["probes"]["posted"] == 1
    assert status["links"] == 2
    assert status["suspects"] == []


async def test_a_slot_is_done_once_and_told_until_taken(auditor):
    auditor.member.fails = 2
    await auditor.slot(1, ALL[:1], window_s=6.0)
    asked = auditor.member.asked
    await eventually(lambda: auditor.member.asked > asked + 3)
    assert len(auditor.member.posted) == 1


async def test_unknown_targets_and_late_slots_are_left_out(auditor):
    auditor.member.give(1, ALL, window_s=1.5)
    await eventually(lambda: auditor.member.asked > 1)
    results = await auditor.slot(2, [(3, 4), (99, 4)])
    assert set(outcomes(results)) == {3}


@pytest.mark.parametrize(
    ("position", "number"),
    [(2, signal.SIGKILL), (4, signal.SIGSTOP)],
    ids=["a killed relay", "a frozen exit"],
)
async def test_a_dead_target_fails_and_its_control_passes(network, auditor, position, number):
    victim = network.nodes[position]
    twin = network.nodes[position + 1]
    await stop(victim, number)
    try:
        results = await auditor.slot(1, [(victim.index, twin.index), (twin.index, victim.index)])
        assert outcomes(results)[victim.index] == [(False, True)] * PROBES
        assert outcomes(results)[twin.index] == [(True, None)] * PROBES
    finally:
        await resume(victim, number)
    await everyone_knows_everyone(network, since=time.time())


async def test_a_dead_entry_fails_and_spoils_nobody_elses_probe(network, auditor):
    victim = network.nodes[0]
    await stop(victim, signal.SIGKILL)
    try:
        first = await auditor.slot(1, [(1, 2), (3, 4), (5, 6)])
        second = await auditor.slot(2, [(1, 2), (3, 4), (5, 6)])
    finally:
        await resume(victim, signal.SIGKILL)
    for results in (first, second):
        found = outcomes(results)
        assert found[1] == [(False, True)] * PROBES
        for told in (found[3], found[5]):
            assert told.count((True, None)) == PROBES
            assert set(told) <= {(True, None), (False, False)}
    await everyone_knows_everyone(network, since=time.time())


async def test_a_refused_token_ends_the_process(network, tmp_path):
    (tmp_path / "state").mkdir()
    async with desk() as member:
        with pytest.raises(ExceptionGroup) as caught:
            await serve(
                tmp_path,
                network.bundle(),
                MemberClient(member.url, "another"),
                asyncio.Event(),
            )
    assert caught.group_contains(KeyAccessError)


async def stop(node, number):
    if number == signal.SIGSTOP:
        node.process.send_signal(number)
    else:
        await node.stop(number=number)


async def resume(node, number):
    if number == signal.SIGSTOP:
        node.process.send_signal(signal.SIGCONT)
    else:
        await node.start()


async def everyone_knows_everyone(network, since=0.0):
    """Wait until every node holds a consensus, newer than `since`, that lists all of them."""
    async with asyncio.timeout(40):
        for node in network.nodes:
            while True:
                seen = (await call(node.home / "control.sock", "status"))["consensus"] or {}
                complete = seen.get("nodes") == len(ROLES) and seen["keys_listed"]
                if complete and seen["valid_after"] > since:
                    break
                await asyncio.sleep(0.1)
