"""Packets on their way out: gathered by neighbour in one wake-up, then written in full records.

Nothing waits here except for a dial that is under way. What a slow link or a dead node cannot take
is dropped and counted; a mix never stops reading.

Source: docs/spec/mixnet.md, QN-MIX-010 and section Mixes in a node.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, Protocol

from node.htx.record import CELL_BYTES, RecordType
from node.io.endpoint import Link
from node.io.pool import LinkPool
from node.mix.packet import UNIT_BYTES, UNITS_PER_RECORD
from qnet.errors import QnetError

MAX_QUEUED_BYTES: Final = 4 << 20
"""Bytes that wait in one link before packets for it are dropped; half of what ends a link."""
MAX_WAITING: Final = 4096
"""Packets that wait for dials, to all neighbours together."""
_CELLS_PER_UNIT: Final = UNIT_BYTES / CELL_BYTES
_NEXT: Final = bytes(4)
"""Between nodes, and to clients, a unit names no next node."""


class Unsent(StrEnum):
    """Why a packet did not leave; the metric label."""

    UNKNOWN_NODE = "unknown_node"
    NO_LINK = "no_link"
    LINK_FULL = "link_full"
    DIALS_FULL = "dials_full"
    RATE_LIMIT = "rate_limit"


class PacketMeter(Protocol):
    """Counts packets between nodes, after the write."""

    def sent(self, node_id: bytes, cells: Sequence[bytes]) -> None:
        """Packets left for a neighbour."""


class PacketLinks:
    """Sends packets to nodes by registry index, and to clients on their links.

    Args:
        pool: Links to nodes.
        meter: Counts what leaves for nodes.
        node_id_of: Node id of a registry index; QnetError for one that is not listed.
        admits: Takes room for so many cells under the operator's limit; false if there is none.

    Attributes:
        unsent: Packets dropped, by cause.
        sent: Packets that left.
        pool: Links to nodes.
    """

    def __init__(
        self,
        pool: LinkPool,
        meter: PacketMeter,
        node_id_of: Callable[[int], bytes],
        admits: Callable[[float], bool],
    ) -> None:
        self.unsent: Counter[Unsent] = Counter()
        self.sent = 0
        self.pool = pool
        self._meter = meter
        self._node_id_of = node_id_of
        self._admits = admits
        self._out: defaultdict[int, list[bytes]] = defaultdict(list)
        self._waiting = 0

    def put(self, index: int, packet: bytes) -> None:
        """Gather a packet (2,308 bytes) for a node; `flush` sends it."""
        self._out[index].append(packet)

    def flush(self) -> None:
        """Send what was gathered."""
        out, self._out = self._out, defaultdict(list)
        for index, packets in out.items():
            self._to_node(index, packets)

    def _to_node(self, index: int, packets: list[bytes]) -> None:
        count = len(packets)
        try:
            node_id = self._node_id_of(index)
        except QnetError:
            self.unsent[Unsent.UNKNOWN_NODE] += count
            return
        if self._waiting + count > MAX_WAITING and node_id not in self.pool.links():
            self.unsent[Unsent.DIALS_FULL] += count
            return
        self._waiting += count

        def ready(link: Link | None, cause: str) -> None:
            del cause
            self._waiting -= count
            if link is None or link.is_closed:
                self.unsent[Unsent.NO_LINK] += count
            else:
                self.write(link, packets)

        self.pool.want(index, node_id, ready)

    def write(self, link: Link, packets: Sequence[bytes], next_index: int = 0) -> bool:
        """Write packets to a link now, up to seven in a record; false if there is no room.

        Args:
            link: Open.
            packets: 2,308 bytes each.
            next_index: Registry index that each unit names.
        """
        if link.queued_bytes + sum(map(len, packets)) > MAX_QUEUED_BYTES:
            self.unsent[Unsent.LINK_FULL] += len(packets)
            return False
        if not self._admits(len(packets) * _CELLS_PER_UNIT):
            self.unsent[Unsent.RATE_LIMIT] += len(packets)
            return False
        named = next_index.to_bytes(4, "big") if next_index else _NEXT
        for start in range(0, len(packets), UNITS_PER_RECORD):
            units = packets[start : start + UNITS_PER_RECORD]
            link.send_record(RecordType.PACKETS, named + named.join(units))
        self.sent += len(packets)
        if link.peer.node_id is not None:
            self._meter.sent(link.peer.node_id, packets)
        return True
