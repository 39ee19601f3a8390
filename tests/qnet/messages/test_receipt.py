from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.crypto.keys import ReceiptKey
from qnet.eip712 import qnet_domain
from qnet.errors import CryptoError, DecodeError
from qnet.messages.receipt import (
    NO_SAMPLE,
    RECEIPT_BYTES,
    RECEIPT_TYPE,
    LinkReceipt,
    Side,
    SignedReceipt,
    bucket_index,
    bucket_round,
    buckets_apart,
)
from tests.qnet.messages.typed_data import oracle_digest
from tests.support.signed_network import CHAIN_ID, ORACLE

KEY = ReceiptKey.generate()
DOMAIN = qnet_domain(CHAIN_ID, ORACLE)
BODY = LinkReceipt(3, 5, 7, 9, Side.SENDER, bucket_round(123_456), b"\x11" * 32)
SIGNED = BODY.sign(KEY, DOMAIN)
WIRE = SIGNED.encode()
U64 = (1 << 64) - 1

receipts = st.builds(
    LinkReceipt,
    st.integers(0, (1 << 32) - 1),
    st.integers(0, 23),
    st.integers(1, 1 << 31),
    st.integers((1 << 31) + 1, (1 << 32) - 1),
    st.sampled_from(Side),
    st.integers(0, U64).map(bucket_round),
    st.binary(min_size=32, max_size=32),
)


@settings(max_examples=50)
@given(receipts)
def test_round_trips_and_verifies(body: LinkReceipt) -> None:
    signed = body.sign(KEY, DOMAIN)
    wire = signed.encode()
    assert len(wire) == RECEIPT_BYTES
    decoded = SignedReceipt.decode(wire)
    assert decoded == signed
    decoded.verify(DOMAIN, KEY.address)


@settings(max_examples=30)
@given(receipts)
def test_digest_is_the_typed_data_of_eth_account(body: LinkReceipt) -> None:
    values = (
        body.epoch,
        body.slot,
        body.node_from,
        body.node_to,
        int(body.side),
        body.packets,
        body.sample_root,
    )
    expected = oracle_digest(RECEIPT_TYPE, values, chain_id=CHAIN_ID, contract=ORACLE)
    assert body.digest(DOMAIN) == expected


def test_signature_binds_chain_oracle_and_signer() -> None:
    for domain in (qnet_domain(1, ORACLE), qnet_domain(CHAIN_ID, b"\x0b" * 20)):
        with pytest.raises(CryptoError):
            SIGNED.verify(domain, KEY.address)
    with pytest.raises(CryptoError):
        SIGNED.verify(DOMAIN, ReceiptKey.generate().address)


def test_signer_follows_the_side() -> None:
    assert (BODY.signer, BODY.counterpart) == (7, 9)
    other = replace(BODY, side=Side.RECEIVER)
    assert (other.signer, other.counterpart) == (9, 7)
    assert BODY.key == (3, 5, 7, 9, 0)


def test_body_hash_ignores_the_signature() -> None:
    assert replace(SIGNED, signature=bytes(65)).body_hash == SIGNED.body_hash
    other = replace(BODY, packets=0).sign(KEY, DOMAIN)
    assert other.body_hash != SIGNED.body_hash


@pytest.mark.parametrize(
    "change",
    [
        {"slot": 24},
        {"node_from": 0},
        {"node_to": 0},
        {"node_to": 7},
        {"packets": 33},
    ],
    ids=str,
)
def test_fields_out_of_bounds_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(DecodeError):
        SignedReceipt.decode(replace(SIGNED, receipt=replace(BODY, **change)).encode())


def test_unknown_side_is_refused() -> None:
    mutated = bytearray(WIRE)
    mutated[14] = 2
    with pytest.raises(DecodeError):
        SignedReceipt.decode(bytes(mutated))


@given(st.binary(max_size=200))
def test_never_crashes_on_noise(data: bytes) -> None:
    if len(data) != RECEIPT_BYTES:
        with pytest.raises(DecodeError):
            SignedReceipt.decode(data)


@given(st.binary(min_size=RECEIPT_BYTES, max_size=RECEIPT_BYTES))
def test_noise_of_the_right_size_never_verifies(data: bytes) -> None:
    with pytest.raises((DecodeError, CryptoError)):
        SignedReceipt.decode(data).verify(DOMAIN, KEY.address)


@settings(max_examples=150)
@given(st.integers(0, RECEIPT_BYTES - 1), st.integers(1, 255))
def test_every_flipped_byte_is_refused(place: int, flip: int) -> None:
    mutated = bytearray(WIRE)
    mutated[place] ^= flip
    with pytest.raises((DecodeError, CryptoError)):
        SignedReceipt.decode(bytes(mutated)).verify(DOMAIN, KEY.address)


def test_buckets_are_sixteen_to_an_octave_without_gaps() -> None:
    floors = sorted({bucket_round(count) for count in range(1 << 12)})
    assert [bucket_index(floor) for floor in floors] == list(range(len(floors)))
    for octave in range(4, 12):
        inside = [floor for floor in floors if 1 << octave <= floor < 2 << octave]
        assert len(inside) == 16
        assert {high - low for low, high in pairwise(inside)} == {1 << octave - 4}


@pytest.mark.parametrize(
    ("count", "floor", "index"),
    [
        (0, 0, 0),
        (15, 15, 15),
        (31, 31, 31),
        (32, 32, 32),
        (33, 32, 32),
        (1000, 992, 111),
        (U64, 0b11111 << 59, 975),
    ],
)
def test_bucket_values(count: int, floor: int, index: int) -> None:
    assert (bucket_round(count), bucket_index(count)) == (floor, index)


@given(st.integers(0, U64), st.integers(0, U64))
def test_buckets_keep_order_and_precision(left: int, right: int) -> None:
    low, high = sorted((left, right))
    assert bucket_index(low) <= bucket_index(high)
    assert bucket_round(left) <= left
    assert 16 * (left - bucket_round(left)) <= bucket_round(left)
    assert bucket_round(bucket_round(left)) == bucket_round(left)
    assert bucket_index(bucket_round(left)) == bucket_index(left)
    assert buckets_apart(left, right) == bucket_index(high) - bucket_index(low)


def test_counts_beyond_64_bits_have_no_bucket() -> None:
    for count in (-1, 1 << 64):
        with pytest.raises(ValueError, match="64 bits"):
            bucket_index(count)


def test_no_sample_is_a_valid_root() -> None:
    signed = replace(BODY, sample_root=NO_SAMPLE).sign(KEY, DOMAIN)
    assert SignedReceipt.decode(signed.encode()).receipt.sample_root == NO_SAMPLE
