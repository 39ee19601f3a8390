"""The client's end of a tunnel: streams to one exit, and the reply blocks for its answers.

A tunnel is to streams what a circuit is: the same messages, numbers and credits. The owner asks for
a frame whenever its schedule lets it send a payload.

Source: docs/spec/mixnet.md, section Streams.
"""

from typing import Final

from node.circuit.actions import Event
from node.circuit.journal import Journal
from node.circuit.messages import (
    EndReason,
    Message,
    MessageType,
    decode_messages,
    encode_begin,
    encode_host,
)
from node.circuit.origin_streams import StreamStarts
from node.mix.streams.channel import Receiver, Sender
from node.mix.streams.supply import Supply
from node.mix.streams.wire import FORWARD_BYTES, Flag, TunnelFrame, TunnelReply
from qnet.errors import RemoteProtocolError

FIRST_ANSWER_S: Final = 20.0
"""An exit that says nothing at all by then is given up."""
SILENCE_S: Final = 120.0
"""Later it may be silent so long while it owes something."""
ASK_S: Final = 2.0
"""First wait before the exit is asked whether it has something to say; it doubles."""
MAX_ASK_S: Final = 30.0

SPOKEN: Final = frozenset(
    {
        MessageType.CONNECTED,
        MessageType.DATA,
        MessageType.END,
        MessageType.RESOLVED,
        MessageType.CREDIT,
    }
)
"""What an exit says in a tunnel."""


