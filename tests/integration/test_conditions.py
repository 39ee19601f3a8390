"""A wrong clock, a portal, sleep and shutdown: real nodes, a machine that misbehaves."""

import asyncio
import json
import signal
import socket
import struct
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from node.client.session import Session
from node.client.watch.sockets import own_sockets
from node.errors import BootstrapError, Stage
from node.htx.address import HtxAddress
from tests.node.io.endpoint_rig import close_all, fresh_keys, start_server
from tests.support.client_process import client_process, is_up
from tests.support.network import client, eventually, file_server, held, through
from tools.bench.network import local_network

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.e2e]

ROLES = ("entry", "entry", "relay", "exit")
HOUR = 3600.0
QNET = str(Path(sys.executable).with_name("qnet"))
PORTAL = b"HTTP/1.1 302 Found\r\nLocation: http://login.portal.example/\r\n\r\n"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def network():
    async with held(local_network(ROLES, policy="accept *:*")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def files():
    async with file_server(1 << 20) as server:
        yield server


async def fetch(session, files):
    async with through(session, "127.0.0.1", files.port) as (reader, writer):
        writer.write(b"GET ")
        assert await reader.read(-1) == files.body


def row(session, stage):
    return next(row for row in session.stages() if row["stage"] == stage)


async def failed_start(bundle, *, timeout_s, state=None, **options):
    with pytest.raises(BaseExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            await Session(bundle, state, **options).start(group, timeout_s=timeout_s)
    (error,) = caught.value.exceptions
    assert isinstance(error, BootstrapError)
    return error


def happened(session, cause):
    """Whether a session recorded an incident of this cause."""
    return any(incident.cause == cause for incident in session.care.incidents)


# a wrong clock


@pytest.mark.parametrize(
    ("hours", "words"),
    [(-5, "about 5 h 0 min behind"), (5, "about 5 h 0 min ahead"), (-1, "behind"), (1, "ahead")],
)
async def test_a_wrong_clock_is_named_with_its_size_and_evidence(network, hours, words):
    error = await failed_start(
        network.bundle(), timeout_s=3, wall=lambda: time.time() + hours * HOUR
    )
    assert error.stage is Stage.CLOCK
    assert words in f"{error.message} {error.why}"
    assert "a quorum's consensus" in error.why or "pinned key" in error.why
    assert any("set the clock" in step for step in error.try_)


async def test_a_client_comes_up_when_the_clock_is_corrected(network):
    offset = -5 * HOUR
    session = Session(network.bundle(), None, wall=lambda: time.time() + offset)
    async with asyncio.TaskGroup() as group:
        starting = group.create_task(session.start(group, timeout_s=20))
        await eventually(lambda: row(session, "clock")["state"] == "failed")
        assert "about 5 h 0 min behind" in row(session, "clock")["cause"]
        offset = 0.0
        await starting
        assert {stage["state"] for stage in session.stages()} == {"passed"}
        assert any("was set forward" in incident.cause for incident in session.care.incidents)
        await session.stop()


async def test_a_clock_that_goes_wrong_and_right_again_in_a_running_client(network, files):
    offset = 0.0
    async with client(network.bundle(), wall=lambda: time.time() + offset) as session:
        await fetch(session, files)
        offset = 12 * HOUR
        await eventually(lambda: happened(session, "the clock was set forward by about 12 h 0 min"))
        await eventually(lambda: row(session, "consensus")["state"] != "passed")
        offset = 0.0
        await eventually(lambda: happened(session, "the clock was set back by about 12 h 0 min"))
        await eventually(lambda: row(session, "circuit")["state"] == "passed")
        await fetch(session, files)
        named = [incident.cause for incident in session.care.incidents]
        assert sum("was set" in cause for cause in named) == 2
        # Meanwhile it may have heard of the wrong clock from a node too.
        assert all("was set" in cause or "is about 12 h 0 min ahead" in cause for cause in named)


# what answers in place of the network


async def redirect(reader, writer):
    await reader.read(1)
    writer.write(PORTAL)
    await writer.drain()


async def hold(reader, writer):
    await reader.read()


async def reset(_reader, writer):
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


@asynccontextmanager
async def answering(talk, host="127.0.0.1", port=0):
    """A TCP server that does one thing to every connection; gives its port."""

    async def serve(reader, writer):
        with suppress(OSError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def another_key():
    """A TLS server with another certificate than any node's."""
    server, _keys, _ = await start_server(keys=fresh_keys())
    try:
        yield server.port
    finally:
        await close_all()
        await server.close()


@asynccontextmanager
async def nobody():
    """A port where nothing listens."""
    async with answering(hold) as port:
        pass
    yield port


def moved(bundle, ports):
    """The bundle with its seeds at other ports of loopback."""
    line = bundle.seeds[0]
    address = HtxAddress.parse(line)
    was = f"{address.host}:{address.port}"
    return replace(bundle, seeds=tuple(line.replace(was, f"127.0.0.1:{port}") for port in ports))


@pytest.mark.parametrize(
    ("impostor", "stage", "words", "timeout_s"),
    [
        (lambda: answering(redirect), Stage.PORTAL, "no TLS", 2),
        (another_key, Stage.PORTAL, "another certificate's key", 2),
        (lambda: answering(reset), Stage.SEED, "cut or silenced once they stand", 2),
        (nobody, Stage.SEED, "every connection is refused", 2),
        (lambda: answering(hold), Stage.SEED, "cut or silenced once they stand", 6),
    ],
    ids=["redirect", "other key", "reset", "refused", "silence"],
)
async def test_what_stands_in_the_way_is_named(network, impostor, stage, words, timeout_s):
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(impostor()) for _ in range(2)]
        error = await failed_start(moved(network.bundle(), ports), timeout_s=timeout_s)
    assert error.stage is stage
    assert words in error.why
    assert "2 of 2 nodes tried" in error.why
    assert error.try_


async def test_signing_in_to_the_portal_lets_the_client_come_up(network, files):
    signed_in = asyncio.Event()
    seed = HtxAddress.parse(network.bundle().seeds[0])

    async def gate(reader, writer):
        if not signed_in.is_set():
            await redirect(reader, writer)
            return
        inner_reader, inner_writer = await asyncio.open_connection(seed.host, seed.port)
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, inner_writer))
            group.create_task(pump(inner_reader, writer))

    async with answering(gate) as one, answering(gate) as two:
        session = Session(moved(network.bundle(), [one, two]), None)
        async with asyncio.TaskGroup() as group:
            starting = group.create_task(session.start(group, timeout_s=20))
            await eventually(lambda: row(session, "portal")["state"] == "failed")
            assert "something answers in place of the network" in row(session, "portal")["cause"]
            assert any("sign in" in step for step in row(session, "portal")["try"])
            signed_in.set()
            await starting
            assert row(session, "portal")["state"] == "passed"
            await session.stop()


