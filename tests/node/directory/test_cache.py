import os
from dataclasses import replace

import pytest

from node.directory import cache as cache_module
from node.directory.cache import (
    REQUESTS_PER_INTERVAL,
    Budget,
    DirectoryCache,
    DirectoryService,
)
from node.directory.exchange import DirRequest, Download, Kind, Piece, Status
from qnet.errors import LocalProtocolError
from qnet.messages.consensus import SignedConsensus
from tests.support.signed_network import PARAMETERS, PERIOD, make_network

NET = make_network()
SIGNED = [
    NET.sign(replace(NET.consensus, valid_after=PERIOD + i * PARAMETERS.consensus_interval_s))
    for i in range(4)
]
BURST = PARAMETERS.capacity_burst_bytes


def service(cache: DirectoryCache) -> DirectoryService:
    return DirectoryService(cache, PARAMETERS, os.urandom)


def ask(served: DirectoryService, request: DirRequest, *, now: float = 0.0) -> bytes | None:
    download = Download(request)
    answer = None
    for piece in served.respond(request, source="link", now=now):
        answer = download.receive(Piece.decode(piece))
    return answer


def statuses(served: DirectoryService, request: DirRequest, *, now: float) -> Status:
    return Piece.decode(next(served.respond(request, source="link", now=now))).status


def test_a_fresh_client_gets_a_consensus_it_can_verify() -> None:
    cache = DirectoryCache()
    for signed in SIGNED[:2]:
        cache.store(signed)
    served = service(cache)
    latest = ask(served, DirRequest(1, Kind.LATEST))
    assert latest is not None
    assert SignedConsensus.decode(latest, trust=NET.trust) == SIGNED[1]
    older = ask(served, DirRequest(2, Kind.BY_HASH, hash=SIGNED[0].hash))
    assert older == SIGNED[0].encode()


def test_nothing_newer_and_nothing_at_all() -> None:
    cache = DirectoryCache()
    served = service(cache)
    held = SIGNED[0].consensus.valid_after
    assert statuses(served, DirRequest(1, Kind.LATEST), now=0) is Status.NOT_FOUND
    cache.store(SIGNED[0])
    request = DirRequest(1, Kind.LATEST, valid_after=held)
    assert statuses(served, request, now=0) is Status.NOT_NEWER
    request = DirRequest(1, Kind.LATEST, valid_after=held - 1)
    assert statuses(served, request, now=0) is Status.ZSTD
    unknown = DirRequest(1, Kind.BY_HASH, hash=bytes(32))
    assert statuses(served, unknown, now=0) is Status.NOT_FOUND


def test_who_holds_an_older_one_gets_a_difference() -> None:
    cache = DirectoryCache()
    for signed in SIGNED[:3]:
        cache.store(signed)
    cache.prepare()
    served = service(cache)
    for older in SIGNED[:2]:
        request = DirRequest(1, Kind.LATEST, older.consensus.valid_after, older.hash)
        assert statuses(served, request, now=0) is Status.DIFF
        download = Download(request, base=older.consensus.payload)
        [piece] = list(served.respond(request, source="other", now=0))
        assert download.receive(Piece.decode(piece)) == SIGNED[2].encode()
        assert len(piece) < len(cache.latest() or b"") / 2
    stranger = DirRequest(1, Kind.LATEST, SIGNED[0].consensus.valid_after, b"?" * 32)
    assert statuses(served, stranger, now=0) is Status.ZSTD


def test_another_consensus_of_the_same_period_is_served() -> None:
    cache = DirectoryCache()
    cache.store(SIGNED[0])
    served = service(cache)
    period = SIGNED[0].consensus.valid_after
    same = DirRequest(1, Kind.LATEST, period, SIGNED[0].hash)
    assert statuses(served, same, now=0) is Status.NOT_NEWER
    other = DirRequest(1, Kind.LATEST, period, b"?" * 32)
    assert statuses(served, other, now=0) is Status.ZSTD


def test_differences_to_what_is_not_the_newest_are_dropped() -> None:
    cache = DirectoryCache()
    for signed in SIGNED:
        cache.store(signed)
        cache.prepare()
    assert cache.diff_from(SIGNED[0].hash) is None
    assert cache.diff_from(SIGNED[3].hash) is None
    documents = [cache.by_hash(signed.hash) or b"" for signed in SIGNED[1:]]
    diffs = [cache.diff_from(signed.hash) or b"" for signed in SIGNED[1:3]]
    assert cache.size_bytes == sum(map(len, documents + diffs))


