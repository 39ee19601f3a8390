"""The client's opening: Chrome's bytes in Chrome's order, and the three frames it waits for."""

import secrets

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import PriorityUpdated, RemoteSettingsChanged, RequestReceived, WindowUpdated
from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st

from node.errors import HandshakeRefusedError
from node.htx.admission import find_token
from node.htx.events import CloseReason
from node.htx.http2_client import (
    SETTINGS_ACK,
    Carrier,
    CarrierWeights,
    ClientAdmission,
    date_in,
    frame,
    opening,
    request,
)
from node.htx.site import SiteRequest
from tests.node.htx.pair import TEMPLATE

TOKEN = "A" * 200
GOOD = frame(4, 0, 0, b"") + SETTINGS_ACK + frame(1, 4, 1, b"headers")


def seen_by_a_server(data):
    server = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    server.initiate_connection()
    return server.receive_data(data)


def one(events, kind):
    (event,) = [event for event in events if isinstance(event, kind)]
    return event


def test_opening_is_chromes():
    events = seen_by_a_server(opening(TEMPLATE))
    changed = one(events, RemoteSettingsChanged).changed_settings
    assert [(int(key), item.new_value) for key, item in changed.items()] == [
        (1, 65536),
        (2, 0),
        (4, 6291456),
        (6, 262144),
    ]
    update = one(events, WindowUpdated)
    assert (update.stream_id, update.delta) == (0, 15663105)


@pytest.mark.parametrize("carrier", list(Carrier))
def test_request_has_chromes_order_and_one_ticket(carrier):
    data = request(TEMPLATE, "notes.example", TOKEN, carrier)
    events = seen_by_a_server(opening(TEMPLATE) + data)
    got = one(events, RequestReceived)
    length = int.from_bytes(data[:3], "big")
    names = [name for name, _ in Decoder().decode(data[14 : 9 + length])]  # behind the priority
    assert names[:4] == [":method", ":authority", ":scheme", ":path"]
    values = dict(got.headers)
    assert values[":authority"] == "notes.example"
    assert values[":method"] == ("POST" if carrier is Carrier.BODY else "GET")
    template = TEMPLATE.submit if carrier is Carrier.BODY else TEMPLATE.navigate
    expected = [name for name, _ in template if name != "cookie" or carrier is Carrier.COOKIE]
    assert names[4:] == expected
    priority = one(events, PriorityUpdated)
    assert (priority.depends_on, priority.weight, priority.exclusive) == (0, 256, True)
    body = b"".join(event.data for event in events if hasattr(event, "data"))
    if carrier is Carrier.BODY:
        assert values["content-length"] == str(len(body))
        assert values["origin"] == "https://notes.example"
    plain = tuple(item for item in got.headers if not item[0].startswith(":"))
    assert find_token(SiteRequest(values[":method"], values[":path"], plain, body)) == TOKEN


def test_carriers_follow_the_weights():
    weights = CarrierWeights()
    drawn = [weights.draw(secrets.token_bytes) for _ in range(3000)]
    shares = [drawn.count(carrier) / 3000 for carrier in Carrier]
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.06)
    assert CarrierWeights(0, 0, 1).draw(secrets.token_bytes) is Carrier.BODY


@given(st.lists(st.integers(1, len(GOOD) + 4)))
def test_admitted_by_three_frames_in_any_pieces(cuts):
    data = GOOD + b"inner"
    admission, out, last = ClientAdmission(), b"", 0
    received = b""
    for cut in [*sorted(set(cuts)), len(data)]:
        piece, last = data[last:cut], cut
        if admission.admitted:
            received += piece
        else:
            out += admission.receive(piece)
            received += admission.inner
    assert admission.admitted
    assert out == SETTINGS_ACK
    assert received == b"inner"


@pytest.mark.parametrize(
    "data",
    [
        frame(1, 4, 1, b"headers"),
        frame(4, 0, 0, b"") + frame(1, 4, 1, b"headers"),
        SETTINGS_ACK + SETTINGS_ACK,
        frame(4, 0, 0, b"") * 2,
        frame(4, 0, 0, b"") + SETTINGS_ACK + frame(8, 0, 0, bytes(4)),
        frame(4, 0, 0, b"") + SETTINGS_ACK + frame(1, 5, 1, b"headers"),
        frame(4, 0, 0, b"") + SETTINGS_ACK + frame(1, 0, 1, b"headers"),
        frame(7, 0, 0, bytes(8)),
        b"\xff" * 9,
    ],
)
def test_any_other_server_is_a_web_site(data):
    with pytest.raises(HandshakeRefusedError) as caught:
        ClientAdmission().receive(data)
    assert caught.value.reason is CloseReason.NOT_ADMITTED


@pytest.mark.parametrize(
    ("fields", "unix_s"),
    [
        ([("server", "x"), ("date", "Mon, 23 Nov 2026 05:00:00 GMT")], 1795410000.0),
        ([("date", "some day")], 0.0),
        ([("server", "x")], 0.0),
    ],
)
def test_the_time_of_the_site(fields, unix_s):
    assert date_in(Encoder().encode(fields)) == unix_s


@given(st.binary(max_size=200))
def test_no_header_block_breaks_the_reading_of_the_time(head):
    assert isinstance(date_in(head), float)
