"""A tunnel as application streams see it: like a circuit.

Source: docs/spec/mixnet.md, section Streams.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from node.circuit.actions import (
    Event,
    NameResolved,
    StreamConnected,
    StreamData,
    StreamEnded,
    StreamWritable,
)
from node.circuit.messages import Answer, EndReason
from node.client.doors.isolation import IsolationKey
from node.client.paths.circuit import StreamSink
from node.mix.streams.tunnel import Tunnel
from qnet.errors import RemoteProtocolError

KEPT_CONNECTS: Final = 16
"""Connections whose times are remembered."""


@dataclass(slots=True, eq=False)
class TunnelStreams:
    """One tunnel and the sinks of its streams.

    Attributes:
        tunnel: Its protocol core.
        key: Whose streams it carries.
        window_bytes: Largest credit of one stream.
        now: Monotonic clock in seconds.
        admits: Which of an exit's answers applications may hear.
        streams: Sinks by stream number.
        connects: Seconds from asking to the answer of the last connections.
        retired: Why it takes no new streams; empty while it does.
    """

    tunnel: Tunnel
    key: IsolationKey
    window_bytes: int
    now: Callable[[], float]
    admits: Callable[[tuple[Answer, ...]], tuple[Answer, ...]]
    streams: dict[int, StreamSink] = field(default_factory=dict)
    connects: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_CONNECTS))
    retired: str = ""
    _asked: dict[int, float] = field(default_factory=dict)

    @property
    def circuit(self) -> TunnelStreams:
        """Itself: what a stream is opened on."""
        return self

    def open_stream(self, host: str, port: int, sink: StreamSink) -> int:
        """Ask the exit to connect; data may follow at once."""
        number = self.tunnel.open_stream(host, port, self.window_bytes, self.now())
        self.streams[number] = sink
        self._asked[number] = self.now()
        return number

    def resolve(self, host: str, sink: StreamSink) -> int:
        """Ask the exit for the addresses of a name."""
        number = self.tunnel.resolve(host, self.window_bytes, self.now())
        self.streams[number] = sink
        return number

    def send(self, stream: int, data: bytes) -> int:
        """Queue data; returns how much was taken."""
        return self.tunnel.send(stream, data)

    def consumed(self, stream: int, count: int) -> None:
        """The application took received bytes."""
        try:
            self.tunnel.consumed(stream, count, self.now())
        except RemoteProtocolError as error:
            self.tunnel.lose(error.message)

    def end(self, stream: int, reason: EndReason = EndReason.DONE) -> None:
        """Close our direction (DONE) or drop the stream."""
        self.tunnel.end(stream, reason)
        if reason is not EndReason.DONE:
            self.released(stream)

    def released(self, stream: int) -> None:
        """Both directions of a stream are over."""
        self.streams.pop(stream, None)
        self._asked.pop(stream, None)

    def happened(self, event: Event) -> None:
        """Tell a stream what its exit said."""
        match event:
            case StreamData(stream=number, chunks=chunks) if number in self.streams:
                self.streams[number].stream_data(chunks)
            case StreamWritable(stream=number) if number in self.streams:
                self.streams[number].stream_writable()
            case StreamConnected(stream=number, address=address) if number in self.streams:
                self.connects.append(self.now() - self._asked.pop(number))
                self.streams[number].stream_connected(address)
            case StreamEnded(stream=number, reason=reason):
                self._ended(number, reason)
            case NameResolved(stream=number, answers=answers):
                self._resolved(number, answers)
            case _:
                pass  # the stream was dropped meanwhile

    def row(self) -> dict[str, Any]:
        """What status shows."""
        trip_s = self.tunnel.round_trip_s
        return {
            "exit": self.tunnel.exit_index,
            "state": self.retired or "in use",
            "age_s": round(self.now() - self.tunnel.opened_at, 1),
            "streams": len(self.streams),
            "round_trip_ms": None if trip_s is None else round(1000 * trip_s),
            "repeated": self.tunnel.repeated,
            "bytes_received": self.tunnel.received_bytes,
            "bytes_sent": self.tunnel.sent_bytes,
        }

    def _ended(self, number: int, reason: EndReason) -> None:
        sink = self.streams.get(number)
        if sink is not None:
            if reason is not EndReason.DONE:
                self.released(number)
            sink.stream_ended(reason)

    def _resolved(self, number: int, answers: tuple[Answer, ...]) -> None:
        sink = self.streams.pop(number, None)
        if sink is None:
            return
        admitted = self.admits(answers)
        if answers and not admitted:
            sink.stream_ended(EndReason.RESOLVE_FAILED)
        else:
            sink.name_resolved(admitted)