class Tunnel:
    """One tunnel at its client.

    Args:
        handle: number of this tunnel among the client's.
        tunnel_id: 16 random bytes.
        exit_index: registry index of the exit.
        events: where events go; their circuit id is the handle.
        now: seconds, on the clock of all later calls.

    Attributes:
        opened_at: when it was made.
        used_at: when it last had a stream.
        failure: why it is of no use any more; empty while it is.
        is_over: whether it needs to send nothing more.
        received_bytes: of messages that came, repetitions not counted.
        sent_bytes: of messages that went, repetitions not counted.
    """

    __slots__ = (
        "_ask_s",
        "_asked_at",
        "_events",
        "_gave",
        "_heard_at",
        "_is_leaving",
        "_is_opened",
        "_owes",
        "_receiver",
        "_sender",
        "_starts",
        "_supply",
        "exit_index",
        "failure",
        "handle",
        "is_over",
        "opened_at",
        "received_bytes",
        "sent_bytes",
        "tunnel_id",
        "used_at",
    )

    def __init__(
        self, handle: int, tunnel_id: bytes, exit_index: int, events: Journal[Event], now: float
    ) -> None:
        self.handle = handle
        self.tunnel_id = tunnel_id
        self.exit_index = exit_index
        self.opened_at = self.used_at = self._heard_at = self._asked_at = now
        self.failure = ""
        self.is_over = False
        self.received_bytes = self.sent_bytes = 0
        self._events = events
        self._starts = StreamStarts(handle, 1, events)
        self._sender = Sender()
        self._receiver = Receiver()
        self._supply = Supply()
        self._ask_s = ASK_S
        self._is_opened = self._is_leaving = self._owes = self._gave = False

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def is_usable(self) -> bool:
        """Whether streams can be opened."""
        return not self.failure and not self._is_leaving

    @property
    def round_trip_s(self) -> float | None:
        """Time from a frame to its acknowledgement; None until one was measured."""
        return self._sender.round_trips.mean_s

    @property
    def repeated(self) -> int:
        """Frames that had to be sent again."""
        return self._sender.repeated

    # what the application does

    def open_stream(self, host: str, port: int, window_bytes: int, now: float) -> int:
        """Ask the exit to connect; returns the stream's number. Data may follow at once.

        Raises:
            LocalProtocolError: out of stream numbers, or the host is odd.
        """
        return self._open(MessageType.BEGIN, encode_begin(host, port), window_bytes, now)

    def resolve(self, host: str, window_bytes: int, now: float) -> int:
        """Ask the exit for the addresses of a name; returns the stream's number.

        Raises:
            LocalProtocolError: out of stream numbers, or the host is odd.
        """
        return self._open(MessageType.RESOLVE, encode_host(host), window_bytes, now)

    def _open(self, kind: MessageType, data: bytes, window_bytes: int, now: float) -> int:
        self.used_at = now
        if not self._is_waiting:
            self._heard_at = now  # nobody had to answer until now
        return self._starts.open(kind, data, 0, window_bytes, now, pressed=False)

    def send(self, number: int, data: bytes) -> int:
        """Queue data; returns how much was taken."""
        return self._starts.send(number, data)

    def consumed(self, number: int, count: int, now: float) -> None:
        """The application took received bytes."""
        self._starts.consumed(number, count, now, pressed=False)

    def end(self, number: int, reason: EndReason) -> None:
        """Close our direction (DONE) or drop the stream."""
        self._starts.end(number, reason)

    def refresh(self, *, new_guard: bool) -> None:
        """Reply blocks may have died: ask soon what the exit has left.

        Args:
            new_guard: whether none of them leads to us any more.
        """
        self._ask_s = ASK_S
        if new_guard:
            self._supply.forsake()

    def resume(self, now: float) -> None:
        """Nothing could be sent or heard for a while: the exit's time to answer begins anew."""
        self._heard_at = now

    def leave(self) -> None:
        """Tell the exit that the tunnel is not needed any more."""
        self._is_leaving = True

    def lose(self, why: str) -> None:
        """The tunnel is of no use: every stream ends."""
        if not self.failure:
            self.failure, self.is_over = why, True
            self._starts.abandon(EndReason.CIRCUIT_DESTROYED)

    # what goes out

    def next_frame(self, now: float) -> TunnelFrame | None:
        """Return what to send in this turn, without its reply blocks.

        Put `blocks_for` of them in, and tell `blocks_sent`.
        """
        self._look(now)
        if self.failure or self.is_over:
            return None
        if self._is_leaving:
            self.is_over = True
            return self._frame(Flag.LAST, 0, b"")
        if len(self._starts):
            self.used_at = now
        asks = self._is_waiting and now >= max(self._heard_at, self._asked_at) + self._ask_s
        short = self._supply.is_short and not self._gave
        self._gave = short
        numbered = None if short else self._numbered(now)
        if numbered is None and not (asks or short or self._owes or self._is_wanting):
            return None
        if asks:
            self._asked_at = now
            self._ask_s = min(2 * self._ask_s, MAX_ASK_S)
        self._owes = False
        number, content = numbered or (0, b"")
        return self._frame(Flag.ASK if asks else Flag(0), number, content)

    def blocks_for(self, frame: TunnelFrame) -> int:
        """How many reply blocks a frame shall bring: one at least if it is to be answered."""
        needed = bool(frame.number or frame.flags & Flag.ASK)
        return min(frame.room, max(self._supply.missing, int(needed)))

    def blocks_sent(self, count: int, now: float) -> None:
        """So many reply blocks left."""
        if count:
            self._supply.sent(count, now)

    def _frame(self, flags: Flag, number: int, content: bytes) -> TunnelFrame:
        if self._is_opened:
            flags |= Flag.OPENED
        return TunnelFrame(self.tunnel_id, flags, number, self._receiver.seen, content)

    def _numbered(self, now: float) -> tuple[int, bytes] | None:
        """A frame that goes again, else a new one."""
        again = self._sender.due(now)
        if again is not None:
            return again
        outbox = self._starts.outboxes[0]
        if not self._sender.has_room or not outbox.has_content:
            return None
        content = outbox.next_content(FORWARD_BYTES)
        self._starts.report(outbox)
        self._ask_s = ASK_S
        self.sent_bytes += len(content)
        return self._sender.put(content, now), content

    @property
    def _is_waiting(self) -> bool:
        """Whether the exit has something to answer, or may have."""
        return bool(len(self._starts) or len(self._sender))

    @property
    def _is_wanting(self) -> bool:
        """Whether the exit should have more reply blocks."""
        return self._is_waiting and self._supply.missing > 0

    def _look(self, now: float) -> None:
        """Give a tunnel up whose exit says nothing."""
        patience_s = SILENCE_S if self._is_opened else FIRST_ANSWER_S
        if self._sender.failed or (self._is_waiting and now > self._heard_at + patience_s):
            self.lose("the exit does not answer")

    # what comes in

    def receive(self, reply: TunnelReply, now: float) -> None:
        """Take a reply of the exit, unless the tunnel is over."""
        self._heard_at = now
        if reply.flags & Flag.GONE:
            self.lose("the exit forgot the tunnel")
            return
        self._is_opened = True
        try:
            self._sender.acknowledged(reply.seen, now)
            self._supply.reported(reply, self._sender.round_trips.wait_s, now)
            if reply.number:
                self._take(reply, now)
        except RemoteProtocolError as error:
            self.lose(f"the exit broke a rule: {error.message}")

    def _take(self, reply: TunnelReply, now: float) -> None:
        self._owes = True
        self._ask_s = ASK_S
        for content in self._receiver.receive(reply.number, reply.messages):
            self.received_bytes += len(content)
            for message in decode_messages(content, 0, len(content), forward=False):
                self._heed(message, now)
        self._starts.report(self._starts.outboxes[0])

    def _heed(self, message: Message, now: float) -> None:
        if message.kind not in SPOKEN or not message.stream:
            raise RemoteProtocolError(f"{message.kind.name} has no place in a tunnel")
        self._starts.handle(0, message, now)
