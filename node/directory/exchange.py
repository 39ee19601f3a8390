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
from itertools import pairwise
from typing import Final, Self

from node.directory.packing import apply_diff, decompress
from qnet.codec import Reader, Writer
from qnet.errors import DecodeError, LocalProtocolError, NotFoundError, RejectedError
from qnet.messages.consensus import MAX_CONSENSUS_BYTES

PIECE_MAX_BYTES: Final = 14 * 1024
"""Largest piece with its head: fits one record."""
PIECE_HEAD_BYTES: Final = 13
HASH_BYTES: Final = 32
MAX_INDEXES: Final = 64
"""Descriptors one request may name."""
REQUEST_MAX_BYTES: Final = 4 + 4 * MAX_INDEXES
_HEAD_BYTES: Final = 3
_NOTHING: Final = bytes(HASH_BYTES)


class Kind(IntEnum):
    """What is asked for."""

    LATEST = 1
    """The newest consensus, if another than the one held (valid_after u64, hash 32)."""
    BY_HASH = 2
    """The consensus with this hash (32 bytes)."""
    MEASURE = 3
    """This many random bytes (u32), for capacity bursts."""
    DESCRIPTOR = 4
    """The descriptor with this digest (32 bytes); the answering node's own for zeros."""
    DESCRIPTORS = 5
    """The newest descriptors of these nodes (count u8, registry indexes u32, ascending)."""
    COMMITTEE = 6
    """Certified changes of the committee after the time given (u64)."""


class Status(IntEnum):
    """How a piece is to be read; those from 2 to 4 are whole answers without data."""

    RAW = 0
    ZSTD = 1
    NOT_FOUND = 2
    NOT_NEWER = 3
    BUSY = 4
    DIFF = 5
    """A zstd frame whose dictionary is the payload of the consensus that was said to be held."""


CARRYING: Final = frozenset({Status.RAW, Status.ZSTD, Status.DIFF})
_FIXED_SIZES: Final = {
    Kind.LATEST: _HEAD_BYTES + 8 + HASH_BYTES,
    Kind.BY_HASH: _HEAD_BYTES + HASH_BYTES,
    Kind.MEASURE: _HEAD_BYTES + 4,
    Kind.DESCRIPTOR: _HEAD_BYTES + HASH_BYTES,
    Kind.COMMITTEE: _HEAD_BYTES + 8,
}


def request_size(data: bytes | bytearray) -> int | None:
    """Size of the request that `data` begins with; None while too little is there to tell.

    Raises:
        DecodeError: of unknown kind.
    """
    if len(data) < _HEAD_BYTES:
        return None
    code = data[_HEAD_BYTES - 1]
    if code == Kind.DESCRIPTORS:
        return _HEAD_BYTES + 1 + 4 * data[_HEAD_BYTES] if len(data) > _HEAD_BYTES else None
    if code not in _FIXED_SIZES:
        raise DecodeError("directory request of unknown kind")
    return _FIXED_SIZES[Kind(code)]


@dataclass(frozen=True, slots=True)
class DirRequest:
    """One request.

    Args:
        request: number chosen by the asking side, repeated in the answer (u16).
        kind: what is asked for.
        valid_after: newest consensus held, for LATEST; newest committee known, for COMMITTEE.
        hash: of the consensus held, for LATEST; wanted, for BY_HASH and DESCRIPTOR; b"" for none.
        size_bytes: wanted bytes, for MEASURE.
        indexes: wanted nodes, ascending, for DESCRIPTORS.
    """

    request: int
    kind: Kind
    valid_after: int = 0
    hash: bytes = b""
    size_bytes: int = 0
    indexes: tuple[int, ...] = ()

    def encode(self) -> bytes:
        """Wire form, 7 to 260 bytes."""
        writer = Writer().u16(self.request).u8(self.kind)
        if self.kind is Kind.LATEST:
            writer.u64(self.valid_after).take(self.hash or _NOTHING)
        elif self.kind in {Kind.BY_HASH, Kind.DESCRIPTOR}:
            writer.take(self.hash or _NOTHING)
        elif self.kind is Kind.MEASURE:
            writer.u32(self.size_bytes)
        elif self.kind is Kind.COMMITTEE:
            writer.u64(self.valid_after)
        else:
            writer.u8(len(self.indexes))
            for index in self.indexes:
                writer.u32(index)
        return writer.bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a request.

        Raises:
            DecodeError: malformed.
        """
        if len(data) > REQUEST_MAX_BYTES:
            raise DecodeError("directory request is too long")
        if request_size(data) != len(data):
            raise DecodeError("directory request of wrong size")
        reader = Reader(data)
        number, kind = reader.u16(), Kind(reader.u8())
        if kind is Kind.LATEST:
            return cls(number, kind, valid_after=reader.u64(), hash=_hash_or_nothing(reader))
        if kind in {Kind.BY_HASH, Kind.DESCRIPTOR}:
            return cls(number, kind, hash=_hash_or_nothing(reader))
        if kind is Kind.MEASURE:
            return cls(number, kind, size_bytes=reader.u32())
        if kind is Kind.COMMITTEE:
            return cls(number, kind, valid_after=reader.u64())
        indexes = tuple(reader.u32() for _ in range(reader.u8()))
        if not 1 <= len(indexes) <= MAX_INDEXES or any(
            low >= high for low, high in pairwise(indexes)
        ):
            raise DecodeError("directory request: indexes are too many, or not ascending")
        return cls(number, kind, indexes=indexes)


def _hash_or_nothing(reader: Reader) -> bytes:
    found = reader.take(HASH_BYTES)
    return b"" if found == _NOTHING else found


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
        carries = status in CARRYING
        if offset + size > total or (carries and not size) or (not carries and total):
            raise DecodeError("directory piece does not fit its answer")
        return cls(number, status, total, offset, content)


def split_answer(
    request: int, status: Status, data: bytes, *, piece_bytes: int = PIECE_MAX_BYTES
) -> Iterator[bytes]:
    """Yield the encoded pieces of an answer, in order.

    Args:
        request: number of the request.
        status: RAW, ZSTD or DIFF with data, anything else without.
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
        base: payload of the consensus that the request says is held; b"" refuses differences.
        max_bytes: largest answer accepted, compressed or not.
    """

    __slots__ = (
        *("_base", "_keep", "_parts", "_status", "_total"),
        *("max_bytes", "received_bytes", "request"),
    )

    def __init__(
        self, request: DirRequest, *, base: bytes = b"", max_bytes: int = MAX_CONSENSUS_BYTES
    ) -> None:
        self._base = base
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
            if self.is_diff and not self._base:
                raise DecodeError("a difference to a document that was not said to be held")
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
        if self._status is Status.DIFF:
            return apply_diff(self._base, answer, self.max_bytes)
        return decompress(answer, self.max_bytes) if self._status is Status.ZSTD else answer

    @property
    def is_diff(self) -> bool:
        """Whether the answer is a difference, as far as it has come."""
        return self._status is Status.DIFF

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
