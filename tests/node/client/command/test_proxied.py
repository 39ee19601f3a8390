import asyncio
from contextlib import asynccontextmanager

import pytest

from node.client.command.proxied import fetch, open_through
from node.client.doors.door import Command
from node.client.doors.socks import Reply, SocksDoor, encode_reply
from node.config import Endpoint
from node.errors import Stage, StreamError
from qnet.errors import UsageError


@asynccontextmanager
async def socks(answer, *, reply=Reply.SUCCEEDED):
    """A SOCKS5 port whose every destination says `answer`; yields address and requests."""
    asked = []

    async def talk(reader, writer):
        door = SocksDoor()
        while door.request is None:
            data = await reader.read(4096)
            if not data:
                break
            writer.write(door.receive(data))
        else:
            asked.append(door.request)
            writer.write(encode_reply(reply))
            if reply is Reply.SUCCEEDED:
                await reader.read(4096)
                writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield Endpoint(*server.sockets[0].getsockname()), asked


async def test_a_page_is_read_to_its_end_and_measured():
    async with socks(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n" + b"x" * 5000) as (at, asked):
        found = await fetch(at, "http://a.test:81/x?y", label=b"me", max_bytes=10**6)
    assert (found.status, found.size) == (200, 5000)
    assert found.first_byte_s > 0
    (request,) = asked
    assert (request.command, request.host, request.port) == (Command.CONNECT, "a.test", 81)
    assert request.label == b"me"


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200", b"HTTP/1.1\r\n\r\n"]
)
async def test_what_is_no_page_is_told(answer):
    async with socks(answer) as (at, _):
        with pytest.raises(StreamError) as caught:
            await fetch(at, "http://a.test/", label=b"x", max_bytes=100)
    assert caught.value.stage is Stage.TRANSFER


async def test_a_head_without_end_is_bounded():
    async with socks(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000) as (at, _):
        with pytest.raises(StreamError, match="no end of its head"):
            await fetch(at, "http://a.test/", label=b"x", max_bytes=100)


async def test_replies_become_causes():
    async with socks(b"", reply=Reply.REFUSED) as (at, _):
        with pytest.raises(StreamError) as caught:
            await open_through(at, "a.test", 80)
    assert caught.value.why == "the destination refused the connection"
    assert caught.value.stage is Stage.CONNECT


async def test_a_port_that_is_not_there_or_hangs_up():
    async with socks(b"") as (at, _):
        pass
    with pytest.raises(StreamError, match="does not answer"):
        await open_through(at, "a.test", 80)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        with pytest.raises(StreamError, match="hung up"):
            await open_through(Endpoint(*server.sockets[0].getsockname()), "a.test", 80)


@pytest.mark.parametrize(("host", "port"), [("", 80), ("a" * 254, 80), ("a.test", 0)])
async def test_odd_destinations_are_refused_before_anything_is_sent(host, port):
    with pytest.raises(UsageError):
        await open_through(Endpoint("127.0.0.1", 1), host, port)


async def test_other_schemes_are_refused():
    with pytest.raises(UsageError, match="http: or https:"):
        await fetch(Endpoint("127.0.0.1", 1), "ftp://a.test/", label=b"x", max_bytes=1)
