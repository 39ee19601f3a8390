"""Bulk data at the client: cells of one stream in a row are taken at once, with the same result."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.circuit.actions import CircuitFailed, StreamData
from node.circuit.cell import CELL_BYTES, CONTENT_BYTES
from node.circuit.messages import (
    EndReason,
    MessageType,
    decode_messages,
    encode_message,
    sole_data,
)
from qnet.errors import DecodeError
from tests.node.circuit.network import CLIENT, Network


@given(
    st.lists(
        st.tuples(
            st.sampled_from([MessageType.DATA, MessageType.CREDIT, MessageType.PADDING]),
            st.integers(0, 2),
            st.integers(0, CONTENT_BYTES - 5),
        ),
        max_size=3,
    ),
    st.booleans(),
)
def test_sole_data_is_what_the_decoder_says(messages, cut):
    content = b"".join(encode_message(kind, number, bytes(size)) for kind, number, size in messages)
    content = content[: CONTENT_BYTES - cut].ljust(CONTENT_BYTES, b"\x00")
    number, data = sole_data(content)
    try:
        expected = decode_messages(content, 0, CONTENT_BYTES, forward=False)
    except DecodeError:
        assert (number, data) == (0, b"")
        return
    if number:
        assert expected == [(MessageType.DATA, number, data)]
    else:
        assert [message.kind for message in expected] != [MessageType.DATA]


def arriving(network, *sizes):
    """Open a stream for each size; return the cells that hold what its destination says."""
    circuit = network.built()
    streams = [circuit.open_stream("notes.example", 80) for _ in sizes]
    network.settle()
    for key, size in zip(list(network.served), sizes, strict=True):
        network.respond(key, secrets.token_bytes(size))
    for index in (2, 1, 0):
        network.pump(index)
        for source, target in network.busy():
            if target != CLIENT:
                network.deliver(source, target)
    wire = network.wires[0, CLIENT].items
    network.pump(0)
    cells = [cell for item in wire if isinstance(item, list) for cell in item]
    wire.clear()
    return circuit, streams, cells


def flipped(cell):
    return cell[:100] + bytes([cell[100] ^ 1]) + cell[101:]


def test_what_came_before_a_broken_cell_is_delivered():
    network = Network()
    _, (stream,), cells = arriving(network, 10_000)
    assert len(cells) > 3
    events = network.client.handle_cells([*cells[:3], flipped(cells[3])], network.now)
    assert isinstance(events[0], StreamData)
    assert (events[0].stream, len(events[0].chunks)) == (stream, 3)
    assert isinstance(events[-1], CircuitFailed)


@pytest.mark.parametrize("broken", [False, True])
def test_data_beyond_the_credit_ends_the_circuit_once(broken):
    network = Network()
    circuit, (stream,), cells = arriving(network, 10_000)
    circuit._starts.outboxes[2].streams[stream].window._granted = CELL_BYTES
    run = [*cells[:3], flipped(cells[3])] if broken else cells[:3]
    events = network.client.handle_cells(run, network.now)
    (failure,) = [event for event in events if isinstance(event, CircuitFailed)]
    assert (failure.reason, failure.hop) == (EndReason.PROTOCOL, 2)
    assert not [event for event in events if isinstance(event, StreamData)]


def test_streams_that_alternate_keep_their_order():
    network = Network()
    _, streams, cells = arriving(network, 9_000, 9_000)
    events = network.client.handle_cells(cells, network.now)
    said = [event for event in events if isinstance(event, StreamData)]
    assert [event.stream for event in said[:4]] == streams * 2
