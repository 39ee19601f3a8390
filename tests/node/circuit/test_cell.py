import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.circuit.cell import (
    BODY_BYTES,
    CELL_BYTES,
    RESPONDER_BIT,
    CircuitIds,
    Command,
    decode_header,
    destroy_cell,
    encode_header,
    relay_header,
)
from qnet.errors import DecodeError, LocalProtocolError

BODY = bytes(BODY_BYTES)


@given(st.integers(0, 2**32 - 1), st.sampled_from(Command), st.integers(0, 2**24 - 1))
def test_header_round_trip(circuit_id, command, phase):
    if command is not Command.CREATE:
        phase = 0
    cell = encode_header(circuit_id, command, phase) + BODY
    assert decode_header(cell) == (circuit_id, command, phase)


@given(st.binary(min_size=8, max_size=8))
def test_any_header_decodes_or_is_refused(header):
    try:
        circuit_id, command, phase = decode_header(header + BODY)
    except DecodeError:
        return
    assert encode_header(circuit_id, command, phase) == header


@given(st.binary(max_size=64))
def test_other_sizes_are_refused(data):
    with pytest.raises(DecodeError, match="2048"):
        decode_header(data)


def test_unknown_command_and_reserved_bytes_are_refused():
    with pytest.raises(DecodeError, match="unknown"):
        decode_header(bytes([0, 0, 0, 1, 9, 0, 0, 0]) + BODY)
    with pytest.raises(DecodeError, match="reserved"):
        decode_header(bytes([0, 0, 0, 1, Command.RELAY, 0, 0, 1]) + BODY)


def test_destroy_says_nothing_but_the_id():
    cell = destroy_cell(7)
    assert len(cell) == CELL_BYTES
    assert decode_header(cell) == (7, Command.DESTROY, 0)
    assert not any(cell[8:])
    assert relay_header(7) == encode_header(7, Command.RELAY)


def test_ids_of_the_two_sides_differ_in_the_top_bit():
    initiator = CircuitIds(initiator=True, limit=10)
    responder = CircuitIds(initiator=False, limit=10)
    ours, theirs = initiator.take(), responder.take()
    assert ours < RESPONDER_BIT <= theirs
    assert initiator.is_ours(ours)
    assert not initiator.is_ours(theirs)
    assert responder.is_ours(theirs)


def test_an_id_is_reused_only_after_release():
    ids = CircuitIds(initiator=True, limit=2)
    first, second = ids.take(), ids.take()
    assert len(ids) == 2
    with pytest.raises(LocalProtocolError):
        ids.take()
    ids.release(first)
    assert ids.take() not in {second, 0}


def test_ids_wrap_around_and_skip_those_in_use():
    ids = CircuitIds(initiator=False, limit=5)
    first = ids.take()
    ids._last = RESPONDER_BIT - 1
    assert first == RESPONDER_BIT | 1
    assert ids.take() == RESPONDER_BIT | 2
