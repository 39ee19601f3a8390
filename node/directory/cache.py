"""What a node serves to others: consensuses, differences, descriptors, committee changes; bounded.

Source: docs/spec/directory.md, section Exchange.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from node.directory.descriptors import DescriptorCache
from node.directory.exchange import (
    PIECE_HEAD_BYTES,
    PIECE_MAX_BYTES,
    DirRequest,
    Kind,
    Piece,
    Status,
    split_answer,
)
from node.directory.packing import compress, decompress, make_diff
from qnet import cbor
from qnet.errors import LocalProtocolError
from qnet.messages.consensus import MAX_CONSENSUS_BYTES, SignedConsensus, payload_of
from qnet.messages.succession import SignedChange, encode_changes
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


@dataclass(slots=True)
class _Held:
    """A consensus as it is served."""

    valid_after: int
    compressed: bytes
    diffs: dict[bytes, bytes] = field(default_factory=dict)
    """Differences to older ones, by their hash."""

    @property
    def size_bytes(self) -> int:
        return len(self.compressed) + sum(map(len, self.diffs.values()))


class DirectoryCache:
    """The newest consensuses, compressed once, with the differences from each to the newest.

    Args:
        max_documents: consensuses kept.
        max_bytes: compressed bytes kept.
    """

    __slots__ = ("_held", "_max_bytes", "_max_documents", "changes", "descriptors")

    def __init__(
        self, *, max_documents: int = CACHE_CONSENSUSES, max_bytes: int = CACHE_BYTES
    ) -> None:
        self._max_documents = max_documents
        self._max_bytes = max_bytes
        self._held: dict[bytes, _Held] = {}
        self.descriptors = DescriptorCache()
        self.changes: tuple[SignedChange, ...] = ()
        """Certified changes of the committee, in order."""

    @property
    def size_bytes(self) -> int:
        """Compressed bytes of consensuses held."""
        return sum(held.size_bytes for held in self._held.values())

    @property
    def latest_valid_after(self) -> int:
        """Period of the newest consensus held, 0 if there is none."""
        return max((held.valid_after for held in self._held.values()), default=0)

    @property
    def latest_hash(self) -> bytes:
        """Hash of the newest consensus held, b"" if there is none."""
        return max(self._held, key=lambda hash_: self._held[hash_].valid_after, default=b"")

    def store(self, signed: SignedConsensus) -> None:
        """Keep a verified consensus and drop the oldest beyond the bounds."""
        if signed.hash not in self._held:
            document = _Held(signed.consensus.valid_after, compress(signed.encode()))
            self._held[signed.hash] = document
        for hash_, held in self._held.items():
            if hash_ != self.latest_hash:
                held.diffs.clear()
        while len(self._held) > 1 and (
            len(self._held) > self._max_documents or self.size_bytes > self._max_bytes
        ):
            oldest = min(self._held, key=lambda hash_: self._held[hash_].valid_after)
            del self._held[oldest]

    def latest(self) -> bytes | None:
        """Newest consensus, compressed."""
        newest = self._held.get(self.latest_hash)
        return newest.compressed if newest else None

    def by_hash(self, hash_: bytes) -> bytes | None:
        """The consensus with a hash, compressed."""
        held = self._held.get(hash_)
        return held.compressed if held else None

    def diff_from(self, hash_: bytes) -> bytes | None:
        """The difference from a consensus to the newest; made when it is first asked for.

        None if that consensus is not held, or the difference would be no smaller.
        """
        base, newest = self._held.get(hash_), self._held.get(self.latest_hash)
        if base is None or newest is None or base is newest:
            return None
        if hash_ not in newest.diffs:
            older = decompress(base.compressed, MAX_CONSENSUS_BYTES)
            document = decompress(newest.compressed, MAX_CONSENSUS_BYTES)
            newest.diffs[hash_] = make_diff(payload_of(older), document)
        diff = newest.diffs[hash_]
        return diff if len(diff) < len(newest.compressed) else None

    def prepare(self) -> None:
        """Make every difference that may be asked for; may run in another thread."""
        for hash_ in list(self._held):
            self.diff_from(hash_)


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
        finders: dict[Kind, Callable[[DirRequest], tuple[Status, bytes]]] = {
            Kind.LATEST: self._latest,
            Kind.BY_HASH: lambda asked: _packed(self._cache.by_hash(asked.hash)),
            Kind.DESCRIPTOR: self._descriptor,
            Kind.DESCRIPTORS: self._descriptors,
            Kind.COMMITTEE: self._committee,
        }
        return finders[request.kind](request)

    def _latest(self, request: DirRequest) -> tuple[Status, bytes]:
        """Another consensus of the period held is served too: the receiver must see it."""
        cache = self._cache
        if not cache.latest_valid_after:
            return Status.NOT_FOUND, b""
        if request.valid_after > cache.latest_valid_after or (
            request.valid_after == cache.latest_valid_after
            and request.hash in {b"", cache.latest_hash}
        ):
            return Status.NOT_NEWER, b""
        diff = cache.diff_from(request.hash) if request.hash else None
        return (Status.DIFF, diff) if diff else _packed(cache.latest())

    def _descriptor(self, request: DirRequest) -> tuple[Status, bytes]:
        found = self._cache.descriptors.by_digest(request.hash)
        return (Status.RAW, found) if found else (Status.NOT_FOUND, b"")

    def _descriptors(self, request: DirRequest) -> tuple[Status, bytes]:
        found = self._cache.descriptors.by_index(request.indexes)
        return _packed(compress(cbor.dumps(found)) if found else None)

    def _committee(self, request: DirRequest) -> tuple[Status, bytes]:
        later = [
            signed
            for signed in self._cache.changes
            if signed.change.valid_from > request.valid_after
        ]
        return _packed(compress(encode_changes(later))) if later else (Status.NOT_NEWER, b"")

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


def _packed(document: bytes | None) -> tuple[Status, bytes]:
    return (Status.ZSTD, document) if document else (Status.NOT_FOUND, b"")
