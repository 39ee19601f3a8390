"""One circuit as the client sees it: streams and their sinks, waiters, and why it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from node.circuit.messages import Answer, EndReason
from node.circuit.origin_circuit import OriginCircuit
from node.circuit.probes import MAX_WAITING
from node.errors import CircuitError, Stage

if TYPE_CHECKING:
    from node.client.paths.entry import EntryLink
    from node.client.paths.payments import CircuitPayments


class StreamSink(Protocol):
    """What owns one stream of a circuit."""

    def stream_connected(self, address: bytes) -> None:
        """The exit is connected."""

    def stream_data(self, chunks: tuple[bytes, ...]) -> None:
        """Data arrived; return its credit with `Circuit.consumed`."""

    def stream_ended(self, reason: EndReason) -> None:
        """DONE: no more data comes; anything else: the stream is gone."""

    def stream_writable(self) -> None:
        """The stream takes data again."""

    def name_resolved(self, answers: tuple[Answer, ...]) -> None:
        """Answers to a RESOLVE."""


@dataclass(slots=True, eq=False)
class Circuit:
    """One circuit as the client sees it.

    Attributes:
        entry: The link it runs on.
        origin: Its protocol core.
        opened_at: When CREATE was sent.
        built: Set to the build time in seconds, or to the cause of the failure.
        closed: Whether it is gone.
        failure: Cause of its end, for people.
        failed_reason: The same as the protocol says it; None while it stands.
        failed_hop: Position of the hop that failed, 0 for the entry; None when unknown.
        rekeys: Hops that got fresh keys so far.
        streams: Sinks by stream number.
        on_closed: Called once when it is gone.
        payments: What it pays; None while it pays nothing.
        is_leaving: Whether it is being paid up, and ends then.
        on_connected: Called with the seconds from each BEGIN to its CONNECTED.
    """

    entry: EntryLink
    origin: OriginCircuit
    opened_at: float
    built: asyncio.Future[float]
    closed: bool = False
    failure: str = ""
    failed_reason: EndReason | None = None
    failed_hop: int | None = None
    rekeys: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    streams: dict[int, StreamSink] = field(default_factory=dict)
    on_closed: Callable[[Circuit], None] = lambda _circuit: None
    on_connected: Callable[[float], None] = lambda _seconds: None
    payments: CircuitPayments | None = None
    is_leaving: bool = False
    _probes: dict[int, asyncio.Future[float]] = field(default_factory=dict)
    _begun: dict[int, float] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether streams can be opened now."""
        return self.stands and not self.is_leaving

    @property
    def stands(self) -> bool:
        """Whether cells can pass."""
        return not self.closed and self.origin.is_open

    def open_stream(self, host: str, port: int, sink: StreamSink) -> int:
        """Send BEGIN; data may follow at once."""
        stream = self._added(self.origin.open_stream(host, port), sink)
        self._begun[stream] = self.entry.now()
        return stream

    def connected(self, stream: int) -> None:
        """The exit is connected."""
        begun_at = self._begun.pop(stream, None)
        if begun_at is not None:
            self.on_connected(self.entry.now() - begun_at)

    def begin_directory(self, sink: StreamSink, *, hop: int = -1) -> int:
        """Open a directory stream at a hop."""
        return self._added(self.origin.begin_directory(hop=hop), sink)

    def resolve(self, host: str, sink: StreamSink) -> int:
        """Ask the exit for the addresses of a name."""
        return self._added(self.origin.resolve(host), sink)

    def send(self, stream: int, data: bytes) -> int:
        """Queue data; returns how much was taken."""
        taken = self.origin.send(stream, data)
        self.bytes_sent += taken
        self.entry.wake()
        return taken

    def consumed(self, stream: int, count: int) -> None:
        """The application took received bytes."""
        self.origin.consumed(stream, count)
        self.entry.wake()

    def end(self, stream: int, reason: EndReason = EndReason.DONE) -> None:
        """Close our direction (DONE) or drop the stream."""
        self.origin.end(stream, reason)
        if reason is not EndReason.DONE:
            self.streams.pop(stream, None)
        self.entry.wake()

    def released(self, stream: int) -> None:
        """Both directions of a stream are over."""
        self.streams.pop(stream, None)
        self._begun.pop(stream, None)

    def rekey(self) -> None:
        """Ask every hop for fresh keys now."""
        self.origin.rekey(self.entry.now())
        self.entry.wake()

    def probe(self, hop: int = -1) -> asyncio.Future[float]:
        """Ask a hop (the last by default) for an echo; returns the round trip in seconds.

        The future is cancelled when the hop owes too many answers, and fails with CircuitError when
        the circuit ends. A hop that is asked more than 8 times a second may not answer.

        Raises:
            LocalProtocolError: the circuit is not open.
        """
        token = self.origin.probe(self.entry.now(), hop)
        if len(self._probes) >= MAX_WAITING:
            self._probes.pop(next(iter(self._probes))).cancel()
        answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._probes[token] = answer
        self.entry.wake()
        return answer

    def probe_answered(self, token: int, seconds: float) -> None:
        """A hop sent the echo."""
        answer = self._probes.pop(token, None)
        if answer is not None and not answer.done():
            answer.set_result(seconds)

    def destroy(self, cause: str = "no longer needed") -> None:
        """Close the circuit and its streams; one that is paid is paid up before."""
        if self.closed:
            return
        if self.payments is not None and self.stands:
            self.is_leaving = True
            self.payments.leave(lambda: self.cut(cause))
        else:
            self.cut(cause)

    def cut(self, cause: str) -> None:
        """Close the circuit and its streams now."""
        if self.closed:
            return
        self.origin.destroy()
        self.entry.wake()
        self.lost(EndReason.CIRCUIT_DESTROYED, cause)

    def lost(self, reason: EndReason, cause: str, hop: int | None = None) -> None:
        """The circuit is gone: tell streams, waiters and the owner."""
        if self.closed:
            return
        self.closed, self.failure = True, cause
        self.failed_reason, self.failed_hop = reason, hop
        self.entry.circuits.pop(self.origin.circuit_id, None)
        if self.payments is not None:
            self.payments.lost()
        if not self.built.done():
            self.built.set_exception(CircuitError(Stage.CIRCUIT, "circuit not built", why=cause))
            self.built.exception()  # a circuit nobody waits for is no unhandled error
        for answer in self._probes.values():
            if not answer.done():
                answer.set_exception(CircuitError(Stage.CIRCUIT, "no echo", why=cause))
                answer.exception()  # an echo that nobody waits for is no unhandled error
        self._probes.clear()
        streams, self.streams = self.streams, {}
        for sink in streams.values():
            sink.stream_ended(reason)
        self.on_closed(self)

    def _added(self, stream: int, sink: StreamSink) -> int:
        self.streams[stream] = sink
        self.entry.wake()
        return stream


_CAUSES: dict[EndReason, str] = {
    EndReason.BUILD_TIMEOUT: "did not answer in time",
    EndReason.LINK_FAILED: "could not be reached by the hop before it",
    EndReason.LINK_LOST: "its link from the hop before it broke",
    EndReason.NEXT_DESTROYED: "refused the circuit",
    EndReason.CIRCUIT_DESTROYED: "destroyed the circuit",
    EndReason.PROTOCOL: "a cell did not verify",
    EndReason.IDLE: "nothing passed for too long",
    EndReason.SHUTDOWN: "the node stopped",
    EndReason.RESOURCE_LIMIT: "the node is full",
}
_HOPS = ("entry", "second hop", "third hop")


def failure_cause(reason: EndReason, hop: int | None) -> str:
    """Why a circuit failed, in words."""
    what = _CAUSES.get(reason, reason.name.lower().replace("_", " "))
    if hop is None:
        return what
    where = _HOPS[hop] if hop < len(_HOPS) else f"hop {hop + 1}"
    return f"{where}: {what}"
