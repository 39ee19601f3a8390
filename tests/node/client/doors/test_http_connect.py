import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.circuit.messages import EndReason
from node.client.doors.http_connect import MAX_FIELDS, MAX_HEAD_BYTES, HttpDoor
from node.errors import DoorError

TUNNEL = b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n"


def basic(name, password="x"):
    return b"Basic " + base64.b64encode(f"{name}:{password}".encode())


def opened(*parts, door=None):
    door = door or HttpDoor()
    assert all(door.receive(part) == b"" for part in parts)
    return door


def refusal(*parts, door=None):
    with pytest.raises(DoorError) as caught:
        opened(*parts, door=door)
    return caught.value


def plain(text, *fields, body=b""):
    return opened(b"\r\n".join((text, *fields, b"", body)))


def test_a_tunnel_and_the_bytes_sent_early():
    door = opened(TUNNEL + b"\x16\x03\x01")
    request = door.request
    assert (request.host, request.port, request.label) == ("example.org", 443, b"")
    assert door.is_tunnel
    assert door.leftover() == b"\x16\x03\x01"
    assert door.leftover() == b""
    assert door.forward(b"more") == b"more"
    assert door.connected().startswith(b"HTTP/1.1 200 ")


def test_the_user_name_is_the_isolation_label():
    field = b"proxy-authorization: " + basic("alice", "p:w")
    door = plain(b"CONNECT a.example:1 HTTP/1.0", field)
    assert door.request.label == b"alice"


@pytest.mark.parametrize(
    ("target", "host"),
    [(b"192.0.2.7:80", "192.0.2.7"), (b"[2001:db8::1]:80", "2001:db8::1")],
)
def test_addresses_are_marked(target, host):
    request = plain(b"CONNECT " + target + b" HTTP/1.1").request
    assert request.host == host
    assert request.is_raw_address


def test_a_plain_request_goes_on_in_origin_form_without_the_proxys_fields():
    door = plain(
        b"POST http://site.example:8080/a?b=c#d HTTP/1.1",
        *(b"Host: other.example", b"Proxy-Authorization: " + basic("bob")),
        *(b"Connection: keep-alive, X-Hop", b"X-Hop: 1", b"Proxy-Connection: keep-alive"),
        *(b"Accept: text/html", b"Content-Length: 5"),
        body=b"hel",
    )
    assert (door.request.host, door.request.port, door.request.label) == (
        *("site.example", 8080),
        b"bob",
    )
    assert door.leftover() == (
        b"POST /a?b=c HTTP/1.1\r\nHost: site.example:8080\r\nConnection: close\r\n"
        b"Accept: text/html\r\nContent-Length: 5\r\n\r\nhel"
    )
    assert door.connected() == b""
    assert door.forward(b"lo") == b"lo"
    with pytest.raises(DoorError, match="second request"):
        door.forward(b"GET http://site.example/2 HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    ("target", "line"),
    [
        (b"GET http://a.example HTTP/1.1", b"GET / HTTP/1.1"),
        (b"GET HTTP://a.example?q HTTP/1.1", b"GET /?q HTTP/1.1"),
        (b"OPTIONS http://a.example HTTP/1.1", b"OPTIONS * HTTP/1.1"),
        (b"OPTIONS http://a.example/ HTTP/1.1", b"OPTIONS / HTTP/1.1"),
    ],
)
def test_targets_become_origin_form(target, line):
    door = plain(target)
    assert door.request.port == 80
    assert door.leftover().split(b"\r\n")[0] == line


