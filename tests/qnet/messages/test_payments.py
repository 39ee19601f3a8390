"""Instruments, vouchers and swaps: what is signed, and what comes over the wire."""

from contextlib import suppress
from dataclasses import replace

import pytest
from eth_abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from qnet.crypto.keys import ReceiptKey, keccak256
from qnet.eip712 import qnet_domain
from qnet.errors import CryptoError, DecodeError, LocalProtocolError
from qnet.messages.instruments import (
    DOMAIN,
    KEY_BYTES,
    KEYS,
    OPENING_BYTES,
    UNIT_BYTES,
    Opening,
    Place,
    Unit,
    token_id_of,
    units_of,
)
from qnet.messages.swap import CreditInput, Output, Swap, TokenInput
from qnet.messages.voucher import BATCH_MAX, Purchase, Voucher

PLACE = Place(31337, b"\x0c" * 20)
EIP712 = qnet_domain(PLACE.chain_id, PLACE.channels)
OWNER = ReceiptKey(b"\x11" * 32)
OTHER = ReceiptKey(b"\x12" * 32)
u32 = st.integers(0, 2**32 - 1)
words = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20)
points = st.binary(min_size=48, max_size=48)
signatures = st.binary(min_size=65, max_size=65)


# messages that are signed blindly


@given(u32, st.integers(0, 6), addresses)
def test_a_credits_message_is_the_abis_encoding(epoch, class_, key):
    kinds = ["bytes32", "uint256", "address", "bytes32", "uint32", "uint8", "address"]
    values = [DOMAIN, PLACE.chain_id, PLACE.channels, b"CR", epoch, class_, key]
    assert PLACE.credit(epoch, class_, key) == keccak256(encode(kinds, values))


@given(u32, u32, words, addresses)
def test_a_tokens_message_is_the_abis_encoding(epoch, relay, top, refund):
    token_id = token_id_of(top, refund)
    assert token_id == keccak256(encode(["bytes32", "address"], [top, refund]))
    kinds = ["bytes32", "uint256", "address", "bytes32", "uint32", "uint32", "bytes32"]
    values = [DOMAIN, PLACE.chain_id, PLACE.channels, b"CH", epoch, relay, token_id]
    assert PLACE.token(epoch, relay, token_id) == keccak256(encode(kinds, values))


def test_every_part_of_a_place_counts():
    made = {
        place.credit(epoch, class_, OWNER.address)
        for place in (PLACE, Place(1, PLACE.channels), Place(31337, b"\x0d" * 20))
        for epoch in (0, 1)
        for class_ in (0, 1)
    }
    made |= {PLACE.token(0, relay, bytes(32)) for relay in (0, 1)}
    assert len(made) == 14


def test_a_hash_of_keys_needs_eight():
    keys = [bytes([n]) * KEY_BYTES for n in range(KEYS)]
    head = encode(["bytes32", "uint256", "address", "uint32"], [DOMAIN, 31337, PLACE.channels, 5])
    assert PLACE.keys_hash(5, keys) == keccak256(head + b"".join(keccak256(key) for key in keys))
    for wrong in (keys[:-1], [*keys, keys[0]], [*keys[:-1], keys[0][:-1]]):
        with pytest.raises(LocalProtocolError):
            PLACE.keys_hash(5, wrong)


def test_classes_are_worth_powers_of_two():
    assert [units_of(class_) for class_ in range(8)] == [1, 2, 4, 8, 16, 32, 64, 64]
    for wrong in (-1, 8):
        with pytest.raises(LocalProtocolError):
            units_of(wrong)


# opening and units


@given(u32, words, addresses, points)
def test_an_opening_keeps_its_parts(epoch, top, refund, signature):
    opening = Opening(epoch, top, refund, signature)
    assert len(opening.encode()) == OPENING_BYTES == 104
    assert Opening.decode(opening.encode()) == opening
    assert opening.token_id == token_id_of(top, refund)


@given(st.binary(max_size=110))
def test_openings_of_other_sizes_are_refused(data):
    if len(data) != OPENING_BYTES:
        with pytest.raises(DecodeError):
            Opening.decode(data)


@given(st.integers(0, 255), words)
def test_units_count_from_1_to_64(k, preimage):
    data = bytes([k]) + preimage
    assert len(data) == UNIT_BYTES
    if 1 <= k <= 64:
        assert Unit.decode(data) == Unit(k, preimage)
        assert Unit(k, preimage).encode() == data
    else:
        with pytest.raises(DecodeError):
            Unit.decode(data)
    for wrong in (data[:-1], data + b"\x00", b""):
        with pytest.raises(DecodeError):
            Unit.decode(wrong)


# vouchers


def purchase(count=3, **changes):
    options = {"cumulative_wei": 10**18, "nonce": 1, "epoch": 4} | changes
    return Purchase.make(OWNER, EIP712, [bytes([n]) * 48 for n in range(count)], **options)


def test_a_voucher_is_signed_as_the_standard_says():
    made = purchase()
    voucher = made.voucher
    fields = [("channel", "address"), ("cumulative", "uint128"), ("nonce", "uint64")]
    fields += [("epoch", "uint32"), ("batchHash", "bytes32")]
    domain = {
        "name": "QNet",
        "version": "1",
        "chainId": PLACE.chain_id,
        "verifyingContract": "0x" + PLACE.channels.hex(),
    }
    message = {
        "channel": "0x" + voucher.channel.hex(),
        "cumulative": voucher.cumulative_wei,
        "nonce": voucher.nonce,
        "epoch": voucher.epoch,
        "batchHash": voucher.batch_hash,
    }
    types = {"Voucher": [{"name": name, "type": kind} for name, kind in fields]}
    signable = encode_typed_data(domain, types, message)
    recovered = Account.recover_message(signable, signature=made.signature)
    assert bytes.fromhex(recovered[2:]) == OWNER.address


