"""One application connection: a front door first, then a pipe into a stream of a circuit.

Every front door hands a `Request` to the same engine: circuits of the request's isolation key are
tried in turn until one connects or the exit says something final about the destination.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from node.circuit.messages import Answer, EndReason
from node.client.doors.door import Command, Door, Request, is_local_name
from node.client.doors.isolation import IsolationKey
from node.client.doors.listener import Listener
from node.client.paths.circuit import StreamSink
from node.errors import DoorError, Stage, StreamError
from node.io.pipe import Pipe
from qnet.errors import QnetError

STREAM_TRIES = 3
"""Circuits tried for one request, while nothing has been connected."""

NEGOTIATION_S = 30.0
CONNECT_MARGIN_S = 5.0
"""Added to the exit's own deadline before the client gives up by itself."""

_log = structlog.get_logger(__name__)

_WORDS = {
    EndReason.POLICY: "the exit's policy refuses it",
    EndReason.RESOLVE_FAILED: "the exit cannot resolve the name",
    EndReason.NAME_NOT_FOUND: "the exit cannot resolve the name: there is no such name",
    EndReason.CONNECT_REFUSED: "the destination refused the connection",
    EndReason.CONNECT_TIMEOUT: "the destination did not answer",
    EndReason.UNREACHABLE: "the destination cannot be reached",
}
FINAL_REASONS = frozenset(_WORDS)
"""Answers about the destination itself: another circuit would not change them."""

Outcome = EndReason | tuple[Answer, ...] | None
"""What became of one try: why not, the addresses of a name, or None for connected."""


class StreamCarrier(Protocol):
    """What carries streams to an exit: a circuit, or a tunnel over the mixnet."""

    streams: dict[int, StreamSink]
    """Sinks by stream number."""

    def open_stream(self, host: str, port: int, sink: StreamSink) -> int:
        """Ask the exit to connect; data may follow at once. Returns the stream's number."""

    def resolve(self, host: str, sink: StreamSink) -> int:
        """Ask the exit for the addresses of a name; returns the stream's number."""

    def send(self, stream: int, data: bytes) -> int:
        """Queue data; returns how much was taken."""

    def consumed(self, stream: int, count: int) -> None:
        """The application took received bytes."""

    def end(self, stream: int, reason: EndReason = EndReason.DONE) -> None:
        """Close our direction (DONE) or drop the stream."""

    def released(self, stream: int) -> None:
        """Both directions of a stream are over."""


class Way(Protocol):
    """A way to an exit."""

    @property
    def circuit(self) -> StreamCarrier:
        """What streams are opened on."""


class StreamHost(Protocol):
    """What application streams need from the session."""

    @property
    def connect_timeout_s(self) -> float:
        """How long an exit may take to connect."""

    async def circuit_for(self, key: IsolationKey, host: str, port: int) -> Way:
        """An open circuit, or what stands for one, to a destination."""

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
    not_served: int = 0
    active: set[AppStream] = field(default_factory=set)