def test_cache_keeps_the_newest_within_its_bounds() -> None:
    cache = DirectoryCache(max_documents=2)
    for signed in (SIGNED[3], SIGNED[0], SIGNED[2], SIGNED[2]):
        cache.store(signed)
    assert cache.by_hash(SIGNED[0].hash) is None
    assert cache.by_hash(SIGNED[2].hash)
    assert cache.latest() == cache.by_hash(SIGNED[3].hash)
    assert cache.latest_valid_after == SIGNED[3].consensus.valid_after
    tight = DirectoryCache(max_bytes=1)
    for signed in SIGNED:
        tight.store(signed)
    assert tight.latest()
    assert tight.by_hash(SIGNED[2].hash) is None
    assert tight.size_bytes == len(tight.latest() or b"")


def test_documents_are_limited_per_source() -> None:
    cache = DirectoryCache()
    cache.store(SIGNED[0])
    served = service(cache)
    request = DirRequest(1, Kind.LATEST)
    for _ in range(REQUESTS_PER_INTERVAL):
        assert statuses(served, request, now=0) is Status.ZSTD
    assert statuses(served, request, now=0) is Status.BUSY
    other = Piece.decode(next(served.respond(request, source="other", now=0)))
    assert other.status is Status.ZSTD
    assert statuses(served, request, now=PARAMETERS.consensus_interval_s) is Status.ZSTD
    served.forget("link")
    served.forget("never seen")


def test_sources_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "MAX_SOURCES", 2)
    served = service(DirectoryCache())
    request = DirRequest(1, Kind.LATEST)
    for source in ("a", "b", "c"):
        served.respond(request, source=source, now=0)
    assert list(served._sources) == ["b", "c"]


def test_bursts_are_random_capped_and_limited_per_node() -> None:
    served = service(DirectoryCache())
    request = DirRequest(1, Kind.MEASURE, size_bytes=BURST)
    for _ in range(2 * PARAMETERS.audits_per_slot):
        download = Download(request)
        for piece in served.respond(request, source="link", now=0):
            download.receive(Piece.decode(piece))
        assert download.received_bytes == BURST
    assert statuses(served, request, now=0) is Status.BUSY
    assert statuses(served, request, now=PARAMETERS.slot_s) is Status.RAW
    greedy = DirRequest(1, Kind.MEASURE, size_bytes=100 * BURST)
    first = Piece.decode(next(served.respond(greedy, source="link", now=99 * PARAMETERS.slot_s)))
    assert first.total == BURST
    nothing = DirRequest(1, Kind.MEASURE, size_bytes=0)
    assert statuses(served, nothing, now=999) is Status.BUSY


def test_measured_bytes_are_fresh_and_capped() -> None:
    served = service(DirectoryCache())
    assert served.measure(100) != served.measure(100)
    assert len(served.measure(100 * BURST)) == BURST


def test_cell_sized_pieces() -> None:
    served = service(DirectoryCache())
    request = DirRequest(1, Kind.MEASURE, size_bytes=5000)
    pieces = list(served.respond(request, source=1, now=0, piece_bytes=1900))
    assert [len(piece) for piece in pieces] == [1900, 1900, 5000 - 2 * 1887 + 13]
    with pytest.raises(LocalProtocolError):
        list(served.respond(request, source=1, now=0, piece_bytes=5))


def test_changed_parameters_are_followed() -> None:
    served = service(DirectoryCache())
    served.configure(PARAMETERS.with_value("capacity_burst_bytes", 1 << 16))
    request = DirRequest(1, Kind.MEASURE, size_bytes=BURST)
    assert Piece.decode(next(served.respond(request, source=1, now=0))).total == 1 << 16


def test_budget_refills_with_time_and_never_overflows() -> None:
    budget = Budget(10, 100)
    assert budget.spend(10, 0)
    assert not budget.spend(1, 5)
    assert budget.spend(1, 15)
    assert not budget.spend(11, 10_000)
    assert budget.spend(10, 10_000)
    assert not budget.spend(1, 9_000)
