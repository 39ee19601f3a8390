"""A client's link to its entry, for benches and tests: hands in packets, takes deliveries.

It has no schedule and no covers; `node.client.mix` is the client that has.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from node.htx.events import CloseReason
from node.htx.events import Role as LinkRole
from node.htx.record import RecordType
from node.io.endpoint import Link, dial
from node.mix.envelope import FRAME_BYTES, open_frame, seal_frame
from node.mix.live_paths import LivePaths
from node.mix.mailbox_wire import GRANT, MailboxGrant, MailboxRequest, decode_grant, make_claim
from node.mix.packet import (
    UNITS_PER_RECORD,
    Delivery,
    decode_delivery,
    encode_unit,
    units_of,
)
from node.mix.poisson import MEAN_DELAY_MS
from node.mix.route import build_packet
from node.view import address_of
from qnet.crypto.keys import DhKey
from qnet.epochs import phase_at
from qnet.messages.consensus import Consensus

WAIT_S: Final = 10.0

T = TypeVar("T")


class MixLink:
    """Handler of one link.

    Args:
        live: What the network looks like.
        entry: Registry index of the entry.

    Attributes:
        key: Of the address that `packet` writes to by default.
        deliveries: With the time of their arrival, monotonic seconds.
        grants: Answers to requests.
        closed: Set when the link is gone.
    """

    def __init__(self, live: LivePaths, entry: int) -> None:
        self.live, self.entry = live, entry
        self.key = DhKey(secrets.token_bytes(32))
        self.deliveries: deque[tuple[Delivery, float]] = deque()
        self.grants: deque[MailboxGrant] = deque()
        self.closed = asyncio.Event()
        self.link: Link | None = None
        self._came = asyncio.Event()

    # the link

    def link_opened(self, link: Link) -> None:
        """It stands."""
        self.link = link

    def cells_received(self, link: Link, cells: list[bytes]) -> None:
        """No circuit is built here, so none come."""

    def record_received(self, link: Link, kind: RecordType, content: bytes) -> None:
        """Grants and deliveries."""
        del link
        if kind is not RecordType.PACKETS:
            return
        now = time.monotonic()
        for _, packet in units_of(content):
            if packet[0] == GRANT:
                self.grants.append(decode_grant(packet))
            else:
                self.deliveries.append((decode_delivery(packet), now))
        self._came.set()

    def link_writable(self, link: Link) -> None:
        """Nothing waits here."""

    def link_closed(self, link: Link, reason: CloseReason) -> None:
        """It is gone."""
        del link, reason
        self.closed.set()

    # for its owner

    @property
    def phase(self) -> int:
        """Current key phase."""
        consensus = self.live.consensus
        assert consensus is not None
        return phase_at(time.time(), consensus.parameters.key_phase_s)

    def send(self, units: Sequence[bytes]) -> None:
        """Hand in units, up to seven in a record."""
        assert self.link is not None
        for start in range(0, len(units), UNITS_PER_RECORD):
            content = b"".join(units[start : start + UNITS_PER_RECORD])
            self.link.send_record(RecordType.PACKETS, content)
        self.link.flush()

    async def next(self, queue: deque[T], timeout_s: float = WAIT_S) -> T:
        """The next of `deliveries` or `grants`."""
        async with asyncio.timeout(timeout_s):
            while not queue:
                self._came.clear()
                await self._came.wait()
        return queue.popleft()

    async def ask(self, ids: int = 0, *keys: DhKey) -> MailboxGrant:
        """Ask for ids, and claim addresses."""
        phase = self.phase
        node_key = self.live.phase_key(self.entry, phase)
        claims = tuple(make_claim(key, self.entry, node_key, phase) for key in keys)
        self.send([encode_unit(0, MailboxRequest(phase, ids, claims).encode())])
        return await self.next(self.grants)

    def packet(
        self,
        delivery_id: bytes,
        *,
        node: int = 0,
        frame: bytes = b"",
        phase: int | None = None,
        to: DhKey | None = None,
    ) -> bytes:
        """A unit with a packet along a fresh route.

        Args:
            delivery_id: Where it goes, 16 bytes.
            node: Mailbox node; our entry by default.
            frame: What it carries; random by default.
            phase: Key phase; the current one by default.
            to: Whom it is sealed to; us by default.
        """
        route = self.live.paths.route(
            self.phase if phase is None else phase, node or self.entry, delivery_id
        )
        frame = frame or secrets.token_bytes(FRAME_BYTES)
        payload = seal_frame(frame, (to or self.key).public, secrets.token_bytes)
        packet = build_packet(route, payload, secrets.token_bytes)
        return encode_unit(route.hops[0].index, packet)

    def open(self, delivery: Delivery) -> bytes:
        """Frame of a delivery to us.

        Raises:
            CryptoError: Somebody changed it.
        """
        return open_frame(delivery.payload, self.key)


@asynccontextmanager
async def mix_link(
    consensus: Consensus, entry: int, *, mean_delay_ms: float = MEAN_DELAY_MS
) -> AsyncIterator[MixLink]:
    """Dial an entry as a client.

    Args:
        consensus: What it knows; tell `live` when there is a newer one.
        entry: Registry index.
        mean_delay_ms: At each mix of its routes.
    """
    live = LivePaths(secrets.token_bytes, mean_delay_ms=mean_delay_ms)
    live.follow(consensus)
    handler = MixLink(live, entry)
    link = await dial(
        address_of(live.node(entry)),
        identity=None,
        handler=handler,
        parameters=consensus.parameters,
        role=LinkRole.ENTRY,
    )
    try:
        yield handler
    finally:
        link.close()
