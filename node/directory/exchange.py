"""Requests for directory data and the pieces of their answers.

The same bytes travel as DIR_GET and DIR_DATA records on a link (one request or one piece a
record) and on a circuit's directory stream (piece after piece; every piece tells its size).

Request: ``request u16 | kind u8 | argument``.
Piece (13 bytes and data): ``request u16 | status u8 | total u32 | offset u32 | size u16 | data``.

Source: docs/spec/directory.md, section Exchange.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

import zstandard

from qnet.codec import Reader, Writer
from qnet.errors import DecodeError, LocalProtocolError, NotFoundError, RejectedError
from qnet.messages.consensus import MAX_CONSENSUS_BYTES

PIECE_MAX_BYTES: Final = 14 * 1024
"""Largest piece with its head: fits one record."""
PIECE_HEAD_BYTES: Final = 13
REQUEST_MAX_BYTES: Final = 35
HASH_BYTES: Final = 32
ZSTD_LEVEL: Final = 9
ZSTD_WINDOW_MAX_BYTES: Final = 1 << 23
"""Memory a decompressor may claim for one frame beside its output."""


class Kind(IntEnum):
    """What is asked for."""

    LATEST = 1
    """The newest consensus, if newer than the valid_after given (u64, 0 for none)."""
    BY_HASH = 2
    """The consensus with this hash (32 bytes)."""
    MEASURE = 3
    """This many random bytes (u32), for capacity bursts."""


class Status(IntEnum):
    """How a piece is to be read; all but the first two are whole answers without data."""

    RAW = 0
    ZSTD = 1
    NOT_FOUND = 2
    NOT_NEWER = 3
    BUSY = 4


@dataclass(frozen=True, slots=True)
class DirRequest:
    """One request.

    Args:
        request: number chosen by the asking side, repeated in the answer (u16).
        kind: what is asked for.
        valid_after: newest consensus held, for LATEST.
        hash: wanted hash, for BY_HASH.
        size_bytes: wanted bytes, for MEASURE.
    """

    request: int
    kind: Kind
    valid_after: int = 0
    hash: bytes = b""
    size_bytes: int = 0

    def encode(self) -> bytes:
        """Wire form, 7 to 35 bytes."""
        writer = Writer().u16(self.request).u8(self.kind)
        if self.kind is Kind.LATEST:
            return writer.u64(self.valid_after).bytes()
        if self.kind is Kind.BY_HASH:
            return writer.take(self.hash).bytes()
        return writer.u32(self.size_bytes).bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a request.

        Raises:
            DecodeError: malformed.
        """
        if len(data) > REQUEST_MAX_BYTES:
            raise DecodeError("directory request is too long")
        reader = Reader(data)
        number, code = reader.u16(), reader.u8()
        if code == Kind.LATEST:
            request = cls(number, Kind.LATEST, valid_after=reader.u64())
        elif code == Kind.BY_HASH:
            request = cls(number, Kind.BY_HASH, hash=reader.take(HASH_BYTES))
        elif code == Kind.MEASURE:
            request = cls(number, Kind.MEASURE, size_bytes=reader.u32())
        else:
            raise DecodeError("directory request of unknown kind")
        reader.finish()
        return request


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of an answer.

    Args:
        request: number of the request answered.
        status: how to read it.
        total: bytes of the whole answer.
        offset: place of this piece in it.
        data: at most PIECE_MAX_BYTES with the head.
    """

    request: int
    status: Status
    total: int
    offset: int
    data: bytes

    def encode(self) -> bytes:
        """Wire form."""
        head = Writer().u16(self.request).u8(self.status).u32(self.total).u32(self.offset)
        return head.u16(len(self.data)).take(self.data).bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read exactly one piece.

        Raises:
            DecodeError: malformed, or data beyond its total.
        """
        if len(data) > PIECE_MAX_BYTES:
            raise DecodeError("directory piece is too long")
        reader = Reader(data)
        number, code = reader.u16(), reader.u8()
        total, offset, size = reader.u32(), reader.u32(), reader.u16()
        if code > max(Status):
            raise DecodeError("directory piece with unknown status")
        status = Status(code)
        content = reader.take(size)
        reader.finish()
        carries = status in {Status.RAW, Status.ZSTD}
        if offset + size > total or (carries and not size) or (not carries and total):
            raise DecodeError("directory piece does not fit its answer")
        return cls(number, status, total, offset, content)


