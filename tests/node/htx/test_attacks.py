"""What a hostile peer may try against links and the site in front of them."""

import secrets

import pytest
from hpack import Encoder

from node.htx.admission import ServerAdmission
from node.htx.events import CloseReason
from node.htx.gate import Gate, TicketMemory
from node.htx.handshake import Secured
from node.htx.http2_client import PREFACE, Carrier, frame, opening, request
from node.htx.http2_server import MAX_OPEN_HEAD_BYTES, Http2Server
from node.htx.record import RecordType
from node.htx.site import default_site
from node.htx.ticket import TicketChecker, encode_token, issue
from qnet.errors import LocalProtocolError
from tests.node.htx.http2_visitor import GET, NOW, Visitor
from tests.node.htx.pair import TEMPLATE, Pair, address_of, fresh_keys, gate_of

HEADERS, SETTINGS, END_HEADERS = 1, 4, 4


def test_requests_left_open_hold_little_memory():
    """A head of 16 KB costs 60 bytes on the wire once the table of HPACK knows its fields."""
    server = Http2Server(default_site(), lambda _request: False)
    server.start()
    server.receive(PREFACE + frame(SETTINGS, 0, 0, b""), NOW)
    encoder = Encoder()
    most = 0
    for stream in range(1, 201, 2):
        block = encoder.encode([*GET, *[("x" * 30, "y" * 3900)] * 3])
        server.receive(frame(HEADERS, END_HEADERS, stream, block), NOW)
        held = server._requests.values()
        most = max(most, sum(len(value) for request in held for _, value in request.headers))
        if server.closed:
            break
    assert server.closed
    assert most <= MAX_OPEN_HEAD_BYTES


def test_a_head_beyond_the_limit_ends_the_connection_from_the_first_request_on():
    server = Http2Server(default_site(), lambda _request: False)
    server.start()
    server.receive(PREFACE + frame(SETTINGS, 0, 0, b""), NOW)
    block = Encoder().encode([*GET, *[("x" * 30, "y" * 3900)] * 15])
    server.receive(frame(HEADERS, END_HEADERS, 1, block), NOW)
    assert server.closed


def test_ordinary_requests_at_once_are_answered():
    visitor = Visitor()
    streams = []
    for _ in range(20):
        stream = visitor.h2.get_next_available_stream_id()
        visitor.h2.send_headers(stream, [*GET, ("accept", "*/*")], end_stream=False)
        streams.append(stream)
    for stream in streams:
        visitor.h2.send_data(stream, b"", end_stream=True)
    visitor.run()
    assert {visitor.headers[stream][b":status"] for stream in streams} == {b"200"}


def token_for(keys):
    address = address_of(keys)
    ticket = issue(
        address.ticket_key,
        address.ticket_id,
        keys.spki_hash,
        unix_s=NOW,
        random=secrets.token_bytes,
    )
    return encode_token(ticket, secrets.token_bytes)


def test_a_good_ticket_on_an_older_tls_gets_the_web_site_and_stays_good():
    keys = fresh_keys()
    gate, token = gate_of(keys), token_for(keys)
    data = opening(TEMPLATE) + request(TEMPLATE, "a", token, Carrier.COOKIE)
    for links in (False, True):
        admission = ServerAdmission(
            "h2", site=default_site(), gate=gate, source="", clock=lambda: NOW, links=links
        )
        admission.start()
        admission.receive(data)
        assert (admission.ticket is not None) == links


def test_a_ticket_that_cannot_be_remembered_is_refused_and_counted():
    class FullDisk:
        def load(self):
            return ()

        def append(self, _hour, _digest):
            raise OSError(28, "no space")

        def drop_before(self, _hour):
            raise AssertionError

    keys = fresh_keys()
    checker = TicketChecker(keys.ticket_keys, keys.spki_hash, secrets.token_bytes)
    memory = TicketMemory(FullDisk())
    assert Gate(checker, memory).admit(token_for(keys), source="", unix_s=NOW) is None
    assert memory.refused_unkept == 1


def held_keys(link):
    schedule = link._session._schedule
    return [name for name in ("sealer", "opener") if hasattr(schedule, name)] + [
        name for name in ("_root", "_own", "_next_opener") if getattr(schedule, name)
    ]


def test_a_closed_link_holds_no_key_at_either_end():
    pair = Pair().pump()
    assert held_keys(pair.client) == held_keys(pair.server) == ["sealer", "opener", "_root"]
    pair.client.close(CloseReason.DONE)
    pair.pump()
    assert held_keys(pair.client) == held_keys(pair.server) == []
    with pytest.raises(LocalProtocolError):
        pair.client.send_cells([bytes(2048)])
    assert pair.client.receive(b"anything", pair.now) == []
    assert pair.client.tick(pair.now + 1e6) == []
    assert pair.client.next_tick() == float("inf")


def test_a_link_that_failed_holds_no_key():
    pair = Pair().pump()
    pair.server.receive(bytes(256), pair.now)
    assert held_keys(pair.server) == []


def test_padding_with_a_content_is_a_breach():
    pair = Pair().pump()
    pair.client._session._seal(RecordType.PADDING, b"x")
    pair.pump()
    assert pair.closed("server") == [CloseReason.PROTOCOL]


def test_the_root_key_does_not_show_in_messages_and_logs():
    root = secrets.token_bytes(32)
    assert repr(root) not in repr(Secured(root, None, 1, 0))
