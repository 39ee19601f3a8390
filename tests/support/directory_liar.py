"""Directory servers on real links: an honest one, and those that lie in every way we know."""

import asyncio
import contextlib
import os
import secrets
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import zstandard

from node.directory.cache import DirectoryCache, DirectoryService
from node.directory.exchange import PIECE_MAX_BYTES, DirRequest, Kind, Piece, Status, split_answer
from node.directory.packing import compress, make_diff
from node.htx.address import HtxAddress
from node.htx.record import RecordType
from node.io.decoy import load_site
from node.io.endpoint import serve
from node.io.link import Link
from qnet.messages.consensus import SignedConsensus
from tests.node.io.endpoint_rig import PARAMETERS, address_of, fresh_keys

Pieces = Iterator[bytes | float]
"""Pieces to send; a float is a pause in seconds."""
Answer = Callable[[DirRequest], Pieces]
OPEN_ENDED = 30 << 20


class Host:
    """Answers DIR_GET records with whatever it is told to."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[DirRequest] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def link_opened(self, link: Link) -> None:
        pass

    def cells_received(self, link: Link, cells: list[bytes]) -> None:
        pass

    def record_received(self, link: Link, kind: RecordType, content: bytes) -> None:
        if kind is RecordType.DIR_GET:
            request = DirRequest.decode(content)
            self.requests.append(request)
            task = asyncio.get_running_loop().create_task(self._send(link, request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def link_writable(self, link: Link) -> None:
        pass

    def link_closed(self, link: Link, reason: object) -> None:
        pass

    async def _send(self, link: Link, request: DirRequest) -> None:
        for piece in self.answer(request):
            if isinstance(piece, float):
                await asyncio.sleep(piece)
                continue
            while not link.is_writable and not link.is_closed:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            if link.is_closed:
                return
            link.send_record(RecordType.DIR_DATA, piece)
            link.flush()
            await asyncio.sleep(0)


@asynccontextmanager
async def hosted(answer: Answer) -> AsyncIterator[tuple[HtxAddress, Host]]:
    """A server that gives this answer, and its address."""
    keys = fresh_keys()
    host = Host(answer)
    server = await serve(
        "127.0.0.1", 0, keys=keys, decoy=load_site(None), handler=host, parameters=PARAMETERS
    )
    try:
        yield address_of(keys, server.port, identity=secrets.token_bytes(32)), host
    finally:
        for task in list(host._tasks):
            task.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.close(), 5)


def honest(*signed: SignedConsensus, cache: DirectoryCache | None = None) -> Answer:
    """What a node answers that holds these consensuses."""
    served = cache or DirectoryCache()
    for one in signed:
        served.store(one)
    service = DirectoryService(served, PARAMETERS, os.urandom)
    return lambda request: iter(service.respond(request, source="link", now=0.0))


def whole(document: bytes, status: Status = Status.ZSTD) -> Answer:
    """Always this document, as if it were the newest."""
    return lambda request: iter(split_answer(request.request, status, document))


def silent(_request: DirRequest) -> Pieces:
    """Takes requests and says nothing."""
    return iter(())


def truncated(signed: SignedConsensus) -> Answer:
    """All pieces but the last, then nothing."""

    def answer(request: DirRequest) -> Pieces:
        document = os.urandom(40_000) + signed.encode()
        yield from list(split_answer(request.request, Status.RAW, document))[:-1]

    return answer


def dripping(pause_s: float) -> Answer:
    """A byte at a time, for ever."""

    def answer(request: DirRequest) -> Pieces:
        for offset in range(OPEN_ENDED):
            yield Piece(request.request, Status.RAW, OPEN_ENDED, offset, b"x").encode()
            yield pause_s

    return answer


def endless(request: DirRequest) -> Pieces:
    """Full pieces without end: after the total it starts again."""
    size = PIECE_MAX_BYTES - 13
    total = 4 * size
    offset = 0
    while True:
        yield Piece(request.request, Status.RAW, total, offset, bytes(size)).encode()
        offset = (offset + size) % total


def oversize(request: DirRequest) -> Pieces:
    """Announces 4 GiB."""
    yield struct.pack(">HBIIH", request.request, Status.RAW, 2**32 - 1, 0, 4) + b"much"


def bomb(_signed: SignedConsensus) -> Answer:
    """A frame of some kilobytes that unpacks to a gigabyte."""
    packed = zstandard.ZstdCompressor(level=1).compress(bytes(1 << 26))
    return whole(packed * 16)


def hidden_bomb(_signed: SignedConsensus) -> Answer:
    """The same without stating its size."""
    return whole(zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1 << 26)))


def wrong_base(signed: SignedConsensus) -> Answer:
    """A difference to something else than what the client holds."""
    diff = make_diff(os.urandom(1 << 16) + signed.consensus.payload[::-1], signed.encode())

    def answer(request: DirRequest) -> Pieces:
        status = Status.DIFF if request.hash else Status.ZSTD
        document = diff if request.hash else compress(signed.encode())
        yield from split_answer(request.request, status, document)

    return answer


def unasked_diff(signed: SignedConsensus) -> Answer:
    """A difference for a client that holds nothing."""
    return whole(make_diff(b"base" * 64, signed.encode()), Status.DIFF)


def other_request(signed: SignedConsensus) -> Answer:
    """The answer to something that was not asked."""

    def answer(request: DirRequest) -> Pieces:
        number = (request.request + 1) % 2**16
        yield from split_answer(number, Status.ZSTD, compress(signed.encode()))

    return answer


def nothing_newer(request: DirRequest) -> Pieces:
    """Withholds whatever is newer."""
    status = Status.NOT_NEWER if request.kind is Kind.LATEST else Status.NOT_FOUND
    yield from split_answer(request.request, status, b"")
