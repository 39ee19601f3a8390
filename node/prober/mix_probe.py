"""One probe through mixes: a packet that the auditor sends to itself over an entry.

For every node on the way it is the packet of any client: a usual route, drawn delays, an id of the
mailbox node, a payload that looks random. The delays that it asked for are taken off its time.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from node.client.mix.berth import Berth
from node.client.paths.entries import Entries
from node.mix.envelope import FRAME_BYTES, open_frame, seal_frame
from node.mix.live_paths import LivePaths
from node.mix.mailbox_wire import MAX_IDS
from node.mix.packet import Delivery
from node.mix.route import Route, build_packet
from node.view import NetworkView
from qnet.crypto.keys import DhKey
from qnet.errors import CryptoError, QnetError
from qnet.messages.consensus import ConsensusNode

ASK_S: Final = 1.0
"""Between looks whether ids are to be asked for again."""
_SECRET_BYTES: Final = 32
_MICROS: Final = 1_000_000
_MICROS_PER_MS: Final = 1_000

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Loop:
    """A packet under way.

    Attributes:
        frame: What it carries, 2,016 bytes.
        back_at: When it came back, seconds; None when it came back changed.
    """

    frame: bytes
    back_at: asyncio.Future[float | None]


@dataclass(slots=True)
class _Place:
    """Our place at one entry.

    Attributes:
        berth: Its link, ids and deliveries.
        came: Set when something came over it.
    """

    berth: Berth
    came: asyncio.Event


@dataclass(slots=True)
class MixProber:
    """Sends probes through mixes.

    Attributes:
        view: The network.
        entries: Links to first hops, one each.
        live: Layers and routes.
        strays: Deliveries that nobody waited for: too late, or not ours.
    """

    view: NetworkView
    entries: Entries
    live: LivePaths = field(init=False)
    strays: int = 0
    _places: dict[int, _Place] = field(default_factory=dict)
    _waiting: dict[bytes, _Loop] = field(default_factory=dict)
    _key: DhKey = field(default_factory=lambda: DhKey(secrets.token_bytes(_SECRET_BYTES)))

    def __post_init__(self) -> None:
        """Follow the consensus."""
        self.live = LivePaths(secrets.token_bytes)
        self.view.on_change(self.live.follow)
        if self.view.held is not None:
            self.live.follow(self.view.held.consensus)

    async def round_trip(
        self, entry: ConsensusNode, mixes: Sequence[int], phase: int, *, within_s: float
    ) -> int | None:
        """Send a packet along mixes and back to its entry.

        Args:
            entry: Where it is handed in and delivered.
            mixes: Registry indexes, first mix first.
            phase: Key phase, u24.
            within_s: Deadline of everything, in seconds.

        Returns:
            Microseconds without the delays asked for; None if it did not come back in time and as
            it was sent.
        """
        try:
            async with asyncio.timeout(within_s):
                place = await self._place(entry)
                delivery_id = await self._new_id(place, phase)
                route = self.live.paths.along(mixes, phase, entry.index, delivery_id)
                return await self._loop(place.berth, route)
        except TimeoutError:
            _log.info("mix probe failed", cause=f"not back within {within_s:.1f} s")
        except QnetError as error:
            _log.info("mix probe failed", cause=f"{error.message}: {error.why}")
        return None

    async def _loop(self, berth: Berth, route: Route) -> int | None:
        frame = secrets.token_bytes(FRAME_BYTES)
        payload = seal_frame(frame, self._key.public, secrets.token_bytes)
        packet = build_packet(route, payload, secrets.token_bytes)
        loop = _Loop(frame, asyncio.get_running_loop().create_future())
        self._waiting[route.delivery_id] = loop
        started = time.perf_counter()
        try:
            berth.send((route.hops[0].index, packet))
            back_at = await loop.back_at
        finally:
            del self._waiting[route.delivery_id]
        if back_at is None:
            _log.info("mix probe failed", cause="it came back changed")
            return None
        micros = round((back_at - started) * _MICROS) - route.delay_ms * _MICROS_PER_MS
        return max(micros, 1)

    async def _place(self, entry: ConsensusNode) -> _Place:
        """Our place at an entry, over a link that stands.

        Raises:
            CircuitError: It cannot be reached.
        """
        link = await self.entries.link_to(entry)
        place = self._places.get(entry.index)
        if place is None or not place.berth.is_open:
            self._places = {at: one for at, one in self._places.items() if one.berth.is_open}
            berth = Berth(entry.index, MAX_IDS, partial(self._arrived, entry.index))
            berth.board(link)
            place = self._places[entry.index] = _Place(berth, asyncio.Event())
        return place

    async def _new_id(self, place: _Place, phase: int) -> bytes:
        """Take a delivery id, asking for more when few are left.

        Raises:
            StageError: The node has no key of this phase.
        """
        berth = place.berth
        node_key = partial(self.live.phase_key, berth.node_index, phase)
        while True:
            request = berth.ask((), node_key, phase, time.monotonic())
            if request is not None:
                berth.send(request)
            delivery_id = berth.tenancy.new_id()
            if delivery_id is not None:
                return delivery_id
            place.came.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(ASK_S):
                    await place.came.wait()

    def _arrived(self, index: int) -> None:
        now, place = time.perf_counter(), self._places.get(index)
        if place is not None:
            for delivery in place.berth.take():
                self._take(delivery, now)
            place.came.set()

    def _take(self, delivery: Delivery, now: float) -> None:
        loop = self._waiting.get(delivery.delivery_id)
        if loop is None or loop.back_at.done():
            self.strays += 1
            return
        try:
            same = open_frame(delivery.payload, self._key) == loop.frame
        except CryptoError:
            same = False
        loop.back_at.set_result(now if same else None)
