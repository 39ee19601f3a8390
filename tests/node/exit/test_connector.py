import asyncio
import time

import pytest

from node.errors import ExitRefusedError, ResolveError, StreamError
from node.exit.connector import Connector
from node.exit.policy import ExitPolicy
from node.exit.resolver import Resolver
from tests.support.dns_server import dns_server


def connector(port, *, policy="accept *:*", allow_private=True, refused=None, timeout_s=3.0):
    return Connector(
        ExitPolicy.parse(policy, allow_private=allow_private),
        Resolver(f"127.0.0.1:{port}", now=time.monotonic, timeout_s=1),
        timeout_s,
        (refused if refused is not None else []).append,
    )


@pytest.fixture
async def listener():
    accepted = []

    async def talk(reader, writer):
        accepted.append(writer.get_extra_info("sockname")[0])
        await reader.read()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        server.accepted = accepted
        server.port = server.sockets[0].getsockname()[1]
        yield server


class Closing(asyncio.Protocol):
    def connection_made(self, transport):
        transport.close()


async def test_connects_to_a_resolved_address(listener):
    async with dns_server({"here.test.": ("127.0.0.1",)}) as server:
        address = await connector(server.port).connect("here.test", listener.port, Closing)
    assert str(address) == "127.0.0.1"


async def test_a_name_of_a_private_address_is_refused_and_nothing_is_contacted(listener):
    refused = []
    async with dns_server({"inside.test.": ("127.0.0.1",)}) as server:
        with pytest.raises(ExitRefusedError) as caught:
            await connector(server.port, allow_private=False, refused=refused).connect(
                "inside.test", listener.port, Closing
            )
    assert caught.value.rule == "private"
    assert refused == ["private"]
    assert listener.accepted == []


async def test_policy_refuses_a_port(listener):
    with pytest.raises(ExitRefusedError) as caught:
        await connector(1, policy="reject *:*").connect("127.0.0.1", listener.port, Closing)
    assert caught.value.rule == "policy"


async def test_unknown_names_are_told_apart():
    async with dns_server({}) as server:
        with pytest.raises(ResolveError):
            await connector(server.port).connect("nowhere.test", 80, Closing)


async def test_a_closed_port_is_a_refused_connection():
    probe = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = probe.sockets[0].getsockname()[1]
    probe.close()
    await probe.wait_closed()
    with pytest.raises(StreamError) as caught:
        await connector(1).connect("127.0.0.1", port, Closing)
    assert caught.value.why == "connection refused"


async def test_the_second_address_is_tried_when_the_first_refuses(listener):
    async with dns_server({"two.test.": ("127.0.0.2", "127.0.0.1")}) as server:
        address = await connector(server.port).connect("two.test", listener.port, Closing)
    assert str(address) == "127.0.0.1"


async def test_no_answer_in_time_is_said():
    async with dns_server({}) as server:
        with pytest.raises(StreamError) as caught:
            await connector(server.port, timeout_s=0.1).connect("silent.test", 80, Closing)
    assert "no answer within" in caught.value.why
