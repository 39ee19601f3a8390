"""The listening side: one web site for everybody without a good, fresh ticket; caps; restarts."""

import asyncio
import secrets
import socket
import ssl
import time

import aiohttp
import pytest

from node.errors import LinkError
from node.htx.events import CloseReason
from node.htx.gate import TokenBuckets
from node.htx.http2_client import Carrier, frame, opening, request
from node.htx.ticket import encode_token, issue
from node.io.decoy import load_site
from node.io.endpoint import dial
from node.io.ticket_store import FileTicketStore
from node.io.tls import TlsStream, client_context, default_template
from qnet.crypto.keys import DhKey
from tests.node.io.endpoint_rig import (
    PARAMETERS,
    Recorder,
    address_of,
    close_all,
    condition,
    fresh_keys,
    start_server,
)


@pytest.fixture(autouse=True)
async def no_leftovers():
    yield
    await close_all()


PING = frame(6, 0, 0, b"are you?")
PONG = frame(6, 1, 0, b"are you?")


class Prober:
    """Speaks TLS and whatever bytes it is given."""

    def __init__(self, port):
        self.port = port
        self.tls = TlsStream(client_context(default_template()), "notes.example")

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        while not self.tls.handshake():
            self.writer.write(self.tls.output())
            self.tls.feed(await self.reader.read(65_536))
        return self

    async def __aexit__(self, *_exc):
        self.writer.close()
        await self.writer.wait_closed()

    def send(self, data):
        for at in range(0, len(data), 16_000):
            self.tls.write(data[at : at + 16_000])
        self.writer.write(self.tls.output())

    async def read_until(self, end=None):
        """Everything up to `end`, or to the end of the stream."""
        got = b""
        while end is None or end not in got:
            data = await self.reader.read(65_536)
            if not data:
                return got
            self.tls.feed(data)
            try:
                while piece := self.tls.read():
                    got += piece
            except EOFError:
                return got
        return got


async def probe(port, token, carrier):
    async with Prober(port) as prober:
        template = default_template()
        prober.send(opening(template) + request(template, "notes.example", token, carrier) + PING)
        return await prober.read_until(PONG)


def make_token(keys, *, hours=0, ticket_key=None):
    ((key_id, key),) = keys.ticket_keys.items()
    ticket = issue(
        (ticket_key or key).public,
        key_id,
        keys.spki_hash,
        unix_s=time.time() + 3600 * hours,
        random=secrets.token_bytes,
    )
    return encode_token(ticket, lambda size: bytes([8]) * size)


@pytest.mark.parametrize("carrier", list(Carrier))
async def test_everybody_without_a_good_ticket_gets_the_same_bytes(carrier):
    server, keys, accepted = await start_server()
    used = make_token(keys)
    link_like = await probe_link(server.port, used, carrier)
    assert PONG not in link_like
    other = DhKey(secrets.token_bytes(32))
    tokens = {
        "absent": "",
        "malformed": "x" * len(used),
        "short": used[:100],
        "not base64": "*" * len(used),
        "stale": make_token(keys, hours=-2),
        "early": make_token(keys, hours=2),
        "replayed": used,
        "wrong key": make_token(keys, ticket_key=other),
        "no key id": make_token(fresh_keys()),
    }
    while True:
        started = int(time.time())
        answers = {name: await probe(server.port, token, carrier) for name, token in tokens.items()}
        if int(time.time()) == started:  # the date header is part of the comparison
            break
    assert len(set(answers.values())) == 1, {name: len(item) for name, item in answers.items()}
    plain = answers["absent"]
    page = b"405 Method Not Allowed" if carrier is Carrier.BODY else b"Field notes"
    assert page in plain
    assert plain.endswith(PONG)
    assert not accepted.links
    await server.close()


async def probe_link(port, token, carrier):
    """Send a good ticket and nothing else; return what the server says before inner bytes."""
    async with Prober(port) as prober:
        template = default_template()
        prober.send(opening(template) + request(template, "notes.example", token, carrier))
        got = b""
        while got.count(b"\x01\x04\x00\x00\x00\x01") == 0:
            data = await prober.reader.read(65_536)
            prober.tls.feed(data)
            while piece := prober.tls.read():
                got += piece
        return got


async def test_the_headers_of_a_link_are_those_of_the_site():
    server, keys, _ = await start_server()
    while True:
        started = int(time.time())
        admitted = await probe_link(server.port, make_token(keys), Carrier.QUERY)
        visitor = await probe(server.port, "x", Carrier.QUERY)
        if int(time.time()) == started:
            break
    assert visitor.startswith(admitted)
    await server.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_http_1_clients_get_the_same_site(method):
    server, keys, _ = await start_server()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    path = f"/?v={make_token(keys)}"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"https://127.0.0.1:{server.port}{path}", ssl=context) as response,
    ):
        assert response.version == aiohttp.HttpVersion11
        assert response.status == (200 if method == "GET" else 405)
        assert (b"Field notes" in await response.read()) == (method == "GET")
    assert server.stats.opened == 0
    await server.close()


