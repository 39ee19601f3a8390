"""`htx://` lines."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import AddressError
from node.htx.address import HtxAddress, parse


def address(**changes):
    values = {
        "host": "192.0.2.1",
        "port": 443,
        "sni": "notes.example",
        "identity": secrets.token_bytes(32),
        "spki": secrets.token_bytes(32),
        "link_key": secrets.token_bytes(32),
        "ticket_key": secrets.token_bytes(32),
        "ticket_id": secrets.token_bytes(8),
    }
    return HtxAddress(**(values | changes))


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "node.example"])
def test_round_trip(host):
    wanted = address(host=host)
    assert parse(wanted.format()) == wanted
    assert parse(f"  {wanted.format()}\n") == wanted


@pytest.mark.parametrize(
    "changes",
    [
        {"host": ""},
        {"sni": ""},
        {"sni": "ä.example"},
        {"host": "a" * 254},
        {"port": 0},
        {"port": 65536},
        {"identity": b"short"},
        {"spki": bytes(31)},
        {"link_key": bytes(33)},
        {"ticket_key": b""},
        {"ticket_id": bytes(7)},
    ],
)
def test_wrong_parts_are_refused(changes):
    with pytest.raises(AddressError):
        address(**changes)


def test_wrong_lines_are_refused():
    good = address().format()
    lines = [
        "",
        "htx://",
        good.replace("htx:", "http:"),
        good.replace("?sni", "/path?sni"),
        good + "#part",
        good + "&more=1",
        good.replace("sni=", "sin="),
        good.replace("&tid=", "&id="),
        good.replace("192", "user@192"),
        good.replace(":443", ":99999"),
        good.replace(":443", ""),
        good.replace("id=", "id=*", 1),
        good[:-1] + ("B" if good[-1] != "B" else "C"),
        good + "A" * 1024,
    ]
    for line in lines:
        with pytest.raises(AddressError):
            parse(line)


@given(st.text(max_size=1100))
def test_parse_never_crashes(text):
    for line in (text, f"htx://{text}", f"htx://h:1?{text}"):
        try:
            parse(line)
        except AddressError:
            continue
