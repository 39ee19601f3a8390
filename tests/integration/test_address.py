"""A laptop that changes its address, or loses its cable: a client in a namespace of its own."""

import asyncio

import pytest
import pytest_asyncio

from tests.support.client_process import client_process, is_up
from tests.support.lan import AWAY, HOME, lan_world, unusable
from tests.support.network import held

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.e2e,
    pytest.mark.skipif(bool(unusable()), reason=unusable()),
]

ROLES = ("entry", "entry", "relay", "exit")
RECOVERED_S = 5.0


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world():
    async with held(lan_world(ROLES)) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(world, tmp_path):
    place = world.lan.client
    async with client_process(world.network.bundle(), tmp_path / "client", place=place) as running:
        yield running


def curl(world, client, path="/"):
    socks = client.facts["socks"]
    return world.on_client("curl", "-sS", "--socks5-hostname", socks, "-o", "-", world.url + path)


async def incident(client, words):
    """Wait until an incident of this kind is over."""

    def found(status):
        told = [i for i in status["incidents"] if words in i["cause"]]
        return told[-1] if told and told[-1]["recovered_s"] is not None else None

    return found(await client.until(lambda status: found(status) and is_up(status), 20.0))


async def test_a_new_address_resets_transfers_and_dials_again(world, client):
    code, body, errors = await curl(world, client)
    assert (code, errors) == (0, "")
    assert body == world.files.body
    transfer = asyncio.create_task(curl(world, client, "/slow"))
    await client.until(lambda status: status["streams"]["connected"] == 2)
    await asyncio.sleep(0.5)
    world.lan.move(AWAY)
    try:
        async with asyncio.timeout(RECOVERED_S):
            code, body, _ = await transfer
        assert code != 0
        told = await incident(client, "this machine's address changed")
        assert told["stage"] == "address"
        assert told["recovered_s"] < RECOVERED_S
        code, body, _ = await curl(world, client)
        assert (code, body) == (0, world.files.body)
    finally:
        world.lan.move(HOME)


async def test_a_cable_that_is_pulled_and_put_back(world, client):
    guards = (await client.ask("status"))["guards"]
    world.lan.unplug()
    try:
        failed = await client.until(lambda told: not is_up(told))
        status = await client.until(
            lambda told: next(r for r in told["stages"] if r["stage"] == "address")["cause"]
        )
        assert "no route to the network" in status["stages"][0]["cause"]
        assert failed["stages"]
        await client.until(lambda told: not told["circuits"]["open"])
    finally:
        world.lan.plug()
    told = await incident(client, "no route")
    assert told["stage"] == "address"
    code, body, _ = await curl(world, client)
    assert (code, body) == (0, world.files.body)
    assert (await client.ask("status"))["guards"] == guards, "a cable is no guard's fault"
