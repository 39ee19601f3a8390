"""The demo's measuring instruments, tried without the network: a plain SOCKS5 relay stands in."""

import asyncio
import contextlib
import http.server
import threading
from functools import partial

import pytest

from tools.devnet.demo.journal import CheckFailedError
from tools.devnet.demo.transfer import fetch, random_file, sha256_of


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
async def socks():
    """A SOCKS5 server (RFC 1928) that sends every name to 127.0.0.1."""

    async def pump(reader, writer):
        with contextlib.suppress(ConnectionError):  # who has had enough may reset
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()
            await writer.wait_closed()

    async def serve(reader, writer):
        methods = (await reader.readexactly(2))[1]
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        size = (await reader.readexactly(5))[4]
        port = int.from_bytes((await reader.readexactly(size + 2))[-2:], "big")
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await asyncio.gather(pump(reader, back), pump(there, writer))

    handlers = []

    def accept(reader, writer):
        handlers.append(asyncio.ensure_future(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.wait_for(asyncio.gather(*handlers), 10)


async def test_a_download_is_measured_and_hashed(site, socks, tmp_path):
    folder, port = site
    digest = random_file(folder / "x.bin", 3_000_001)
    url = f"http://web.devnet:{port}/x.bin"
    got = await asyncio.to_thread(fetch, url, socks, tmp_path / "got")
    assert (got.status, got.size_bytes, got.sha256) == (200, 3_000_001, digest)
    assert 0 < got.first_byte_s <= got.total_s
    assert got.rate == pytest.approx(3_000_001 / got.total_s)


async def test_a_failed_download_says_why(site, socks, tmp_path):
    url = f"http://web.devnet:{site[1]}/absent"
    with pytest.raises(CheckFailedError, match="could not fetch") as caught:
        await asyncio.to_thread(fetch, url, socks, tmp_path / "got")
    assert "404" in caught.value.why


def test_random_files_differ_and_hash(tmp_path):
    first = random_file(tmp_path / "a", 100_000)
    second = random_file(tmp_path / "b", 100_000)
    assert first != second
    assert sha256_of(tmp_path / "a") == first
