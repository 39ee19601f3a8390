"""A client of the mixnet, put together: sends on its schedule, reads what comes.

The owner asks for packets when they are due and hands over deliveries. It stores received messages
before it asks for packets again, because their acknowledgements are among those.

Source: docs/spec/mixnet.md, sections Sending, Reply blocks, Payloads and Messages.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.mix.account import (
    Account,
    AnswerLeft,
    MailEvent,
    MailReceived,
    ReplyPart,
    ReplyReceived,
)
from node.mix.address import MailAddress
from node.mix.carried import Carried, Packet
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
from node.mix.surb import ReplyBook, ReplySecret, Surb, decode_surb, make_surb
from qnet.errors import CryptoError, DecodeError, LocalProtocolError
from qnet.sampling import RandomBytes

MAX_ANSWERS: Final = 1024
_MS: Final = 1000


class Ignored(StrEnum):
    """Why something was not taken; the metric label."""

    UNKNOWN = "unknown"
    UNREADABLE = "unreadable"
    NO_ROOM = "no_room"
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


class MixClient:
    """A client.

    Args:
        account: who it is.
        paths: draws routes.
        rates: of its schedule.
        random: source of random bytes.
        now: seconds, on the clock of all later calls.

    Attributes:
        account: who it is now.
        takes_mail: whether there is room for messages; those that come are dropped while not.
        outbox: messages under way.
        inboxes: messages that come, by address: what is held of one says nothing about another.
        watch: loops.
        carried: what else it carries.
        control: units to our node, sent in place of drops so that no time gives them away.
        ignored: what was not taken, by cause.
    """

    __slots__ = (
        "_answers",
        "_book",
        "_events",
        "_paths",
        "_random",
        "_replies",
        "_schedule",
        "_turns",
        "account",
        "carried",
        "control",
        "ignored",
        "inboxes",
        "outbox",
        "takes_mail",
        "watch",
    )

    def __init__(
        self, account: Account, paths: Paths, rates: Rates, random: RandomBytes, now: float
    ) -> None:
        self.account = account
        self.takes_mail = True
        self._paths = paths
        self._random = random
        self._schedule: SenderSchedule[Packet] = SenderSchedule(rates, random, now)
        self._book: ReplyBook[Purpose] = ReplyBook()
        self._answers: deque[tuple[Surb, Frame]] = deque()
        self._replies = Assembly()
        self._events: list[MailEvent] = []
        self._turns = 0
        self.outbox: Outbox[MailAddress] = Outbox(random)
        self.inboxes: defaultdict[MailAddress, Inbox] = defaultdict(Inbox)
        self.carried: list[Carried] = []
        self.control: deque[Packet] = deque()
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
            LocalProtocolError: too many blocks are under way, or there is no id for one.
        """
        return tuple(surb for surb, _, _ in self.make_blocks(about, phases))

    def make_blocks(
        self, about: bytes, phases: Sequence[int]
    ) -> list[tuple[Surb, bytes, ReplySecret]]:
        """Make reply blocks; returns each with its delivery id and its secret, to be stored.

        Args:
            about: comes back with the answer, 16 bytes.
            phases: u24 each; keys must be published.

        Raises:
            StageError: no route in one of the phases.
            LocalProtocolError: too many blocks are under way, or there is no id for one.
        """
        made = []
        for phase in phases:
            delivery_id = self.account.new_id()
            if delivery_id is None:
                raise LocalProtocolError("our node gave us no delivery ids yet")
            surb, secret = self._block(phase, delivery_id)
            if not self.await_reply(delivery_id, secret, about):
                self.ignored[Ignored.TOO_MANY_REPLY_BLOCKS] += 1
                raise LocalProtocolError("too many reply blocks are under way")
            made.append((surb, delivery_id, secret))
        return made

    def await_reply(self, delivery_id: bytes, secret: ReplySecret, about: bytes) -> bool:
        """Wait for an answer by a reply block that was made before; false if too many wait.

        Args:
            delivery_id: of the block, 16 bytes.
            secret: what its maker kept.
            about: comes back with the answer, 16 bytes.
        """
        return self._book.remember(delivery_id, secret, Purpose(Use.REPLY, about))

    def resume_reply(self, part: ReplyPart, now: float) -> None:
        """Know a part of an answer that came before a restart."""
        self._replies.add(part.fragment, now)

    def write(self, address: MailAddress, mail: Mail, now: float, message_id: bytes = b"") -> bytes:
        """Send a message when its turn comes; returns its id (16 bytes).

        Args:
            address: whom it is for.
            mail: what it says.
            now: seconds.
            message_id: if it was sent before with the same content; a new one by default.

        Raises:
            LocalProtocolError: too long, or too many messages are under way.
        """
        return self.outbox.submit(address, mail.encode(), now, message_id)

    def answer(self, text: bytes, surbs: Sequence[Surb], message_id: bytes = b"") -> int:
        """Answer a message; returns how many of the blocks are used up.

        Args:
            text: the answer.
            surbs: usable blocks of the message, none used before for anything else.
            message_id: if it was begun before with the same text; a new one by default.

        Raises:
            LocalProtocolError: they do not suffice, or too many answers wait.
        """
        message_id = message_id or self._random(MESSAGE_ID_BYTES)
        pairs = reply_fragments(message_id, text, surbs)
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
        """Return what became of messages and answers that were to be sent, since the last call."""
        events, self._events = self._events, []
        return events

    def _packet(self, emission: Emission[Packet], phase: int, now: float) -> Packet:
        if emission.payload is not None:
            return emission.payload
        if emission.kind is Kind.LOOP:
            loop = self._loop(phase, now)
            if loop is not None:
                return loop
        if self.control:
            return self.control.popleft()
        route = self._paths.drop(phase)
        packet = build_packet(route, self._random(PAYLOAD_BYTES), self._random)
        return route.hops[0].index, packet

    def _payload(self, phase: int, now: float) -> Packet | None:
        """An answer that waits, else a fragment that is due, or what else is carried, in turns."""
        while self._answers:
            surb, frame = self._answers.popleft()
            usable = surb.is_usable(phase) and self._paths.begins_at(surb.first_index, surb.phase)
            if isinstance(frame, ReplyFrame):
                part = frame.fragment
                self._events.append(AnswerLeft(part.message_id, part.index, usable))
            if usable:
                return surb.first_index, surb.use(frame.encode())
        suppliers = [self._message, *(each.payload for each in self.carried)]
        for place in range(len(suppliers)):
            packet = suppliers[(self._turns + place) % len(suppliers)](phase, now)
            if packet is not None:
                self._turns += place + 1
                return packet
        return None

    def _message(self, phase: int, now: float) -> Packet | None:
        """A fragment that is due, with the reply block for its acknowledgement."""
        due_at = self.outbox.next_at
        if due_at is None or due_at > now:
            return None
        delivery_id = self.account.new_id()
        if delivery_id is None:
            return None
        while isinstance(step := self.outbox.take(now), Ended):
            self._events.append(step)
        return None if step is None else self._data(step, delivery_id, phase)

    def _data(self, step: ToSend[MailAddress], delivery_id: bytes, phase: int) -> Packet | None:
        purpose = Purpose(Use.ACK, step.fragment.message_id)
        surb, secret = self._block(phase, delivery_id)
        if not self._book.remember(delivery_id, secret, purpose):
            self.ignored[Ignored.TOO_MANY_REPLY_BLOCKS] += 1
            return None
        frame = DataFrame(step.fragment, surb.encode()).encode()
        address = step.recipient
        route = self._paths.route(phase, address.node_index, address.delivery_id(phase))
        payload = seal_frame(frame, address.key, self._random)
        return route.hops[0].index, build_packet(route, payload, self._random)

    def _loop(self, phase: int, now: float) -> Packet | None:
        delivery_id = self.account.new_id()
        if delivery_id is None:
            return None
        route = self._paths.route(phase, self.account.mailbox_node, delivery_id)
        surb, secret = make_surb(route, self._random)
        deadline = now + route.delay_ms / _MS + self.account.loop_allowance_s
        if self._book.remember(delivery_id, secret, Purpose(Use.LOOP, delivery_id)):
            self.watch.expect(delivery_id, deadline, now)
        return surb.first_index, surb.use(self._random(FRAME_BYTES))

    def _block(self, phase: int, delivery_id: bytes) -> tuple[Surb, ReplySecret]:
        """Make a reply block to our mailbox node."""
        route = self._paths.route(phase, self.account.mailbox_node, delivery_id)
        return make_surb(route, self._random)

    # --- what comes in ------------------------------------------------------------------------

    def receive(self, delivery: Delivery, now: float) -> list[MailEvent]:
        """Read a delivery at `now` (seconds); returns what the owner should know."""
        mailbox = self.account.recipient(delivery.delivery_id, delivery.phase)
        try:
            if mailbox is not None:
                frame = decode_frame(open_frame(delivery.payload, mailbox.key))
                return self._mail(frame, mailbox.address, now)
            return self._returned(delivery, now)
        except (CryptoError, DecodeError):
            self.ignored[Ignored.UNREADABLE] += 1
            return []

    def _mail(self, frame: Frame, address: MailAddress, now: float) -> list[MailEvent]:
        if not isinstance(frame, DataFrame):
            raise DecodeError("an address takes DATA frames only")
        if not self.takes_mail:
            self.ignored[Ignored.NO_ROOM] += 1
            return []
        surb = decode_surb(frame.surb)
        events: list[MailEvent] = []
        for todo in self.inboxes[address].receive(frame, now):
            if isinstance(todo, Received):
                mail = decode_mail(todo.body)
                events.append(MailReceived(todo.message_id, mail, address))
            elif len(self._answers) < MAX_ANSWERS:
                self._answers.append((surb, todo.ack))
            else:
                self.ignored[Ignored.TOO_MANY_ANSWERS] += 1
        return events

    def _returned(self, delivery: Delivery, now: float) -> list[MailEvent]:
        returned = self._book.take(delivery)
        if returned is None:
            if not any(each.receive(delivery, now) for each in self.carried):
                self.ignored[Ignored.UNKNOWN] += 1
            return []
        purpose, data = returned.purpose, returned.frame
        if purpose.use is Use.LOOP:
            self.watch.passed(purpose.about, now, intact=data is not None)
            return []
        if data is None:
            self.ignored[Ignored.CHANGED] += 1
            return []
        frame = decode_frame(data)
        if isinstance(frame, AckFrame) and purpose == Purpose(Use.ACK, frame.message_id):
            ended = self.outbox.acknowledged(frame, now)
            return [ended] if ended else []
        if isinstance(frame, ReplyFrame) and purpose.use is Use.REPLY:
            fragment = frame.fragment
            text = self._replies.add(fragment, now)
            if text is None:
                is_open = len(self._replies.held(fragment.message_id)) < fragment.count
                return [ReplyPart(purpose.about, fragment)] if is_open else []
            return [ReplyReceived(purpose.about, text, fragment.message_id)]
        raise DecodeError("a reply block came back with another kind of frame")
