"""One application connection: SOCKS5 first, then a pipe into a stream of a circuit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Protocol

import structlog

from node.circuit.messages import Answer, EndReason
from node.client.circuit import Circuit
from node.client.circuits import PathCircuit
from node.client.isolation import IsolationKey
from node.client.socks import (
    Command,
    Reply,
    Request,
    SocksDecoder,
    encode_failure,
    encode_reply,
)
from node.errors import SocksError, Stage, StageError, StreamError
from node.io.pipe import Pipe
from qnet.errors import QnetError

STREAM_TRIES = 3
"""Circuits tried for one request, while nothing has been connected."""

NEGOTIATION_S = 30.0
CONNECT_MARGIN_S = 5.0
"""Added to the exit's own deadline before the client gives up by itself."""

_log = structlog.get_logger(__name__)

_REPLIES = {
    EndReason.POLICY: Reply.NOT_ALLOWED,
    EndReason.RESOLVE_FAILED: Reply.HOST_UNREACHABLE,
    EndReason.CONNECT_REFUSED: Reply.REFUSED,
    EndReason.CONNECT_TIMEOUT: Reply.TTL_EXPIRED,
    EndReason.UNREACHABLE: Reply.NETWORK_UNREACHABLE,
}
_WORDS = {
    EndReason.POLICY: "the exit's policy refuses it",
    EndReason.RESOLVE_FAILED: "the exit cannot resolve the name",
    EndReason.CONNECT_REFUSED: "the destination refused the connection",
    EndReason.CONNECT_TIMEOUT: "the destination did not answer",
    EndReason.UNREACHABLE: "the destination cannot be reached",
}
FINAL_REASONS = frozenset(_REPLIES)
"""Answers about the destination itself: another circuit would not change them."""


class StreamHost(Protocol):
    """What application streams need from the session."""

    @property
    def connect_timeout_s(self) -> float:
        """How long an exit may take to connect."""

    @property
    def refuses_raw_addresses(self) -> bool:
        """Whether addresses that applications resolved themselves are refused."""

    async def circuit_for(self, key: IsolationKey, host: str, port: int) -> PathCircuit:
        """An open circuit for a destination."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the session's task group."""

    def stream_failed(self, error: QnetError) -> None:
        """Remember a failure for status."""


@dataclass(slots=True)
class StreamCounts:
    """What became of application requests."""

    opened: int = 0
    connected: int = 0
    failed: int = 0
    raw_addresses: int = 0
    not_socks: int = 0
    active: set[AppStream] = field(default_factory=set)


