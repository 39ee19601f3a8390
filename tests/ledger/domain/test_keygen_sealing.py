"""Shares open at their receiver only, secrets at their member only."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.keygen_sealing import SALT_BYTES, SEALED_SHARE_BYTES, Route, Safe
from qnet.crypto.keys import DhKey, ReceiptKey
from qnet.errors import CryptoError

DEALER, RECEIVER, STRANGER = (DhKey(bytes([number]) * 32) for number in (1, 2, 3))
ROUTE = Route(b"\x05" * 32, 1, 2)
SHARE = b"\x2a" * 32
KEY = ReceiptKey(b"\x09" * 32)
DOMAIN = b"\x07" * 32


def test_a_share_opens_at_its_receiver():
    sealed = ROUTE.seal(SHARE, own=DEALER, receiver=RECEIVER.public)
    assert len(sealed) == SEALED_SHARE_BYTES
    assert ROUTE.open(sealed, own=RECEIVER, dealer=DEALER.public) == SHARE


@pytest.mark.parametrize(
    ("route", "own", "dealer"),
    [
        (ROUTE, STRANGER, DEALER),
        (ROUTE, RECEIVER, STRANGER),
        (Route(b"\x06" * 32, 1, 2), RECEIVER, DEALER),
        (Route(b"\x05" * 32, 3, 2), RECEIVER, DEALER),
        (Route(b"\x05" * 32, 1, 3), RECEIVER, DEALER),
        (Route(b"\x05" * 32, 2, 1), RECEIVER, DEALER),
    ],
)
def test_it_opens_nowhere_else(route: Route, own: DhKey, dealer: DhKey):
    sealed = ROUTE.seal(SHARE, own=DEALER, receiver=RECEIVER.public)
    with pytest.raises(CryptoError):
        route.open(sealed, own=own, dealer=dealer.public)


@given(st.integers(0, SEALED_SHARE_BYTES - 1), st.integers(1, 255))
def test_a_changed_share_does_not_open(place: int, change: int):
    sealed = bytearray(ROUTE.seal(SHARE, own=DEALER, receiver=RECEIVER.public))
    sealed[place] ^= change
    with pytest.raises(CryptoError):
        ROUTE.open(bytes(sealed), own=RECEIVER, dealer=DEALER.public)


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31), b"short"])
def test_a_key_that_gives_everybody_the_same_secret_is_refused(key: bytes):
    with pytest.raises(CryptoError):
        ROUTE.seal(SHARE, own=DEALER, receiver=key)


@given(st.binary(max_size=200))
def test_rubbish_does_not_open(data: bytes):
    with pytest.raises(CryptoError):
        ROUTE.open(data, own=RECEIVER, dealer=DEALER.public)
    with pytest.raises(CryptoError):
        Safe(KEY, domain=DOMAIN, random=secrets.token_bytes).open(1, "shares", data)


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1), st.text(max_size=20))
def test_what_is_put_into_a_safe_comes_out(secret: bytes, epoch: int, name: str):
    safe = Safe(KEY, domain=DOMAIN, random=secrets.token_bytes)
    sealed = safe.seal(epoch, name, secret)
    assert safe.open(epoch, name, sealed) == secret
    assert safe.seal(epoch, name, secret) != sealed
    assert len(sealed) == SALT_BYTES + len(secret) + 16


def test_a_safe_opens_with_its_key_name_epoch_and_network_only():
    safe = Safe(KEY, domain=DOMAIN, random=secrets.token_bytes)
    sealed = safe.seal(4, "shares", b"secret")
    other = Safe(ReceiptKey(b"\x08" * 32), domain=DOMAIN, random=secrets.token_bytes)
    moved = Safe(KEY, domain=bytes(32), random=secrets.token_bytes)
    for opener, epoch, name in ((other, 4, "shares"), (moved, 4, "shares")):
        with pytest.raises(CryptoError):
            opener.open(epoch, name, sealed)
    for epoch, name in ((5, "shares"), (4, "share"), (4, "dealing 0")):
        with pytest.raises(CryptoError):
            safe.open(epoch, name, sealed)
