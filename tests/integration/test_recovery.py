"""Nodes as processes of their own, killed and frozen while they carry traffic and between."""

import asyncio
import signal
import time
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from node.client.paths.liveness import ANSWER_S, LATE_S, QUIET_S
from node.client.watch.care import STRANDED_S
from tests.support.network import ProxyError, client, eventually, file_server, held, through
from tools.bench.network import local_network

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.e2e]

ROLES = ("entry", "entry", "relay", "relay", "exit", "exit")
REBUILD_S = 10.0
FROZEN_S = QUIET_S + ANSWER_S + LATE_S + 3.0
"""From the freeze to the reset: silence, echo, and a tick of a second for each."""

BACK_S = STRANDED_S + 10.0
"""From the consensus that lists the nodes again to a request that works."""

POSITIONS = pytest.mark.parametrize(
    "position",
    [
        pytest.param(2, id="exit", marks=pytest.mark.long),
        pytest.param(1, id="middle", marks=pytest.mark.long),
        pytest.param(0, id="entry"),
    ],
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world():
    async with (
        held(local_network(ROLES, policy="accept *:*")) as network,
        file_server(8 << 20) as files,
    ):
        yield network, files


@asynccontextmanager
async def half_a_file(session, files):
    """A transfer that stands still in the middle, and the path it takes."""
    files.half_sent.clear()
    files.go_on.clear()
    async with through(session, "127.0.0.1", files.port) as (reader, writer):
        writer.write(b"HALF")
        await reader.readexactly(len(files.body) // 2)
        made = next(e for e in session.circuits.open if e.circuit.streams)
        yield made.path.nodes, reader


async def fetch(session, files):
    async with through(session, "127.0.0.1", files.port) as (reader, writer):
        writer.write(b"GET ")
        assert await reader.read(-1) == files.body


async def fetch_soon(session, files, timeout_s):
    """Ask again and again, as a person would; returns when it worked."""
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                await fetch(session, files)
            except (OSError, AssertionError, ProxyError):
                await asyncio.sleep(0.2)
            else:
                return time.monotonic()


async def listed_again(network):
    """Wait for a consensus signed from now on that lists every node."""
    before = network.committee.latest.consensus.valid_after
    await eventually(
        lambda: (
            network.committee.latest.consensus.valid_after > before
            and len(network.committee.latest.consensus.nodes) == len(ROLES)
        ),
        25.0,
    )


def cause_of(session, stage):
    return next(row["cause"] for row in session.stages() if row["stage"] == stage)


def failures(session):
    return [event for event in session.circuits.events if event.what == "failed"]


@pytest.mark.parametrize(
    ("position", "words"),
    [(2, "third hop: its link"), (1, "second hop: its link"), (0, "link to entry")],
    ids=["exit", "middle", "entry"],
)
async def test_a_killed_node_is_replaced_within_ten_seconds_and_named(world, position, words):
    network, files = world
    async with client(network.bundle()) as session:
        async with half_a_file(session, files) as (nodes, reader):
            victim = network.nodes[nodes[position].index - 1]
            await victim.stop(number=signal.SIGKILL)
            killed = time.monotonic()
            with pytest.raises(ConnectionResetError):
                await reader.read(-1)
        await fetch(session, files)
        assert time.monotonic() - killed < REBUILD_S
        assert any(words in event.cause for event in failures(session))
        assert any(event.rebuilt_s is not None for event in failures(session))
        assert all(
            victim.index not in [node.index for node in made.path.nodes]
            for made in session.circuits.open
            if made.circuit.is_open
        )
    await victim.start()
    await listed_again(network)


@POSITIONS
async def test_a_node_frozen_in_a_transfer_is_found_out_and_replaced(world, position):
    network, files = world
    async with client(network.bundle()) as session:
        async with half_a_file(session, files) as (nodes, reader):
            victim = network.nodes[nodes[position].index - 1].process
            victim.send_signal(signal.SIGSTOP)
            try:
                frozen = time.monotonic()
                with pytest.raises(ConnectionResetError):
                    await reader.read(-1)
                assert time.monotonic() - frozen < FROZEN_S
                done = await fetch_soon(session, files, REBUILD_S)
                assert done - frozen < FROZEN_S + 2.0
            finally:
                victim.send_signal(signal.SIGCONT)
        hop = ("entry", "second hop", "third hop")[position]
        causes = [event.cause for event in failures(session)]
        assert f"{hop}: did not answer in time when asked for an echo" in causes


@POSITIONS
async def test_a_node_frozen_between_transfers_is_found_by_the_next_request(world, position):
    network, files = world
    async with client(network.bundle()) as session:
        await fetch(session, files)
        made = next(e for e in session.circuits.open if e.key is not None)
        victim = network.nodes[made.path.nodes[position].index - 1].process
        victim.send_signal(signal.SIGSTOP)
        try:
            await fetch_soon(session, files, FROZEN_S + 2.0)
        finally:
            victim.send_signal(signal.SIGCONT)


async def test_several_nodes_killed_at_once(world):
    network, files = world
    async with client(network.bundle()) as session:
        async with half_a_file(session, files) as (nodes, reader):
            victims = [network.nodes[node.index - 1] for node in nodes]
            await asyncio.gather(*(node.stop(number=signal.SIGKILL) for node in victims))
            killed = time.monotonic()
            with pytest.raises(ConnectionResetError):
                await reader.read(-1)
        assert await fetch_soon(session, files, REBUILD_S) - killed < REBUILD_S
    await asyncio.gather(*(node.start() for node in victims))
    await listed_again(network)


async def test_all_guards_killed_and_back(world):
    network, files = world
    async with client(network.bundle()) as session:
        await fetch(session, files)
        victims = [node for node in network.nodes if node.role == "entry"]
        await asyncio.gather(*(node.stop(number=signal.SIGKILL) for node in victims))
        await eventually(lambda: not session.circuits.open)
        await eventually(lambda: "refused" in cause_of(session, "portal"))
        assert cause_of(session, "circuit") == ""
        guards = session.entries.state.guards
        await asyncio.gather(*(node.start() for node in victims))
        await listed_again(network)
        await fetch_soon(session, files, BACK_S)
        assert {row["state"] for row in session.stages()} == {"passed"}
        assert {guard.node_id for guard in guards} == {
            guard.node_id for guard in session.entries.state.guards
        }


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
