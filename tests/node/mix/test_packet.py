import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.htx.record import MAX_CONTENT_BYTES
from node.htx.record import UNIT_BYTES as RECORD_UNIT
from node.mix.packet import (
    ID_BYTES,
    PACKET_BYTES,
    PAYLOAD_BYTES,
    ROUTING_BYTES,
    UNIT_BYTES,
    UNITS_PER_RECORD,
    Delivery,
    Routing,
    decode_delivery,
    decode_routing,
    encode_unit,
    hop_keys,
    units_of,
)
from qnet.errors import DecodeError, LocalProtocolError

INDEX = st.integers(1, 2**32 - 1)
DELAY = st.integers(0, 2**16 - 1)
IDS = st.binary(min_size=ID_BYTES, max_size=ID_BYTES)


@given(INDEX, DELAY, st.sampled_from([1, 2]))
def test_routing_between_mixes(index, delay, layer):
    routing = Routing(index, delay)
    assert len(routing.encode()) == ROUTING_BYTES
    assert decode_routing(routing.encode(), layer) == routing
    with pytest.raises(DecodeError):
        decode_routing(routing.encode(), 3)


@given(INDEX, DELAY, IDS)
def test_routing_behind_the_last_mix(index, delay, delivery_id):
    routing = Routing(index, delay, delivery_id)
    assert decode_routing(routing.encode(), 3) == routing
    for layer in (1, 2):
        with pytest.raises(DecodeError):
            decode_routing(routing.encode(), layer)


@given(st.binary(min_size=ROUTING_BYTES, max_size=300), st.sampled_from([1, 2, 3]))
def test_routing_is_canonical_or_refused(data, layer):
    try:
        routing = decode_routing(data, layer)
    except DecodeError:
        return
    assert routing.encode() == data[:ROUTING_BYTES]


@pytest.mark.parametrize(
    "routing", [Routing(0, 1), Routing(1, 1, b"short"), Routing(0, 1, bytes(16))]
)
def test_routing_that_must_not_be_written(routing):
    with pytest.raises(LocalProtocolError):
        routing.encode()


def test_reserved_bytes_and_unknown_flags_are_refused():
    plain = bytearray(Routing(7, 1).encode())
    for place in range(23, ROUTING_BYTES):
        with pytest.raises(DecodeError):
            decode_routing(bytes(plain[:place] + b"\1" + plain[place + 1 :]), 1)
    for flags in (1, 2, 255):
        with pytest.raises(DecodeError):
            decode_routing(bytes([flags]) + bytes(plain[1:]), 1)


@given(st.integers(0, 2**24 - 1), IDS)
def test_delivery(phase, delivery_id):
    delivery = Delivery(phase, delivery_id, secrets.token_bytes(PAYLOAD_BYTES))
    data = delivery.encode(secrets.token_bytes)
    assert len(data) == PACKET_BYTES
    assert decode_delivery(data) == delivery


@given(st.binary(max_size=300))
def test_no_delivery(data):
    with pytest.raises(DecodeError):
        decode_delivery(data)
    with pytest.raises(DecodeError):
        decode_delivery(b"\1" + bytes(PACKET_BYTES - 1))


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=20)), min_size=1, max_size=7)
)
def test_units(units):
    padded = [(index, data.ljust(PACKET_BYTES, b"\0")) for index, data in units]
    assert list(units_of(b"".join(encode_unit(*unit) for unit in padded))) == padded


@pytest.mark.parametrize("size", [0, 1, UNIT_BYTES - 1, UNIT_BYTES + 1, 8 * UNIT_BYTES])
def test_no_units(size):
    with pytest.raises(DecodeError):
        list(units_of(bytes(size)))


def test_units_fit_records():
    overhead = 4 + 16 + 2
    assert RECORD_UNIT - overhead >= UNIT_BYTES
    assert UNITS_PER_RECORD * UNIT_BYTES <= MAX_CONTENT_BYTES < (UNITS_PER_RECORD + 1) * UNIT_BYTES


def test_keys_do_not_print():
    keys = hop_keys(bytes(32), bytes(32), bytes(36))
    assert keys.header.hex() not in f"{keys!r} {keys}"
