"""HTTP/2 of the decoy, and the point where it becomes a link."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.htx import http2_server
from node.htx.http2_client import PREFACE, SETTINGS_ACK, Carrier, frame, opening, request
from node.htx.site import Page, StaticSite, default_site
from tests.node.htx.http2_visitor import GET, NOW, Visitor
from tests.node.htx.pair import TEMPLATE


def test_a_visitor_gets_pages():
    visitor = Visitor()
    first, second = visitor.get(), visitor.get([*GET[:3], (":path", "/missing")])
    assert visitor.headers[first][b":status"] == b"200"
    assert b"Field notes" in visitor.bodies[first]
    assert visitor.headers[second][b":status"] == b"404"


def test_large_pages_follow_the_clients_windows():
    body = bytes(range(256)) * 2000
    visitor = Visitor(StaticSite({"/index.html": Page("x/y", body, "")}))
    stream = visitor.get()
    assert visitor.bodies[stream] == body


def test_head_has_no_body():
    visitor = Visitor()
    stream = visitor.get([(":method", "HEAD"), *GET[1:]])
    assert visitor.headers[stream][b"content-length"] != b"0"
    assert stream not in visitor.bodies


def test_only_the_first_request_is_asked_about():
    asked = []
    visitor = Visitor(admit=asked.append)
    visitor.get()
    visitor.get()
    assert len(asked) == 1
    assert (asked[0].method, asked[0].path) == ("GET", "/")


def test_bodies_are_kept_up_to_a_limit():
    asked = []
    visitor = Visitor(admit=asked.append)
    stream = visitor.get([(":method", "POST"), *GET[1:]], b"x" * 5000)
    assert visitor.headers[stream][b":status"] == b"405"
    assert len(asked[0].body) == http2_server.MAX_KEPT_BODY_BYTES + 1


def test_a_body_in_several_frames():
    asked = []
    visitor = Visitor(admit=asked.append)
    visitor.h2.send_headers(1, [(":method", "POST"), *GET[1:]])
    for part in (b"a" * 500, b"b" * 600, b"c" * 700):
        visitor.h2.send_data(1, part)
    visitor.h2.end_stream(1)
    visitor.run()
    assert asked[0].body == b"a" * 500 + b"b" * 525


def test_a_reset_stream_gets_no_answer():
    visitor = Visitor()
    visitor.h2.send_headers(1, GET)
    visitor.h2.reset_stream(1)
    visitor.run()
    assert visitor.get() == 3
    assert 1 not in visitor.headers


def test_requests_are_counted(monkeypatch):
    monkeypatch.setattr(http2_server, "MAX_REQUESTS", 2)
    visitor = Visitor()
    visitor.get()
    assert not visitor.server.closed
    visitor.get()
    assert visitor.server.closed


def admitted():
    server = http2_server.Http2Server(default_site(), lambda _request: True)
    server.start()
    return server, opening(TEMPLATE) + request(TEMPLATE, "a", "T", Carrier.COOKIE)


def test_after_a_ticket_only_headers_follow():
    server, data = admitted()
    answer = server.receive(data, NOW)
    kinds, at = [], 0
    while at < len(answer):
        kinds.append(answer[at + 3 : at + 5])
        at += 9 + int.from_bytes(answer[at : at + 3], "big")
    assert kinds == [b"\x04\x01", b"\x01\x04"]
    assert server.admitted
    assert server.inner is None
    assert server.receive(SETTINGS_ACK[:4], NOW) == b""
    assert server.inner is None
    assert server.receive(SETTINGS_ACK[4:] + b"inner", NOW) == b""
    assert server.inner == b"inner"


def test_an_acknowledgement_may_come_before_the_request():
    server, data = admitted()
    at = len(opening(TEMPLATE))
    server.receive(data[:at] + SETTINGS_ACK, NOW)
    server.receive(data[at:] + b"inner", NOW)
    assert server.inner == b"inner"


def test_anything_but_the_acknowledgement_ends_it():
    server, data = admitted()
    server.receive(data, NOW)
    server.receive(frame(6, 0, 0, bytes(8)), NOW)
    assert server.closed
    assert server.inner is None


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        PREFACE + frame(4, 0, 0, bytes(5)),
        PREFACE + frame(4, 0, 0, b"") + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
        PREFACE + frame(4, 0, 0, b"") + frame(1, 5, 1, b"\xff" * 20),
        PREFACE + frame(4, 0, 0, b"") + frame(0, 1, 1, b"data on no stream"),
    ],
)
def test_what_breaks_http2_ends_it(data):
    visitor = Visitor()
    answer = visitor.server.receive(data, NOW)
    assert visitor.server.closed
    assert visitor.server.receive(PREFACE, NOW) == b""
    assert answer == b"" or b"\x07\x00" in answer


FRAMES = st.tuples(
    st.integers(0, 10), st.integers(0, 255), st.integers(0, 5), st.binary(max_size=60)
)


@given(st.lists(FRAMES, max_size=6))
def test_never_crashes(frames):
    server = http2_server.Http2Server(default_site(), lambda _request: False)
    server.start()
    data = PREFACE + b"".join(frame(*item) for item in frames)
    server.receive(data, NOW)
    assert server.inner is None
