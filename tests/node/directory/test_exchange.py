import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.directory.exchange import (
    PIECE_HEAD_BYTES,
    PIECE_MAX_BYTES,
    REQUEST_MAX_BYTES,
    DirRequest,
    Download,
    Kind,
    Piece,
    PieceReader,
    Status,
    request_size,
    split_answer,
)
from node.directory.packing import compress, make_diff
from qnet.errors import DecodeError, LocalProtocolError, NotFoundError, RejectedError

hashes = st.just(b"") | st.binary(min_size=32, max_size=32).filter(any)
requests = st.one_of(
    st.builds(
        DirRequest,
        st.integers(0, 0xFFFF),
        st.just(Kind.LATEST),
        valid_after=st.integers(0, (1 << 64) - 1),
        hash=hashes,
    ),
    st.builds(
        DirRequest,
        st.integers(0, 0xFFFF),
        st.sampled_from([Kind.BY_HASH, Kind.DESCRIPTOR]),
        hash=hashes,
    ),
    st.builds(
        DirRequest,
        st.integers(0, 0xFFFF),
        st.just(Kind.COMMITTEE),
        valid_after=st.integers(0, (1 << 64) - 1),
    ),
    st.builds(
        DirRequest,
        st.integers(0, 0xFFFF),
        st.just(Kind.DESCRIPTORS),
        indexes=st.sets(st.integers(0, (1 << 32) - 1), min_size=1, max_size=64).map(
            lambda found: tuple(sorted(found))
        ),
    ),
    st.builds(
        DirRequest,
        st.integers(0, 0xFFFF),
        st.just(Kind.MEASURE),
        size_bytes=st.integers(0, (1 << 32) - 1),
    ),
)
DOCUMENT = b"consensus " * 5000


def fetch(pieces: list[bytes], download: Download) -> bytes | None:
    answer = None
    for piece in pieces:
        assert answer is None
        answer = download.receive(Piece.decode(piece))
    return answer


@given(requests)
def test_requests_round_trip(request_: DirRequest) -> None:
    assert DirRequest.decode(request_.encode()) == request_


@given(st.binary(max_size=50))
def test_request_decoder_never_crashes(data: bytes) -> None:
    try:
        request_ = DirRequest.decode(data)
    except DecodeError:
        return
    assert request_.encode() == data


@given(st.binary(max_size=100))
def test_piece_decoder_never_crashes(data: bytes) -> None:
    try:
        piece = Piece.decode(data)
    except DecodeError:
        return
    assert piece.encode() == data


@settings(max_examples=50)
@given(st.binary(max_size=3000), st.integers(14, 500))
def test_answers_survive_splitting(data: bytes, piece_bytes: int) -> None:
    pieces = list(split_answer(7, Status.RAW, data, piece_bytes=piece_bytes))
    assert all(len(piece) <= piece_bytes for piece in pieces)
    if data:
        assert fetch(pieces, Download(DirRequest(7, Kind.LATEST))) == data


def test_pieces_fit_a_record() -> None:
    pieces = list(split_answer(1, Status.RAW, os.urandom(50_000)))
    assert max(map(len, pieces)) == PIECE_MAX_BYTES
    with pytest.raises(DecodeError):
        Piece.decode(pieces[0] + b"\0")


def test_compressed_answers_come_out_whole() -> None:
    pieces = list(split_answer(1, Status.ZSTD, compress(DOCUMENT)))
    assert fetch(pieces, Download(DirRequest(1, Kind.LATEST))) == DOCUMENT


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (Status.NOT_FOUND, NotFoundError),
        (Status.NOT_NEWER, RejectedError),
        (Status.BUSY, RejectedError),
    ],
)
def test_answers_without_data(status: Status, error: type[Exception]) -> None:
    [piece] = split_answer(1, status, b"")
    with pytest.raises(error):
        Download(DirRequest(1, Kind.LATEST)).receive(Piece.decode(piece))


