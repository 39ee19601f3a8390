"""The directory server against peers that ask and do not read."""

import secrets

import pytest

from node.circuit.actions import DeliverData, EndStream
from node.circuit.messages import EndReason
from node.directory.cache import DirectoryCache, DirectoryService
from node.directory.exchange import DirRequest, Kind, Piece, Status
from node.htx.events import CloseReason
from node.io.directory_service import MAX_WAITING, DirectoryServer
from qnet.parameters import NetworkParameters


class Circuits:
    """A core whose client gives no credit until `credit` is set."""

    def __init__(self):
        self.credit = 0
        self.data = b""
        self.ended = []

    def stream_data(self, _circuit, _stream, data):
        taken = data[: self.credit]
        self.credit -= len(taken)
        self.data += taken
        return len(taken)

    def stream_consumed(self, _circuit, _stream, _count):
        pass

    def stream_ended(self, circuit, stream, reason):
        self.ended.append((circuit, stream, reason))


class StalledLink:
    link_id = 1
    is_closed = False

    def __init__(self):
        self.is_writable = True
        self.sent = 0
        self.queued = 0
        self.reason = None

    def send_record(self, _kind, _content):
        self.sent += 1

    def flush(self):
        self.is_writable = False  # nobody reads

    def close(self, reason):
        self.is_closed, self.reason = True, reason


@pytest.fixture
def core():
    return Circuits()


@pytest.fixture
def server(core):
    parameters = NetworkParameters.profile("main")
    service = DirectoryService(DirectoryCache(), parameters, secrets.token_bytes)
    return DirectoryServer(service=service, core=core, wake=lambda: None, now=lambda: 0.0)


def ask(number):
    return DirRequest(number, Kind.MEASURE, size_bytes=100_000).encode()


def test_a_stream_that_asks_without_reading_is_cut_off(core, server):
    server.open(1, 1)
    for number in range(MAX_WAITING):
        assert server.deliver(DeliverData(1, 1, (ask(number),)))
    assert core.ended == []
    server.deliver(DeliverData(1, 1, (ask(99), ask(100))))
    assert core.ended == [(1, 1, EndReason.RESOURCE_LIMIT)]
    assert not server.end(EndStream(1, 1, EndReason.DONE))


def test_many_requests_in_one_cell_are_cut_off(core, server):
    server.open(1, 1)
    server.deliver(DeliverData(1, 1, tuple(ask(number) for number in range(MAX_WAITING + 1))))
    assert core.ended == [(1, 1, EndReason.RESOURCE_LIMIT)]


@pytest.mark.parametrize("size", [1, 2, 7, 44, 10_000])
def test_requests_of_every_kind_are_cut_from_a_stream(core, server, size):
    core.credit = 10_000
    server.open(1, 1)
    asked = (
        DirRequest(1, Kind.LATEST, 5, hash=b"h" * 32),
        DirRequest(2, Kind.DESCRIPTORS, indexes=tuple(range(64))),
        DirRequest(3, Kind.COMMITTEE, valid_after=9),
        DirRequest(4, Kind.DESCRIPTOR),
        DirRequest(5, Kind.BY_HASH, hash=b"h" * 32),
    )
    stream = b"".join(request.encode() for request in asked)
    for start in range(0, len(stream), size):
        server.deliver(DeliverData(1, 1, (stream[start : start + size],)))
    pieces = [Piece.decode(core.data[start : start + 13]) for start in range(0, 65, 13)]
    assert [piece.request for piece in pieces] == [1, 2, 3, 4, 5]
    statuses = [piece.status for piece in pieces]
    assert statuses == [Status.NOT_FOUND] * 2 + [Status.NOT_NEWER] + [Status.NOT_FOUND] * 2


def test_answers_go_out_as_credit_comes(core, server):
    server.open(1, 1)
    server.deliver(DeliverData(1, 1, (ask(1), ask(2))))
    while not core.ended:
        core.credit = 50_000
        assert server.resume(1, 1)
        if not core.credit:
            continue
        server.end(EndStream(1, 1, EndReason.DONE))
    assert core.ended == [(1, 1, EndReason.DONE)]
    assert len(core.data) > 200_000


def test_a_link_is_fed_piece_by_piece_and_closed_when_it_only_asks(server):
    link = StalledLink()
    request = DirRequest(1, Kind.LATEST, valid_after=0).encode()
    for _ in range(MAX_WAITING):
        server.request(link, request)
        assert link.sent == 1
    assert link.reason is None
    server.request(link, request)
    assert link.reason is CloseReason.RESOURCES
    server.link_closed(link.link_id)
