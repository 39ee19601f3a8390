import asyncio
import threading

import pytest

from qnet.errors import NetworkError
from tools.bench.transfer import BLOCK_BYTES, FileServer, _compare, file_server


def test_wrong_bytes_are_found_wherever_they_are():
    block = bytes(range(256)) * (BLOCK_BYTES // 256)
    good = block[100:] + block[:50]
    _compare(block, 100, good)
    for place in (0, len(good) // 2, len(good) - 1):
        bad = bytearray(good)
        bad[place] ^= 1
        with pytest.raises(NetworkError, match="wrong byte"):
            _compare(block, 100, bytes(bad))


async def test_the_server_sends_what_was_asked_for():
    with file_server() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET /{BLOCK_BYTES + 5} HTTP/1.0\r\n\r\n".encode())
        answer = await reader.read(-1)
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK")
    assert body == server.block + server.block[:5]


def test_the_server_stops():
    with file_server() as server:
        assert isinstance(server, FileServer)
    assert threading.active_count() < 20
