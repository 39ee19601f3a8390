"""What a node serves to others: recent consensuses and random bytes for measurements, bounded.

Source: docs/spec/directory.md, section Exchange.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from node.directory.exchange import (
    PIECE_HEAD_BYTES,
    PIECE_MAX_BYTES,
    DirRequest,
    Kind,
    Piece,
    Status,
    compress,
    split_answer,
)
from qnet.errors import LocalProtocolError
from qnet.messages.consensus import SignedConsensus
from qnet.parameters import NetworkParameters
from qnet.sampling import RandomBytes

CACHE_CONSENSUSES: Final = 3
"""Consensuses kept: those that may still be used."""
CACHE_BYTES: Final = 64 << 20
"""Compressed bytes kept at most; the newest consensus is kept whatever its size."""
REQUESTS_PER_INTERVAL: Final = 16
"""Documents one source may fetch in a consensus interval."""
MAX_SOURCES: Final = 65_536
"""Sources whose requests are counted; the one unseen longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A consensus as it is served."""

    valid_after: int
    compressed: bytes


class DirectoryCache:
    """The newest consensuses, compressed once.

    Args:
        max_documents: consensuses kept.
        max_bytes: compressed bytes kept.
    """

    __slots__ = ("_held", "_max_bytes", "_max_documents")

    def __init__(
        self, *, max_documents: int = CACHE_CONSENSUSES, max_bytes: int = CACHE_BYTES
    ) -> None:
        self._max_documents = max_documents
        self._max_bytes = max_bytes
        self._held: dict[bytes, _Held] = {}

    @property
    def size_bytes(self) -> int:
        """Compressed bytes held."""
        return sum(len(held.compressed) for held in self._held.values())

    @property
    def latest_valid_after(self) -> int:
        """Period of the newest consensus held, 0 if there is none."""
        return max((held.valid_after for held in self._held.values()), default=0)

    def store(self, signed: SignedConsensus) -> None:
        """Keep a verified consensus and drop the oldest beyond the bounds."""
        if signed.hash not in self._held:
            document = _Held(signed.consensus.valid_after, compress(signed.encode()))
            self._held[signed.hash] = document
        while len(self._held) > 1 and (
            len(self._held) > self._max_documents or self.size_bytes > self._max_bytes
        ):
            oldest = min(self._held, key=lambda hash_: self._held[hash_].valid_after)
            del self._held[oldest]

    def latest(self) -> bytes | None:
        """Newest consensus, compressed."""
        newest = max(self._held.values(), key=lambda held: held.valid_after, default=None)
        return newest.compressed if newest else None

    def by_hash(self, hash_: bytes) -> bytes | None:
        """The consensus with a hash, compressed."""
        held = self._held.get(hash_)
        return held.compressed if held else None


class Budget:
    """A token bucket.

    Args:
        capacity: tokens it holds when full, and at the start.
        period_s: seconds in which an empty one fills.
    """

    __slots__ = ("_at", "_level", "capacity", "period_s")

    def __init__(self, capacity: int, period_s: int) -> None:
        self.capacity: Final = capacity
        self.period_s: Final = period_s
        self._level = float(capacity)
        self._at: float | None = None

    def spend(self, amount: int, now: float) -> bool:
        """Take tokens if there are enough; say whether there were."""
        elapsed = 0.0 if self._at is None else max(now - self._at, 0.0)
        refill = elapsed * self.capacity / self.period_s
        self._level = min(self._level + refill, float(self.capacity))
        self._at = now
        if amount > self._level:
            return False
        self._level -= amount
        return True


class DirectoryService:
    """Answers directory requests within limits that follow the network's parameters.

    Documents are limited per source; bytes for measurements per node: in one slot as many bursts
    as there are auditors, and one more for each of them.

    Args:
        cache: documents to serve.
        parameters: the network's parameters.
        random: random bytes for measurements.
    """

    __slots__ = ("_cache", "_interval_s", "_max_measure_bytes", "_measure", "_random", "_sources")

    def __init__(
        self, cache: DirectoryCache, parameters: NetworkParameters, random: RandomBytes
    ) -> None:
        self._cache = cache
        self._random = random
        self._sources: OrderedDict[object, Budget] = OrderedDict()
        self.configure(parameters)

    def configure(self, parameters: NetworkParameters) -> None:
        """Follow changed parameters; spent budgets start anew."""
        self._interval_s = parameters.consensus_interval_s
        self._max_measure_bytes = parameters.capacity_burst_bytes
        bursts = 2 * parameters.audits_per_slot
        self._measure = Budget(bursts * self._max_measure_bytes, parameters.slot_s)
        self._sources.clear()

    def respond(
        self,
        request: DirRequest,
        *,
        source: object,
        now: float,
        piece_bytes: int = PIECE_MAX_BYTES,
    ) -> Iterator[bytes]:
        """Return the encoded pieces of the answer; take them only as fast as they are sent.

        Args:
            request: what is asked.
            source: link or circuit it came from (hashable).
            now: unix time.
            piece_bytes: size of a piece with its head, 14 KiB at most.
        """
        if request.kind is Kind.MEASURE:
            size = min(request.size_bytes, self._max_measure_bytes)
            if not size or not self._measure.spend(size, now):
                return split_answer(request.request, Status.BUSY, b"")
            return self._measure_pieces(request.request, size, piece_bytes)
        if not self._budget_of(source).spend(1, now):
            return split_answer(request.request, Status.BUSY, b"")
        status, document = self._find(request)
        return split_answer(request.request, status, document, piece_bytes=piece_bytes)

    def forget(self, source: object) -> None:
        """Drop what is kept about a source that is gone."""
        self._sources.pop(source, None)

    def _find(self, request: DirRequest) -> tuple[Status, bytes]:
        if request.kind is Kind.BY_HASH:
            document = self._cache.by_hash(request.hash)
        elif 0 < self._cache.latest_valid_after <= request.valid_after:
            return Status.NOT_NEWER, b""
        else:
            document = self._cache.latest()
        return (Status.ZSTD, document) if document else (Status.NOT_FOUND, b"")

    def _budget_of(self, source: object) -> Budget:
        if source not in self._sources:
            if len(self._sources) >= MAX_SOURCES:
                self._sources.popitem(last=False)
            self._sources[source] = Budget(REQUESTS_PER_INTERVAL, self._interval_s)
        self._sources.move_to_end(source)
        return self._sources[source]

    def _measure_pieces(self, request: int, size: int, piece_bytes: int) -> Iterator[bytes]:
        step = min(piece_bytes, PIECE_MAX_BYTES) - PIECE_HEAD_BYTES
        if step <= 0:
            raise LocalProtocolError("a piece needs room for its head and a byte")
        for offset in range(0, size, step):
            data = self.measure(min(step, size - offset))
            yield Piece(request, Status.RAW, size, offset, data).encode()

    def measure(self, size: int) -> bytes:
        """Return random bytes, which nothing on the way can compress, within the burst's cap."""
        return self._random(min(size, self._max_measure_bytes))
