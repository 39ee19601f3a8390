"""Hops and clients that say anything, in any order, over circuits in perfect order."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run

from node.circuit.actions import (
    CircuitFailed,
    DeliverData,
    EndStream,
    NameResolved,
    OpenDirectory,
    OpenStream,
    ResolveName,
    ResumeStream,
    StreamConnected,
    StreamData,
    StreamEnded,
    StreamWritable,
)
from node.circuit.cell import CELL_BYTES
from node.circuit.layer import MESSAGES_END, MESSAGES_START
from node.circuit.messages import EndReason, Message, MessageType, encode_message
from tests.support.playbook import PARAMETERS, Sent, Tells, message
from tests.support.playbook_origin import (
    OriginPlay,
    answered,
    app,
    entry_destroys,
    entry_grants,
    hop_says,
    passes,
)
from tests.support.playbook_relay import (
    RelayPlay,
    client_tells,
    credit,
    destroy,
    later,
    node,
    standing,
)

POOL_BYTES = 1 << 20
BOUNDED = PARAMETERS.with_value("pool_bytes", POOL_BYTES)
KINDS = st.one_of(st.sampled_from(list(MessageType)[1:]), st.integers(1, 255))
STREAMS = st.sampled_from([0, 1, 1, 2, 3, 65_535])
CONTENTS = st.one_of(
    st.sampled_from([b"", b"\x00", b"\x09", bytes(4), b"\x00\x00\xff\xff", b"\x00\x50a.example"]),
    st.sampled_from([bytes(36), bytes(1900), b"\x01\x04" + bytes(8), b"a.example"]),
    st.binary(max_size=60),
)
WELL_FORMED = st.sampled_from(
    [
        *(message(MessageType.CONNECTED, number) for number in (1, 2)),
        *(message(MessageType.DATA, number, bytes(1500)) for number in (1, 2)),
        *(message(MessageType.END, number, b"\x00") for number in (1, 2)),
        *(message(MessageType.CREDIT, number, (5000).to_bytes(4)) for number in (1, 2)),
        message(MessageType.RESOLVED, 1, b"\x01\x04" + bytes(8)),
        message(MessageType.PADDING, 0, b"\x01tokenabc"),
    ]
)
ANYTHING = st.one_of(WELL_FORMED, st.builds(Message, KINDS, STREAMS, CONTENTS))


def fitting(said):
    """As many as one cell holds."""
    room = MESSAGES_END - MESSAGES_START
    kept = []
    for one in said:
        room -= len(encode_message(*one))
        if room >= 0:
            kept.append(one)
    return kept


SAID = st.lists(ANYTHING, min_size=1, max_size=4).map(fitting)


class AgainstClient(RuleBasedStateMachine):
    """Three hops that say anything to a client."""

    @initialize()
    def begin(self):
        self.play = OriginPlay(parameters=BOUNDED)
        self.play.skip(object)
        self.play >> answered()
        self.play.skip(object)
        self.told: dict[int, list[object]] = {}
        self.dropped: set[int] = set()
        self.failed = False

    def take(self, line):
        """Let it happen; read what the client is told."""
        self.play >> line
        for said in self.play.skip(object):
            if isinstance(said, Sent | Tells):
                continue
            assert not self.failed, f"{said} after the circuit's end"
            if isinstance(said, CircuitFailed):
                self.failed = True
            elif isinstance(
                said, StreamConnected | StreamData | StreamEnded | NameResolved | StreamWritable
            ):
                self.hear(said)

    def hear(self, said):
        told = self.told[said.stream]
        assert said.stream not in self.dropped
        ends = [one for one in told if isinstance(one, StreamEnded | NameResolved)]
        if isinstance(said, StreamData | StreamConnected):
            assert not ends, "said after the end"
        if isinstance(said, StreamEnded | NameResolved):
            done = [one for one in ends if getattr(one, "reason", None) is EndReason.DONE]
            assert len(done) == len(ends), "two ends"
        told.append(said)

    @precondition(lambda self: self.play.circuit.is_open)
    @rule(kind=st.sampled_from(["open_stream", "resolve", "begin_directory"]))
    def open(self, kind):
        arguments = {"open_stream": ("a.example", 80), "resolve": ("a.example",)}.get(kind, ())
        self.told[len(self.told) + 1] = []
        self.take(app(lambda circuit: getattr(circuit, kind)(*arguments)))

    @precondition(lambda self: self.play.circuit.is_open)
    @rule(stream=st.integers(1, 3), size=st.sampled_from([1, 3000, 200_000]))
    def send(self, stream, size):
        self.take(app(lambda circuit: circuit.send(stream, bytes(size))))

    @precondition(lambda self: self.play.circuit.is_open)
    @rule(stream=st.integers(1, 3), reason=st.sampled_from([EndReason.DONE, EndReason.RESET]))
    def end(self, stream, reason):
        self.take(app(lambda circuit: circuit.end(stream, reason)))
        if reason is not EndReason.DONE and stream in self.told:
            self.dropped.add(stream)

    @rule(stream=st.integers(1, 3), count=st.sampled_from([1, 1500, 1 << 20]))
    def consume(self, stream, count):
        self.take(app(lambda circuit: circuit.consumed(stream, count)))

    @precondition(lambda self: self.play.circuit.is_open)
    @rule(hop=st.integers(0, 2), said=SAID)
    def hear_anything(self, hop, said):
        self.take(hop_says(hop, *said))

    @rule(cells=st.sampled_from([1, 100, 65_535]))
    def grant(self, cells):
        self.take(entry_grants(cells))

    @rule(seconds=st.sampled_from([0.5, 5, 60]))
    def wait(self, seconds):
        self.take(passes(seconds))

    @precondition(lambda self: self.play.circuit.is_open)
    @rule()
    def rekey(self):
        self.take(app(lambda circuit: circuit.rekey(self.play.now)))

    @invariant()
    def memory_is_bounded(self):
        if hasattr(self, "play"):
            assert 0 <= self.play.link.queued_cells <= POOL_BYTES // CELL_BYTES

    def teardown(self):
        if hasattr(self, "play") and not self.failed:
            self.take(entry_destroys())
            assert self.failed
        if hasattr(self, "play"):
            assert self.play.link.queued_cells == 0


class AgainstExit(RuleBasedStateMachine):
    """A client that says anything to an exit."""

    @initialize()
    def begin(self):
        self.play = standing(RelayPlay(last=True, exits=True, parameters=BOUNDED))
        self.open: dict[int, type] = {}
        self.opened: set[int] = set()

    def take(self, line):
        """Let it happen; read what the node is asked to do."""
        self.play >> line
        for said in self.play.skip(object):
            if isinstance(said, OpenStream | OpenDirectory | ResolveName):
                assert said.stream not in self.opened, "a number used twice"
                self.opened.add(said.stream)
                self.open[said.stream] = type(said)
            elif isinstance(said, DeliverData):
                assert self.open[said.stream] is not ResolveName
            elif isinstance(said, ResumeStream):
                assert said.stream in self.opened
            elif isinstance(said, EndStream):
                assert said.stream in self.opened
                if said.reason is not EndReason.DONE:
                    self.open.pop(said.stream, None)

    @property
    def stands(self):
        return self.play.core.circuits == 1

    @precondition(lambda self: self.stands)
    @rule(said=SAID)
    def tell_anything(self, said):
        self.take(client_tells(0, *said))

    @precondition(lambda self: self.stands)
    @rule(
        stream=st.integers(1, 3),
        host=st.sampled_from([b"\x00\x50a.example", b"\x01\xbb10.0.0.1", b"\x00\x50" + b"x" * 253]),
    )
    def begin_stream(self, stream, host):
        self.take(client_tells(0, message(MessageType.BEGIN, stream, host)))

    @rule(stream=st.integers(1, 3), size=st.sampled_from([1, 5000, 300_000]))
    def answer(self, stream, size):
        self.take(node("stream_data", 1, stream, bytes(size)))

    @rule(stream=st.integers(1, 3))
    def connect(self, stream):
        self.take(node("stream_connected", 1, stream, bytes(4), self.play.now))

    @rule(stream=st.integers(1, 3), reason=st.sampled_from(list(EndReason)))
    def end(self, stream, reason):
        self.take(node("stream_ended", 1, stream, reason))

    @rule(stream=st.integers(1, 3), count=st.sampled_from([1, 1500, 1 << 20]))
    def consume(self, stream, count):
        self.take(node("stream_consumed", 1, stream, count))

    @rule(cells=st.sampled_from([1, 100, 65_535]))
    def grant(self, cells):
        self.take(credit("client", cells))

    @rule(seconds=st.sampled_from([0.5, 16]))
    def wait(self, seconds):
        self.take(later(seconds))

    @invariant()
    def memory_is_bounded(self):
        if hasattr(self, "play"):
            assert 0 <= self.play.core.queued_cells <= POOL_BYTES // CELL_BYTES

    def teardown(self):
        if not hasattr(self, "play"):
            return
        if self.stands:
            self.take(destroy("client"))
        self.take(later(PARAMETERS.circuit_idle_s))
        assert self.play.core.circuits == 0
        assert self.play.core.queued_cells == 0
        assert self.play.core.streams == 0


@pytest.mark.parametrize("machine", [AgainstClient, AgainstExit])
def test_anything_may_be_said(machine):
    run(machine, settings=settings(max_examples=60, stateful_step_count=30, deadline=None))


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("machine", [AgainstClient, AgainstExit])
def test_anything_may_be_said_for_long(machine):
    run(machine, settings=settings(max_examples=5000, stateful_step_count=60, deadline=None))