async def try_circuits(
    host: StreamHost,
    key: IsolationKey,
    request: Request,
    attempt: Callable[[StreamCarrier], Awaitable[Outcome]],
    *,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Outcome:
    """Try circuits in turn until one gives an answer that another one would not change.

    Args:
        host: Where circuits come from.
        key: Whose circuits to use.
        request: What is asked.
        attempt: Asks one circuit.
        is_wanted: Whether somebody still waits for the answer.

    Raises:
        StageError: No circuit could be built; names the stage and the cause.
    """
    outcome: Outcome = EndReason.RESET
    for _ in range(STREAM_TRIES):
        made = await host.circuit_for(key, request.host, request.port)
        outcome = await attempt(made.circuit)
        if not isinstance(outcome, EndReason) or outcome in FINAL_REASONS or not is_wanted():
            break
    return outcome


class AppStream(Pipe):
    """One connection of an application; also the sink of its stream."""

    def __init__(
        self, host: StreamHost, counts: StreamCounts, listener: Listener, door: Door
    ) -> None:
        super().__init__()
        self._host = host
        self._counts = counts
        self._listener = listener
        self._negotiation: Door | None = door
        self._door = door
        self._is_admitted = False
        self._circuit: StreamCarrier | None = None
        self._number = 0
        self._outcome: asyncio.Future[Outcome] | None = None
        self._is_connected = False
        self._timer: asyncio.TimerHandle | None = None

    # the application's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """An application connected; beyond the listener's cap it is turned away."""
        super().connection_made(transport)
        self._is_admitted = self._listener.admit()
        if not self._is_admitted:
            self.abort()
            return
        self._counts.active.add(self)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(NEGOTIATION_S, self.abort)

    def data_received(self, data: bytes) -> None:
        """The front door's until there is a tunnel, then payload."""
        if self._negotiation is None:
            super().data_received(data)
        else:
            self._negotiate(self._negotiation, data)

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
        """The stream takes data again; before it is connected nothing more is read for it."""
        if self._is_connected:
            self.resume()

    def name_resolved(self, answers: tuple[Answer, ...]) -> None:
        """Answers to a RESOLVE."""
        self._settle(answers)

    # inside

    def _negotiate(self, door: Door, data: bytes) -> None:
        is_begun = door.request is not None
        try:
            answer = door.forward(data) if is_begun else door.receive(data)
            first = door.leftover() if door.request is not None and not is_begun else b""
        except DoorError as error:
            self._counts.not_served += 1
            _log.info("not served", cause=error.message)
            if is_begun:
                self._ended(EndReason.RESET)
                self.abort()
            else:
                self._refuse(error.answer)
            return
        if is_begun:
            super().data_received(answer)
            return
        self._reply(answer)
        if door.request is not None:
            self._begin(door.request, first)

    def _begin(self, request: Request, first: bytes) -> None:
        if self._door.is_tunnel:
            self._negotiation = None
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.pause_reading()
        self._counts.opened += 1
        why = self._refusal(request)
        if why:
            self._refuse(self._door.failed(EndReason.POLICY, why))
        else:
            self._host.spawn(self._serve(request, first))

    def _refusal(self, request: Request) -> str:
        """Why a request is not sent to any exit; empty when it is."""
        if is_local_name(request.host):
            return "this name belongs to another system or to the local network"
        if not request.is_raw_address or request.command is not Command.CONNECT:
            return ""
        self._counts.raw_addresses += 1
        if self._listener.raw_address == "warn" and self._counts.raw_addresses == 1:
            _log.warning("an application resolves names itself: use socks5h")
        if self._listener.raw_address != "refuse":
            return ""
        return "the application resolved the name itself, outside of the network: use socks5h"

    async def _serve(self, request: Request, first: bytes) -> None:
        try:
            outcome = await try_circuits(
                self._host,
                self._listener.key(request),
                request,
                lambda circuit: self._try(circuit, request, first),
                is_wanted=lambda: self.is_wanted,
            )
        except QnetError as error:
            self._fail(error, EndReason.INTERNAL)
            return
        if not self.is_wanted or outcome is None:
            return
        if isinstance(outcome, tuple):
            self._refuse(self._door.resolved(outcome))
            return
        failure = StreamError(Stage.CONNECT, "no connection", why=reason_words(outcome))
        self._fail(failure, outcome)

    async def _try(self, circuit: StreamCarrier, request: Request, first: bytes) -> Outcome:
        """Ask one circuit; None means connected."""
        self._circuit, self._pending = circuit, b""
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

    def _settle(self, outcome: Outcome) -> None:
        if self._outcome is not None and not self._outcome.done():
            if outcome is None:
                self._is_connected = True
            self._outcome.set_result(outcome)

    def _connected(self) -> None:
        self._counts.connected += 1
        self._reply(self._door.connected())
        self.resume()

    def _fail(self, error: QnetError, reason: EndReason) -> None:
        self._counts.failed += 1
        self._host.stream_failed(error)
        self._refuse(self._door.failed(reason, error.why or error.message))

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
        if self._is_admitted:
            self._is_admitted = False
            self._listener.leave()
        if self._circuit is not None:
            if not self._is_connected:
                self._circuit.end(self._number, EndReason.RESET)
            self._circuit.released(self._number)
        self._settle(EndReason.RESET)


def reason_words(reason: EndReason) -> str:
    """Why a stream ended, in words."""
    return _WORDS.get(reason, reason.name.lower().replace("_", " "))
