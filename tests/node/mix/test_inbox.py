import secrets

from hypothesis import given, settings
from hypothesis import strategies as st

from node.mix import inbox as module
from node.mix.frame import DATA_BYTES, AckFrame, DataFrame, Fragment, fragments_of
from node.mix.inbox import (
    MAX_COMPLETE,
    MAX_PARTIAL,
    MAX_PARTIAL_BYTES,
    PARTIAL_S,
    Acknowledge,
    Ignored,
    Inbox,
    Received,
)
from node.mix.surb import SURB_BYTES


def frames(size, name=None):
    body = secrets.token_bytes(size)
    name = name or secrets.token_bytes(16)
    parts = fragments_of(name, body, DATA_BYTES)
    return body, [DataFrame(part, secrets.token_bytes(SURB_BYTES)) for part in parts]


@given(st.integers(0, 4 * DATA_BYTES), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_fragments_in_any_order_with_repetitions_give_the_message_once(size, random):
    body, parts = frames(size)
    order = parts + random.sample(parts, len(parts))
    random.shuffle(order)
    inbox, received, held = Inbox(), [], set()
    for frame in order:
        todo = inbox.receive(frame, 0.0)
        received += [step.body for step in todo if isinstance(step, Received)]
        held.add(frame.fragment.index)
        expected = AckFrame(frame.fragment.message_id, len(parts), frozenset(held))
        assert todo[-1] == Acknowledge(expected)
        assert len(todo) == 1 or isinstance(todo[0], Received)
    assert received == [body]


def test_begun_messages_are_bounded():
    inbox = Inbox()
    for _ in range(MAX_PARTIAL):
        assert inbox.receive(frames(2 * DATA_BYTES)[1][0], 0.0)
    body, parts = frames(2 * DATA_BYTES)
    assert inbox.receive(parts[0], 1.0) == []
    assert inbox.assembly.ignored == {Ignored.FULL: 1}
    later = [inbox.receive(part, PARTIAL_S) for part in parts]
    assert later[1][0] == Received(parts[0].fragment.message_id, body)
    assert inbox.assembly.expired == MAX_PARTIAL


def test_bytes_of_begun_messages_are_bounded():
    inbox, taken = Inbox(), 0
    for _ in range(MAX_PARTIAL):
        for part in frames(255 * DATA_BYTES)[1][:-1]:
            taken += bool(inbox.receive(part, 0.0)) * DATA_BYTES
            if inbox.assembly.ignored[Ignored.FULL]:
                break
    assert MAX_PARTIAL_BYTES - DATA_BYTES < inbox.assembly._bytes <= MAX_PARTIAL_BYTES
    assert taken >= MAX_PARTIAL_BYTES - DATA_BYTES


def test_fragments_that_contradict_are_not_taken():
    inbox = Inbox()
    _, parts = frames(3 * DATA_BYTES)
    inbox.receive(parts[0], 0.0)
    first = parts[0].fragment
    other = Fragment(first.message_id, 0, 3, bytes(DATA_BYTES))
    longer = Fragment(first.message_id, 1, 4, bytes(DATA_BYTES))
    for fragment in (other, longer):
        todo = inbox.receive(DataFrame(fragment, bytes(SURB_BYTES)), 0.0)
        assert todo[0].ack.held == frozenset({0})
    assert inbox.assembly.ignored == {Ignored.CONTRADICTS: 2}


def test_complete_messages_are_remembered_for_a_while(monkeypatch):
    assert MAX_COMPLETE > MAX_PARTIAL
    monkeypatch.setattr(module, "MAX_COMPLETE", 2)
    inbox = Inbox()
    sent = [frames(5)[1][0] for _ in range(3)]
    assert [len(inbox.receive(frame, 0.0)) for frame in sent] == [2, 2, 2]
    assert len(inbox.receive(sent[2], 0.0)) == 1
    assert len(inbox.receive(sent[0], 0.0)) == 2


def test_news_keeps_a_begun_message():
    inbox = Inbox()
    _, parts = frames(3 * DATA_BYTES)
    inbox.receive(parts[0], 0.0)
    inbox.receive(parts[1], PARTIAL_S - 1)
    assert isinstance(inbox.receive(parts[2], 2 * PARTIAL_S - 2)[0], Received)
