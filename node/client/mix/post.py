"""Moves messages between the store and a mix client: rounds of sending, answers, what comes.

A message goes in rounds: in each the mix client sends every part some times. If all was in vain,
the recipient may be offline, and the next round comes later, until the message is too old. It goes
with the same id and content, so that it is taken once however often it comes.

Source: docs/spec/mixnet.md, QN-MIX-073, 091 and 092.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from node.client.mix.rows import Answer, Awaited, Outgoing, State
from node.client.mix.store import MessageStore
from node.errors import StageError
from node.mix.account import (
    AnswerLeft,
    MailEvent,
    MailReceived,
    ReplyPart,
    ReplyReceived,
)
from node.mix.address import parse_mail_address
from node.mix.client import MixClient
from node.mix.frame import REPLY_BYTES
from node.mix.live_paths import LivePaths
from node.mix.mail import Mail, decode_mail
from node.mix.outbox import MAX_MESSAGES, Outcome
from node.mix.surb import Surb
from qnet.errors import LocalProtocolError
from qnet.messages.descriptor import PHASE_MODULUS

PAUSE_S: Final = 60.0
"""Between the first two rounds; doubled each time."""
MAX_PAUSE_S: Final = 3600.0
EXPIRES_S: Final = 3 * 86_400.0
"""A message that nobody acknowledged for so long is given up."""
REMAKE_S: Final = 3600.0
"""A message that rested so long gets new reply blocks: nothing of it is on the way any more."""
HINDERED_S: Final = 5.0
"""Pause when something stands in the way that may go by itself."""
LOOK_S: Final = 30.0
"""Longest pause between two looks at what is to be sent."""
MAX_COPIES: Final = 2
"""Answers are not acknowledged, so each goes by a second way if there is one."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Leaving:
    """An answer that is on its way out.

    Args:
        needed: its parts.
        waiting: packets that are to leave.
        sent: parts (by index) that left.
    """

    needed: int
    waiting: int
    sent: set[int] = field(default_factory=set)