async def test_an_operators_folder_is_served(tmp_path):
    (tmp_path / "index.html").write_text("my own page")
    server, _, _ = await start_server(decoy=load_site(tmp_path))
    assert b"my own page" in await probe(server.port, "", Carrier.COOKIE)
    await server.close()


async def test_garbage_and_half_open_connections_do_no_harm():
    server, keys, accepted = await start_server()
    for data in (b"", b"\x16", b"GET / HTTP/1.1\r\n\r\n", secrets.token_bytes(500)):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(data)
        if len(data) > 10:
            async with asyncio.timeout(10):
                await reader.read()
        writer.close()
        await writer.wait_closed()
    await dial(
        address_of(keys, server.port), identity=None, handler=Recorder(), parameters=PARAMETERS
    )
    await accepted.until(lambda: accepted.links)
    await server.close()


async def test_a_replay_is_refused_after_a_restart(tmp_path):
    keys = fresh_keys()
    token = make_token(keys)
    server, _, _ = await start_server(keys=keys, ticket_store=FileTicketStore(tmp_path))
    assert b"Field notes" not in await probe_link(server.port, token, Carrier.COOKIE)
    await server.close()
    again, _, _ = await start_server(keys=keys, ticket_store=FileTicketStore(tmp_path))
    assert b"Field notes" in await probe(again.port, token, Carrier.COOKIE)
    await again.close()


async def test_a_whole_recorded_connection_cannot_be_replayed():
    server, keys, accepted = await start_server()
    token = make_token(keys)
    first = await probe_link(server.port, token, Carrier.COOKIE)
    second = await probe(server.port, token, Carrier.COOKIE)
    assert len(second) > len(first)
    assert not accepted.links
    await server.close()


async def test_buckets_limit_a_prefix():
    server, keys, _ = await start_server(buckets=TokenBuckets(rate=0, burst=1))
    await dial(
        address_of(keys, server.port), identity=None, handler=Recorder(), parameters=PARAMETERS
    )
    with pytest.raises(LinkError) as caught:
        await dial(
            address_of(keys, server.port), identity=None, handler=Recorder(), parameters=PARAMETERS
        )
    assert caught.value.reason is CloseReason.NOT_ADMITTED
    await server.close()


async def test_connections_are_capped_and_counted():
    server, keys, _ = await start_server(max_links=2)
    address = address_of(keys, server.port)
    options = {"identity": None, "handler": Recorder(), "parameters": PARAMETERS}
    first = await dial(address, **options)
    async with Prober(server.port):
        with pytest.raises(LinkError):
            await dial(address, **options)
        assert server.stats.refused_links == 1
        first.close()
        await condition(lambda: len(server.links) == 1)
        await dial(address, **options)
    await server.close()


async def test_visitors_make_room_for_newcomers():
    server, keys, _ = await start_server(max_visitors=2)
    address = address_of(keys, server.port)
    options = {"identity": None, "handler": Recorder(), "parameters": PARAMETERS}
    async with Prober(server.port) as oldest, Prober(server.port) as newer:
        link = await dial(address, **options)
        assert await oldest.read_until() is not None
        assert server.stats.dropped_visitors == 1
        newer.send(opening(default_template()) + PING)
        assert PONG in await newer.read_until(PONG)
        assert not link.is_closed
        assert len(server.visitors) == 1
    await server.close()


async def test_keys_can_be_replaced_for_new_connections():
    server, keys, _ = await start_server()
    old = address_of(keys, server.port)
    options = {"identity": None, "handler": Recorder(), "parameters": PARAMETERS}
    link = await dial(old, **options)
    newer = fresh_keys()
    server.replace_keys(newer)
    with pytest.raises(LinkError):
        await dial(old, **options)
    await dial(address_of(newer, server.port), **options)
    assert not link.is_closed
    await server.close()


async def test_an_unfinished_tls_handshake_is_cut_off():
    parameters = PARAMETERS.with_value("link_handshake_s", 1)
    server, _, _ = await start_server(parameters=parameters)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(0)
        async with asyncio.timeout(10):
            assert await asyncio.get_running_loop().sock_recv(connection, 100) == b""
    await server.close()


async def test_an_unfinished_inner_handshake_is_cut_off():
    parameters = PARAMETERS.with_value("link_handshake_s", 1)
    server, keys, accepted = await start_server(parameters=parameters)
    async with Prober(server.port) as prober, asyncio.timeout(10):
        template = default_template()
        prober.send(
            opening(template) + request(template, "notes.example", make_token(keys), Carrier.COOKIE)
        )
        await prober.read_until()
    assert not accepted.links
    await server.close()
