import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.circuit.flow import INITIAL_STREAM_BYTES
from node.circuit.messages import EndReason, MessageType, decode_messages
from node.circuit.states import StreamInput, StreamState
from node.circuit.streams import MAX_CONTROL_MESSAGES, Outbox, Stream, StreamKind
from qnet.errors import RemoteProtocolError

ROOM = 1989
WINDOW = 1 << 21


def outbox_with(*numbers, kind=StreamKind.TCP):
    outbox = Outbox()
    for number in numbers:
        outbox.streams[number] = Stream(number, kind, WINDOW)
    return outbox, [outbox.streams[number] for number in numbers]


def drain(outbox, room=ROOM):
    """Return all messages, cell by cell."""
    cells = []
    while outbox.has_content:
        content = outbox.next_content(room)
        assert 0 < len(content) <= room
        cells.append(decode_messages(content, 0, len(content), forward=False))
    return cells


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=5000)), max_size=9)
)
def test_bytes_arrive_in_order_and_whole(writes):
    outbox, streams = outbox_with(1, 2)
    expected = {1: b"", 2: b""}
    for number, data in writes:
        assert outbox.write(streams[number - 1], data) == len(data)
        expected[number] += data
    for stream in streams:
        outbox.end(stream, EndReason.DONE)
    received = {1: b"", 2: b""}
    for cell in drain(outbox):
        for kind, number, data in cell:
            if kind is MessageType.DATA:
                received[number] += data
            else:
                assert kind is MessageType.END
                assert received[number] == expected[number]
    assert received == expected
    assert outbox.buffered == 0


def test_a_large_write_fills_cells_completely():
    outbox, (stream,) = outbox_with(1)
    assert outbox.write(stream, bytes(65536)) == 65536
    assert outbox.cells == 32
    contents = [outbox.next_content(ROOM) for _ in range(33)]
    assert [len(content) for content in contents] == [ROOM] * 33
    assert outbox.next_content(ROOM)
    assert not outbox.has_content


def test_streams_take_turns():
    outbox, streams = outbox_with(1, 2, 3)
    for stream in streams:
        outbox.write(stream, bytes(10_000))
    turns = [cell[0].stream for cell in drain(outbox)][:6]
    assert turns == [1, 2, 3, 1, 2, 3]


def test_credit_bounds_what_is_sent_and_buffered():
    outbox, (stream,) = outbox_with(1)
    assert outbox.write(stream, bytes(WINDOW)) == INITIAL_STREAM_BYTES
    assert stream.is_starved
    assert outbox.write(stream, b"x") == 0
    sent = sum(len(message.data) for cell in drain(outbox) for message in cell)
    assert sent == INITIAL_STREAM_BYTES
    assert outbox.resumed == []
    outbox.grant(stream, (1000).to_bytes(4, "big"))
    assert outbox.resumed == []
    outbox.grant(stream, (200_000).to_bytes(4, "big"))
    assert outbox.resumed == [1]
    assert not stream.is_starved
    assert outbox.write(stream, bytes(500)) == 500


def test_a_buffer_without_credit_waits():
    outbox, (stream,) = outbox_with(1)
    outbox.write(stream, bytes(100))
    stream.credit = 40
    assert sum(len(m.data) for cell in drain(outbox) for m in cell) == 40
    assert stream.buffered == 60
    assert not outbox.has_content
    outbox.end(stream, EndReason.DONE)
    assert not outbox.has_content
    outbox.grant(stream, (100).to_bytes(4, "big"))
    kinds = [m.kind for cell in drain(outbox) for m in cell]
    assert kinds == [MessageType.DATA, MessageType.END]


def test_small_messages_go_first_and_in_order():
    outbox, (stream,) = outbox_with(1)
    outbox.write(stream, bytes(10))
    outbox.say(MessageType.RESOLVED, 5, b"\x00" + bytes(300))
    outbox.say(MessageType.CONNECTED, 1, b"")
    first = outbox.next_content(100)
    assert first == b"", "nothing overtakes a message that does not fit"
    kinds = [m.kind for cell in drain(outbox) for m in cell]
    assert kinds == [MessageType.RESOLVED, MessageType.CONNECTED, MessageType.DATA]


def test_an_end_that_does_not_fit_waits_for_the_next_cell():
    outbox, (stream,) = outbox_with(1)
    outbox.write(stream, bytes(10))
    outbox.end(stream, EndReason.DONE)
    kinds = [[m.kind for m in cell] for cell in drain(outbox, room=20)]
    assert kinds == [[MessageType.DATA], [MessageType.END]]
    assert stream.state is StreamState.LOCAL_DONE
    outbox, (first, second) = outbox_with(1, 2)
    outbox.write(first, bytes(10))
    outbox.end(second, EndReason.DONE)
    assert len(drain(outbox, room=20)) == 2


def test_too_many_answers_are_refused():
    outbox = Outbox()
    for _ in range(MAX_CONTROL_MESSAGES):
        outbox.say(MessageType.END, 1, b"\x00")
    with pytest.raises(RemoteProtocolError):
        outbox.say(MessageType.END, 1, b"\x00")


def test_an_abort_drops_what_waits():
    outbox, (stream,) = outbox_with(1)
    outbox.write(stream, bytes(10_000))
    outbox.end(stream, EndReason.RESET)
    assert outbox.buffered == 0
    assert outbox.streams == {}
    assert [(m.kind, m.data) for cell in drain(outbox) for m in cell] == [
        (MessageType.END, b"\x09")
    ]
    assert outbox.write(stream, b"x") == 0


def test_both_directions_end_in_either_order():
    outbox, (first, second) = outbox_with(1, 2)
    outbox.end(first, EndReason.DONE)
    assert not first.may_send
    drain(outbox)
    assert first.state is StreamState.LOCAL_DONE
    first.change(StreamInput.HEAR_DONE)
    assert first.state is StreamState.CLOSED
    second.change(StreamInput.HEAR_DONE)
    assert second.may_send
    outbox.end(second, EndReason.DONE)
    drain(outbox)
    assert second.state is StreamState.CLOSED
    assert outbox.streams == {1: first}


def test_credit_goes_back_while_the_peer_may_still_send():
    outbox, (stream,) = outbox_with(1)
    stream.hear(100_000, 0.0)
    outbox.consumed(stream, 10, 0.1, pressed=False)
    assert not outbox.has_content
    outbox.consumed(stream, 99_990, 0.1, pressed=False)
    ((message,),) = drain(outbox)
    assert message.kind is MessageType.CREDIT
    assert int.from_bytes(message.data, "big") == 100_000
    stream.hear(50_000, 0.0)
    stream.change(StreamInput.HEAR_DONE)
    outbox.consumed(stream, 50_000, 0.2, pressed=False)
    assert not outbox.has_content


def test_data_out_of_turn_is_refused():
    _, (stream,) = outbox_with(1)
    with pytest.raises(RemoteProtocolError):
        stream.hear(INITIAL_STREAM_BYTES + 1, 0.0)
    _, (stream,) = outbox_with(1)
    stream.change(StreamInput.HEAR_DONE)
    with pytest.raises(RemoteProtocolError):
        stream.hear(1, 0.0)
    _, (stream,) = outbox_with(1, kind=StreamKind.NAME)
    with pytest.raises(RemoteProtocolError):
        stream.hear(1, 0.0)
