"""Streams at the exit: one TCP connection each, with backpressure from the stream's credit.

What the core asks (`OpenStream`, `DeliverData`, `EndStream`, …) arrives as method calls; what the
connection does goes back into the core, followed by one `wake`, so that cells leave in batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

import structlog

from node.circuit.actions import Action, DeliverData, EndStream, OpenStream, ResolveName
from node.circuit.messages import MAX_ANSWERS, Answer, EndReason
from node.errors import ConnectError, ExitLimitError, ExitRefusedError, ResolveError
from node.exit.address import Address
from node.exit.connector import Connector
from node.exit.limits import ExitLimits
from node.io.pipe import Pipe

_log = structlog.get_logger(__name__)

Key = tuple[int, int]
"""(circuit handle, stream number)."""
LINGER_S = 60
"""Time a destination has to read the last bytes once both ends are done."""
LINGER_BYTES = 64 * 2**20
"""Such bytes of all streams together; beyond, the connection that lingers longest is reset."""


class StreamCore(Protocol):
    """The part of `RelayCore` that streams talk to."""

    def stream_connected(
        self, circuit: int, stream: int, address: bytes, now: float
    ) -> list[Action]:
        """The connection stands."""

    def stream_data(self, circuit: int, stream: int, data: bytes) -> int:
        """Queue data for the client; returns how much was taken."""

    def stream_consumed(self, circuit: int, stream: int, count: int) -> None:
        """The destination took delivered bytes."""

    def stream_ended(self, circuit: int, stream: int, reason: EndReason) -> None:
        """Nothing more comes from the destination."""

    def resolved(self, circuit: int, stream: int, answers: list[Answer]) -> None:
        """A name has answers."""


class ExitStreams:
    """All connections of a node.

    Args:
        core: Where the circuits end.
        connector: Opens connections under the exit policy.
        spawn: Runs a coroutine in the owner's task group.
        wake: Asks the driver to move cells soon.
        carry_out: Does what the core asks.
        now: Clock in seconds.
    """

    def __init__(
        self,
        *,
        core: StreamCore,
        connector: Connector,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        wake: Callable[[], None],
        carry_out: Callable[[Sequence[Action]], None],
        now: Callable[[], float],
    ) -> None:
        self.core = core
        self.wake = wake
        self._carry_out = carry_out
        self._connector = connector
        self._spawn = spawn
        self._now = now
        self._streams: dict[Key, ExitStream] = {}
        self._work: dict[Key, asyncio.Task[None]] = {}
        self._lingering: dict[Key, tuple[ExitStream, int, asyncio.TimerHandle]] = {}
        self.lingering_bytes = 0
        self.lingering_dropped = 0

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def limits(self) -> ExitLimits:
        """Caps and what they count."""
        return self._connector.limits

    def open(self, action: OpenStream) -> None:
        """Connect in the background, unless a cap is reached."""
        try:
            self.limits.hold(action.circuit)
        except ExitLimitError:
            self._refuse((action.circuit, action.stream))
            return
        stream = ExitStream(self, action.circuit, action.stream)
        self._streams[stream.key] = stream
        if not self._start(stream.key, self._connect(stream, action.host, action.port)):
            self.forget(stream)

    def resolve(self, action: ResolveName) -> None:
        """Look a name up in the background."""
        self._start((action.circuit, action.stream), self._resolve(action))

    def _start(self, key: Key, work: Coroutine[Any, Any, None]) -> bool:
        """Work for a stream in the background; False when its circuit does too much at once."""
        try:
            self.limits.start(key[0])
        except ExitLimitError:
            work.close()
            self._refuse(key)
            return False
        task = self._work[key] = self._spawn(work)
        task.add_done_callback(lambda _task: self._done(key))
        return True

    def _done(self, key: Key) -> None:
        del self._work[key]
        self.limits.started(key[0])

    def _refuse(self, key: Key) -> None:
        self.core.stream_ended(*key, EndReason.RESOURCE_LIMIT)
        self.wake()

    def deliver(self, action: DeliverData) -> None:
        """Write client data to the connection."""
        stream = self._streams.get((action.circuit, action.stream))
        if stream is not None:
            stream.write(action.chunks)

    def end(self, action: EndStream) -> None:
        """The client ended the stream; a connection or answer still awaited is given up."""
        key = (action.circuit, action.stream)
        task = self._work.get(key) if action.reason is not EndReason.DONE else None
        if task is not None:
            task.cancel()
        stream = self._streams.get(key)
        if stream is not None:
            stream.end(action.reason)

    def resume(self, circuit: int, number: int) -> None:
        """The stream has credit again."""
        stream = self._streams.get((circuit, number))
        if stream is not None:
            stream.resume()

    def close(self) -> None:
        """Abort every connection."""
        for stream in list(self._streams.values()):
            stream.abort()

    def forget(self, stream: ExitStream) -> None:
        """Called by a stream whose connection is over."""
        if self._streams.pop(stream.key, None) is not stream:
            return
        self.limits.let_go(stream.key[0])
        if stream.destination is not None:
            self.limits.leave(*stream.destination)
        lingering = self._lingering.pop(stream.key, None)
        if lingering is not None:
            self.lingering_bytes -= lingering[1]
            lingering[2].cancel()

    def linger(self, stream: ExitStream, unsent: int) -> None:
        """Called by a stream that is over except for bytes its destination has yet to read.

        Nothing else would ever end it: the circuit has forgotten it.
        """
        timer = asyncio.get_running_loop().call_later(LINGER_S, self._drop, stream)
        self._lingering[stream.key] = (stream, unsent, timer)
        self.lingering_bytes += unsent
        while self.lingering_bytes > LINGER_BYTES:
            self._drop(next(iter(self._lingering.values()))[0])

    def _drop(self, stream: ExitStream) -> None:
        self.lingering_dropped += 1
        stream.abort()

    async def _connect(self, stream: ExitStream, host: str, port: int) -> None:
        circuit, number = stream.key
        try:
            address = await self._connector.connect(host, port, lambda: stream)
        except FAILURES as error:
            if stream.is_wanted:
                self.core.stream_ended(circuit, number, end_reason(error))
            self.forget(stream)
        else:
            if self._streams.get(stream.key) is stream:
                stream.destination = (address, port)
            else:
                self.limits.leave(address, port)
            self._carry_out(
                self.core.stream_connected(circuit, number, address.packed, self._now())
            )
            stream.connected()
        self.wake()

    async def _resolve(self, action: ResolveName) -> None:
        try:
            found = await self._connector.resolve(action.host)
        except FAILURES as error:
            _log.debug("name not resolved", why=error.why)
            if isinstance(error, ResolveError) and error.rcode == "NODATA":
                self.core.resolved(action.circuit, action.stream, [])
            else:
                self.core.stream_ended(action.circuit, action.stream, end_reason(error))
        else:
            answers = [Answer(a.packed, found.ttl_s) for a in found.addresses[:MAX_ANSWERS]]
            self.core.resolved(action.circuit, action.stream, answers)
        self.wake()


class ExitStream(Pipe):
    """One TCP connection to a destination."""

    __slots__ = ("_is_told", "_owner", "destination", "key")

    def __init__(self, owner: ExitStreams, circuit: int, number: int) -> None:
        super().__init__()
        self.key: Key = (circuit, number)
        self.destination: tuple[Address, int] | None = None
        self._owner = owner
        self._is_told = False

    def connected(self) -> None:
        """The client is told that the connection stands; what came meanwhile follows."""
        self._is_told = True
        self.resume()

    def eof_received(self) -> bool:
        """The destination is done; the client hears so after it heard of the connection."""
        if self._is_told:
            return super().eof_received()
        self._ended_by_peer = True
        return True

    def _send(self, data: bytes) -> int:
        if not self._is_told:
            return 0
        taken = self._owner.core.stream_data(*self.key, data)
        self._owner.wake()
        return taken

    def _consumed(self, count: int) -> None:
        self._owner.core.stream_consumed(*self.key, count)
        self._owner.wake()

    def _ended(self, reason: EndReason) -> None:
        self._owner.core.stream_ended(*self.key, reason)
        self._owner.wake()

    def _gone(self) -> None:
        self._owner.forget(self)

    def _lingers(self, unsent: int) -> None:
        self._owner.linger(self, unsent)


def end_reason(error: ExitRefusedError | ExitLimitError | ResolveError | ConnectError) -> EndReason:
    """What the client is told of a failure at the exit."""
    if isinstance(error, ExitRefusedError):
        return EndReason.POLICY
    if isinstance(error, ExitLimitError):
        return EndReason.RESOURCE_LIMIT
    if isinstance(error, ResolveError):
        missing = error.rcode in {"NXDOMAIN", "FORMERR"}
        return EndReason.NAME_NOT_FOUND if missing else EndReason.RESOLVE_FAILED
    return _CONNECT_REASONS[error.cause]


FAILURES = (ExitRefusedError, ExitLimitError, ResolveError, ConnectError)
_CONNECT_REASONS = {
    "internal": EndReason.INTERNAL,
    "refused": EndReason.CONNECT_REFUSED,
    "timeout": EndReason.CONNECT_TIMEOUT,
    "unreachable": EndReason.UNREACHABLE,
}
