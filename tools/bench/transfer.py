"""A file server and a SOCKS downloader on plain blocking sockets; every byte is compared."""

from __future__ import annotations

import os
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from qnet.errors import NetworkError
from tools.bench.place import HERE, Place

BLOCK_BYTES = 2**20
READ_BYTES = 2**18
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One download.

    Attributes:
        first_byte_s: From the SOCKS request to the first byte of the body.
        total_s: From the SOCKS request to the last byte.
        size: Bytes received, all equal to what was sent.
    """

    first_byte_s: float
    total_s: float
    size: int


@dataclass(slots=True)
class Watch:
    """Looks into a download while it runs, and may end it.

    Attributes:
        received: Bytes so far, all equal to what was sent.
        begun: Set with the first byte.
        error: Why it failed; None while it did not, or was ended.
    """

    received: int = 0
    begun: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None
    _stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def is_stopped(self) -> bool:
        """Whether it is to end."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End it with the next bytes."""
        self._stopped.set()

    def failed(self, error: BaseException) -> None:
        """It broke."""
        if not self.is_stopped:
            self.error = error
        self.begun.set()


class FileServer(socketserver.ThreadingTCPServer):
    """An HTTP/1.0 server; `GET /n` answers with n bytes of a random block, repeated."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host: str = HERE.address) -> None:
        self.block = os.urandom(BLOCK_BYTES)
        self.host = host
        super().__init__((host, 0), _Handler)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class _Handler(socketserver.StreamRequestHandler):
    server: FileServer

    def handle(self) -> None:
        try:
            self._answer()
        except OSError:
            return  # whoever asked went away

    def _answer(self) -> None:
        words = self.rfile.readline().split()
        if len(words) < 2:
            return
        size = int(words[1].lstrip(b"/"))
        while self.rfile.readline().strip():
            pass
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.sendall(f"HTTP/1.0 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        while size > 0:
            self.connection.sendall(memoryview(self.server.block)[:size])
            size -= BLOCK_BYTES


@contextmanager
def file_server(place: Place = HERE) -> Iterator[FileServer]:
    """Serve at a place until the context ends."""
    with place.inside():
        server = FileServer(place.address)
    with server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def download(
    socks: tuple[str, int],
    server: FileServer,
    size: int,
    *,
    label: str = "",
    place: Place = HERE,
    watch: Watch | None = None,
) -> Sample:
    """Fetch `size` bytes through a SOCKS port at a place and compare every one.

    With a watch it ends when told to, however much there was.

    Raises:
        NetworkError: Refused, short, or a byte is wrong.
    """
    with place.inside():
        connection = socket.create_connection(socks, timeout=TIMEOUT_S)
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        started = time.perf_counter()
        _negotiate(connection, server.host, server.port, label.encode())
        connection.sendall(f"GET /{size} HTTP/1.0\r\n\r\n".encode())
        body = _read_head(connection)
        first = time.perf_counter()
        received = 0
        while body or received < size:
            _compare(server.block, received, body)
            received += len(body)
            if watch is not None:
                watch.received = received
                watch.begun.set()
                if watch.is_stopped:
                    size = received
                    break
            body = connection.recv(READ_BYTES)
            if not body:
                break
        total = time.perf_counter() - started
    if received != size:
        raise NetworkError(f"transfer is short: {received} of {size} bytes")
    return Sample(first - started, total, received)


def _negotiate(connection: socket.socket, host: str, port: int, label: bytes) -> None:
    # one step at a time: C-Tor does not read an authentication sent along with the greeting
    connection.sendall(b"\x05\x01" + (b"\x02" if label else b"\x00"))
    _expect(connection, b"\x05\x02" if label else b"\x05\x00")
    if label:
        connection.sendall(b"\x01" + bytes([len(label)]) + label + b"\x01x")
        _expect(connection, b"\x01\x00")
    name = host.encode()
    connection.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + port.to_bytes(2))
    reply = _receive(connection, 10)
    if reply[1] != 0:
        raise NetworkError(f"SOCKS reply {reply[1]}")


def _expect(connection: socket.socket, expected: bytes) -> None:
    if _receive(connection, len(expected)) != expected:
        raise NetworkError("unexpected SOCKS answer")


def _receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise NetworkError("connection closed early")
        data += more
    return data


def _read_head(connection: socket.socket) -> bytes:
    """Read the HTTP head; return the first bytes of the body."""
    data = b""
    while b"\r\n\r\n" not in data or data.endswith(b"\r\n\r\n"):
        more = connection.recv(READ_BYTES)
        if not more:
            raise NetworkError("connection closed early")
        data += more
    return data.partition(b"\r\n\r\n")[2]


def _compare(block: bytes, offset: int, data: bytes) -> None:
    position = 0
    while position < len(data):
        start = (offset + position) % BLOCK_BYTES
        size = min(BLOCK_BYTES - start, len(data) - position)
        if block[start : start + size] != data[position : position + size]:
            raise NetworkError(f"wrong byte near {offset + position}")
        position += size
