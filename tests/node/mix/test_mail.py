import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.mix.frame import REPLY_BYTES
from node.mix.mail import MAX_BODY_BYTES, MAX_REPLIES, Mail, decode_mail, reply_fragments
from node.mix.surb import SURB_BYTES, Surb, make_surb
from qnet.errors import DecodeError, LocalProtocolError
from tests.node.mix.mixes import PHASE, Mixes

MIXES = Mixes()
SURBS = tuple(make_surb(MIXES.route(PHASE + step), secrets.token_bytes)[0] for step in (0, 1, 2, 3))


@given(st.binary(max_size=2000), st.integers(0, 4))
def test_round_trip(text, count):
    mail = Mail(text, SURBS[:count])
    assert decode_mail(mail.encode()) == mail


def test_blocks_for_later_phases():
    mail = Mail(b"text", SURBS)
    assert mail.usable(PHASE) == SURBS[:2]
    assert mail.usable(PHASE + 2) == SURBS[1:4]
    assert mail.usable(PHASE + 9) == ()


@given(st.binary(max_size=3 * SURB_BYTES))
def test_reading_never_crashes(body):
    try:
        mail = decode_mail(body)
    except DecodeError:
        return
    assert mail.encode() == body


def test_bounds():
    with pytest.raises(LocalProtocolError):
        Mail(b"", (SURBS[0],) * (MAX_REPLIES + 1)).encode()
    with pytest.raises(LocalProtocolError):
        Mail(bytes(MAX_BODY_BYTES)).encode()
    with pytest.raises(DecodeError):
        decode_mail(bytes([MAX_REPLIES + 1]) + bytes(SURB_BYTES * (MAX_REPLIES + 1)))


def test_a_reply_takes_as_many_blocks_as_it_needs():
    text = bytes(REPLY_BYTES + 1)
    pairs = reply_fragments(secrets.token_bytes(16), text, SURBS)
    assert [surb for surb, _ in pairs] == list(SURBS[:2])
    assert b"".join(fragment.data for _, fragment in pairs) == text
    with pytest.raises(LocalProtocolError):
        reply_fragments(secrets.token_bytes(16), text, SURBS[:1])
    assert all(isinstance(surb, Surb) for surb, _ in pairs)
