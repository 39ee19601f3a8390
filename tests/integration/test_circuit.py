"""Streams through three hops over real sockets, all nodes in this process."""

import asyncio
import hashlib
import os

import pytest
import pytest_asyncio
from python_socks.async_.asyncio import Proxy

from tests.support.dns_server import dns_server
from tests.support.network import (
    client,
    eventually,
    file_server,
    held,
    inner_network,
    socks_url,
    through,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROLES = ("entry", "relay", "exit")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("circuit")
    async with (
        dns_server({"files.test.": ("127.0.0.1",)}) as names,
        held(inner_network(folder, ROLES, dns=f"127.0.0.1:{names.port}")) as network,
        held(client(network.bundle(), folder)) as session,
        file_server() as files,
    ):
        yield network, session, files


async def get(session, files, host="files.test", **options):
    async with through(session, host, files.port, **options) as (reader, writer):
        writer.write(b"GET ")
        return await reader.read(-1)


async def test_a_file_arrives_whole(world):
    _, session, files = world
    assert hashlib.sha256(await get(session, files)).digest() == files.digest


async def test_four_streams_at_once(world):
    _, session, files = world
    bodies = await asyncio.gather(*(get(session, files) for _ in range(4)))
    assert all(body == files.body for body in bodies)


async def test_bytes_go_up_and_come_back(world):
    _, session, files = world
    sent = os.urandom(3 << 20)
    async with through(session, "files.test", files.port) as (reader, writer):
        writer.write(b"ECHO" + sent)
        writer.write_eof()
        assert await reader.read(-1) == sent


async def test_a_slow_reader_stalls_nobody_else(world):
    _, session, files = world
    async with through(session, "files.test", files.port) as (slow_reader, slow_writer):
        slow_writer.write(b"GET ")
        await slow_reader.readexactly(1)
        for _ in range(2):
            assert await get(session, files) == files.body
        assert len(await slow_reader.read(-1)) == len(files.body) - 1


async def test_labels_never_share_a_circuit(world):
    _, session, files = world
    async with (
        through(session, "files.test", files.port, label="alice") as (alice, alice_out),
        through(session, "files.test", files.port, label="bob") as (bob, bob_out),
    ):
        used = [entry for entry in session.circuits.open if entry.key is not None]
        by_label = {entry.key.label: entry for entry in used if entry.circuit.streams}
        assert by_label[b"alice"] is not by_label[b"bob"]
        for reader, writer in ((alice, alice_out), (bob, bob_out)):
            writer.write(b"GET ")
            assert await reader.read(-1) == files.body


async def test_resolve_asks_the_exit(world):
    _, session, _ = world
    host, _, port = session.listening[0].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\x05\x01\x00" + b"\x05\xf0\x00\x03\x0afiles.test\x00\x00")
    assert await reader.readexactly(2) == b"\x05\x00"
    answer = await reader.read(-1)
    assert answer == b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00"
    writer.close()


async def test_unknown_names_fail_with_the_right_reply(world):
    _, session, _ = world
    host, _, port = session.listening[0].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\x05\x01\x00" + b"\x05\x01\x00\x03\x09none.test\x00\x50")
    assert (await reader.read(-1))[2:4] == b"\x05\x04"
    assert "cannot resolve" in session.last_error["why"]
    writer.close()


async def test_a_closed_port_is_told(world):
    _, session, _ = world
    host, _, port = session.listening[0].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\x05\x01\x00" + b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x01")
    assert (await reader.read(-1))[2:4] == b"\x05\x05"
    writer.close()


async def test_garbage_on_the_port_harms_nobody(world):
    _, session, files = world
    host, _, port = session.listening[0].rpartition(":")
    for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\x04\x01\x00\x50", b"\xff" * 3000, b"\x05\x00"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(junk)
        await reader.read(-1)
        writer.close()
    assert await get(session, files) == files.body


async def test_circuits_are_rekeyed_under_traffic(world):
    _, session, files = world
    entry = None
    async with through(session, "files.test", files.port, label="rekey") as (reader, writer):
        entry = next(e for e in session.circuits.open if e.key and e.key.label == b"rekey")
        entry.circuit.rekey()
        writer.write(b"GET ")
        assert await reader.read(-1) == files.body
    assert entry.circuit.rekeys >= 3


async def test_status_tells_what_is_there(world):
    network, session, files = world
    await get(session, files)
    status = session.status()
    assert status["state"] == "up"
    assert status["consensus"]["nodes"] == 3
    assert status["anonymity"] == "small"
    assert "below the 1000 this network aims for" in status["warning"]
    assert session.circuits.rows()[0]["roles"] == list(ROLES)
    for node in network.nodes:
        shown = await node._status({})
        assert shown["state"] == "in the consensus"
        assert shown["cells"]["received"] > 0
        assert shown["committee"][0]["reachable"]


async def test_streams_leave_nothing_behind(world):
    network, session, files = world
    await get(session, files)
    await eventually(lambda: not network.nodes[2].core.streams and not session.counts.active)
    assert len(network.nodes[2].exits) == 0
    assert all(not entry.circuit.streams for entry in session.circuits.open)


async def test_a_client_without_a_consensus_says_which_seed_failed_why(world):
    from node.client.session import Session
    from node.errors import BootstrapError
    from tools.bench.committee import LocalCommittee

    network, _, _ = world
    stranger = LocalCommittee(network.committee.overrides)
    bundle = stranger.bundle(network.bundle().seeds)
    async with asyncio.TaskGroup() as group:
        with pytest.raises(BootstrapError) as caught:
            await Session(bundle, None).start(group, timeout_s=1.5)
    assert "seed" in caught.value.why
    assert "cryptographic check failed" in caught.value.why


async def test_proxy_library_agrees(world):
    _, session, files = world
    proxy = Proxy.from_url(socks_url(session), rdns=True)
    sock = await proxy.connect("files.test", files.port)
    sock.close()
