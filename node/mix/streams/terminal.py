"""The exit's end of a tunnel: streams, and the reply blocks by which the client can be answered.

The exit knows no way to the client but the blocks it was given. It uses the newest first: an older
one may lead to a guard that the client has left.

Source: docs/spec/mixnet.md, section Streams.
"""

from collections.abc import Callable
from typing import Final

from node.circuit.actions import Action
from node.circuit.exit import StreamEnds
from node.circuit.journal import Journal
from node.circuit.messages import EndReason, Message, MessageType, decode_messages
from node.mix.streams.channel import Receiver, Sender
from node.mix.streams.wire import BACKWARD_BYTES, MAX_COUNT, Flag, TunnelFrame, TunnelReply
from node.mix.surb import SURB_BYTES, Surb
from qnet.errors import RemoteProtocolError
from qnet.parameters import NetworkParameters

MAX_STOCK: Final = 256
BUFFER_BYTES: Final = 1 << 16
"""Data for the client that may wait besides what is under way; then destinations are not read."""
ACK_WAIT_S: Final = 0.03
"""An acknowledgement waits so long for something to go along."""
_COUNT_MODULUS: Final = 1 << 32

SPOKEN: Final = frozenset(
    {
        MessageType.BEGIN,
        MessageType.DATA,
        MessageType.END,
        MessageType.RESOLVE,
        MessageType.CREDIT,
    }
)
"""What a client says in a tunnel."""


class Terminal:
    """One tunnel at its exit.

    Args:
        handle: number of this tunnel at the exit.
        tunnel_id: 16 bytes, by which the client names it.
        parameters: network parameters in force.
        actions: where actions go; their circuit is the handle.
        now: seconds, on the clock of all later calls.

    Attributes:
        ends: the streams.
        heard_at: when the client last said something.
        dropped: reply blocks that were not kept because there were enough.
    """

    __slots__ = (
        "_answer_at",
        "_order",
        "_receiver",
        "_sender",
        "_starved",
        "_stock",
        "_taken",
        "dropped",
        "ends",
        "handle",
        "heard_at",
        "tunnel_id",
    )

    def __init__(
        self,
        handle: int,
        tunnel_id: bytes,
        parameters: Callable[[], NetworkParameters],
        actions: Journal[Action],
        now: float,
    ) -> None:
        self.handle = handle
        self.tunnel_id = tunnel_id
        self.heard_at = now
        self.dropped = 0
        self.ends = StreamEnds(
            handle,
            exits=True,
            parameters=parameters,
            actions=actions,
            watch=lambda _number: None,  # the connector has deadlines of its own
        )
        self._sender = Sender()
        self._receiver = Receiver()
        self._stock: list[Surb] = []
        self._starved: set[int] = set()
        self._order = self._taken = 0
        self._answer_at: float | None = None

    @property
    def memory_bytes(self) -> int:
        """What the tunnel makes the exit hold."""
        waiting = self.ends.outbox.buffered + self.ends.outbox.held
        under_way = self._sender.unacked_bytes + self._receiver.waiting_bytes
        return waiting + under_way + len(self._stock) * SURB_BYTES

    @property
    def has_failed(self) -> bool:
        """Whether what was sent never arrived, however often."""
        return self._sender.failed

    # what comes in

    def receive(self, frame: TunnelFrame, now: float) -> None:
        """Take a frame of the client.

        Raises:
            RemoteProtocolError: it breaks a rule; the tunnel must end.
        """
        self.heard_at = now
        self._taken = (self._taken + len(frame.blocks)) % _COUNT_MODULUS
        room = MAX_STOCK - len(self._stock)
        self._stock += frame.blocks[:room]
        self.dropped += max(0, len(frame.blocks) - room)
        self._sender.acknowledged(frame.seen, now)
        if frame.flags & Flag.ASK:
            self._answer_at = now
        if frame.number:
            self._answer_soon(now)
            for content in self._receiver.receive(frame.number, frame.messages):
                for message in decode_messages(content, 0, len(content), forward=True):
                    self._heed(message, now)

    def _heed(self, message: Message, now: float) -> None:
        if message.kind not in SPOKEN:
            raise RemoteProtocolError(f"{message.kind.name} has no place in a tunnel")
        self.ends.handle(message, now)

    def _answer_soon(self, now: float) -> None:
        if self._answer_at is None:
            self._answer_at = now + ACK_WAIT_S

    # what destinations do

    def write(self, number: int, data: bytes) -> int:
        """Queue data for the client; returns how much was taken."""
        room = BUFFER_BYTES - self.ends.outbox.buffered
        taken = self.ends.send(number, data[: max(0, room)])
        if taken < len(data) and taken >= room:
            self._starved.add(number)
        return taken

    def resumed(self) -> list[int]:
        """Streams that take data again, by number."""
        outbox = self.ends.outbox
        numbers = [*outbox.resumed]
        outbox.resumed.clear()
        if self._starved and 2 * outbox.buffered <= BUFFER_BYTES:
            numbers += self._starved - set(numbers)
            self._starved.clear()
        return [number for number in numbers if number in outbox.streams]

    # what goes out

    @property
    def next_at(self) -> float | None:
        """When an answer or a repetition is due, once `next_reply` gave nothing."""
        if not self._stock:
            return None
        times = [at for at in (self._answer_at, self._sender.next_at) if at is not None]
        return min(times, default=None)

    def next_reply(
        self, now: float, is_usable: Callable[[Surb], bool]
    ) -> tuple[Surb, TunnelReply] | None:
        """Return what to send now and the block to send it with, if there is one.

        Args:
            now: seconds.
            is_usable: whether mixes accept a block now.
        """
        if self.has_failed or not self._stock:
            return None
        numbered = self._sender.due(now)
        outbox = self.ends.outbox
        is_new = numbered is None and self._sender.has_room and outbox.has_content
        owes = self._answer_at is not None and self._answer_at <= now
        if numbered is None and not is_new and not owes:
            return None
        surb = self._block(is_usable)
        if surb is None:
            return None
        if is_new:
            content = outbox.next_content(BACKWARD_BYTES)
            numbered = self._sender.put(content, now), content
        return surb, self._reply(*(numbered or (0, b"")))

    def _block(self, is_usable: Callable[[Surb], bool]) -> Surb | None:
        while self._stock:
            surb = self._stock.pop()
            if is_usable(surb):
                return surb
        return None

    def _reply(self, number: int, content: bytes) -> TunnelReply:
        self._answer_at = None
        self._order += 1
        stock = len(self._stock)
        waiting = -(-self.ends.outbox.buffered // BACKWARD_BYTES)
        return TunnelReply(
            Flag(0),
            self._order,
            number,
            self._receiver.seen,
            self._taken,
            stock,
            min(max(0, waiting - stock), MAX_COUNT),
            content,
        )

    def advance(self, phase: int) -> None:
        """Drop the blocks of dead phases, when `phase` (u24) begins."""
        self._stock = [surb for surb in self._stock if surb.is_usable(phase)]

    def abandon(self) -> None:
        """The tunnel is gone: its streams end."""
        self.ends.abandon(EndReason.CIRCUIT_DESTROYED)
