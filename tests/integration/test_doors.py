"""All front doors over three hops: curl, a proxy library and a DNS library as applications."""

import asyncio
import contextlib
import shutil

import dns.asyncquery
import dns.message
import dns.rcode
import pytest
import pytest_asyncio
from aiohttp import web
from python_socks.async_.asyncio import Proxy

from node.config import Endpoint
from tests.support.dns_server import dns_server
from tests.support.network import client, eventually, held, inner_network

pytestmark = pytest.mark.asyncio(loop_scope="module")

CURL = shutil.which("curl") or "curl"


class Site:
    """A web server that remembers what it was asked."""

    def __init__(self):
        self.requests = []
        self.port = 0

    async def handle(self, request):
        body = await request.read()
        self.requests.append((request.method, request.raw_path, dict(request.headers), body))
        if request.path == "/slow":
            await asyncio.Event().wait()
        return web.Response(text=f"{request.method} {request.path} {body.decode()}")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doors")
    names = {"site.test.": ("127.0.0.1",), "other.test.": ("127.0.0.1",), "v6.test.": ("::1",)}
    site = Site()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", site.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    site.port = runner.addresses[0][1]
    roles = ("entry", "relay", "exit")
    async with (
        dns_server(names) as resolver,
        held(inner_network(folder, roles, dns=f"127.0.0.1:{resolver.port}")) as network,
        held(client(network.bundle())) as session,
    ):
        yield session, site
    await runner.cleanup()


async def opened(session, kind, **options):
    door = await session.doors.add(kind, Endpoint("127.0.0.1", 0), **options)
    return door, door.listener.address


async def curl(*words, expect=0):
    process = await asyncio.create_subprocess_exec(
        CURL,
        *("-sS", "--max-time", "20", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"no_proxy": "", "PATH": "/usr/bin:/bin"},
    )
    out, err = await process.communicate()
    assert process.returncode == expect, err.decode()
    return out.decode()


def keys(session):
    return [made.key for made in session.circuits.open if made.key is not None]


async def test_curl_over_socks5h(world):
    session, site = world
    url = f"http://site.test:{site.port}/a"
    assert await curl("-x", f"socks5h://{session.listening[0]}", url) == "GET /a "


async def test_curl_over_a_tunnel_of_the_http_port(world):
    session, site = world
    door, at = await opened(session, "http")
    url = f"http://site.test:{site.port}/t"
    said = await curl("-x", f"http://alice:x@{at}", "-p", "-d", "body", url)
    assert said == "POST /t body"
    assert any(key.listener == at and key.label == b"alice" for key in keys(session))
    door.close()


async def test_curl_with_a_plain_request(world):
    session, site = world
    door, at = await opened(session, "http")
    url = f"http://site.test:{site.port}/plain?q=1"
    said = await curl("-x", f"http://bob:x@{at}", "-d", "x" * 3000, url)
    assert said == "POST /plain " + "x" * 3000
    method, path, headers, _ = site.requests[-1]
    assert (method, path, headers["Host"]) == ("POST", "/plain?q=1", f"site.test:{site.port}")
    assert headers["Connection"] == "close"
    assert not {name for name in headers if name.lower().startswith("proxy-")}
    assert await curl("-x", f"http://{at}", url, url) == "GET /plain " * 2
    door.close()


async def test_the_http_port_tells_why_a_site_is_out_of_reach(world):
    session, _ = world
    door, at = await opened(session, "http")
    words = ("-o", "/dev/null", "-w", "%{http_connect} %{http_code}")
    at_proxy = ("-x", f"http://{at}", *words)
    assert await curl(*at_proxy, "-p", "http://none.test/", expect=56) == "502 000"
    assert await curl(*at_proxy, "http://127.0.0.1:1/") == "000 502"
    page = await curl("-x", f"http://{at}", "http://x.onion/")
    assert "another system" in page
    door.close()


async def test_the_http_port_serves_its_pac_file(world):
    session, _ = world
    door, at = await opened(session, "http")
    text = await curl(f"http://{at}/proxy.pac")
    assert f"PROXY {session.doors.addresses('http')[0]}; SOCKS5 {session.listening[0]}" in text
    assert "is no web site" in await curl(f"http://{at}/")
    door.close()