@asynccontextmanager
async def impostors(nodes):
    """Kill nodes and answer in their place as a portal does; they are back afterwards."""
    try:
        async with AsyncExitStack() as stack:
            for node in nodes:
                await node.stop(number=signal.SIGKILL)
                host, _, port = node.listen.rpartition(":")
                await stack.enter_async_context(answering(redirect, host, int(port)))
            yield
    finally:
        await asyncio.gather(*(node.start() for node in nodes))


@pytest.mark.long
async def test_a_portal_in_place_of_the_guards_is_named_and_changes_no_guard(
    network, files, tmp_path
):
    entries = [node for node in network.nodes if node.role == "entry"]
    async with client(network.bundle(), tmp_path) as session:
        await fetch(session, files)
        guards = {guard.node_id for guard in session.entries.state.guards}
        async with impostors(entries):
            await eventually(
                lambda: "something answers in place" in row(session, "portal")["cause"], 20
            )
            await eventually(lambda: session.entries.is_cut_off)
            error = await failed_start(network.bundle(), timeout_s=3, state=tmp_path)
            assert error.stage is Stage.PORTAL, "its consensus was cached: circuits failed"
        await eventually(lambda: row(session, "circuit")["state"] == "passed", 40)
        await fetch(session, files)
        assert {guard.node_id for guard in session.entries.state.guards} == guards


