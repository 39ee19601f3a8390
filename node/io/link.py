"""One link over TCP: the asyncio shell around a link core.

Callbacks of the handler run inside the wake-up that caused them, on the event loop's thread; they
must not block. What a handler sends to any link leaves at the end of the same loop iteration, in
one write per link, even if nobody calls `flush`.
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import count
from typing import Final, Protocol, cast

import utls

from node.errors import LinkError
from node.htx.events import (
    CLIENT,
    CellsReceived,
    CloseReason,
    LinkClosed,
    LinkEvent,
    LinkOpened,
    PeerIdentity,
    RecordReceived,
)
from node.htx.link import LinkCore, LinkSettings
from node.htx.record import RecordType
from node.htx.session import LinkStats
from node.io.tls import TlsStream
from qnet.errors import LocalProtocolError

_LINK_IDS: Final = count(1)
RECORDS_AT_ONCE: Final = 8
"""Records whose cells the handler gets at once; more would only need more memory."""
_WRITE_HIGH_SHARE: Final = 16
"""A link stops being writable when so small a share of its queue is full: the rest is slack for
handlers that finish a batch, and a long queue would only delay what the scheduler decides later."""


class LinkHandler(Protocol):
    """What the owner of links does with them."""

    def link_opened(self, link: "Link") -> None:
        """The handshake is done; called before `dial` returns."""

    def cells_received(self, link: "Link", cells: list[bytes]) -> None:
        """All cells of one wake-up that came in a row, 2,048 bytes each."""

    def record_received(self, link: "Link", kind: RecordType, content: bytes) -> None:
        """PACKETS, CREDIT, RECEIPT, DIR_GET or DIR_DATA."""

    def link_writable(self, link: "Link") -> None:
        """The link's queue has drained after `is_writable` was false."""

    def link_closed(self, link: "Link", reason: CloseReason) -> None:
        """The link ended; nothing follows. Only for links that were opened."""


