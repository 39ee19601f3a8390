from node.circuit.actions import EndStream, StreamData
from node.circuit.journal import Journal
from node.circuit.messages import EndReason


def test_neighbouring_data_of_a_stream_is_joined():
    journal = Journal(StreamData)
    journal.deliver(1, 1, b"a")
    journal.deliver(1, 1, b"b")
    journal.deliver(1, 2, b"c")
    end = EndStream(1, 1, EndReason.DONE)
    journal.add(end)
    journal.deliver(1, 2, b"d")
    assert journal.drain() == [
        StreamData(1, 1, (b"a", b"b")),
        StreamData(1, 2, (b"c",)),
        end,
        StreamData(1, 2, (b"d",)),
    ]
    assert journal.drain() == []
