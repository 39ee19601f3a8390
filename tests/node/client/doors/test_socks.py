import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.circuit.messages import Answer, EndReason
from node.client.doors.door import Command
from node.client.doors.socks import MAX_NEGOTIATION_BYTES, Reply, SocksDoor, encode_reply
from node.errors import DoorError

NO_AUTH = b"\x05\x01\x00"
CONNECT_NAME = b"\x05\x01\x00\x03\x0bexample.org\x01\xbb"


def negotiate(*parts):
    decoder = SocksDoor()
    return decoder, [decoder.receive(part) for part in parts]


def test_connect_by_name():
    decoder, answers = negotiate(NO_AUTH, CONNECT_NAME + b"early")
    assert answers == [b"\x05\x00", b""]
    request = decoder.request
    assert (request.command, request.host, request.port) == (Command.CONNECT, "example.org", 443)
    assert request.label == b""
    assert not request.is_raw_address
    assert decoder.leftover() == b"early"
    assert decoder.leftover() == b""


def test_the_user_name_is_the_isolation_label():
    decoder, answers = negotiate(b"\x05\x02\x00\x02", b"\x01\x05alice\x02pw", CONNECT_NAME)
    assert answers == [b"\x05\x02", b"\x01\x00", b""]
    assert decoder.request.label == b"alice"


@pytest.mark.parametrize(
    ("address", "host"),
    [
        (b"\x01\x5d\xb8\xd8\x22", "93.184.216.34"),
        (b"\x04" + bytes(15) + b"\x01", "::1"),
    ],
)
def test_raw_addresses_are_marked(address, host):
    decoder, _ = negotiate(NO_AUTH, b"\x05\x01\x00" + address + b"\x00\x50")
    assert decoder.request.host == host
    assert decoder.request.is_raw_address


def test_an_address_written_as_a_name_is_still_raw():
    decoder, _ = negotiate(NO_AUTH, b"\x05\x01\x00\x03\x091.2.3.4.5"[:5] + b"1.2.3.4" + b"\x00\x50")
    assert decoder.request is None
    decoder, _ = negotiate(NO_AUTH, b"\x05\x01\x00\x03\x071.2.3.4\x00\x50")
    assert decoder.request.is_raw_address


def test_resolve_needs_no_port():
    decoder, _ = negotiate(NO_AUTH, b"\x05\xf0\x00\x03\x04a.bc\x00\x00")
    assert decoder.request.command is Command.RESOLVE


@pytest.mark.parametrize(
    ("request_bytes", "reply"),
    [
        (b"\x05\x02\x00\x01\x01\x01\x01\x01\x00\x50", Reply.COMMAND_NOT_SUPPORTED),
        (b"\x05\x01\x00\x07\x01\x01\x01\x01\x00\x50", Reply.ADDRESS_NOT_SUPPORTED),
        (b"\x05\x01\x00\x01\x01\x01\x01\x01\x00\x00", Reply.FAILURE),
        (b"\x05\x01\x00\x03\x00\x00\x50", Reply.FAILURE),
        (b"\x05\x01\x00\x03\x01\xff\x00\x50", Reply.FAILURE),
        (b"\x05\x01\x00\x03\x01 \x00\x50", Reply.FAILURE),
        (b"\x04\x01\x00\x03\x01a\x00\x50", Reply.FAILURE),
    ],
)
def test_bad_requests_get_a_reply(request_bytes, reply):
    decoder, _ = negotiate(NO_AUTH)
    with pytest.raises(DoorError) as caught:
        decoder.receive(request_bytes)
    assert caught.value.answer == encode_reply(reply)


@pytest.mark.parametrize(
    ("greeting", "words"),
    [(b"\x04\x01", "SOCKS4"), (b"\x16\x03", "not SOCKS5")],
)
def test_other_protocols_are_named(greeting, words):
    with pytest.raises(DoorError, match=words) as caught:
        SocksDoor().receive(greeting)
    assert caught.value.answer == b""


@pytest.mark.parametrize("method", ["GET", "POST", "CONNECT", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_a_browser_reads_that_this_is_no_web_proxy(method):
    with pytest.raises(DoorError, match="not an HTTP proxy") as caught:
        SocksDoor().receive(f"{method} http://x.example/ HTTP/1.1\r\n".encode())
    head, _, body = caught.value.answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 501 Not Implemented\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"socks5h" in body


def test_names_of_addresses_are_refused_in_words():
    decoder, _ = negotiate(NO_AUTH)
    with pytest.raises(DoorError, match="RESOLVE_PTR is not served") as caught:
        decoder.receive(b"\x05\xf1\x00\x01\x01\x01\x01\x01\x00\x00")
    assert caught.value.answer == encode_reply(Reply.COMMAND_NOT_SUPPORTED)


def test_a_name_longer_than_dns_allows_is_refused():
    decoder, _ = negotiate(NO_AUTH)
    with pytest.raises(DoorError, match="too long"):
        decoder.receive(b"\x05\x01\x00\x03\xff" + b"a" * 255 + b"\x00\x50")


def test_what_the_exit_says_becomes_a_reply_code():
    door = SocksDoor()
    assert door.connected() == encode_reply(Reply.SUCCEEDED)
    assert door.failed(EndReason.CONNECT_REFUSED, "") == encode_reply(Reply.REFUSED)
    assert door.failed(EndReason.NAME_NOT_FOUND, "") == encode_reply(Reply.HOST_UNREACHABLE)
    assert door.failed(EndReason.LINK_LOST, "") == encode_reply(Reply.FAILURE)
    assert door.resolved(()) == encode_reply(Reply.HOST_UNREACHABLE)
    answers = (Answer(bytes((192, 0, 2, 1)), 60), Answer(bytes((192, 0, 2, 2)), 60))
    assert door.resolved(answers)[4:8] == bytes((192, 0, 2, 1))


def test_no_known_method_is_refused():
    with pytest.raises(DoorError) as caught:
        SocksDoor().receive(b"\x05\x01\x01")
    assert caught.value.answer == b"\x05\xff"


def test_replies_carry_an_address_when_there_is_one():
    from ipaddress import ip_address

    assert encode_reply(0) == b"\x05\x00\x00\x01" + bytes(6)
    assert encode_reply(0, ip_address("::1")) == b"\x05\x00\x00\x04" + bytes(15) + b"\x01\x00\x00"


@given(st.lists(st.integers(1, 60), max_size=20), st.booleans())
def test_any_split_of_the_bytes_gives_the_same_request(cuts, named):
    auth = b"\x05\x01\x02" + b"\x01\x03abc\x00" if named else NO_AUTH
    stream = auth + CONNECT_NAME + b"payload"
    decoder, position = SocksDoor(), 0
    for cut in [*cuts, len(stream)]:
        decoder.receive(stream[position : position + cut]) if position < len(stream) else None
        position += cut
    assert decoder.request.host == "example.org"
    assert decoder.request.label == (b"abc" if named else b"")
    assert decoder.leftover() == b"payload"


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_any_bytes_are_decoded_or_refused_within_the_bound(chunks):
    decoder = SocksDoor()
    try:
        for chunk in chunks:
            decoder.receive(chunk)
    except DoorError:
        return
    if decoder.request is None:
        assert len(decoder._buffer) <= MAX_NEGOTIATION_BYTES
