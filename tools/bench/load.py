"""Browsing-like load through a SOCKS port: pages, aborted requests, slow readers, a bulk stream.

Every byte is compared with what the server sent; what becomes of each request is counted.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from qnet.errors import NetworkError
from tools.bench.transfer import BLOCK_BYTES, FileServer

REQUEST_S: Final = 100.0
"""Every request ends within this: three circuits of four paths each, and an exit's deadline."""
PAGE_BYTES: Final = (500, 200_000)
PAGE_REQUESTS: Final = 6
PAUSE_S: Final = (0.1, 1.5)
SITES: Final = 8
"""Labels in use at a time; each site is left for a new one after some pages."""
PAGES_PER_SITE: Final = 25
SLOW_BYTES: Final = 1 << 20
SLOW_PAUSE_S: Final = 0.5
SLOW_READ_BYTES: Final = 32_768
BULK_BYTES: Final = 32 << 20
BULK_BYTES_PER_S: Final = 2_000_000
READ_BYTES: Final = 65_536
_CHANCE: Final = random.SystemRandom()
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Outcome(StrEnum):
    """What became of a request."""

    WHOLE = "whole"
    ABORTED = "aborted by the application"
    REFUSED = "refused with a SOCKS reply"
    RESET = "ended with an error"
    SHORT = "short without an error"
    WRONG = "a wrong byte"
    HUNG = "no end within its deadline"


BAD: Final = frozenset({Outcome.SHORT, Outcome.WRONG, Outcome.HUNG})
"""What must never happen, whatever nodes do."""


@dataclass(frozen=True, slots=True)
class Request:
    """One download.

    Attributes:
        size: Bytes asked for.
        label: SOCKS user name.
        stop_after: Bytes after which the application aborts; 0 to read all.
        per_s: Bytes read in a second; 0 for as fast as they come.
        deadline_s: Time it may take.
    """

    size: int
    label: str
    stop_after: int = 0
    per_s: int = 0
    deadline_s: float = REQUEST_S


@dataclass(slots=True)
class Load:
    """Keeps requests going until it is stopped.

    Attributes:
        socks: The client's SOCKS port.
        server: What is asked.
        outcomes: What became of requests.
        seconds: How long the whole ones took.
        worst_s: The longest time until any end.
        moved: Bytes that arrived.
        outage_s: The longest time without a whole page.
    """

    socks: tuple[str, int]
    server: FileServer
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    worst_s: float = 0.0
    moved: int = 0
    outage_s: float = 0.0
    _sites: list[str] = field(default_factory=list)
    _made: int = 0
    _served_at: float = 0.0

    async def run(self, stop: asyncio.Event, *, browsers: int, slow: int, bulk: int) -> None:
        """Work with so many of each kind until `stop`, then let what runs come to its end."""
        self._sites = [self._new_site() for _ in range(SITES)]
        self._served_at = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for work, count in ((self._browse, browsers), (self._linger, slow), (self._pull, bulk)):
                for _ in range(count):
                    group.create_task(self._repeat(work, stop))

    @staticmethod
    async def _repeat(work: Callable[[], Coroutine[Any, Any, None]], stop: asyncio.Event) -> None:
        while not stop.is_set():
            await work()
            await asyncio.sleep(_CHANCE.uniform(*PAUSE_S))

    async def _browse(self) -> None:
        """One page: some requests at once, one in five of them aborted."""
        place = _CHANCE.randrange(SITES)
        if _CHANCE.randrange(PAGES_PER_SITE) == 0:
            self._sites[place] = self._new_site()
        async with asyncio.TaskGroup() as group:
            for _ in range(_CHANCE.randint(1, PAGE_REQUESTS)):
                size = _CHANCE.randint(*PAGE_BYTES)
                stop_after = _CHANCE.randint(1, size) if _CHANCE.randrange(5) == 0 else 0
                request = Request(size, self._sites[place], stop_after)
                group.create_task(self.fetch(request))

    async def _linger(self) -> None:
        per_s = int(SLOW_READ_BYTES / SLOW_PAUSE_S)
        deadline = REQUEST_S + SLOW_BYTES / per_s
        await self.fetch(Request(SLOW_BYTES, "slow", per_s=per_s, deadline_s=deadline))

    async def _pull(self) -> None:
        deadline = REQUEST_S + 2 * BULK_BYTES / BULK_BYTES_PER_S
        await self.fetch(Request(BULK_BYTES, "bulk", per_s=BULK_BYTES_PER_S, deadline_s=deadline))

    def _new_site(self) -> str:
        self._made += 1
        return f"site {self._made}"

    async def fetch(self, request: Request) -> Outcome:
        """Make one request and count its end."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(request.deadline_s):
                outcome = await self._fetch(request)
        except TimeoutError:
            outcome = Outcome.HUNG
        except (OSError, EOFError):
            outcome = Outcome.RESET
        except NetworkError:
            outcome = Outcome.REFUSED
        self.outcomes[outcome] += 1
        if not request.per_s:
            self._note(outcome, began)
        return outcome

    def _note(self, outcome: Outcome, began: float) -> None:
        now = time.monotonic()
        self.worst_s = max(self.worst_s, now - began)
        if outcome is Outcome.WHOLE:
            self.outage_s = max(self.outage_s, now - self._served_at)
            self._served_at = now
            self.seconds.append(now - began)

    async def _fetch(self, request: Request) -> Outcome:
        reader, writer = await asyncio.open_connection(*self.socks, limit=READ_BYTES)
        try:
            await _negotiate(reader, writer, self.server, request.label)
            writer.write(f"GET /{request.size} HTTP/1.0\r\n\r\n".encode())
            outcome = await self._read(reader, request)
        except BaseException:
            writer.transport.abort()
            raise
        if outcome is Outcome.ABORTED:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        writer.transport.abort()
        return outcome

    async def _read(self, reader: asyncio.StreamReader, request: Request) -> Outcome:
        try:
            await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return Outcome.SHORT
        received, began = 0, time.monotonic()
        while data := await reader.read(READ_BYTES):
            if not _matches(self.server.block, received, data):
                return Outcome.WRONG
            received += len(data)
            self.moved += len(data)
            if request.stop_after and received >= request.stop_after:
                return Outcome.ABORTED
            if request.per_s:
                ahead_s = received / request.per_s - (time.monotonic() - began)
                await asyncio.sleep(max(0.0, ahead_s))
        return Outcome.WHOLE if received == request.size else Outcome.SHORT


async def _negotiate(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: FileServer, label: str
) -> None:
    name, host = label.encode(), server.host.encode()
    writer.write(b"\x05\x01\x02" + b"\x01" + bytes([len(name)]) + name + b"\x01x")
    writer.write(b"\x05\x01\x00\x03" + bytes([len(host)]) + host + server.port.to_bytes(2))
    await reader.readexactly(4)
    reply = await reader.readexactly(10)
    if reply[1] != 0:
        raise NetworkError(f"SOCKS reply {reply[1]}")


def _matches(block: bytes, offset: int, data: bytes) -> bool:
    """Whether data at an offset of the repeated block are as sent."""
    start = offset % BLOCK_BYTES
    first = block[start : start + len(data)]
    rest = len(data) - len(first)
    return data == first + block[:rest]
