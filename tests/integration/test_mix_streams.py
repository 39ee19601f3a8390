"""SOCKS streams over the mixnet, over real sockets: client, entry, three mixes, exit, server."""

import asyncio
import time

import pytest
import pytest_asyncio
from python_socks import ProxyError

from node.mix.streams.exit import Cause
from node.status import node_metrics, node_status
from tests.support.mix_streams import mix_streams
from tests.support.network import eventually, file_server, held, inner_network, through

ROLES = ("entry", "mix", "mix", "mix", "exit")
ENTRY, EXIT = 1, 5
SIZE = 100_000
PHASE_S = 5
POLICY = "reject *:9, accept *:*"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixes")
    calendar = {"consensus_interval_s": 10, "key_phase_s": PHASE_S}
    async with held(inner_network(folder, ROLES, policy=POLICY, overrides=calendar)) as running:
        await eventually(lambda: all(map(knows_all, running.nodes)), timeout_s=30)
        yield running


def knows_all(node):
    """Whether a node's consensus lists every node; the first one may come too early for some."""
    consensus = node.mixing.live.consensus
    return consensus is not None and len(consensus.nodes) == len(ROLES)


@pytest_asyncio.fixture(loop_scope="module")
async def client(network):
    async with held(mix_streams(network.nodes[0], ENTRY, EXIT)) as host:
        yield host


@pytest_asyncio.fixture(loop_scope="module")
async def files():
    async with held(file_server(SIZE)) as server:
        yield server


def core(network):
    return network.nodes[EXIT - 1].mix_exit.core


async def test_a_file_comes_through_a_tunnel_and_the_exit_hears_that_it_is_over(
    network, client, files
):
    before = len(core(network))
    async with through(client, "127.0.0.1", files.port) as (reader, writer):
        writer.write(b"GET ")
        assert await asyncio.wait_for(reader.read(-1), 60) == files.body
    assert client.counts.connected == 1
    assert len(core(network)) == before + 1
    status = client.tier.status(1000)
    assert 100 < status["round_trip_ms"] < 3000
    assert status["tunnels"] == {"open": 1, "opened": 1, "failed": 0}
    await eventually(lambda: core(network).streams == 0)


async def test_an_echo_takes_about_six_delays_and_a_turn(client, files):
    async with through(client, "127.0.0.1", files.port) as (reader, writer):
        writer.write(b"ECHO")
        waits = []
        for _ in range(5):
            started = time.monotonic()
            writer.write(b"hello")
            assert await asyncio.wait_for(reader.readexactly(5), 30) == b"hello"
            waits.append(time.monotonic() - started)
    assert 0.05 < sorted(waits)[2] < 2.0


async def test_labels_have_tunnels_of_their_own(network, client, files):
    for label in ("one", "two", "one"):
        async with through(client, "127.0.0.1", files.port, label=label) as (reader, writer):
            writer.write(b"ECHOx")
            assert await asyncio.wait_for(reader.readexactly(1), 30) == b"x"
    assert client.tier.opened == 2
    assert client.tier.renew() == 2
    async with through(client, "127.0.0.1", files.port, label="one") as (reader, writer):
        writer.write(b"ECHOx")
        assert await asyncio.wait_for(reader.readexactly(1), 30) == b"x"
    assert client.tier.opened == 3


async def test_a_transfer_crosses_key_phases(network, client, files):
    phases = set()
    async with through(client, "127.0.0.1", files.port) as (reader, writer):
        writer.write(b"ECHO")
        while len(phases) < 3:
            phases.add(client.link.phase)
            writer.write(files.body[:5000])
            got = await asyncio.wait_for(reader.readexactly(5000), 30)
            assert got == files.body[:5000]
            await asyncio.sleep(PHASE_S / 5)
    assert not client.tier.failed
    assert core(network).dropped[Cause.UNREADABLE] == 0


async def test_what_is_lost_for_seconds_comes_all_the_same(client, files):
    async with through(client, "127.0.0.1", files.port) as (reader, writer):
        writer.write(b"GET ")
        head = await asyncio.wait_for(reader.readexactly(SIZE // 4), 30)
        client.losing = True
        await asyncio.sleep(2)
        client.losing = False
        rest = await asyncio.wait_for(reader.readexactly(SIZE - SIZE // 4), 60)
    assert head + rest == files.body


async def test_the_exit_tells_of_its_tunnels(network):
    exit_, entry = network.nodes[EXIT - 1], network.nodes[ENTRY - 1]
    status, metrics = node_status(exit_), node_metrics(exit_)
    assert status["tunnels"]["packets_sent"] > 0
    assert metrics.gauges["qnet_mix_tunnels"] == ("", {"": float(len(core(network)))})
    ends = metrics.counters["qnet_mix_tunnel_ends"][1]
    assert set(ends) == {cause.value for cause in Cause}
    assert node_status(entry)["tunnels"] is None
    assert "qnet_mix_tunnels" not in node_metrics(entry).gauges
    assert "qnet_mix_tunnel_ends" not in node_metrics(entry).counters


async def test_the_exit_keeps_its_policy(network, client, files):
    rejects = network.nodes[EXIT - 1].counters.policy_rejects
    with pytest.raises(ProxyError):
        async with through(client, "127.0.0.1", 9, timeout_s=40):
            pass
    assert rejects["policy"] == 1
    async with through(client, "127.0.0.1", files.port) as (reader, writer):
        writer.write(b"ECHOx")
        assert await asyncio.wait_for(reader.readexactly(1), 30) == b"x"