@pytest.mark.parametrize("count", [1, BATCH_MAX])
def test_a_purchase_travels(count):
    made = purchase(count)
    got = Purchase.decode(made.encode())
    assert got == made
    assert got.units == 64 * count
    got.verify(EIP712)


def test_nothing_of_a_purchase_can_be_changed():
    made = purchase()
    for change in (
        {"channel": OTHER.address},
        {"cumulative_wei": 1},
        {"nonce": 2},
        {"epoch": 5},
        {"batch_hash": bytes(32)},
    ):
        with pytest.raises(CryptoError):
            replace(made, voucher=replace(made.voucher, **change)).verify(EIP712)
    with pytest.raises(CryptoError):
        replace(made, points=made.points[::-1]).verify(EIP712)
    with pytest.raises(CryptoError):
        made.verify(qnet_domain(1, PLACE.channels))


@pytest.mark.parametrize("count", [0, BATCH_MAX + 1])
def test_a_purchase_pays_for_one_to_64_points(count):
    data = bytearray(purchase(1).encode())
    data[20 + 16 + 8 + 4] = count
    with pytest.raises(DecodeError):
        Purchase.decode(bytes(data))


# swaps

credits_ = st.builds(CreditInput, u32, st.integers(0, 6), addresses, points, signatures)
tokens = st.builds(TokenInput, u32, u32, words, addresses, points, signatures)
inputs = st.one_of(
    tokens.map(lambda token: (token,)),
    st.lists(credits_, min_size=1, max_size=8, unique_by=lambda entry: entry.name).map(tuple),
)
outputs = st.lists(st.builds(Output, st.integers(0, 7), points), min_size=1, max_size=8).map(tuple)
swaps = st.builds(Swap, u32, inputs, outputs)


@given(swaps)
def test_a_swap_travels(swap):
    assert Swap.decode(swap.encode()) == swap


OUT = Output(6, b"\x01" * 48)


def swap_of(*entries, outs=(OUT,)):
    return Swap(4, tuple(entries), tuple(outs))


def test_every_input_signs():
    first = CreditInput(4, 6, OWNER.address, b"\x02" * 48)
    second = CreditInput(4, 5, OTHER.address, b"\x03" * 48)
    swap = swap_of(first, second).sign([OWNER, OTHER], EIP712)
    swap.verify(EIP712)
    for wrong in (
        replace(swap, epoch=5),
        replace(swap, outputs=(Output(7, b"\x01" * 48),)),
        replace(swap, inputs=swap.inputs[:1]),
        replace(swap, inputs=swap.inputs[::-1]),
        swap_of(first, second).sign([OWNER, OWNER], EIP712),
    ):
        with pytest.raises(CryptoError):
            wrong.verify(EIP712)


def test_a_signature_covers_what_is_given_up_and_not_the_bytes_of_its_proof():
    entry = TokenInput(3, 9, b"\x07" * 32, OWNER.address, b"\x02" * 48)
    swap = swap_of(entry).sign([OWNER], EIP712)
    swap.verify(EIP712)
    for change in ({"epoch": 4}, {"relay": 8}, {"top": bytes(32)}):
        with pytest.raises(CryptoError):
            replace(swap, inputs=(replace(swap.inputs[0], **change),)).verify(EIP712)


def test_the_messages_of_inputs_are_those_that_were_signed():
    credit = CreditInput(4, 6, OWNER.address, bytes(48))
    token = TokenInput(3, 9, b"\x07" * 32, OWNER.address, bytes(48))
    assert credit.message(PLACE) == PLACE.credit(4, 6, OWNER.address)
    token_id = token_id_of(b"\x07" * 32, OWNER.address)
    assert token.message(PLACE) == PLACE.token(3, 9, token_id)
    assert swap_of(credit, outs=[Output(5, bytes(48))] * 2).units_out == 64


def test_what_no_swap_may_be_is_refused():
    credit = CreditInput(4, 6, OWNER.address, bytes(48), bytes(65))
    token = TokenInput(3, 9, b"\x07" * 32, OWNER.address, bytes(48), bytes(65))
    many = [replace(credit, epoch=number) for number in range(9)]
    out = Output(0, bytes(48))
    for wrong in (
        swap_of(),
        swap_of(credit, credit),
        swap_of(credit, token),
        swap_of(*many),
        swap_of(replace(credit, class_=7)),
        swap_of(credit, outs=()),
        swap_of(credit, outs=[out] * 9),
        swap_of(credit, outs=[replace(out, class_=8)]),
    ):
        with pytest.raises(DecodeError):
            Swap.decode(wrong.encode())
    good = swap_of(credit).encode()
    for data in (good[:-1], good + b"\x00", b""):
        with pytest.raises(DecodeError):
            Swap.decode(data)
    unknown = bytearray(good)
    unknown[5] = 2
    with pytest.raises(DecodeError):
        Swap.decode(bytes(unknown))


@given(st.binary(max_size=600))
def test_arbitrary_bytes_are_read_or_refused(data):
    for kind in (Purchase, Swap, Opening, Unit):
        with suppress(DecodeError):
            assert kind.decode(data).encode() == data


def test_a_voucher_is_not_a_swap():
    """The two types share a domain; their digests must not meet."""
    swap = swap_of(CreditInput(4, 6, OWNER.address, bytes(48)))
    voucher = Voucher(OWNER.address, 0, 0, 4, bytes(32))
    assert swap.digest(EIP712) != voucher.digest(EIP712)
