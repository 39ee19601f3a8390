"""Mixes as processes: one is killed and comes back, and packets flow again."""

import asyncio
import secrets
import signal

import pytest
import pytest_asyncio

from node.io.control import call
from node.mix.packet import ID_BYTES
from tests.support.network import held
from tools.bench.mix_link import mix_link
from tools.bench.network import LOOK_S, local_network

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.e2e, pytest.mark.timeout(180)]

ROLES = ("entry", "mix", "mix", "mix", "exit", "relay")
ENTRY, VICTIM = 1, 3
MIXES = (2, 3, 4)
BACK_S = 60
"""A consensus with its new keys, and until the others trust the way of their loops."""
CALENDAR = {"consensus_interval_s": 10, "key_phase_s": 5}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def network():
    async with held(local_network(ROLES, overrides=CALENDAR)) as running:
        yield running


async def status(node):
    return await call(node.home / "control.sock", "status")


async def eventually(node, condition):
    """Wait for something that a node tells about its mix."""
    async with asyncio.timeout(BACK_S):
        while not condition((await status(node))["mix"]):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(LOOK_S)


async def round_trip(network, count):
    """Send packets to fresh ids of ours; returns how many came back."""
    async with mix_link(network.committee.latest.consensus, ENTRY) as client:
        grant = await client.ask(count)
        client.send([client.packet(name) for name in grant.ids])
        came = set()
        for _ in range(count):
            try:
                came.add((await client.next(client.deliveries, timeout_s=3))[0].delivery_id)
            except TimeoutError:
                break
        assert came <= set(grant.ids)
        return len(came)


async def test_a_mix_that_is_killed_comes_back_and_opens_nothing_old(network):
    assert await round_trip(network, 20) == 20
    victim = network.nodes[VICTIM - 1]
    async with mix_link(network.committee.latest.consensus, ENTRY) as client:
        old = [client.packet(secrets.token_bytes(ID_BYTES)) for _ in range(5)]
        await victim.stop(number=signal.SIGKILL)
        assert await round_trip(network, 10) == 0
        await victim.start()
        client.send(old)
    await eventually(victim, lambda mix: mix["layer"])
    for node in (network.nodes[index - 1] for index in MIXES):
        await eventually(node, lambda mix: not mix["loops"]["alarm"] and mix["loops"]["judged"] > 5)
    assert await round_trip(network, 20) == 20
    drops = (await status(victim))["mix"]["drops"]
    assert drops.keys() <= {"bad_tag", "wrong_phase", "no_loop_route"}
