"""A whole client whose streams take the mixnet: guards, schedule, ids, SOCKS port and status."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import pytest_asyncio

from node.client.command.commands import Commands
from node.client.command.screens import status_text
from node.client.mix.service import mix_service
from node.client.session import Session
from node.config import ClientConfig, Endpoint
from tests.support.client_process import client_process
from tests.support.network import eventually, file_server, held, inner_network, through

ROLES = ("entry", "mix", "mix", "mix", "relay", "exit")
EXIT = 6
SIZE = 50_000

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixes")
    calendar = {"consensus_interval_s": 10, "key_phase_s": 5}
    async with held(inner_network(folder, ROLES, overrides=calendar)) as running:
        await eventually(lambda: all(map(knows_all, running.nodes)), timeout_s=30)
        yield running


def knows_all(node):
    consensus = node.mixing.live.consensus
    return consensus is not None and len(consensus.nodes) == len(ROLES)


@asynccontextmanager
async def mix_client(network, home):
    """As `qnet client up --tier mix` puts it together."""
    config = ClientConfig(network={"bundle": home / "network.json"}, tier="mix")
    session = Session(network.bundle(), home)
    async with mix_service(session, home, config) as mix, asyncio.TaskGroup() as group:
        try:
            await session.start(group, timeout_s=20)
            session.spawn(mix.run())
            session.take_mixnet(mix)
            await session.listen(Endpoint("127.0.0.1", 0))
            yield session
        finally:
            await session.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(network, tmp_path_factory):
    async with held(mix_client(network, tmp_path_factory.mktemp("client"))) as session:
        yield session


async def test_streams_take_the_mixnet_and_status_says_what_to_expect(network, client):
    exit_ = network.nodes[EXIT - 1]
    async with file_server(SIZE) as files:
        for _ in range(2):
            async with through(client, "127.0.0.1", files.port, timeout_s=40) as (reader, writer):
                writer.write(b"GET ")
                assert await asyncio.wait_for(reader.read(-1), 60) == files.body
    assert exit_.mix_exit.core.packets_sent > 2 * SIZE / 1976
    assert exit_.core.streams == 0
    facts = await Commands(client, asyncio.Event()).status({})
    found = facts["mix_streams"]
    assert found["tunnels"]["open"] == found["tunnels"]["opened"] == 1
    assert 50 < found["round_trip_ms"] < 5000
    assert 50 < found["connect_ms"] < 5000
    (row,) = found["paths"]
    assert row["exit"] == EXIT
    assert row["bytes_received"] > 2 * SIZE
    text = status_text(facts)
    assert "streams over the mixnet" in text
    assert "kB/s down" in text


async def test_a_new_identity_takes_another_tunnel(client):
    async with file_server(10) as files:
        before = client.mix_tier.opened
        await Commands(client, asyncio.Event()).new({})
        async with through(client, "127.0.0.1", files.port, timeout_s=40) as (reader, writer):
            writer.write(b"GET ")
            assert await asyncio.wait_for(reader.read(-1), 60) == files.body
    assert client.mix_tier.opened == before + 1


async def test_a_client_process_takes_the_mixnet_when_it_is_told_to(network, tmp_path):
    words = ("--tier", "mix")
    async with (
        client_process(network.bundle(), tmp_path / "home", words=words) as process,
        file_server(SIZE) as files,
    ):
        door = SimpleNamespace(listening=[process.facts["socks"]])
        async with through(door, "127.0.0.1", files.port, timeout_s=40) as (reader, writer):
            writer.write(b"GET ")
            assert await asyncio.wait_for(reader.read(-1), 60) == files.body
        found = (await process.ask("status"))["mix_streams"]
        assert found["tunnels"]["opened"] == 1
        assert found["connect_ms"] > 50
        await process.down()
