"""Whatever strangers send, an exit keeps its bounds and its books."""

from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.circuit.actions import DeliverData, EndStream, OpenStream
from node.circuit.messages import EndReason, MessageType, encode_begin, encode_message
from node.mix.streams.exit import BATCH, MAX_TUNNELS
from node.mix.streams.terminal import MAX_STOCK
from node.mix.streams.wire import FORWARD_BYTES, Flag, Seen, TunnelFrame
from qnet.errors import LocalProtocolError
from tests.node.mix.streams.test_exit import PHASE, Exit

messages = st.one_of(
    st.integers(1, 4).map(
        lambda number: encode_message(MessageType.BEGIN, number, encode_begin("a.example", 80))
    ),
    st.builds(
        lambda number, data: encode_message(MessageType.DATA, number, data),
        st.integers(1, 4),
        st.binary(min_size=1, max_size=40),
    ),
    st.builds(
        lambda number, reason: encode_message(MessageType.END, number, bytes([reason])),
        st.integers(1, 4),
        st.sampled_from([0, 9]),
    ),
    st.builds(
        lambda number: encode_message(MessageType.CREDIT, number, (1000).to_bytes(4, "big")),
        st.integers(1, 4),
    ),
    st.binary(min_size=1, max_size=8),
)
seens = st.builds(Seen, st.integers(0, 3), st.sampled_from([0, 0, 0, 2, 1 << 100]))


class ExitMachine(RuleBasedStateMachine):
    """Two clients and a stranger who says anything."""

    def __init__(self):
        super().__init__()
        self.exit = Exit()
        self.open = set()
        self.given = self.sent = 0
        self.old = []

    @rule(
        tunnel=st.sampled_from([b"a" * 16, b"b" * 16, b"c" * 16]),
        number=st.integers(0, 6),
        said=st.lists(messages, min_size=1, max_size=3),
        seen=seens,
        flags=st.sampled_from([0, 0, 0, 1, 2, 3, 4]),
        blocks=st.integers(0, 7),
        first=st.sampled_from([1, 1, 1, 2]),
    )
    def frame(self, tunnel, number, said, seen, flags, blocks, first):
        made = [self.exit.block(first) for _ in range(blocks)]
        content = b"".join(said)[:FORWARD_BYTES] if number else b""
        with suppress(LocalProtocolError):
            frame = TunnelFrame(tunnel, Flag(flags), number, seen, content, made)
            self.old.append(self.exit.delivery(frame))
            self.take(self.old[-1])
            self.given += blocks if first == 1 else 0

    @rule(data=st.data())
    def again(self, data):
        if self.old:
            delivery = data.draw(st.sampled_from(self.old))
            if delivery.phase in {self.exit.phase - 1, self.exit.phase}:
                self.given += 7  # a stranger may have blocks used twice: first mixes drop them
                self.take(delivery)

    @rule(seconds=st.floats(0, 100))
    def packets(self, seconds):
        packets = self.exit.packets(seconds)
        assert len(packets) <= BATCH
        assert all(first == 1 for first, _ in packets)
        self.sent += len(packets)

    @rule(data=st.data(), size=st.integers(0, 5000), connects=st.booleans())
    def destination(self, data, size, connects):
        if self.open:
            key = data.draw(st.sampled_from(sorted(self.open)))
            if connects:
                self.look(self.exit.core.stream_connected(*key, b"", self.exit.now))
            self.exit.core.stream_data(*key, bytes(size))
            self.exit.core.stream_consumed(*key, size)

    @rule(data=st.data(), reason=st.sampled_from([EndReason.DONE, EndReason.RESET]))
    def over(self, data, reason):
        if self.open:
            self.exit.core.stream_ended(*data.draw(st.sampled_from(sorted(self.open))), reason)

    @rule()
    def phase_begins(self):
        if self.exit.phase < PHASE + 5:
            self.exit.phase += 1
            self.exit.keyring.advance(self.exit.phase)
            self.exit.core.tick(self.exit.phase, self.exit.now)

    def take(self, delivery):
        self.exit.take(delivery)
        self.look(self.exit.actions())

    def look(self, actions):
        for action in actions:
            key = (action.circuit, action.stream)
            if isinstance(action, OpenStream):
                assert key not in self.open, "connected twice"
                self.open.add(key)
            elif isinstance(action, DeliverData):
                assert key in self.open
            elif isinstance(action, EndStream) and action.reason is not EndReason.DONE:
                self.open.discard(key)

    @invariant()
    def books_are_right(self):
        core = self.exit.core
        tunnels = core._handles.values()
        assert len(core) == len(core._handles) <= MAX_TUNNELS
        assert core.memory_bytes == sum(core._sizes.values()) >= 0
        assert set(core._sizes) <= set(core._handles)
        assert all(len(tunnel._stock) <= MAX_STOCK for tunnel in tunnels)
        assert self.sent <= self.given, "more packets than reply blocks"


TestExit = ExitMachine.TestCase
TestExit.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
