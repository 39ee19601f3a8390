"""A client of the mixnet, put together: sends on its schedule, reads what comes.

The owner asks for packets when they are due and hands over deliveries. It stores received messages
before it asks for packets again, because their acknowledgements are among those.

Source: docs/spec/mixnet.md, sections Sending, Reply blocks, Payloads and Messages.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from node.mix.address import MailAddress
from node.mix.envelope import FRAME_BYTES, open_frame, seal_frame
from node.mix.frame import (
    MESSAGE_ID_BYTES,
    AckFrame,
    DataFrame,
    Frame,
    ReplyFrame,
    decode_frame,
)
from node.mix.inbox import Assembly, Inbox, Received
from node.mix.loops import LoopReport, LoopWatch
from node.mix.mail import Mail, decode_mail, reply_fragments
from node.mix.outbox import Ended, Outbox, ToSend
from node.mix.packet import PAYLOAD_BYTES, Delivery
from node.mix.paths import Paths
from node.mix.route import build_packet
from node.mix.schedule import Emission, Kind, Rates, SenderSchedule
from node.mix.surb import ReplyBook, Surb, decode_surb, make_surb
from qnet.crypto.keys import DhKey
from qnet.errors import CryptoError, DecodeError, LocalProtocolError
from qnet.sampling import RandomBytes

MAX_ANSWERS: Final = 1024
_MS: Final = 1000

Packet: TypeAlias = tuple[int, bytes]
"""Registry index of the first mix, and the packet."""


class Ignored(StrEnum):
    """Why something was not taken; the metric label."""

    UNKNOWN = "unknown"
    UNREADABLE = "unreadable"
    CHANGED = "changed"
    TOO_MANY_ANSWERS = "too_many_answers"
    TOO_MANY_REPLY_BLOCKS = "too_many_reply_blocks"


class Use(StrEnum):
    """What a reply block was made for."""

    LOOP = "loop"
    ACK = "ack"
    REPLY = "reply"


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a reply block was made for.

    Args:
        use: which.
        about: delivery id of a loop, id of a message, or what the owner named; 16 bytes.
    """

    use: Use
    about: bytes


@dataclass(frozen=True, slots=True)
class MailReceived:
    """A message to our address; store it before asking for packets.

    Args:
        message_id: 16 bytes.
        mail: text and reply blocks.
    """

    message_id: bytes
    mail: Mail


@dataclass(frozen=True, slots=True)
class ReplyReceived:
    """An answer to a message of ours.

    Args:
        about: what the reply blocks were made for, 16 bytes.
        text: the answer.
    """

    about: bytes
    text: bytes = field(repr=False)


MailEvent: TypeAlias = MailReceived | ReplyReceived | Ended[MailAddress]


@dataclass(frozen=True, slots=True)
class Account:
    """Who a client is in the mixnet.

    Args:
        key: of its address.
        mailbox_node: registry index of the node that keeps its mailbox.
        new_id: gives a fresh delivery id (16 bytes) that this node delivers to us.
        loop_allowance_s: for the network, added to the delays of a loop.
    """

    key: DhKey
    mailbox_node: int
    new_id: Callable[[], bytes]
    loop_allowance_s: float = 5.0

    @property
    def address(self) -> MailAddress:
        """Where others write to."""
        return MailAddress(self.mailbox_node, self.key.public)


