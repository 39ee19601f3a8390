import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.accounting.actions import (
    MAX_RECEIPTS_PER_RECORD,
    ReceiptRecord,
    decode_receipt_record,
    split_records,
)
from qnet.errors import DecodeError
from qnet.messages.receipt import LinkReceipt, Side, SignedReceipt


def receipt(number: int) -> SignedReceipt:
    body = LinkReceipt(number, 0, 1, 2, Side.SENDER, 32, bytes(32))
    return SignedReceipt(body, bytes(65))


@settings(max_examples=30)
@given(count=st.integers(1, MAX_RECEIPTS_PER_RECORD), wants=st.booleans())
def test_records_round_trip(count: int, *, wants: bool) -> None:
    record = ReceiptRecord(wants, tuple(receipt(i) for i in range(count)))
    wire = record.encode()
    assert decode_receipt_record(wire) == record
    assert len(wire) <= 7682


@pytest.mark.parametrize("count", [0, 1, 64, 65, 130])
def test_many_receipts_take_several_records(count: int) -> None:
    receipts = [receipt(i) for i in range(count)]
    decoded = [decode_receipt_record(data) for data in split_records(receipts, wants=True)]
    assert [one for record in decoded for one in record.receipts] == receipts
    assert all(record.wants for record in decoded)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0",
        b"\2\1" + receipt(1).encode(),
        b"\0\2" + receipt(1).encode(),
        b"\0\1" + receipt(1).encode() + b"\0",
        b"\0\x41" + receipt(1).encode() * 65,
    ],
)
def test_malformed_records_are_refused(content: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_receipt_record(content)


@given(st.binary(max_size=300))
def test_decoder_never_crashes(content: bytes) -> None:
    try:
        record = decode_receipt_record(content)
    except DecodeError:
        return
    assert record.encode() == content