def test_streams_are_cut_into_pieces_whatever_their_chunks() -> None:
    data = os.urandom(40_000)
    stream = b"".join(split_answer(3, Status.RAW, data, piece_bytes=1000))
    for size in (1, 13, 999, 40_000, 1 << 20):
        reader, download = PieceReader(), Download(DirRequest(3, Kind.LATEST))
        answers = [
            download.receive(piece)
            for start in range(0, len(stream), size)
            for piece in reader.receive(stream[start : start + size])
        ]
        assert answers[-1] == data
        assert set(answers[:-1]) == {None}


def test_streams_with_oversized_pieces_are_refused() -> None:
    head = bytes(PIECE_HEAD_BYTES - 2) + (PIECE_MAX_BYTES).to_bytes(2, "big")
    with pytest.raises(DecodeError):
        PieceReader().receive(head)


def test_measurements_are_counted_not_kept() -> None:
    download = Download(DirRequest(2, Kind.MEASURE, size_bytes=30_000))
    pieces = list(split_answer(2, Status.RAW, os.urandom(30_000)))
    assert fetch(pieces, download) == b""
    assert download.received_bytes == 30_000


def test_more_than_was_asked_for_is_refused() -> None:
    for download in (
        Download(DirRequest(1, Kind.MEASURE, size_bytes=99)),
        Download(DirRequest(1, Kind.LATEST), max_bytes=99),
    ):
        with pytest.raises(DecodeError, match="exceeds"):
            download.receive(Piece(1, Status.RAW, 100, 0, b"x"))


@pytest.mark.parametrize(
    "second",
    [
        Piece(2, Status.RAW, 100, 10, b"y"),
        Piece(1, Status.ZSTD, 100, 10, b"y"),
        Piece(1, Status.RAW, 101, 10, b"y"),
        Piece(1, Status.RAW, 100, 9, b"y"),
        Piece(1, Status.RAW, 100, 0, b"y"),
    ],
)
def test_pieces_out_of_order_are_refused(second: Piece) -> None:
    download = Download(DirRequest(1, Kind.LATEST))
    assert download.receive(Piece(1, Status.RAW, 100, 0, bytes(10))) is None
    with pytest.raises(DecodeError):
        download.receive(second)


@pytest.mark.parametrize(
    "piece",
    [
        Piece(1, Status.RAW, 5, 0, b""),
        Piece(1, Status.RAW, 5, 3, b"abc"),
        Piece(1, Status.BUSY, 5, 0, b""),
    ],
)
def test_impossible_pieces_are_refused(piece: Piece) -> None:
    with pytest.raises(DecodeError):
        Piece.decode(piece.encode())


def test_long_requests_are_refused() -> None:
    with pytest.raises(DecodeError, match="too long"):
        DirRequest.decode(bytes(REQUEST_MAX_BYTES + 1))


@pytest.mark.parametrize("indexes", [(), (2, 1), (1, 1), tuple(range(65))])
def test_lists_of_nodes_are_ascending_and_bounded(indexes: tuple[int, ...]) -> None:
    with pytest.raises(DecodeError):
        DirRequest.decode(DirRequest(1, Kind.DESCRIPTORS, indexes=indexes).encode())


@given(requests, st.binary(max_size=10))
def test_a_request_tells_its_size_as_soon_as_it_can(request_: DirRequest, more: bytes) -> None:
    encoded = request_.encode()
    assert request_size(encoded + more) == len(encoded)
    assert all(request_size(encoded[:end]) in {None, len(encoded)} for end in range(len(encoded)))


def test_differences_are_taken_only_by_who_said_what_it_holds() -> None:
    newer = DOCUMENT + b"more"
    pieces = list(split_answer(1, Status.DIFF, make_diff(DOCUMENT, newer)))
    request_ = DirRequest(1, Kind.LATEST, 7, hash=b"h" * 32)
    download = Download(request_, base=DOCUMENT)
    assert fetch(pieces, download) == newer
    assert download.is_diff
    with pytest.raises(DecodeError, match="said to be held"):
        fetch(pieces, Download(request_))


def test_pieces_need_room() -> None:
    with pytest.raises(LocalProtocolError):
        list(split_answer(1, Status.RAW, b"data", piece_bytes=PIECE_HEAD_BYTES))
