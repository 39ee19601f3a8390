"""HTTP/1.1 of the decoy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.htx import http1
from node.htx.http1 import Http1Server
from node.htx.site import default_site

NOW = 1_800_000_000.0
GET = b"GET / HTTP/1.1\r\nHost: notes.example\r\n\r\n"


def exchange(*pieces):
    server = Http1Server(default_site())
    return b"".join(server.receive(piece, NOW) for piece in pieces), server


def test_get_keeps_the_connection():
    answer, server = exchange(GET, GET[:10], GET[10:])
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert b"connection: keep-alive" in answer
    assert not server.closed


def test_pipelined_requests_and_bodies():
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    answer, server = exchange(post + GET, post[:-2], post[-2:] + GET)
    assert answer.count(b"405 Method Not Allowed\r\n") == 2
    assert answer.count(b"200 OK") == 2
    assert not server.closed


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nbad line\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"501"),
        (b"\x16\x03\x01\r\n\r\n", b"400"),
        (b"A" * (http1.MAX_HEAD_BYTES + 1), b"400"),
    ],
)
def test_what_ends_the_connection(request_, status):
    answer, server = exchange(request_)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"connection: close" in answer
    assert server.closed


def test_requests_are_counted():
    _, server = exchange(*[GET] * http1.MAX_REQUESTS)
    assert server.closed


@given(st.lists(st.binary(max_size=100) | st.just(GET), max_size=6))
def test_never_crashes(pieces):
    exchange(*pieces)
