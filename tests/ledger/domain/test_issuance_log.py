"""The log of an issuance epoch: what counts, what it commits to, how it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.issuance_log import (
    IssuanceLog,
    decode_request,
    encode_request,
    epoch_of,
    issued_units,
    name_of,
    points_of,
)
from qnet import cbor
from qnet.crypto.keys import ReceiptKey, keccak256
from qnet.eip712 import qnet_domain
from qnet.errors import DecodeError
from qnet.merkle import StandardTree
from qnet.messages.instruments import Place
from qnet.messages.swap import CreditInput, Output, Swap, TokenInput
from qnet.messages.voucher import Purchase

PLACE = Place(31337, b"\x0c" * 20)
DOMAIN = qnet_domain(PLACE.chain_id, PLACE.channels)
UNIT = 10**15
OWNER, OTHER = ReceiptKey(b"\x11" * 32), ReceiptKey(b"\x12" * 32)
POINTS = [bytes([n]) * 48 for n in range(1, 65)]


def bought(count=1, before=0, nonce=1, key=OWNER, first=0):
    return Purchase.make(
        key,
        DOMAIN,
        POINTS[first : first + count],
        cumulative_wei=(before + 64 * count) * UNIT,
        nonce=nonce,
        epoch=3,
    )


def credit(epoch, class_, key=1):
    return CreditInput(epoch, class_, bytes([key]) * 20, POINTS[0], bytes(65))


def swapped(*inputs, classes=(6,), first=8):
    outputs = tuple(Output(class_, POINTS[first + n]) for n, class_ in enumerate(classes))
    return Swap(3, inputs, outputs)


TOKEN = TokenInput(2, 9, b"\x05" * 32, b"\x06" * 20, POINTS[1], bytes(65))


@pytest.mark.parametrize(
    ("requests", "units"),
    [
        ([], 0),
        ([bought(2)], 128),
        ([bought(2), bought(1, before=128, nonce=2)], 192),
        ([bought(2), bought(1, key=OTHER)], 192),
        # two vouchers for the same money stand for it once, however much of it
        ([bought(2), bought(2, first=4)], 128),
        ([bought(1), bought(5, first=4)], 320),
        ([bought(5), bought(1, first=6), bought(1, before=64, nonce=2)], 320),
        # instruments of the epoch itself were counted when they were bought
        ([swapped(credit(3, 6))], 0),
        ([swapped(credit(2, 6))], 64),
        ([swapped(credit(2, 4), credit(3, 4, 2), classes=(5,))], 16),
        # an instrument is given up once
        ([swapped(credit(2, 6)), swapped(credit(2, 6), first=9)], 64),
        # a token is worth what its swap gives for it
        ([swapped(TOKEN, classes=(3, 1))], 10),
        ([swapped(TOKEN, classes=(3, 1)), swapped(TOKEN, classes=(3, 2), first=12)], 12),
        ([bought(1), swapped(credit(2, 0), classes=(0,))], 65),
    ],
)
def test_what_was_issued(requests, units):
    assert issued_units(3, requests, UNIT) == units
    assert issued_units(3, list(reversed(requests)), UNIT) == units


def test_every_point_stands_in_the_root_with_its_request():
    first, second = bought(2), swapped(credit(3, 6), classes=(5, 5))
    requests = {name_of(request, DOMAIN): request for request in (first, second)}
    log = IssuanceLog.compile(3, requests, PLACE, UNIT)

    def word(value):
        return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")

    leaves = []
    for request in (first, second):
        for class_, point in points_of(request):
            fields = (5, 31337, b"\x0c" * 20, 3, class_, keccak256(point), name_of(request, DOMAIN))
            leaves.append(keccak256(keccak256(b"".join(map(word, fields)))))
    assert log.root == StandardTree(leaves).root
    assert log.requests == tuple(sorted(requests))
    assert log.closing.values() == (3, 128, log.root)
    assert IssuanceLog.decode(log.encode()) == log


def test_an_epoch_in_which_nothing_was_asked_has_an_empty_root():
    log = IssuanceLog.compile(3, {}, PLACE, UNIT)
    assert (log.root, log.issued_units, log.requests) == (bytes(32), 0, ())
    assert IssuanceLog.decode(log.encode()) == log


@pytest.mark.parametrize("request_", [bought(3), swapped(credit(2, 6)), swapped(TOKEN)])
def test_requests_survive_writing(request_):
    assert decode_request(encode_request(request_)) == request_
    assert epoch_of(request_) == 3


@given(st.binary(max_size=600))
def test_no_bytes_crash_the_decoders(data):
    for decode in (decode_request, IssuanceLog.decode):
        try:
            found = decode(data)
        except DecodeError:
            continue
        assert (found.encode() if isinstance(found, IssuanceLog) else encode_request(found)) == data


@pytest.mark.parametrize(
    "change",
    [
        {"requests": b"\x02" * 32 + b"\x01" * 32},
        {"requests": b"\x01" * 64},
        {"requests": b"\x01" * 31},
        {"requests": 7},
        {"root": b"short"},
        {"issued": -1},
        {"epoch": 1 << 32},
        {"more": 1},
    ],
)
def test_malformed_logs(change):
    right = {"epoch": 3, "issued": 0, "root": bytes(32), "requests": b""}
    assert IssuanceLog.decode(cbor.dumps(right))
    with pytest.raises(DecodeError):
        IssuanceLog.decode(cbor.dumps({**right, **change}))
