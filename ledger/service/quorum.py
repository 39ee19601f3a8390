"""Runs the agreements of this member: disk before wire, one machine per topic."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final, Protocol

import structlog

from ledger.domain.actions import Action, BuildDocument, CheckDocument, Decided, Persist, Send
from ledger.domain.agreement import Agreement
from ledger.domain.schedule import Schedule
from ledger.domain.votes import (
    MAX_MESSAGE_BYTES,
    Decision,
    Kind,
    Topic,
    decode_message,
    encode_message,
)
from ledger.errors import NotReadyError, WrongPredecessorError
from ledger.service.member import Member
from ledger.service.peers import Peers
from qnet import cbor
from qnet.errors import (
    ChainError,
    ChainRecoverableError,
    NetworkError,
    QnetError,
    RemoteProtocolError,
)
from qnet.messages.fields import U32_MAX, U64_MAX, Fields

PATH: Final = "/v1/peer/agreement"
BUILD_RETRY_S: Final = 0.5
TICK_S: Final = 0.25
_KEYS: Final = frozenset({"kind", "period", "attempt", "message"})

_log = structlog.get_logger(__name__)


class TopicHandler(Protocol):
    """What one kind of document needs."""

    async def build(self, topic: Topic) -> tuple[bytes, bytes]:
        """Return (digest, document) to propose.

        Raises:
            NotReadyError: not yet.
        """
        ...

    async def check(self, topic: Topic, digest: bytes, document: bytes, *, certified: bool) -> None:
        """Refuse a document that is not right.

        Raises:
            QnetError: with the reason.
        """
        ...

    async def decided(self, topic: Topic, decision: Decision) -> None:
        """Carry out a decision; called again after a restart, so it must be idempotent."""
        ...


class _Running:
    """One topic under way."""

    def __init__(self, machine: Agreement) -> None:
        self.machine = machine
        self.turn = asyncio.Lock()


class Quorum:
    """All agreements of this member.

    Args:
        member: ours.
        peers: the others.
        handlers: by kind.
    """

    def __init__(self, member: Member, peers: Peers, handlers: dict[Kind, TopicHandler]) -> None:
        self._member = member
        self._peers = peers
        self._handlers = handlers
        self._running: dict[Topic, _Running] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Keep time for all agreements."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                while True:
                    for running in list(self._running.values()):
                        async with running.turn:
                            actions = running.machine.tick(self._member.now())
                            await self._perform(running, actions)
                    await asyncio.sleep(TICK_S)
            finally:
                self._tasks = None

    def handle(self, kind: Kind, handler: TopicHandler) -> None:
        """Name the handler of a kind; for those that begin agreements themselves."""
        self._handlers[kind] = handler

    async def begin(self, topic: Topic, schedule: Schedule | None = None) -> None:
        """Take part in the agreement on a topic; does nothing if we do already.

        Args:
            topic: what is agreed on.
            schedule: its views, if they are not those of `Member.schedule`.
        """
        if topic in self._running:
            return
        async with self._member.work() as rows:
            state = await rows.agreements.load(topic)
        if topic in self._running:
            return
        machine = Agreement(
            topic,
            member=self._member.index,
            key=self._member.key,
            trust=self._member.trust,
            schedule=schedule or self._member.schedule(topic),
            state=state,
        )
        running = _Running(machine)
        self._running[topic] = running
        if machine.state.decided is not None:
            self._spawn(self._publish(running, machine.state.decided))

    def drop(self, topic: Topic) -> None:
        """Leave an agreement that has lost its purpose."""
        self._running.pop(topic, None)

    async def ask(self, topic: Topic) -> None:
        """Ask the others for more signatures of what was decided."""
        running = self._running.get(topic)
        if running is not None:
            async with running.turn:
                await self._perform(running, running.machine.ask())

    @property
    def topics(self) -> list[Topic]:
        """Topics under way."""
        return list(self._running)

    async def receive(self, sender: int, body: bytes) -> None:
        """Take a message of another member.

        Raises:
            DecodeError: malformed.
        """
        value = cbor.loads(body, max_bytes=MAX_MESSAGE_BYTES + 64, max_depth=1)
        fields = Fields(value, _KEYS, "agreement call")
        kind = Kind(fields.uint("kind", max(Kind), minimum=min(Kind)))
        topic = Topic(kind, fields.uint("period", U64_MAX >> 1), fields.uint("attempt", U32_MAX))
        message = decode_message(fields.blob("message", multiple=1, maximum=MAX_MESSAGE_BYTES))
        running = self._running.get(topic)
        if running is not None:
            async with running.turn:
                actions = running.machine.receive(sender, message, self._member.now())
                await self._perform(running, actions)
        elif not isinstance(message, Decision):
            await self._answer_old(sender, topic)

    async def _answer_old(self, sender: int, topic: Topic) -> None:
        """Tell who lags what was decided."""
        async with self._member.work() as rows:
            state = await rows.agreements.load(topic)
        if state is not None and state.decided is not None:
            self._send(sender, topic, encode_message(state.decided))

    # ---- actions -----------------------------------------------------------------------------

    async def _perform(self, running: _Running, actions: Iterable[Action]) -> None:
        """Carry out actions in order; the caller holds the topic's turn."""
        topic = running.machine.topic
        for action in actions:
            match action:
                case Persist(state):
                    async with self._member.work() as rows:
                        await rows.agreements.save(topic, state)
                case Send(to, message):
                    self._send(to, topic, encode_message(message))
                case BuildDocument(view):
                    self._spawn(self._build(running, view))
                case CheckDocument():
                    self._spawn(self._check(running, action))
                case Decided(decision):
                    self._spawn(self._publish(running, decision))

    def _send(self, to: int | None, topic: Topic, message: bytes) -> None:
        body = cbor.dumps(
            {
                "kind": int(topic.kind),
                "period": topic.period,
                "attempt": topic.attempt,
                "message": message,
            }
        )
        self._peers.post(to, PATH, body)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._tasks is None:
            raise NotReadyError("the agreements are not running")
        self._tasks.create_task(work)

    async def _build(self, running: _Running, view: int) -> None:
        """Build the document, as long as the view lasts."""
        machine = running.machine
        handler = self._handlers[machine.topic.kind]
        while machine.state.view == view and machine.state.decided is None:
            if self._running.get(machine.topic) is not running:
                return
            try:
                digest, document = await handler.build(machine.topic)
            except (NotReadyError, WrongPredecessorError, ChainError, NetworkError) as error:
                _log.debug("not ready to propose", kind=machine.topic.kind.name, why=error.message)
                await asyncio.sleep(BUILD_RETRY_S)
                continue
            async with running.turn:
                await self._perform(running, machine.provide(view, digest, document))
            return

    async def _check(self, running: _Running, action: CheckDocument) -> None:
        machine = running.machine
        handler = self._handlers[machine.topic.kind]
        try:
            await handler.check(
                machine.topic,
                action.digest,
                action.document,
                certified=action.certified,
            )
            valid = True
        except QnetError as error:
            valid = False
            _log.warning(
                "proposal refused",
                kind=machine.topic.kind.name,
                period=machine.topic.period,
                attempt=machine.topic.attempt,
                view=machine.state.view,
                error=error.message,
                why=error.why,
            )
        if self._running.get(machine.topic) is not running:
            return
        async with running.turn:
            answer = machine.checked(action.digest, valid=valid)
            await self._perform(running, answer)

    async def _publish(self, running: _Running, decision: Decision) -> None:
        """Carry out a decision; while the chain does not answer, try again.

        The topic stays until it is dropped: signatures beyond the quorum are still taken.
        """
        topic = running.machine.topic
        while self._running.get(topic) is running:
            try:
                await self._handlers[topic.kind].decided(topic, decision)
            except (NotReadyError, ChainRecoverableError, NetworkError) as error:
                _log.warning("a decision waits", kind=topic.kind.name, why=error.message)
                await asyncio.sleep(BUILD_RETRY_S)
                continue
            except RemoteProtocolError as error:
                _log.error("a decision is not what its document gives", error=error.message)
            return