class AppStream(Pipe):
    """One connection of an application; also the sink of its stream."""

    def __init__(self, host: StreamHost, counts: StreamCounts, listener: str) -> None:
        super().__init__()
        self._host = host
        self._counts = counts
        self._listener = listener
        self._decoder: SocksDecoder | None = SocksDecoder()
        self._circuit: Circuit | None = None
        self._number = 0
        self._outcome: asyncio.Future[EndReason | tuple[Answer, ...] | None] | None = None
        self._is_connected = False
        self._timer: asyncio.TimerHandle | None = None

    # the application's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """An application connected."""
        super().connection_made(transport)
        self._counts.active.add(self)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(NEGOTIATION_S, self.abort)

    def data_received(self, data: bytes) -> None:
        """SOCKS until there is a request, then payload."""
        if self._decoder is None:
            super().data_received(data)
            return
        try:
            answer = self._decoder.receive(data)
        except SocksError as error:
            self._counts.not_socks += 1
            _log.info("not served", cause=error.message)
            self._refuse(encode_failure(error))
            return
        self._reply(answer)
        if self._decoder.request is not None:
            self._begin(self._decoder.request, self._decoder.leftover())

    def eof_received(self) -> bool:
        """The application is done sending."""
        if not self._is_connected:
            self.abort()
            return False
        return super().eof_received()

    # the stream's side (StreamSink)

    def stream_connected(self, address: bytes) -> None:
        """The exit is connected; the answer leaves before data of the same batch can."""
        del address
        if self._outcome is not None and not self._outcome.done():
            self._settle(None)
            self._connected()

    def stream_data(self, chunks: tuple[bytes, ...]) -> None:
        """Data for the application."""
        self.write(chunks)

    def stream_ended(self, reason: EndReason) -> None:
        """The stream is over, in one direction (DONE) or altogether."""
        if not self._is_connected:
            self._settle(reason)
        else:
            self.end(reason)

    def stream_writable(self) -> None:
        """The stream takes data again."""
        self.resume()

    def name_resolved(self, answers: tuple[Answer, ...]) -> None:
        """Answers to a RESOLVE."""
        self._settle(answers)

    # inside

    def _begin(self, request: Request, first: bytes) -> None:
        self._decoder = None
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.pause_reading()
        self._counts.opened += 1
        if request.is_raw_address and request.command is Command.CONNECT:
            self._counts.raw_addresses += 1
            if self._counts.raw_addresses == 1:
                _log.warning("an application resolves names itself: use socks5h")
            if self._host.refuses_raw_addresses:
                self._refuse(encode_reply(Reply.NOT_ALLOWED))
                return
        self._host.spawn(self._serve(request, first))

    async def _serve(self, request: Request, first: bytes) -> None:
        key = IsolationKey(self._listener, request.label)
        for attempt in range(STREAM_TRIES):
            try:
                made = await self._host.circuit_for(key, request.host, request.port)
                outcome = await self._try(made, request, first)
            except StageError as error:
                self._fail(error, Reply.FAILURE)
                return
            if not self.is_wanted:
                return
            if outcome is None:
                return
            if isinstance(outcome, tuple):
                self._resolved(outcome)
                return
            if outcome in FINAL_REASONS or attempt == STREAM_TRIES - 1:
                failure = StreamError(Stage.CONNECT, "no connection", why=reason_words(outcome))
                self._fail(failure, _REPLIES.get(outcome, Reply.FAILURE))
                return

    async def _try(
        self, made: PathCircuit, request: Request, first: bytes
    ) -> EndReason | tuple[Answer, ...] | None:
        """Ask one circuit; None means connected."""
        circuit = self._circuit = made.circuit
        self._outcome = asyncio.get_running_loop().create_future()
        if request.command is Command.RESOLVE:
            self._number = circuit.resolve(request.host, self)
        else:
            self._number = circuit.open_stream(request.host, request.port, self)
            if first:
                super().data_received(first)
        try:
            async with asyncio.timeout(self._host.connect_timeout_s + CONNECT_MARGIN_S):
                return await self._outcome
        except TimeoutError:
            circuit.end(self._number, EndReason.CONNECT_TIMEOUT)
            return EndReason.CONNECT_TIMEOUT

    def _settle(self, outcome: EndReason | tuple[Answer, ...] | None) -> None:
        if self._outcome is not None and not self._outcome.done():
            if outcome is None:
                self._is_connected = True
            self._outcome.set_result(outcome)

    def _connected(self) -> None:
        self._counts.connected += 1
        self._reply(encode_reply(Reply.SUCCEEDED))
        if self._transport is not None and not self._pending:
            self._transport.resume_reading()

    def _resolved(self, answers: tuple[Answer, ...]) -> None:
        if answers:
            self._refuse(encode_reply(Reply.SUCCEEDED, ip_address(answers[0].address)))
        else:
            self._refuse(encode_reply(Reply.HOST_UNREACHABLE))

    def _fail(self, error: QnetError, reply: Reply) -> None:
        self._counts.failed += 1
        self._host.stream_failed(error)
        self._refuse(encode_reply(reply))

    def _reply(self, data: bytes) -> None:
        if data and self._transport is not None:
            self._transport.write(data)

    def _refuse(self, data: bytes) -> None:
        """Say why and hang up."""
        self._reply(data)
        self.is_wanted = False
        if self._transport is not None:
            self._transport.close()

    # Pipe

    def _send(self, data: bytes) -> int:
        return self._circuit.send(self._number, data) if self._circuit is not None else 0

    def _consumed(self, count: int) -> None:
        if self._circuit is not None:
            self._circuit.consumed(self._number, count)

    def _ended(self, reason: EndReason) -> None:
        if self._circuit is not None:
            self._circuit.end(self._number, reason)

    def _gone(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._counts.active.discard(self)
        if self._circuit is not None:
            if not self._is_connected:
                self._circuit.end(self._number, EndReason.RESET)
            self._circuit.released(self._number)
        self._settle(EndReason.RESET)


def reason_words(reason: EndReason) -> str:
    """Why a stream ended, in words."""
    return _WORDS.get(reason, reason.name.lower().replace("_", " "))


def stream_factory(
    host: StreamHost, counts: StreamCounts, listener: str
) -> Callable[[], AppStream]:
    """What the SOCKS listener calls for each connection."""
    return lambda: AppStream(host, counts, listener)