class Post:
    """The messages of one client.

    Args:
        store: on disk.
        client: sends and reads; as fresh as this object.
        live: what the consensus says.
        ids_left: how many delivery ids are there.

    Attributes:
        look_at: unix time at which `feed` has something to do.
    """

    def __init__(
        self,
        store: MessageStore,
        client: MixClient,
        live: LivePaths,
        ids_left: Callable[[], int],
    ) -> None:
        self._store = store
        self._client = client
        self._live = live
        self._ids_left = ids_left
        self._under_way: set[bytes] = set()
        self._leaving: dict[bytes, _Leaving] = {}
        self.look_at = 0.0

    def resume(self, now: float) -> None:
        """Know what an earlier run waited for; `now` in seconds."""
        for each in self._store.sent.awaited():
            self._client.await_reply(each.delivery_id, each.secret, each.message_id)
        for part in self._store.received.parts():
            self._client.resume_reply(part, now)
        self._client.takes_mail = self._store.received.has_room

    def advance(self, phase: int, at: float) -> None:
        """A key phase (u24) begins at `at` (unix time): forget what is dead."""
        dead = [
            each.delivery_id
            for each in self._store.sent.awaited()
            if 2 <= (phase - each.secret.phase) % PHASE_MODULUS < PHASE_MODULUS // 2
        ]
        self._store.prune(at, dead)
        self._client.takes_mail = self._store.received.has_room

    # --- out ----------------------------------------------------------------------------------

    def feed(self, phase: int, now: float, at: float) -> None:
        """Begin rounds that are due, and answers that wait.

        Args:
            phase: current key phase, u24.
            now: seconds, on the client's clock.
            at: unix time, seconds.
        """
        room = MAX_MESSAGES - len(self._client.outbox)
        for row in self._store.sent.due(at, room, sorted(self._under_way)):
            self._begin(row, phase, now, at)
        for answer in self._store.answers.rows(waiting=True):
            if answer.message_id not in self._leaving:
                self._answer(answer, phase, at)
        due = self._store.sent.next_due(sorted(self._under_way))
        self.look_at = min(at + LOOK_S, max(due, at + 1) if due is not None else at + LOOK_S)

    def _begin(self, row: Outgoing, phase: int, now: float, at: float) -> None:
        address = parse_mail_address(row.recipient)
        if at - row.made_at > EXPIRES_S:
            self._store.sent.end(row.message_id, State.FAILED, at, "nobody took it in three days")
            return
        try:
            self._live.node(address.node_index)
            mail, awaited = self._mail(row, phase, at)
        except (StageError, LocalProtocolError) as error:
            self._store.sent.postpone(row.message_id, at + HINDERED_S, row.rounds, error.message)
            return
        if mail is None:
            return
        self._store.sent.begin_round(row.message_id, mail.encode(), awaited, at)
        self._client.write(address, mail, now, row.message_id)
        self._under_way.add(row.message_id)

    def _mail(self, row: Outgoing, phase: int, at: float) -> tuple[Mail | None, Sequence[Awaited]]:
        """The form in which a message goes, and its new reply blocks; None while ids are missing.

        Raises:
            StageError: no route for any reply block.
            LocalProtocolError: too many reply blocks are under way.
        """
        if row.body and at - row.tried_at < self._remake_s:
            return decode_mail(row.body), ()
        if not row.replies:
            return Mail(row.text), ()
        if self._ids_left() < row.replies:
            return None, ()
        surbs, awaited = [], []
        for each in reply_phases(self._live.phases, phase, row.replies):
            ((surb, delivery_id, secret),) = self._client.make_blocks(row.message_id, [each])
            surbs.append(surb)
            awaited.append(Awaited(delivery_id, secret, row.message_id))
        return Mail(row.text, tuple(surbs)), awaited

    @property
    def _remake_s(self) -> float:
        consensus = self._live.consensus
        phase_s = consensus.parameters.key_phase_s if consensus is not None else 0
        return max(REMAKE_S, 4.0 * phase_s)

    def _answer(self, answer: Answer, phase: int, at: float) -> None:
        needed = max(1, -(-len(answer.text) // REPLY_BYTES))
        surbs: Sequence[Surb] = answer.surbs
        if not surbs:
            surbs = self._choose_blocks(answer.number, needed, phase)
            if not surbs:
                why = f"it needs {needed} reply blocks that work now"
                self._store.answers.end(answer.message_id, State.FAILED, at, why)
                return
            self._store.answers.take_blocks(answer.message_id, surbs)
        try:
            for start in range(0, len(surbs) - needed + 1, needed):
                part = surbs[start : start + needed]
                self._client.answer(answer.text, part, answer.message_id)
        except LocalProtocolError:
            return  # what is queued goes, the rest comes with the next look
        self._leaving[answer.message_id] = _Leaving(needed, len(surbs) // needed * needed)

    def _choose_blocks(self, number: int, needed: int, phase: int) -> Sequence[Surb]:
        """Blocks that work now: those of this phase first, then of the next, then of the last."""
        order = {phase: 0, (phase + 1) % PHASE_MODULUS: 1, (phase - 1) % PHASE_MODULUS: 2}
        usable = [
            surb
            for surb in self._store.answers.free_blocks(number)
            if surb.phase in order and self._live.paths.begins_at(surb.first_index, surb.phase)
        ]
        usable.sort(key=lambda surb: order[surb.phase])
        copies = min(len(usable) // needed, MAX_COPIES)
        return usable[: copies * needed]

    # --- in -----------------------------------------------------------------------------------

    def keep(self, events: Sequence[MailEvent], at: float) -> bool:
        """Store what happened at `at` (unix time); returns whether somebody may want to know.

        Call it before the client is asked for packets: acknowledgements are among those.
        """
        is_news = False
        for event in events:
            if isinstance(event, MailReceived):
                is_news |= self._store.received.add_mail(event, at)
            elif isinstance(event, ReplyReceived):
                is_news |= self._store.received.add_reply(event, at)
            elif isinstance(event, ReplyPart):
                self._store.received.add_part(event, at)
            elif isinstance(event, AnswerLeft):
                is_news |= self._left(event, at)
            else:
                self._under_way.discard(event.message_id)
                is_news |= self._ended(event.message_id, event.outcome, at)
        self._client.takes_mail = self._store.received.has_room
        return is_news

    def _left(self, event: AnswerLeft, at: float) -> bool:
        leaving = self._leaving.get(event.message_id)
        if leaving is None:
            return False
        leaving.waiting -= 1
        if event.is_sent:
            leaving.sent.add(event.index)
        if leaving.waiting:
            return False
        del self._leaving[event.message_id]
        if len(leaving.sent) == leaving.needed:
            self._store.answers.end(event.message_id, State.SENT, at)
        else:
            why = "its reply blocks stopped working before it left"
            self._store.answers.end(event.message_id, State.FAILED, at, why)
        return True

    def _ended(self, message_id: bytes, outcome: Outcome, at: float) -> bool:
        if outcome is Outcome.DELIVERED:
            self._store.sent.end(message_id, State.DELIVERED, at)
            return True
        for row in self._store.sent.rows(message_id):
            pause_s = min(PAUSE_S * 2**row.rounds, MAX_PAUSE_S)
            why = "not acknowledged; the recipient may be offline"
            self._store.sent.postpone(message_id, at + pause_s, row.rounds + 1, why)
            self.look_at = min(self.look_at, at + pause_s)
        return False


def reply_phases(published: Sequence[int], phase: int, count: int) -> list[int]:
    """Key phases of reply blocks: this one and those that follow, over again if they are too few.

    Args:
        published: phases whose keys are known, u24, oldest first.
        phase: current key phase, u24.
        count: of blocks.
    """
    coming = [each for each in published if (each - phase) % PHASE_MODULUS < PHASE_MODULUS // 2]
    return [coming[place % len(coming)] for place in range(count)] if coming else []
