"""Nodes as processes of their own, killed while they carry traffic."""

import asyncio
import signal
import time

import pytest
import pytest_asyncio

from tests.support.network import client, eventually, file_server, held, through
from tools.bench.network import local_network

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.e2e]

ROLES = ("entry", "entry", "relay", "relay", "exit", "exit")
REBUILD_S = 10.0


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world():
    async with (
        held(local_network(ROLES, policy="accept *:*")) as network,
        file_server(8 << 20) as files,
    ):
        yield network, files


@pytest.mark.parametrize(
    ("position", "words"),
    [(2, "third hop: its link"), (1, "second hop: its link"), (0, "link to entry")],
    ids=["exit", "middle", "entry"],
)
async def test_a_killed_node_is_replaced_within_ten_seconds_and_named(world, position, words):
    network, files = world
    files.half_sent.clear()
    files.go_on.clear()
    async with client(network.bundle()) as session:
        async with through(session, "127.0.0.1", files.port) as (reader, writer):
            writer.write(b"HALF")
            await reader.readexactly(len(files.body) // 2)
            entry = next(e for e in session.circuits.open if e.circuit.streams)
            victim = network.nodes[entry.path.nodes[position].index - 1]
            await victim.stop(number=signal.SIGKILL)
            killed = time.monotonic()
            with pytest.raises(ConnectionResetError):
                await reader.read(-1)
        async with through(session, "127.0.0.1", files.port) as (reader, writer):
            writer.write(b"GET ")
            assert await reader.read(-1) == files.body
        assert time.monotonic() - killed < REBUILD_S
        failed = [event for event in session.circuits.events if event.what == "failed"]
        assert any(words in event.cause for event in failed)
        assert any(event.rebuilt_s is not None for event in failed)
        assert all(
            victim.index not in [node.index for node in entry.path.nodes]
            for entry in session.circuits.open
            if entry.circuit.is_open
        )
    await victim.start()
    before = network.committee.latest.consensus.valid_after
    await eventually(
        lambda: (
            network.committee.latest.consensus.valid_after > before
            and len(network.committee.latest.consensus.nodes) == len(ROLES)
        ),
        25.0,
    )


async def test_a_stopped_node_drains_and_says_so(world):
    network, files = world
    async with client(network.bundle()) as session:
        async with through(session, "127.0.0.1", files.port) as (reader, writer):
            writer.write(b"GET ")
            await reader.readexactly(1)
            entry = next(e for e in session.circuits.open if e.circuit.streams)
            victim = network.nodes[entry.path.nodes[1].index - 1]
            await reader.read(-1)
            await victim.stop()
            await eventually(lambda: bool(session.circuits.events))
        causes = [event.cause for event in session.circuits.events]
        assert any("the node stopped" in cause or "broke" in cause for cause in causes)
    await victim.start()
    await asyncio.sleep(0)
