"""An open link: records in, events out; cells and records in, sealed records out."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from node.htx import frames
from node.htx.cover import DEFAULT, Cover, CoverProfile, uniform
from node.htx.events import (
    CellsReceived,
    CloseReason,
    LinkClosed,
    LinkEvent,
    PeerIdentity,
    RecordReceived,
)
from node.htx.record import (
    CELL_BYTES,
    CELLS_PER_RECORD,
    HEADER_BYTES,
    RecordCipher,
    RecordType,
    cells_of,
    content_of,
    decode_header,
)
from node.htx.rekey import KeySchedule, RekeyLimits
from node.htx.ticket import Random
from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.parameters import NetworkParameters

OWNER_KINDS: Final = frozenset(
    {
        RecordType.PACKETS,
        RecordType.CREDIT,
        RecordType.RECEIPT,
        RecordType.DIR_GET,
        RecordType.DIR_DATA,
    }
)
"""Records that belong to the owner of the link; the session answers all others itself."""
PING_JITTER: Final = 0.1
SILENT_PINGS: Final = 3
"""A responder gives a node up after so many of the longest intervals without a PING."""
REST_S: Final = 5.0
"""A link that is silent for one to two times as long drops its ciphers and keeps its keys."""


@dataclass(slots=True)
class LinkStats:
    """Counters of one link."""

    cells_sent: int = 0
    cells_received: int = 0
    records_sent: int = 0
    records_received: int = 0
    padding_sent: int = 0
    rekeys: int = 0
    round_trip_s: float = 0.0


class Session:
    """The record state machine of one side.

    Args:
        root: root key, 32 bytes.
        peer: who is at the other end.
        initiator: whether this side dialled.
        health: whether both ends are nodes, which check each other by PING.
        parameters: periods and bounds.
        random: source of random bytes.
        now: monotonic time, seconds.
        cover: what to send after traffic.
        cipher: what records are sealed with.
    """

    __slots__ = (
        "_cells",
        "_closed",
        "_cover",
        "_health",
        "_health_at",
        "_initiator",
        "_out",
        "_out_bytes",
        "_parameters",
        "_ping",
        "_random",
        "_rest",
        "_rest_at",
        "_rested_at",
        "_schedule",
        "_traffic",
        "peer",
        "stats",
    )

    def __init__(
        self,
        root: bytes,
        peer: PeerIdentity,
        *,
        initiator: bool,
        health: bool,
        parameters: NetworkParameters,
        random: Random,
        now: float,
        cover: CoverProfile = DEFAULT,
        cipher: RecordCipher = RecordCipher.CHACHA20_POLY1305,
    ) -> None:
        self.peer = peer
        self.stats = LinkStats()
        limits = RekeyLimits.of(parameters, initiator=initiator)
        self._schedule = KeySchedule(
            root, initiator=initiator, limits=limits, random=random, now=now, cipher=cipher
        )
        delay_s = (parameters.cover_min_ms / 1000, parameters.cover_max_ms / 1000)
        self._cover = Cover(cover, delay_s, random)
        self._parameters = parameters
        self._random = random
        self._initiator = initiator
        self._health = health
        self._cells: list[bytes] = []
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._rest = b""
        self._traffic = False
        self._closed = False
        self._ping: tuple[bytes, float] | None = None
        self._rest_at: float | None = None
        self._rested_at = 0
        self._health_at = self._next_health(now) if health else None

    # sending

    @property
    def pending_bytes(self) -> int:
        """Bytes given to this session and not taken by `data_to_send`."""
        return len(self._cells) * CELL_BYTES + self._out_bytes

    def send_cells(self, cells: Iterable[bytes]) -> None:
        """Queue cells of 2,048 bytes; up to 7 of them share a record.

        Raises:
            LocalProtocolError: the link is closed.
        """
        if self._closed:
            raise LocalProtocolError("the link is closed")
        self._cells.extend(cells)

    def send_record(self, kind: RecordType, content: bytes) -> None:
        """Queue a record of the owner, behind what is queued already.

        Raises:
            LocalProtocolError: the session itself sends that kind, or it is too long.
        """
        if kind not in OWNER_KINDS:
            raise LocalProtocolError(f"{kind.name} is not the owner's to send")
        self._traffic = True
        self._seal(kind, content)

    def close(self, reason: CloseReason) -> None:
        """Queue CLOSE; nothing may be sent after it."""
        if not self._closed:
            self._seal(RecordType.CLOSE, frames.encode_close(reason))
            self.erase()

    def erase(self) -> None:
        """Let go of all keys; nothing is sealed or opened any more."""
        self._closed = True
        self._cells, self._rest = [], b""
        self._schedule.erase()

    def data_to_send(self, now: float) -> list[bytes]:
        """Return the records due, each to be written as one TLS record."""
        self._seal_cells()
        if not self._closed and self._schedule.due(now):
            self._start_rekey(now)
        if self._traffic:
            self._traffic = False
            self._cover.traffic_sent(now)
        out, self._out, self._out_bytes = self._out, [], 0
        if out:
            self.stats.records_sent += len(out)
            if self._rest_at is None:
                self._rest_at = now + REST_S
        return out

    def _seal_cells(self) -> None:
        cells = self._cells
        if not cells:
            return
        self._cells = []
        self._traffic = True
        seal = self._schedule.sealer.seal_cells
        for at in range(0, len(cells), CELLS_PER_RECORD):
            record = seal(cells[at : at + CELLS_PER_RECORD])
            self._out.append(record)
            self._out_bytes += len(record)
        self.stats.cells_sent += len(cells)

    def _seal(self, kind: RecordType, content: bytes, total: int = 0) -> None:
        if self._closed:
            raise LocalProtocolError("the link is closed")
        self._seal_cells()
        record = self._schedule.sealer.seal(kind, content, total)
        self._out.append(record)
        self._out_bytes += len(record)

    # receiving

    def receive(self, data: bytes, now: float) -> list[LinkEvent]:
        """Take bytes from TLS and return what happened.

        Raises:
            CryptoError: a record does not open; the link is over and nothing may be sent.
            RemoteProtocolError: the peer broke a rule; likewise.
        """
        if self._closed:
            return []
        if self._rest_at is None:
            self._rest_at = now + REST_S
        buffer = self._rest + data if self._rest else data
        view, size, at = memoryview(buffer), len(buffer), 0
        events: list[LinkEvent] = []
        cells: list[bytes] | None = None
        stats = self.stats
        while size - at >= HEADER_BYTES:
            start = at + HEADER_BYTES
            header = buffer[at:start]
            kind, length = decode_header(header)
            end = start + length
            if end > size:
                break
            plaintext = self._schedule.opener.open(header, view[start:end])
            at = end
            stats.records_received += 1
            if kind is RecordType.CELLS:
                found = cells_of(plaintext)
                stats.cells_received += len(found)
                if cells is None:
                    cells = found
                    events.append(CellsReceived(cells))
                else:
                    cells += found
                continue
            event = self._handle(kind, content_of(plaintext), now)
            if event is not None:
                cells = None
                events.append(event)
                if isinstance(event, LinkClosed):
                    break
        self._rest = buffer[at:] if at < size and not self._closed else b""
        return events

    def _handle(self, kind: RecordType, content: bytes, now: float) -> LinkEvent | None:
        if kind in OWNER_KINDS:
            return RecordReceived(kind, content)
        if kind is RecordType.CLOSE:
            reason = frames.decode_close(content)
            self.erase()
            return LinkClosed(reason, by_peer=True)
        if kind is RecordType.PADDING:
            frames.decode_padding(content)
        if kind is RecordType.KEY_UPDATE:
            self._receive_update(frames.KeyUpdate.decode(content), now)
        elif kind is RecordType.KEY_SWITCH:
            self._schedule.receive_switch(frames.decode_key_switch(content), now)
            self.stats.rekeys = self._schedule.rekeys
        elif kind in {RecordType.PING, RecordType.PONG}:
            self._receive_health(kind, frames.decode_ping(content), now)
        return None

    def _receive_update(self, update: frames.KeyUpdate, now: float) -> None:
        answer = self._schedule.receive_update(update, now)
        if answer is not None:
            self._seal(RecordType.KEY_UPDATE, answer.encode())
        self._seal(RecordType.KEY_SWITCH, frames.encode_key_switch(update.generation))
        self._schedule.switch_sealer()

    def _start_rekey(self, now: float) -> None:
        self._seal(RecordType.KEY_UPDATE, self._schedule.start(now).encode())

    def _receive_health(self, kind: RecordType, mark: bytes, now: float) -> None:
        if not self._health or (kind is RecordType.PING) == self._initiator:
            raise RemoteProtocolError(f"unexpected {kind.name}")
        if kind is RecordType.PING:
            self._health_at = self._next_health(now)
            self._seal(RecordType.PONG, mark)
            return
        if self._ping is None or self._ping[0] != mark:
            raise RemoteProtocolError("PONG without PING")
        self.stats.round_trip_s = now - self._ping[1]
        self._ping = None
        self._health_at = self._next_health(now)

    # time

    def next_tick(self) -> float:
        """When `tick` should be called, at the latest."""
        if self._closed:
            return math.inf
        times = (self._schedule.next_tick(), self._cover.due, self._health_at, self._rest_at)
        return min(time for time in times if time is not None)

    def tick(self, now: float) -> CloseReason | None:
        """Do what is due: rekey, cover, health check, rest; a reason ends the link."""
        if self._closed:
            return None
        schedule = self._schedule
        if schedule.expired(now):
            return CloseReason.TIMEOUT
        if schedule.due(now):
            self._start_rekey(now)
        total = self._cover.take(now)
        if total:
            self.stats.padding_sent += 1
            self._seal(RecordType.PADDING, b"", total)
        if self._rest_at is not None and now >= self._rest_at:
            self._take_rest(now)
        if self._health_at is not None and now >= self._health_at:
            return self._check_health(now)
        return None

    def _take_rest(self, now: float) -> None:
        """Drop the ciphers if no record passed since the last look, else look again later."""
        passed = self.stats.records_sent + self.stats.records_received
        if passed == self._rested_at:
            self._schedule.rest()
            self._rest_at = None
        else:
            self._rested_at = passed
            self._rest_at = now + REST_S

    def _next_health(self, now: float) -> float:
        low, high = float(self._parameters.ping_min_s), float(self._parameters.ping_max_s)
        if not self._initiator:
            return now + SILENT_PINGS * high
        jitter = uniform(self._random, 1 - PING_JITTER, 1 + PING_JITTER)
        return now + uniform(self._random, low, max(low, high)) * jitter

    def _check_health(self, now: float) -> CloseReason | None:
        if self._ping is not None or not self._initiator:
            return CloseReason.TIMEOUT
        mark = self._random(frames.PING_BYTES)
        self._ping = (mark, now)
        self._health_at = now + self._parameters.ping_min_s
        self._seal(RecordType.PING, mark)
        return None