class Link(asyncio.Protocol, ABC):
    """One connection. The asyncio side of it is not for its owner.

    Attributes:
        link_id: unique in this process.
        peer: who is at the other end, once open.
        outgoing: whether this side dialled.
        is_writable: whether the queue is short enough to send more.
    """

    outgoing = False

    def __init__(self, handler: LinkHandler, settings: LinkSettings, tls: TlsStream) -> None:
        self.link_id = next(_LINK_IDS)
        self.peer: PeerIdentity = CLIENT
        self.is_writable = True
        self._handler = handler
        self._settings = settings
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._core: LinkCore | None = None
        self._transport: asyncio.Transport | None = None
        self._reason: CloseReason | None = None
        self._announced = False
        self._flush_due = False
        self._gone = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    # for the owner

    @property
    def queued_bytes(self) -> int:
        """Bytes given to this link that the operating system has not taken."""
        waiting = self._transport.get_write_buffer_size() if self._transport else 0
        return waiting + (self._core.pending_bytes if self._core else 0)

    @property
    def is_closed(self) -> bool:
        """Whether the link ended."""
        return self._reason is not None

    @property
    def is_connected(self) -> bool:
        """Whether there is a socket."""
        return self._transport is not None and not self._gone.done()

    @property
    def own_address(self) -> str:
        """Local address of the connection; empty without one."""
        name = self._transport.get_extra_info("sockname") if self._transport else None
        return str(name[0]) if name else ""

    @property
    def peer_address(self) -> str:
        """Address of the other end; empty without a connection."""
        name = self._transport.get_extra_info("peername") if self._transport else None
        return str(name[0]) if name else ""

    @property
    def stats(self) -> LinkStats:
        """Counters of this link."""
        return self._core.stats if self._core else LinkStats()

    def send_cells(self, cells: Sequence[bytes]) -> None:
        """Queue cells of 2,048 bytes; what is queued in one wake-up shares records.

        Raises:
            LocalProtocolError: the link is not open.
        """
        self._opened().send_cells(cells)
        self._flush_soon()

    def send_record(self, kind: RecordType, content: bytes) -> None:
        """Queue a record, behind the cells queued before it.

        Raises:
            LocalProtocolError: the link is not open, or the kind is not the owner's.
        """
        self._opened().send_record(kind, content)
        self._flush_soon()

    def flush(self) -> None:
        """Write out now what is queued."""
        self._flush_due = False
        if self._core is None or self._transport is None or self._transport.is_closing():
            return
        pieces = self._core.data_to_send(self._loop.time())
        if pieces:
            self._transport.writelines(self._tls.encrypt(pieces))
            if self._transport.get_write_buffer_size() > self._settings.parameters.link_queue_bytes:
                self._end(CloseReason.SLOW_READER)
                return
        self._arm()

    def close(self, reason: CloseReason = CloseReason.DONE) -> None:
        """Send what is queued and CLOSE, then hang up."""
        if self._reason is not None:
            return
        if self._core is not None:
            self._core.close(reason)
            self.flush()
        self._end(reason)

    async def wait_gone(self) -> None:
        """Wait until the socket is closed, which may be after `link_closed`."""
        await asyncio.shield(self._gone)

    # for asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        self._transport = cast("asyncio.Transport", transport)
        high = self._settings.parameters.link_queue_bytes // _WRITE_HIGH_SHARE
        self._transport.set_write_buffer_limits(high=high, low=high // 4)
        self._arm_at(self._loop.time() + self._settings.parameters.link_handshake_s)
        self._receive_tls()

    def data_received(self, data: bytes) -> None:
        """Bytes came: decrypt them, open the records, tell the handler, answer in one write."""
        if self._reason is not None:
            return
        self._tls.feed(data)
        self._receive_tls()

    def eof_received(self) -> None:
        """The peer closed its side; a link without both sides is over."""
        self._end(CloseReason.LOST)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The socket is gone."""
        self._end(CloseReason.LOST)
        if not self._gone.done():
            self._gone.set_result(None)

    def pause_writing(self) -> None:
        """The transport's buffer is long."""
        self.is_writable = False

    def resume_writing(self) -> None:
        """The transport's buffer is short again."""
        self.is_writable = True
        if self._announced and self._reason is None:
            self._handler.link_writable(self)

    # inside

    @abstractmethod
    def _make_core(self) -> LinkCore:
        """Called once, when TLS is up; raises LinkError to end the link."""

    def _announce(self) -> None:
        self._announced = True
        self._handler.link_opened(self)

    def _ended(self, reason: CloseReason) -> None:
        """Called once, when the link ended."""

    def _opened(self) -> LinkCore:
        if self._core is None or self._reason is not None or not self._announced:
            raise LocalProtocolError("the link is not open")
        return self._core

    def _receive_tls(self) -> None:
        try:
            core = self._core or self._establish()
            if core is None:
                return
            broken = False
            while self._reason is None and not broken:
                pieces, broken = self._decrypt()
                if not pieces:
                    break
                self._dispatch(core.receive_all(pieces, self._loop.time()))
            if broken:
                self._end(CloseReason.LOST)
        except utls.SSLError:
            self._end(CloseReason.LOST)
        except LinkError as error:
            self._end(error.reason)
        if self._reason is None:
            self.flush()

    def _decrypt(self) -> tuple[list[bytes], bool]:
        """Return some of what TLS has for us, and whether nothing can follow."""
        read = self._tls.read
        pieces: list[bytes] = []
        try:
            while len(pieces) < RECORDS_AT_ONCE and (data := read()):
                pieces.append(data)
        except (utls.SSLError, EOFError):
            return pieces, True
        return pieces, False

    def _establish(self) -> LinkCore | None:
        assert self._transport is not None
        done = False
        try:
            done = self._tls.handshake()
        finally:
            out = self._tls.output()
            if out:
                self._transport.write(out)
        if not done:
            return None
        self._core = self._make_core()
        return self._core

    def _dispatch(self, events: list[LinkEvent]) -> None:
        for event in events:
            if self._reason is not None:
                return
            if isinstance(event, CellsReceived):
                self._handler.cells_received(self, event.cells)
            elif isinstance(event, RecordReceived):
                self._handler.record_received(self, event.kind, event.content)
            elif isinstance(event, LinkOpened):
                self.peer = event.peer
                self._announce()
            elif isinstance(event, LinkClosed):
                self.flush()
                self._end(event.reason)

    def _flush_soon(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush_if_due)

    def _flush_if_due(self) -> None:
        if self._flush_due:
            self.flush()

    def _arm(self) -> None:
        if self._core is not None and self._reason is None:
            due = self._core.next_tick()
            if self._timer is None or due < self._timer_at:
                self._arm_at(due)

    def _arm_at(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due != float("inf"):
            self._timer = self._loop.call_at(due, self._tick)
            self._timer_at = due

    def _tick(self) -> None:
        self._timer = None
        if self._reason is not None:
            return
        if self._core is None:
            self._end(CloseReason.TIMEOUT)
            return
        self._dispatch(self._core.tick(self._loop.time()))
        if self._reason is None:
            self.flush()

    def _end(self, reason: CloseReason) -> None:
        if self._reason is not None:
            return
        self._reason = reason
        if self._timer is not None:
            self._timer.cancel()
        transport = self._transport
        if transport is not None and not transport.is_closing():
            self._hang_up(transport, reason)
        if self._announced:
            self._handler.link_closed(self, reason)
        self._ended(reason)

    def abandon(self, reason: CloseReason) -> None:
        """End the link without another word."""
        self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    def _hang_up(self, transport: asyncio.Transport, reason: CloseReason) -> None:
        if reason is CloseReason.SLOW_READER:
            transport.abort()
            return
        out = self._tls.output()  # an alert, perhaps
        if self._core is not None:
            self._tls.close()
            out += self._tls.output()
        # a connection that failed while it was being made is closed before uvloop says so
        with contextlib.suppress(RuntimeError):
            if out:
                transport.write(out)
            transport.close()
