"""What an exit must not do, asked for over real circuits."""

import asyncio

import pytest
import pytest_asyncio

from node.client.doors.socks import Reply
from node.config import Endpoint
from tests.support.dns_server import dns_server
from tests.support.network import client, eventually, file_server, held, inner_network

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refusals")
    names = {"inside.test.": ("127.0.0.1",), "metadata.test.": ("169.254.169.254",)}
    async with (
        dns_server(names) as server,
        held(
            inner_network(
                folder,
                ("entry", "relay", "exit"),
                policy="reject *:1-99, accept *:*",
                dns=f"127.0.0.1:{server.port}",
                allow_private=False,
            )
        ) as network,
        held(client(network.bundle())) as session,
        file_server(1000) as files,
    ):
        yield network, session, files


async def ask(session, host, port, *, where=""):
    at, _, socks_port = (where or session.listening[0]).rpartition(":")
    reader, writer = await asyncio.open_connection(at, int(socks_port))
    name = host.encode()
    writer.write(b"\x05\x01\x00" + b"\x05\x01\x00\x03" + bytes([len(name)]) + name)
    writer.write(port.to_bytes(2))
    answer = await reader.read(-1)
    writer.close()
    return Reply(answer[3])


@pytest.mark.parametrize("host", ["inside.test", "metadata.test"])
async def test_names_of_private_addresses_are_refused_by_the_exit(world, host):
    network, session, files = world
    assert await ask(session, host, files.port) is Reply.NOT_ALLOWED
    assert session.last_error["why"] == "the exit's policy refuses it"
    assert network.nodes[2].counters.policy_rejects["private"] >= 1
    assert files.half_sent.is_set() is False


async def test_ports_no_exit_offers_fail_before_anything_is_sent(world):
    _, session, _ = world
    opened = session.counts.connected
    assert await ask(session, "inside.test", 80) is Reply.FAILURE
    assert "no exit node fits" in session.last_error["message"]
    assert "none admits inside.test:80" in session.last_error["why"]
    assert session.counts.connected == opened


async def test_raw_addresses_can_be_refused(world):
    _, session, files = world
    door = await session.listen(Endpoint("127.0.0.1", 0), raw_address="refuse")
    strict = door.listener.address
    assert await ask(session, "127.0.0.1", files.port, where=strict) is Reply.NOT_ALLOWED
    assert session.counts.raw_addresses == 1
    door.close()


async def test_a_refused_stream_leaves_its_circuit_in_use(world):
    network, session, files = world
    await ask(session, "inside.test", files.port)
    await eventually(lambda: network.nodes[2].core.streams == 0)
    assert any(entry.circuit.is_open for entry in session.circuits.open)