def test_a_pipelined_second_request_is_never_sent_to_the_first_ones_site():
    door = opened(b"GET http://a.example/ HTTP/1.1\r\n\r\nGET http://b.example/ HTTP/1.1\r\n\r\n")
    with pytest.raises(DoorError, match="second request"):
        door.leftover()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"CONNECT example.org HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT example.org:0 HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT example.org:65536 HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT [example.org]:1 HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT [::g]:1 HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT user@a.example:1 HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT a.example:1 HTTP/2.0\r\n\r\n", 505),
        (b"CONNECT a.example:1\r\n\r\n", 400),
        (b"CONNECT  a.example:1 HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT a.example:1 HTTP/1.1\r\n folded\r\n\r\n", 400),
        (b"CONNECT a.example:1 HTTP/1.1\r\nA : b\r\n\r\n", 400),
        (b"CONNECT a.example:1 HTTP/1.1\r\nA: \x00\r\n\r\n", 400),
        (b"CONNECT a.example:1 HTTP/1.1\r\nProxy-Authorization: Bearer x\r\n\r\n", 400),
        (b"CONNECT a.example:1 HTTP/1.1\r\nProxy-Authorization: Basic !\r\n\r\n", 400),
        (b"CONNECT a.example:1 HTTP/1.1\r\n" + b"A: b\r\n" * (MAX_FIELDS + 1) + b"\r\n", 431),
        (b"CONNECT a.example:1 HTTP/1.1\r\nA: " + b"b" * MAX_HEAD_BYTES, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET https://a.example/ HTTP/1.1\r\n\r\n", 400),
        (b"GET ftp://a.example/ HTTP/1.1\r\n\r\n", 400),
        (b"GET http://user:pw@a.example/ HTTP/1.1\r\n\r\n", 400),
        (b"POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST http://a.example/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (
            b"POST http://a.example/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            400,
        ),
    ],
)
def test_what_is_not_served_gets_a_page(data, status):
    answer = refusal(data).answer
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"<h1>" in answer


def test_a_label_that_is_too_long_is_refused():
    field = b"Proxy-Authorization: " + basic("a" * 256)
    assert b"too long" in refusal(b"CONNECT a.example:1 HTTP/1.1\r\n" + field + b"\r\n\r\n").answer


def test_other_protocols_get_no_answer():
    assert refusal(b"\x05\x01\x00").answer == b""
    assert refusal(b"\x16\x03\x01").answer == b""


def test_the_pac_file_is_served_to_programs_but_not_to_sites():
    ask = b"GET /proxy.pac HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    answer = refusal(ask + b"\r\n", door=HttpDoor(lambda: "function x() {}")).answer
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/x-ns-proxy-autoconfig" in head
    assert body == b"function x() {}"
    for field in (b"Origin: http://evil.example", b"Sec-Fetch-Site: cross-site", b"Referer: x"):
        spied = refusal(ask + field + b"\r\n\r\n", door=HttpDoor(lambda: "secret")).answer
        assert b"secret" not in spied
        assert spied.startswith(b"HTTP/1.1 400 ")


def test_failures_are_pages_with_status_and_escaped_cause():
    door = HttpDoor()
    page = door.failed(EndReason.CONNECT_TIMEOUT, "<script>")
    assert page.startswith(b"HTTP/1.1 504 ")
    assert b"Proxy-Status: qnet; error=connection_timeout" in page
    assert b"&lt;script&gt;" in page
    assert door.failed(EndReason.POLICY, "").startswith(b"HTTP/1.1 403 ")
    assert door.failed(EndReason.LINK_LOST, "").startswith(b"HTTP/1.1 503 ")
    assert door.resolved(()) == b""


@given(st.lists(st.integers(1, 40), max_size=20))
def test_any_split_of_the_bytes_gives_the_same_request(cuts):
    stream = TUNNEL + b"early"
    door, position = HttpDoor(), 0
    for cut in [*cuts, len(stream)]:
        if position < len(stream) and door.request is None:
            door.receive(stream[position : position + cut])
            position += cut
    assert door.request.host == "example.org"
    assert door.leftover() + stream[position:] == b"early"


WORDS = st.sampled_from(
    [
        *(
            b"CONNECT ",
            b"GET ",
            b"http://",
            b"a.example",
            b":443",
            b" HTTP/1.1",
            b"\r\n",
            b"\r\n\r\n",
        ),
        *(
            b"Host: a",
            b"Content-Length: 3",
            b"Proxy-Authorization: Basic eDp5",
            b"[::1]",
            b" ",
            b":",
        ),
    ]
)


@given(st.lists(st.one_of(WORDS, st.binary(max_size=200)), max_size=30))
def test_any_bytes_are_decoded_or_refused_within_the_bound(chunks):
    door = HttpDoor(lambda: "pac")
    try:
        for chunk in chunks:
            if door.request is None:
                assert door.receive(chunk) == b""
            else:
                assert len(door.leftover()) <= 2 * MAX_HEAD_BYTES
                door.forward(chunk)
    except DoorError as error:
        refused = error.answer
    else:
        refused = b""
    assert refused[:9] in {b"", b"HTTP/1.1 "}
    if door.request is None and not refused:
        assert len(door._buffer) < 2 * MAX_HEAD_BYTES
    elif door.request is not None:
        assert 0 < door.request.port < 65_536
        assert 0 < len(door.request.host) <= 253
