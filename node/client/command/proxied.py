"""Connections through a SOCKS5 port, as an application opens them."""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from node.circuit.messages import MAX_HOST_BYTES
from node.config import Endpoint
from node.errors import Stage, StreamError
from qnet.errors import UsageError

MAX_HEAD_BYTES = 64 * 2**10
READ_BYTES = 256 * 2**10

_REPLIES = {
    1: "no circuit, or it broke",
    2: "the exit's policy or this client refuses it",
    3: "the destination cannot be reached",
    4: "the exit cannot resolve the name",
    5: "the destination refused the connection",
    6: "the destination did not answer",
}


async def open_through(
    socks: Endpoint, host: str, port: int, *, label: bytes = b""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a destination by name.

    Args:
        socks: The SOCKS5 port.
        host: Name, resolved at the exit, or address.
        port: TCP port.
        label: Isolation label, at most 255 bytes.

    Raises:
        StreamError: No connection; the cause.
        UsageError: The name or port cannot be asked for.
    """
    name = host.encode("idna") if not host.isascii() else host.encode()
    if not 0 < len(name) <= MAX_HOST_BYTES or not 0 < port < 1 << 16:
        raise UsageError(f"{host}:{port} is no destination")
    try:
        reader, writer = await asyncio.open_connection(socks.host, socks.port)
    except OSError as error:
        raise StreamError(Stage.PORTS, "the SOCKS port does not answer", why=str(error)) from error
    try:
        if label:
            writer.write(b"\x05\x01\x02\x01" + bytes((len(label),)) + label + b"\x01x")
            await reader.readexactly(4)
        else:
            writer.write(b"\x05\x01\x00")
            await reader.readexactly(2)
        writer.write(b"\x05\x01\x00\x03" + bytes((len(name),)) + name + port.to_bytes(2))
        code = (await reader.readexactly(10))[1]
    except (OSError, asyncio.IncompleteReadError) as error:
        writer.close()
        raise StreamError(Stage.PORTS, "the SOCKS port hung up", why=str(error)) from error
    if code:
        writer.close()
        why = _REPLIES.get(code, f"SOCKS reply {code}")
        raise StreamError(Stage.CONNECT, f"no connection to {host}:{port}", why=why)
    return reader, writer


@dataclass(frozen=True, slots=True)
class Fetched:
    """One download.

    Attributes:
        status: HTTP status code.
        size: Bytes of the body that were read.
        first_byte_s: From the request for a connection to the first byte of the answer.
        total_s: From there to the last byte read.
    """

    status: int
    size: int
    first_byte_s: float
    total_s: float


async def fetch(socks: Endpoint, url: str, *, label: bytes, max_bytes: int) -> Fetched:
    """Download a page or file and measure it; the body is thrown away.

    Args:
        socks: The SOCKS5 port.
        url: An `http:` or `https:` address.
        label: Isolation label.
        max_bytes: Stop after so many bytes.

    Raises:
        UsageError: Not such an address.
        StreamError: No connection, or no HTTP answer.
    """
    parts = urlsplit(url)
    is_secure = parts.scheme == "https"
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii():
        raise UsageError(f"{url!r} is not an http: or https: address")
    started = time.perf_counter()
    port = parts.port or (443 if is_secure else 80)
    reader, writer = await open_through(socks, parts.hostname, port, label=label)
    try:
        if is_secure:
            context = ssl.create_default_context()
            await writer.start_tls(context, server_hostname=parts.hostname)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.netloc.rpartition("@")[2]
        fields = f"Host: {host}\r\nAccept-Encoding: identity\r\nConnection: close\r\n"
        writer.write(f"GET {path} HTTP/1.1\r\n{fields}\r\n".encode())
        status = await _head(reader)
        first, size = time.perf_counter(), 0
        while size < max_bytes and (data := await reader.read(READ_BYTES)):
            size += len(data)
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise StreamError(Stage.TRANSFER, f"no answer from {url}", why=str(error)) from error
    finally:
        writer.transport.abort()
    return Fetched(status, size, first - started, time.perf_counter() - first)


async def _head(reader: asyncio.StreamReader) -> int:
    """Status code of the answer, whose head is read to its end."""
    line = await reader.readuntil(b"\r\n")
    words = line.split(b" ", 2)
    if not words[0].startswith(b"HTTP/1.") or len(words) < 2 or not words[1].isdigit():
        raise StreamError(Stage.TRANSFER, "the destination does not speak HTTP")
    read = len(line)
    while line != b"\r\n":
        line = await reader.readuntil(b"\r\n")
        read += len(line)
        if read > MAX_HEAD_BYTES:
            raise StreamError(Stage.TRANSFER, "the destination's answer has no end of its head")
    return int(words[1])


async def join_standard_streams(socks: Endpoint, host: str, port: int, *, label: bytes) -> None:
    """Carry stdin to a destination and its answer to stdout, until both are over.

    Raises:
        StreamError: No connection, or it broke; the cause.
        UsageError: The name or port cannot be asked for.
    """
    reader, writer = await open_through(socks, host, port, label=label)
    loop = asyncio.get_running_loop()
    given = asyncio.StreamReader(limit=READ_BYTES)
    try:
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(given), sys.stdin)
    except ValueError as error:
        writer.transport.abort()
        raise UsageError("stdin is no pipe", why=str(error)) from error

    async def send() -> None:
        while data := await given.read(READ_BYTES):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    try:
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(send())
            while data := await reader.read(READ_BYTES):
                await asyncio.to_thread(_put, data)
            sending.cancel()
    except* OSError as errors:
        why = str(errors.exceptions[0])
        raise StreamError(Stage.TRANSFER, "the connection broke", why=why) from errors
    finally:
        writer.transport.abort()


def _put(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