def split_answer(
    request: int, status: Status, data: bytes, *, piece_bytes: int = PIECE_MAX_BYTES
) -> Iterator[bytes]:
    """Yield the encoded pieces of an answer, in order.

    Args:
        request: number of the request.
        status: RAW or ZSTD with data, anything else without.
        data: the whole answer.
        piece_bytes: size of a piece with its head, 14 KiB at most.
    """
    step = min(piece_bytes, PIECE_MAX_BYTES) - PIECE_HEAD_BYTES
    if step <= 0:
        raise LocalProtocolError("a piece needs room for its head and a byte")
    if not data:
        yield Piece(request, status, 0, 0, b"").encode()
    for offset in range(0, len(data), step):
        part = data[offset : offset + step]
        yield Piece(request, status, len(data), offset, part).encode()


class PieceReader:
    """Cuts the bytes of a directory stream into pieces; never keeps more than one."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def receive(self, data: bytes) -> list[Piece]:
        """Return the pieces that are complete.

        Raises:
            DecodeError: malformed.
        """
        self._buffer += data
        pieces: list[Piece] = []
        start = 0
        while len(self._buffer) - start >= PIECE_HEAD_BYTES:
            end_of_head = start + PIECE_HEAD_BYTES
            size = int.from_bytes(self._buffer[end_of_head - 2 : end_of_head], "big")
            if PIECE_HEAD_BYTES + size > PIECE_MAX_BYTES:
                raise DecodeError("directory piece is too long")
            if len(self._buffer) < end_of_head + size:
                break
            pieces.append(Piece.decode(bytes(self._buffer[start : end_of_head + size])))
            start = end_of_head + size
        del self._buffer[:start]
        return pieces


class Download:
    """Puts the answer to one request together.

    Args:
        request: what was asked.
        max_bytes: largest answer accepted, compressed or not.
    """

    __slots__ = ("_keep", "_parts", "_status", "_total", "max_bytes", "received_bytes", "request")

    def __init__(self, request: DirRequest, *, max_bytes: int = MAX_CONSENSUS_BYTES) -> None:
        self.request: Final = request
        self.max_bytes: Final = max_bytes
        self.received_bytes = 0
        """Bytes of the answer received so far."""
        self._keep = request.kind is not Kind.MEASURE
        self._parts: list[bytes] = []
        self._total = 0
        self._status = Status.RAW

    def receive(self, piece: Piece) -> bytes | None:
        """Take the next piece; return the answer when it is complete.

        The answer to MEASURE is counted, not kept: it is returned empty.

        Raises:
            DecodeError: out of order, too large, inconsistent, or bad compression.
            NotFoundError: the peer does not have it.
            RejectedError: the peer has nothing newer, or is busy.
        """
        if piece.request != self.request.request:
            raise DecodeError("directory piece answers another request")
        _check_status(piece.status)
        if self.received_bytes == 0:
            self._total, self._status = piece.total, piece.status
            if piece.total > self._limit():
                raise DecodeError(f"answer of {piece.total} bytes exceeds {self._limit()}")
        expected = (self._total, self._status, self.received_bytes)
        if (piece.total, piece.status, piece.offset) != expected:
            raise DecodeError("directory piece out of order")
        self.received_bytes += len(piece.data)
        if self._keep:
            self._parts.append(piece.data)
        if self.received_bytes < self._total:
            return None
        answer = b"".join(self._parts)
        return decompress(answer, self.max_bytes) if self._status is Status.ZSTD else answer

    def _limit(self) -> int:
        wanted = self.request.size_bytes
        return self.max_bytes if self._keep else min(wanted, self.max_bytes)


def _check_status(status: Status) -> None:
    if status is Status.NOT_FOUND:
        raise NotFoundError("the peer does not hold this directory document")
    if status is Status.NOT_NEWER:
        raise RejectedError("the peer has no newer consensus")
    if status is Status.BUSY:
        raise RejectedError(
            "the peer refuses directory requests now",
            why="it has answered as much as it will in this period",
            try_=("ask another node",),
        )


def compress(data: bytes) -> bytes:
    """Compress a document into one zstd frame that states its size."""
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True).compress(data)


def decompress(data: bytes, max_bytes: int) -> bytes:
    """Undo :func:`compress` without ever claiming more than `max_bytes` of output.

    Raises:
        DecodeError: malformed, trailing bytes, of unstated size or too large.
    """
    try:
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= max_bytes:
            raise DecodeError(f"compressed answer exceeds {max_bytes} bytes, or hides its size")
        decoder = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_MAX_BYTES)
        return decoder.decompress(data, max_output_size=max_bytes, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise DecodeError("malformed zstd data") from error
