"""Tickets: vectors, windows, binding and decoders."""

import json
import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.htx import ticket
from node.htx.ticket import Ticket, TicketChecker, decode_token, encode_token, issue
from qnet.crypto.keys import DhKey
from qnet.errors import CryptoError, DecodeError

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "htx" / "ticket.json").read_text())[
    "vectors"
]
NOW = 1_800_000_000.0


def parts(*pieces):
    queue = list(pieces)
    return lambda size: queue.pop(0)[:size]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: str(v["unix_s"]))
def test_vectors(vector):
    v = {
        key: bytes.fromhex(value) for key, value in vector.items() if key not in {"unix_s", "token"}
    }
    key = DhKey(v["ticket_secret"])
    made = issue(
        key.public,
        v["key_id"],
        v["spki_hash"],
        unix_s=vector["unix_s"],
        random=parts(v["client_secret"], v["nonce"]),
    )
    assert made.encode() == v["ticket"]
    token = encode_token(made, parts(bytes([len(v["pad"]) - ticket.MIN_PAD_BYTES]), v["pad"]))
    assert token == vector["token"]
    checker = TicketChecker({v["key_id"]: key}, v["spki_hash"], secrets.token_bytes)
    hour = vector["unix_s"] // 3600
    assert checker.hour_for(token, vector["unix_s"]) == (hour, made)


def rig():
    key, key_id, spki = DhKey(secrets.token_bytes(32)), secrets.token_bytes(8), bytes(32)
    made = issue(key.public, key_id, spki, unix_s=NOW, random=secrets.token_bytes)
    return key, key_id, spki, made


@pytest.mark.parametrize(
    ("hours", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_window_is_three_hours(hours, good):
    key, key_id, spki, made = rig()
    checker = TicketChecker({key_id: key}, spki, secrets.token_bytes)
    found = checker.hour_for(encode_token(made, secrets.token_bytes), NOW + 3600 * hours)
    assert (found is not None) == good


def test_ticket_is_bound_to_certificate_and_key():
    key, key_id, spki, made = rig()
    token = encode_token(made, secrets.token_bytes)
    other = DhKey(secrets.token_bytes(32))
    for keys, pin in (({key_id: key}, bytes([1]) * 32), ({key_id: other}, spki), ({}, spki)):
        assert TicketChecker(keys, pin, secrets.token_bytes).hour_for(token, NOW) is None


def test_every_flipped_byte_is_refused():
    key, key_id, spki, made = rig()
    checker = TicketChecker({key_id: key}, spki, secrets.token_bytes)
    for at in range(ticket.TICKET_BYTES):
        data = bytearray(made.encode())
        data[at] ^= 0x80
        try:
            token = encode_token(Ticket.decode(bytes(data)), secrets.token_bytes)
        except DecodeError:
            assert at == 0
            continue
        assert checker.hour_for(token, NOW) is None


def test_low_order_points_are_refused():
    key, key_id, spki, _ = rig()
    checker = TicketChecker({key_id: key}, spki, secrets.token_bytes)
    low = Ticket(bytes(32), key_id, bytes(32), bytes(32))
    assert checker.hour_for(encode_token(low, secrets.token_bytes), NOW) is None
    with pytest.raises(CryptoError):
        issue(bytes(32), key_id, spki, unix_s=NOW, random=secrets.token_bytes)


@pytest.mark.parametrize("token", [None, "", "x", "=" * 200, "ä" * 200, "A" * 172, "A" * 500])
def test_what_is_no_ticket_is_refused(token):
    key, key_id, spki, _ = rig()
    assert TicketChecker({key_id: key}, spki, secrets.token_bytes).hour_for(token, NOW) is None


def test_pad_out_of_range_is_refused():
    made = rig()[3]
    for size in (23, 65):
        with pytest.raises(DecodeError):
            decode_token(ticket.base64.urlsafe_b64encode(made.encode() + bytes(size)).decode())


@given(st.text(max_size=300))
def test_decode_never_crashes(text):
    try:
        decode_token(text)
    except DecodeError:
        return


@given(st.binary(max_size=120))
def test_decode_of_bytes_never_crashes(data):
    try:
        assert Ticket.decode(data).encode() == data
    except DecodeError:
        return


@given(st.integers(0, 255))
def test_tokens_have_24_to_64_bytes_behind_the_ticket(first):
    made = Ticket(bytes(32), bytes(8), bytes(32), bytes(32))
    token = encode_token(made, lambda size: bytes([first]) * size)
    assert decode_token(token) == made
    assert 129 <= len(token) * 3 // 4 <= 169
