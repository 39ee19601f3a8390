"""The local DNS port over UDP and TCP: questions go to exits, at most so many at once.

Nothing is kept here: an exit keeps answers, and what one application asked is never shown to
another by how fast the answer comes.
"""

from __future__ import annotations

import asyncio
from typing import cast

import structlog

from node.circuit.messages import EndReason
from node.client.doors.dns_query import (
    MAX_QUERY_BYTES,
    Question,
    answer_failure,
    answer_with,
    read_query,
)
from node.client.doors.listener import Listener
from node.client.doors.names import look_up
from node.client.doors.streams import StreamHost, reason_words
from qnet.errors import QnetError

IDLE_S = 30.0
"""A TCP connection without a new question is closed."""

MAX_TCP_CONNECTIONS = 64
MAX_TCP_QUESTIONS = 16
"""Questions of one TCP connection answered at once; then reading pauses."""

MAX_UNSENT_BYTES = 64 * 2**10
"""Answers an application leaves unread before its connection is dropped."""

_log = structlog.get_logger(__name__)


class DnsQuestions:
    """Answers the questions of one port.

    Args:
        host: Where circuits come from.
        listener: Its isolation, and the cap of questions at once.
    """

    def __init__(self, host: StreamHost, listener: Listener) -> None:
        self.host = host
        self.listener = listener
        self.answered = 0
        self.failed = 0
        self.connections: set[DnsConnection] = set()

    async def answer(self, question: Question, *, over_tcp: bool) -> bytes:
        """Ask an exit; a failure is an answer too. The listener has admitted the question."""
        try:
            found = await look_up(self.host, self.listener, question.host)
        except QnetError as error:
            self.failed += 1
            self.host.stream_failed(error)
            return answer_failure(question, EndReason.INTERNAL, error.message, over_tcp=over_tcp)
        finally:
            self.listener.leave()
        if isinstance(found, EndReason):
            self.failed += 1
            return answer_failure(question, found, reason_words(found), over_tcp=over_tcp)
        self.answered += 1
        return answer_with(question, found, over_tcp=over_tcp)


class DnsDatagrams(asyncio.DatagramProtocol):
    """The UDP side. Beyond the cap questions are dropped: the application asks again."""

    def __init__(self, questions: DnsQuestions) -> None:
        self._questions = questions
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The port is open."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One query."""
        question = read_query(data)
        if isinstance(question, bytes):
            self._send(question, addr)
        elif question is not None and self._questions.listener.admit():
            self._questions.host.spawn(self._answer(question, addr))

    def error_received(self, exc: Exception) -> None:
        """An application closed its socket before the answer came."""
        _log.debug("answer not delivered", cause=type(exc).__name__)

    def connection_lost(self, exc: Exception | None) -> None:
        """The port is closed."""
        del exc
        self._transport = None

    async def _answer(self, question: Question, addr: tuple[str, int]) -> None:
        self._send(await self._questions.answer(question, over_tcp=False), addr)

    def _send(self, answer: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None:
            self._transport.sendto(answer, addr)


class DnsConnection(asyncio.Protocol):
    """One TCP connection: queries with a length before each, answered as the answers come."""

    def __init__(self, questions: DnsQuestions) -> None:
        self._questions = questions
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._asked = 0
        self._is_ended = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """An application connected."""
        self._transport = cast("asyncio.Transport", transport)
        if len(self._questions.connections) >= MAX_TCP_CONNECTIONS:
            self._questions.listener.dropped += 1
            self.abort()
            return
        self._questions.connections.add(self)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Bytes of queries."""
        self._buffer += data
        self._wait()
        self._take()

    def eof_received(self) -> bool:
        """The application asks nothing more; answers still go out."""
        self._is_ended = True
        return self._asked > 0

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        del exc
        self._transport = None
        self._questions.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(IDLE_S, self.abort)

    def _take(self) -> None:
        """Answer every whole query, up to the cap; then wait for answers before reading on."""
        while self._transport is not None and self._asked < MAX_TCP_QUESTIONS:
            size = int.from_bytes(self._buffer[:2])
            is_size_known = len(self._buffer) >= 2
            if is_size_known and not 0 < size <= MAX_QUERY_BYTES:
                self.abort()
                return
            if not is_size_known or len(self._buffer) < 2 + size:
                self._transport.resume_reading()
                return
            data = bytes(self._buffer[2 : 2 + size])
            del self._buffer[: 2 + size]
            self._ask(read_query(data))
        if self._transport is not None:
            self._transport.pause_reading()

    def _ask(self, question: Question | bytes | None) -> None:
        if isinstance(question, bytes):
            self._send(question)
        elif question is None or not self._questions.listener.admit():
            self.abort()
        else:
            self._asked += 1
            self._questions.host.spawn(self._answer(question))

    async def _answer(self, question: Question) -> None:
        self._send(await self._questions.answer(question, over_tcp=True))
        self._asked -= 1
        self._take()
        if self._is_ended and not self._asked and self._transport is not None:
            self._transport.close()

    def _send(self, answer: bytes) -> None:
        if self._transport is None:
            return
        self._transport.write(len(answer).to_bytes(2) + answer)
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.abort()