async def test_the_command_says_stage_cause_and_what_to_try(network, tmp_path):
    async with answering(redirect) as one, answering(redirect) as two:
        path = tmp_path / "network.json"
        path.write_text(json.dumps(moved(network.bundle(), [one, two]).to_json()))
        process = await asyncio.create_subprocess_exec(
            *(QNET, "client", "up", "--home", str(tmp_path / "c"), "--bundle", str(path)),
            *("--listen", "127.0.0.1:0", "--timeout", "3"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, told = await process.communicate()
    assert process.returncode == 8
    assert "portal: something answers in place of the network" in told.decode()
    assert "sign in to the Wi-Fi" in told.decode()


async def pump(reader, writer):
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


# sleep


async def test_a_machine_that_slept_resets_its_streams_and_is_back_at_once(network, files):
    slept = 0.0
    async with client(network.bundle(), boot=lambda: time.monotonic() + slept) as session:
        async with through(session, "127.0.0.1", files.port) as (reader, writer):
            writer.write(b"ECHO")
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            slept = 2 * HOUR
            with pytest.raises(ConnectionResetError):
                async with asyncio.timeout(3):
                    await reader.read(1)
        async with asyncio.timeout(5):
            await fetch(session, files)
        incident = next(i for i in session.care.incidents if i.stage is Stage.SUSPEND)
        assert incident.cause == "this machine was suspended for about 2 h 0 min"
        await eventually(lambda: incident.recovered_s is not None)
        assert incident.recovered_s < 5
        built = [guard.failed for guard in session.entries.state.guards]
        assert built == [0] * len(built), "a sleep is no guard's fault"


# the client's look at itself


def verdicts(found):
    return {row["name"]: row["verdict"] for row in found["rows"]}


async def test_the_check_has_a_verdict_and_evidence_for_everything(network):
    async with client(network.bundle()) as session:
        found = await session.check()
        assert found["verdict"] == "pass"
        assert verdicts(found) == {
            "SOCKS port answers": "pass",
            "names are resolved by the exit": "pass",
            "this machine's DNS is not used": "pass",
            "IPv6 does not go past the network": "pass",
            "connections go to nodes only": "pass",
            "the destination sees the exit": "not tested",
            "clock": "pass",
            "consensus": "pass",
            "anonymity set": "warning",
        }
        assert all(row["evidence"] for row in found["rows"])
        evidence = {row["name"]: row["evidence"] for row in found["rows"]}
        exits = [node.index for node in network.nodes if node.role == "exit"]
        assert evidence["names are resolved by the exit"].startswith(f"exit {exits[0]} answered")


def page_that_saw(address):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{address}".encode())
        await writer.drain()

    return answering(answer)


async def test_the_check_judges_by_what_a_page_saw(network):
    exit_host = next(node.listen for node in network.nodes if node.role == "exit").partition(":")[0]
    name = "the destination sees the exit"
    async with client(network.bundle()) as session:
        async with page_that_saw(exit_host) as port:
            found = await session.check(f"http://127.0.0.1:{port}/")
            assert (found["verdict"], verdicts(found)[name]) == ("pass", "pass")
        async with page_that_saw("127.0.0.1") as port:
            found = await session.check(f"http://127.0.0.1:{port}/")
            assert (found["verdict"], verdicts(found)[name]) == ("fail", "fail")
        found = await session.check(f"http://127.0.0.1:{port}/")
        assert verdicts(found)[name] == "not tested", "nobody answers there any more"
        found = await session.check("https://page.example/")
        assert verdicts(found)[name] == "not tested"


async def test_without_a_network_the_check_says_what_it_could_not_test(network):
    async with asyncio.TaskGroup() as group:
        session = Session(network.bundle(), None, ready=0)
        starting = group.create_task(session.care.run())
        found = verdicts(await session.check())
        assert found["SOCKS port answers"] == "not tested"
        assert found["names are resolved by the exit"] == "not tested"
        assert found["consensus"] == "fail"
        assert found["clock"] == "not tested"
        starting.cancel()


# the end


async def test_a_client_is_gone_within_two_seconds_and_leaves_nothing(network, files):
    tasks, sockets = asyncio.all_tasks(), len(own_sockets())
    victims = [node.process for node in network.nodes if node.role == "entry"]
    async with client(network.bundle()) as session:
        await fetch(session, files)
        await eventually(lambda: len(session.circuits.open) >= 2)
        for victim in victims:
            victim.send_signal(signal.SIGSTOP)  # nobody says goodbye
        try:
            began = time.monotonic()
            await session.stop()
            assert time.monotonic() - began < 2
        finally:
            for victim in victims:
                victim.send_signal(signal.SIGCONT)
    await eventually(lambda: asyncio.all_tasks() <= tasks)
    await eventually(lambda: len(own_sockets()) <= sockets)


# the process


async def test_a_client_stopped_for_longer_than_the_consensus_lives_comes_back(network, tmp_path):
    interval = network.committee.parameters.consensus_interval_s
    async with client_process(network.bundle(), tmp_path / "client") as running:
        before = await running.ask("status")
        running.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(3 * interval + 2)
        running.process.send_signal(signal.SIGCONT)
        status = await running.until(
            lambda told: is_up(told) and any(i["recovered_s"] for i in told["incidents"])
        )
        incident = status["incidents"][0]
        assert "this program did not run for about" in incident["cause"]
        assert incident["recovered_s"] < 8
        valid_after = status["consensus"]["valid_after"]
        assert valid_after >= before["consensus"]["valid_after"] + 2 * interval


async def test_down_takes_less_than_two_seconds(network, tmp_path):
    async with client_process(network.bundle(), tmp_path / "client") as running:
        assert await running.down() < 2
        assert b"Traceback" not in await running.process.stderr.read()