async def test_bytes_sent_early_travel_with_the_connect(world):
    session, site = world
    door, at = await opened(session, "http")
    reader, writer = await asyncio.open_connection(*at.split(":"))
    early = f"GET /early HTTP/1.1\r\nHost: site.test:{site.port}\r\nConnection: close\r\n\r\n"
    writer.write(f"CONNECT site.test:{site.port} HTTP/1.1\r\n\r\n{early}".encode())
    said = (await reader.read(-1)).decode()
    assert said.startswith("HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK")
    assert said.endswith("GET /early ")
    writer.close()
    door.close()


async def test_a_browser_at_the_socks_port_reads_what_to_do(world):
    session, _ = world
    page = await curl("-x", f"http://{session.listening[0]}", "http://site.test/")
    assert "This is a SOCKS port, not a web proxy" in page


@pytest.mark.parametrize("over", ["udp", "tcp"])
async def test_names_come_from_the_exit(world, over):
    session, _ = world
    door, at = await opened(session, "dns")
    send = getattr(dns.asyncquery, over)
    where = Endpoint.parse(at)

    async def ask(name, kind):
        query = dns.message.make_query(name, kind)
        return await send(query, where.host, port=where.port, timeout=10)

    assert (await ask("site.test", "A")).answer[0].to_text() == "site.test. 300 IN A 127.0.0.1"
    assert (await ask("v6.test", "AAAA")).answer[0].to_text() == "v6.test. 300 IN AAAA ::1"
    assert (await ask("v6.test", "A")).rcode() == dns.rcode.NOERROR
    assert (await ask("none.test", "A")).rcode() == dns.rcode.NXDOMAIN
    assert any(key.listener == at for key in keys(session))
    door.close()


async def test_labels_ports_and_destinations_never_share_a_circuit(world):
    session, site = world
    doors = [
        await opened(session, "socks", isolate={"listener", "label"}),
        await opened(session, "socks", isolate={"listener", "label", "destination"}),
    ]
    streams = []
    for _, at in doors:
        for label in ("a", "b"):
            for host in ("site.test", "other.test"):
                proxy = Proxy.from_url(f"socks5://{label}:x@{at}", rdns=True)
                streams.append(await proxy.connect(host, site.port, timeout=20))
    addresses = [at for _, at in doors]
    used = [
        made
        for made in session.circuits.open
        if made.circuit.streams and made.key is not None and made.key.listener in addresses
    ]
    assert len(used) == 2 + 4
    assert sum(len(made.circuit.streams) for made in used) == len(streams) == 8
    by_listener = [sum(made.key.listener == at for made in used) for at in addresses]
    assert by_listener == [2, 4]
    for stream in streams:
        stream.close()
    await eventually(lambda: not session.counts.active)
    for door, _ in doors:
        door.close()


async def test_junk_at_any_port_harms_nobody(world):
    session, site = world
    doors = [await opened(session, kind) for kind in ("socks", "http", "dns")]
    for _, at in doors:
        for junk in (b"\x00", b"\xff" * 70_000, b"GET / HTTP/1.1\r\n" * 3_000, b"\x05\xff" * 200):
            reader, writer = await asyncio.open_connection(*at.split(":"))
            writer.write(junk)
            writer.write_eof()
            with contextlib.suppress(OSError):
                await reader.read(-1)
            writer.close()
    await eventually(lambda: all(door.listener.active == 0 for door, _ in doors))
    url = f"http://site.test:{site.port}/still"
    assert await curl("-x", f"socks5h://{doors[0][1]}", url) == "GET /still "
    assert await curl("-x", f"http://{doors[1][1]}", url) == "GET /still "
    for door, _ in doors:
        door.close()


async def test_a_listener_turns_away_what_is_beyond_its_cap(world):
    session, site = world
    door, at = await opened(session, "socks", max_connections=1)
    proxy = Proxy.from_url(f"socks5://{at}", rdns=True)
    first = await proxy.connect("site.test", site.port, timeout=20)
    reader, writer = await asyncio.open_connection(*at.split(":"))
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()
    first.close()
    await eventually(lambda: door.listener.active == 0)
    assert door.listener.row()["dropped"] == 1
    again = await proxy.connect("site.test", site.port, timeout=20)
    again.close()
    door.close()


async def test_an_application_that_gives_up_leaves_nothing_behind(world):
    session, site = world
    door, at = await opened(session, "http")
    slow = f"http://site.test:{site.port}/slow"
    await curl("-x", f"http://{at}", "--max-time", "1", slow, expect=28)
    await eventually(lambda: not session.counts.active and door.listener.active == 0)
    assert not any(made.circuit.streams for made in session.circuits.open)
    door.close()
