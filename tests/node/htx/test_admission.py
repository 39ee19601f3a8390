"""Where tickets are looked for, and who becomes a link."""

import pytest

from node.htx.admission import ServerAdmission, find_token
from node.htx.site import SiteRequest, default_site
from tests.node.htx.pair import UNIX_S, fresh_keys, gate_of


def ask(method="GET", path="/", cookies=(), body=b""):
    headers = tuple(("cookie", value) for value in cookies)
    return find_token(SiteRequest(method, path, (("accept", "*/*"), *headers), body))


@pytest.mark.parametrize(
    ("options", "token"),
    [
        ({}, None),
        ({"cookies": ["__Host-sid=T"]}, "T"),
        ({"cookies": ["a=b; __Host-sid=T; c=d"]}, "T"),
        ({"cookies": ["a=b", "__Host-sid=T"]}, "T"),
        ({"path": "/x?v=T"}, "T"),
        ({"path": "/?w=1&v=T"}, "T"),
        ({"method": "POST", "body": b"data=T"}, "T"),
        ({"body": b"data=T"}, None),
        ({"method": "POST", "body": b"data=T" + b"x" * 2000}, None),
        ({"cookies": ["__Host-sid=T"], "path": "/?v=T"}, None),
        ({"path": "/?v=T&v=U"}, None),
        ({"path": "/?" + "v=T&" * 40}, None),
        ({"cookies": ["__Host-sid"]}, ""),
    ],
)
def test_one_ticket_in_one_place(options, token):
    assert ask(**options) == token


@pytest.mark.parametrize("alpn", ["http/1.1", None])
def test_without_h2_it_is_a_web_site_to_the_end(alpn):
    admission = ServerAdmission(
        alpn,
        site=default_site(),
        gate=gate_of(fresh_keys()),
        source="192.0.2.1",
        clock=lambda: UNIX_S,
    )
    assert admission.start() == b""
    answer = admission.receive(b"GET /?v=x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert admission.closed
    assert admission.inner is None
    assert admission.ticket is None
