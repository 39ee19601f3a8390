import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.mix.envelope import FRAME_BYTES, open_frame, open_reply, seal_frame, seal_reply
from node.mix.packet import PAYLOAD_BYTES
from qnet.crypto.keys import DhKey
from qnet.errors import CryptoError, LocalProtocolError

RECIPIENT = DhKey(secrets.token_bytes(32))
FRAME = secrets.token_bytes(FRAME_BYTES)
SEALED = seal_frame(FRAME, RECIPIENT.public, secrets.token_bytes)
REPLY_KEY = secrets.token_bytes(32)
REPLY = seal_reply(FRAME, REPLY_KEY)


def test_the_recipient_opens_and_nobody_else():
    assert len(SEALED) == PAYLOAD_BYTES
    assert open_frame(SEALED, RECIPIENT) == FRAME
    with pytest.raises(CryptoError):
        open_frame(SEALED, DhKey(secrets.token_bytes(32)))


def test_two_seals_have_nothing_in_common():
    other = seal_frame(FRAME, RECIPIENT.public, secrets.token_bytes)
    assert sum(a == b for a, b in zip(SEALED, other, strict=True)) < 40


@given(st.integers(0, PAYLOAD_BYTES * 8 - 1))
@settings(max_examples=150, deadline=None)
def test_any_changed_bit_is_refused(bit):
    for sealed, read in (
        (SEALED, lambda data: open_frame(data, RECIPIENT)),
        (REPLY, lambda data: open_reply(data, REPLY_KEY)),
    ):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CryptoError):
            read(bytes(changed))


def test_the_random_bits_of_a_representative_are_bound_too():
    changed = SEALED[:31] + bytes([SEALED[31] ^ 0xC0]) + SEALED[32:]
    with pytest.raises(CryptoError):
        open_frame(changed, RECIPIENT)


def test_replies():
    assert len(REPLY) == PAYLOAD_BYTES
    assert open_reply(REPLY, REPLY_KEY) == FRAME
    with pytest.raises(CryptoError):
        open_reply(REPLY, bytes(32))


def test_sizes_and_keys_that_are_refused():
    for size in (0, FRAME_BYTES - 1, FRAME_BYTES + 1):
        with pytest.raises(LocalProtocolError):
            seal_frame(bytes(size), RECIPIENT.public, secrets.token_bytes)
        with pytest.raises(LocalProtocolError):
            seal_reply(bytes(size), REPLY_KEY)
    with pytest.raises(CryptoError):
        seal_frame(FRAME, bytes(32), secrets.token_bytes)
