"""One TCP connection joined to one stream of a circuit, at either end of the circuit.

Data from the connection goes into the stream as far as the stream has credit; then reading pauses.
Data from the stream is written at once and its credit is returned when the connection has taken
it, so a slow reader holds back its own stream and nothing else. An end that is not orderly becomes
a reset: it can never look like the end of a file.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from abc import abstractmethod
from typing import cast

from node.circuit.messages import EndReason

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Pipe(asyncio.Protocol):
    """Both directions of one connection; subclasses say which stream it is joined to."""

    __slots__ = (
        "_early",
        "_ended_by_peer",
        "_ended_by_stream",
        "_is_lost",
        "_pending",
        "_transport",
        "_unconsumed",
        "is_wanted",
    )

    def __init__(self) -> None:
        self.is_wanted = True
        self._is_lost = False
        self._transport: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._pending = b""
        self._unconsumed: int | None = None
        self._ended_by_stream = False
        self._ended_by_peer = False

    # the stream's side, given by the subclass

    @abstractmethod
    def _send(self, data: bytes) -> int:
        """Queue data on the stream; returns how much was taken."""

    @abstractmethod
    def _consumed(self, count: int) -> None:
        """Return credit for bytes the connection took."""

    @abstractmethod
    def _ended(self, reason: EndReason) -> None:
        """Tell the stream that nothing more comes from the connection."""

    @abstractmethod
    def _gone(self) -> None:
        """The connection is over and nothing is left to send."""

    def _lingers(self, unsent: int) -> None:
        """Both directions are done, and the connection has `unsent` bytes left to take."""

    # called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands; what came early goes out first."""
        self._transport = cast("asyncio.Transport", transport)
        if not self.is_wanted:
            self.abort()
            return
        early, self._early = self._early, []
        if early:
            self.write(early)
        if self._ended_by_stream:
            self._transport.write_eof()

    def data_received(self, data: bytes) -> None:
        """Pass data to the stream, as far as it has credit."""
        if self._pending:
            self._pending += data
            return
        taken = self._send(data)
        if taken < len(data):
            self._pending = data[taken:]
            if self._transport is not None:
                self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The peer is done; keep the other direction open."""
        self._ended_by_peer = True
        if not self._pending:
            self._finish()
        return bool(self._pending) or not self._ended_by_stream

    def pause_writing(self) -> None:
        """The peer is slow: hold back the stream's credit."""
        self._unconsumed = 0

    def resume_writing(self) -> None:
        """The peer caught up: give the held credit back."""
        held, self._unconsumed = self._unconsumed, None
        if held:
            self._consumed(held)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over; a direction that was still open ends in a reset."""
        del exc
        if self._is_lost:
            return
        self._transport, self._is_lost = None, True
        if self.is_wanted and self._ended_by_peer and self._pending:
            return  # the rest leaves when the stream has credit
        if self.is_wanted and not (self._ended_by_peer and self._ended_by_stream):
            self._ended(EndReason.RESET)
        self.is_wanted = False
        self._gone()

    # called by the owner of the stream

    def write(self, chunks: list[bytes] | tuple[bytes, ...]) -> None:
        """Send the stream's data on; credit goes back when the connection takes it."""
        count = sum(map(len, chunks))
        if self._is_lost:
            self._consumed(count)
            return
        if self._transport is None:
            self._early.extend(chunks)
            return
        self._transport.writelines(chunks)
        if self._unconsumed is None:
            self._consumed(count)
        else:
            self._unconsumed += count

    def end(self, reason: EndReason) -> None:
        """DONE closes the stream's direction only; anything else aborts."""
        if reason is not EndReason.DONE:
            self.abort()
            return
        self._ended_by_stream = True
        if self._transport is not None:
            if self._ended_by_peer and not self._pending:
                self._close(self._transport)
            elif self._transport.can_write_eof():
                self._transport.write_eof()

    def resume(self) -> None:
        """The stream takes data again."""
        if self._pending:
            taken = self._send(self._pending)
            self._pending = self._pending[taken:]
        if self._pending:
            return
        if self._ended_by_peer:
            self._finish()
        elif self._transport is not None:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Drop the connection so that it cannot look like an orderly end."""
        self.is_wanted = False
        transport, self._transport = self._transport, None
        if transport is not None:
            self._is_lost = True
            reset_on_close(transport)
            transport.abort()
        self._gone()

    def _finish(self) -> None:
        self._ended(EndReason.DONE)
        if self._transport is None:
            self._gone()
        elif self._ended_by_stream:
            self._close(self._transport)

    def _close(self, transport: asyncio.Transport) -> None:
        """Close once everything is written."""
        transport.close()
        unsent = transport.get_write_buffer_size()
        if unsent:
            self._lingers(unsent)


def reset_on_close(transport: asyncio.BaseTransport) -> None:
    """Make the kernel send RST when this connection is closed."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
