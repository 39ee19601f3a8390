from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.crypto.keys import ReceiptKey, keccak256
from qnet.eip712 import qnet_domain
from qnet.errors import CryptoError, DecodeError, RemoteProtocolError
from qnet.messages.peer import PEER_TYPE, NonceWindow, SignedBody
from tests.qnet.messages.typed_data import oracle_digest
from tests.support.signed_network import CHAIN_ID, COMMITTEE

KEY = ReceiptKey.generate()
DOMAIN = qnet_domain(CHAIN_ID, COMMITTEE)
PATH = "/v1/peer/vote"
RECIPIENT = b"\x02" * 20


def signed(body: bytes = b"\xa0", *, nonce: bytes = b"n" * 16, timestamp: int = 1000) -> SignedBody:
    return SignedBody.sign(
        KEY,
        domain=DOMAIN,
        path=PATH,
        recipient=RECIPIENT,
        timestamp=timestamp,
        nonce=nonce,
        body=body,
    )


CALL = signed()
WIRE = CALL.encode()


@settings(max_examples=50)
@given(st.binary(min_size=1, max_size=200), st.binary(min_size=16, max_size=16))
def test_round_trips_and_verifies(body: bytes, nonce: bytes) -> None:
    decoded = SignedBody.decode(signed(body, nonce=nonce).encode())
    assert decoded.body == body
    decoded.verify(domain=DOMAIN, path=PATH, recipient=RECIPIENT)


def test_signature_is_the_typed_data_of_eth_account() -> None:
    values = (PATH, RECIPIENT, 1000, b"n" * 16, keccak256(b"\xa0"))
    digest = oracle_digest(PEER_TYPE, values, chain_id=CHAIN_ID, contract=COMMITTEE)
    assert KEY.sign(digest) == CALL.signature


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/v1/peer/other"},
        {"recipient": b"\x03" * 20},
        {"domain": qnet_domain(1, COMMITTEE)},
    ],
    ids=["path", "recipient", "domain"],
)
def test_signature_binds_path_recipient_and_domain(change: dict[str, object]) -> None:
    given_ = {"domain": DOMAIN, "path": PATH, "recipient": RECIPIENT, **change}
    with pytest.raises(CryptoError):
        CALL.verify(**given_)


@pytest.mark.parametrize(
    "change",
    [{"body": b"\xa1"}, {"timestamp": 1001}, {"nonce": b"m" * 16}, {"signer": b"\x01" * 20}],
    ids=str,
)
def test_signature_binds_every_field(change: dict[str, object]) -> None:
    with pytest.raises(CryptoError):
        replace(CALL, **change).verify(domain=DOMAIN, path=PATH, recipient=RECIPIENT)


def test_body_is_bounded() -> None:
    with pytest.raises(DecodeError):
        SignedBody.decode(signed(bytes(1000)).encode(), max_body_bytes=999)
    with pytest.raises(DecodeError):
        SignedBody.decode(signed(b"").encode())


@given(st.binary(max_size=300))
def test_never_crashes_on_noise(data: bytes) -> None:
    with pytest.raises(DecodeError):
        SignedBody.decode(data)


@settings(max_examples=150)
@given(st.integers(0, len(WIRE) - 1), st.integers(1, 255))
def test_every_flipped_byte_is_refused(place: int, flip: int) -> None:
    mutated = bytearray(WIRE)
    mutated[place] ^= flip
    with pytest.raises((DecodeError, CryptoError)):
        SignedBody.decode(bytes(mutated)).verify(domain=DOMAIN, path=PATH, recipient=RECIPIENT)


def test_each_call_is_admitted_once_and_in_time() -> None:
    window = NonceWindow(max_age_s=30)
    window.admit(CALL, 1000)
    with pytest.raises(RemoteProtocolError, match="before"):
        window.admit(CALL, 1001)
    window.admit(signed(nonce=b"o" * 16), 1030)
    for now in (969, 1031):
        with pytest.raises(RemoteProtocolError, match="outside its time"):
            window.admit(signed(nonce=b"p" * 16), now)


def test_full_window_refuses_until_calls_expire() -> None:
    window = NonceWindow(max_age_s=30, capacity=1)
    window.admit(CALL, 1000)
    with pytest.raises(RemoteProtocolError, match="too many"):
        window.admit(signed(nonce=b"o" * 16, timestamp=1020), 1020)
    window.admit(signed(nonce=b"o" * 16, timestamp=1031), 1031)