class MixClient:
    """A client.

    Args:
        account: who it is.
        paths: draws routes.
        rates: of its schedule.
        random: source of random bytes.
        now: seconds, on the clock of all later calls.

    Attributes:
        outbox: messages under way.
        inbox: messages that come.
        watch: loops.
        ignored: what was not taken, by cause.
    """

    __slots__ = (
        "_account",
        "_answers",
        "_book",
        "_ended",
        "_paths",
        "_random",
        "_replies",
        "_schedule",
        "ignored",
        "inbox",
        "outbox",
        "watch",
    )

    def __init__(
        self, account: Account, paths: Paths, rates: Rates, random: RandomBytes, now: float
    ) -> None:
        self._account = account
        self._paths = paths
        self._random = random
        self._schedule: SenderSchedule[Packet] = SenderSchedule(rates, random, now)
        self._book: ReplyBook[Purpose] = ReplyBook()
        self._answers: deque[tuple[Surb, Frame]] = deque()
        self._replies = Assembly()
        self._ended: list[MailEvent] = []
        self.outbox: Outbox[MailAddress] = Outbox(random)
        self.inbox = Inbox()
        self.watch = LoopWatch()
        self.ignored: Counter[Ignored] = Counter()

    @property
    def next_at(self) -> float:
        """When `packets` has something to give, in seconds."""
        return self._schedule.next_at

    def advance(self, phase: int) -> None:
        """Forget reply blocks of dead phases, when `phase` (u24) begins."""
        self._book.advance(phase)

    def loops(self, now: float) -> LoopReport:
        """What the loops say at `now` (seconds)."""
        return self.watch.report(now)

    # --- what the user asks for ---------------------------------------------------------------

    def reply_blocks(self, about: bytes, phases: Sequence[int]) -> tuple[Surb, ...]:
        """Make reply blocks for a message, one for each key phase.

        Args:
            about: comes back with the answer, 16 bytes.
            phases: u24 each; keys must be published.

        Raises:
            StageError: no route in one of the phases.
            LocalProtocolError: too many blocks are under way.
        """
        blocks = []
        for phase in phases:
            surb = self._block(phase, Use.REPLY, about)
            if surb is None:
                raise LocalProtocolError("too many reply blocks are under way")
            blocks.append(surb)
        return tuple(blocks)

    def write(self, address: MailAddress, mail: Mail, now: float) -> bytes:
        """Send a message when its turn comes; returns its id (16 bytes).

        Raises:
            LocalProtocolError: too long, or too many messages are under way.
        """
        return self.outbox.submit(address, mail.encode(), now)

    def answer(self, text: bytes, surbs: Sequence[Surb]) -> int:
        """Answer a message; returns how many of the blocks are used up.

        Args:
            text: the answer.
            surbs: usable blocks of the message, none used before.

        Raises:
            LocalProtocolError: they do not suffice, or too many answers wait.
        """
        pairs = reply_fragments(self._random(MESSAGE_ID_BYTES), text, surbs)
        if len(self._answers) + len(pairs) > MAX_ANSWERS:
            raise LocalProtocolError("too many answers wait")
        self._answers += [(surb, ReplyFrame(fragment)) for surb, fragment in pairs]
        return len(pairs)

    # --- what goes out ------------------------------------------------------------------------

    def packets(self, phase: int, now: float) -> list[Packet]:
        """Return what is to be handed to the guard at `now` (seconds).

        Args:
            phase: current key phase, u24.
            now: seconds.

        Raises:
            StageError: no route.
        """
        emissions = self._schedule.take(now, lambda: self._payload(phase, now))
        return [self._packet(emission, phase, now) for emission in emissions]

    def events(self) -> list[MailEvent]:
        """Return messages that failed since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def _packet(self, emission: Emission[Packet], phase: int, now: float) -> Packet:
        if emission.payload is not None:
            return emission.payload
        if emission.kind is Kind.LOOP:
            return self._loop(phase, now)
        route = self._paths.drop(phase)
        packet = build_packet(route, self._random(PAYLOAD_BYTES), self._random)
        return route.hops[0].index, packet

    def _payload(self, phase: int, now: float) -> Packet | None:
        """An answer that waits, else a fragment that is due."""
        while self._answers:
            surb, frame = self._answers.popleft()
            if surb.is_usable(phase) and self._paths.begins_at(surb.first_index, surb.phase):
                return surb.first_index, surb.use(frame.encode())
        while isinstance(step := self.outbox.take(now), Ended):
            self._ended.append(step)
        return None if step is None else self._data(step, phase)

    def _data(self, step: ToSend[MailAddress], phase: int) -> Packet | None:
        surb = self._block(phase, Use.ACK, step.fragment.message_id)
        if surb is None:
            return None
        frame = DataFrame(step.fragment, surb.encode()).encode()
        address = step.recipient
        route = self._paths.route(phase, address.node_index, address.delivery_id(phase))
        payload = seal_frame(frame, address.key, self._random)
        return route.hops[0].index, build_packet(route, payload, self._random)

    def _loop(self, phase: int, now: float) -> Packet:
        delivery_id = self._account.new_id()
        route = self._paths.route(phase, self._account.mailbox_node, delivery_id)
        surb, secret = make_surb(route, self._random)
        deadline = now + route.delay_ms / _MS + self._account.loop_allowance_s
        if self._book.remember(delivery_id, secret, Purpose(Use.LOOP, delivery_id)):
            self.watch.expect(delivery_id, deadline)
        return surb.first_index, surb.use(self._random(FRAME_BYTES))

    def _block(self, phase: int, use: Use, about: bytes) -> Surb | None:
        """Make a reply block and wait for it; None if too many are under way."""
        delivery_id = self._account.new_id()
        route = self._paths.route(phase, self._account.mailbox_node, delivery_id)
        surb, secret = make_surb(route, self._random)
        if not self._book.remember(delivery_id, secret, Purpose(use, about)):
            self.ignored[Ignored.TOO_MANY_REPLY_BLOCKS] += 1
            return None
        return surb

    # --- what comes in ------------------------------------------------------------------------

    def receive(self, delivery: Delivery, now: float) -> list[MailEvent]:
        """Read a delivery at `now` (seconds); returns what the owner should know."""
        try:
            if delivery.delivery_id == self._account.address.delivery_id(delivery.phase):
                frame = decode_frame(open_frame(delivery.payload, self._account.key))
                return self._mail(frame, now)
            return self._returned(delivery, now)
        except (CryptoError, DecodeError):
            self.ignored[Ignored.UNREADABLE] += 1
            return []

    def _mail(self, frame: Frame, now: float) -> list[MailEvent]:
        if not isinstance(frame, DataFrame):
            raise DecodeError("an address takes DATA frames only")
        surb = decode_surb(frame.surb)
        events: list[MailEvent] = []
        for todo in self.inbox.receive(frame, now):
            if isinstance(todo, Received):
                events.append(MailReceived(todo.message_id, decode_mail(todo.body)))
            elif len(self._answers) < MAX_ANSWERS:
                self._answers.append((surb, todo.ack))
            else:
                self.ignored[Ignored.TOO_MANY_ANSWERS] += 1
        return events

    def _returned(self, delivery: Delivery, now: float) -> list[MailEvent]:
        returned = self._book.take(delivery)
        if returned is None:
            self.ignored[Ignored.UNKNOWN] += 1
            return []
        purpose, data = returned.purpose, returned.frame
        if purpose.use is Use.LOOP:
            self.watch.passed(purpose.about, intact=data is not None)
            return []
        if data is None:
            self.ignored[Ignored.CHANGED] += 1
            return []
        frame = decode_frame(data)
        if isinstance(frame, AckFrame) and purpose == Purpose(Use.ACK, frame.message_id):
            ended = self.outbox.acknowledged(frame, now)
            return [ended] if ended else []
        if isinstance(frame, ReplyFrame) and purpose.use is Use.REPLY:
            text = self._replies.add(frame.fragment, now)
            return [] if text is None else [ReplyReceived(purpose.about, text)]
        raise DecodeError("a reply block came back with another kind of frame")
