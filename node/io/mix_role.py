"""The mix of a node: opens packets in batches, holds them, sends what is due, watches its loops.

One wake-up: what came is opened in one batch, what is due is gathered by neighbour, and each
neighbour gets one write. A timer fires when the next packet is due.

Source: docs/spec/mixnet.md, section Mixes in a node.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Final

from node.errors import StageError
from node.io.endpoint import Link
from node.io.packet_links import PacketLinks
from node.mix.layers import Layers
from node.mix.live_paths import LivePaths
from node.mix.relay import LoopPlan, MixRelay
from node.mix.unwrap import Forward, Unwrapper
from qnet.errors import LocalProtocolError
from qnet.messages.descriptor import Role
from qnet.sampling import RandomBytes, uniform_below, weighted_place

BATCH: Final = 64
"""Packets opened in one turn of the event loop: some 3 ms of work."""
MAX_INBOUND: Final = 4096
"""Packets that wait to be opened; beyond, new ones are dropped."""
LINK_PARTS: Final = 2
"""One link has at most half of the places: a neighbour that floods slows others, and no more."""
LOOPS: Final = LoopPlan(hz=1.0, allowance_s=5.0)
LEAST_WAIT_S: Final = 0.001
"""Packets due within a millisecond leave together."""
LATE_WINDOW_S: Final = 15.0


class Shed(StrEnum):
    """What a mix did not do; the metric label."""

    OVERLOAD = "overload"
    FLOOD = "neighbour_flood"
    NO_LOOP_ROUTE = "no_loop_route"


def _found(link: Link | None, cause: str) -> None:
    """The pool keeps the link, or remembers that there is none."""
    del link, cause


class MixRole:
    """Runs the mix of a node.

    Args:
        index: Registry index of this node.
        unwrapper: Opens packets.
        live: Layers and routes.
        links: What leaves.
        phase: Current key phase, u24.
        to_self: Takes deliveries (2,308 bytes) for this node's own mailboxes.
        random: Source of random bytes.
        now: Clock in seconds.

    Attributes:
        relay: The core.
        shed: What was not done, by cause.
        forwarded: Packets that went to the next mix.
        delivered: Packets that went to a mailbox node.
        loops: Loops sent.
    """

    def __init__(
        self,
        index: int,
        unwrapper: Unwrapper,
        *,
        live: LivePaths,
        links: PacketLinks,
        phase: Callable[[], int],
        to_self: Callable[[bytes], None],
        random: RandomBytes,
        now: Callable[[], float],
    ) -> None:
        self.relay = MixRelay(
            index,
            unwrapper,
            replace(live.paths, layers_at=self._loop_layers),
            lambda at: live.layers_at(at).layer_of(index),
            LOOPS,
            random,
            now(),
        )
        self.shed: Counter[Shed] = Counter()
        self.forwarded = self.delivered = self.loops = 0
        self._index = index
        self._live = live
        self._links = links
        self._phase = phase
        self._to_self = to_self
        self._random = random
        self._now = now
        self._inbound: deque[tuple[int, bytes]] = deque()
        self._waiting: Counter[int] = Counter()
        self._loop = asyncio.get_running_loop()
        self._awake = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._is_closed = False
        self._latest = (0.0, 0.0)

    @property
    def layer(self) -> int:
        """Layer of this node for what is sent now; 0 for none."""
        return self._live.layers_at(self._phase()).layer_of(self._index)

    @property
    def waiting(self) -> int:
        """Packets that came and are not opened."""
        return len(self._inbound)

    @property
    def late_s(self) -> float:
        """How long after it was due the latest packet of the last seconds left."""
        at, late = self._latest
        return late if self._now() - at < 2 * LATE_WINDOW_S else 0.0

    def receive(self, packet: bytes, link_id: int) -> None:
        """Open a packet soon that came on a link."""
        if len(self._inbound) >= MAX_INBOUND:
            self.shed[Shed.OVERLOAD] += 1
        elif self._waiting[link_id] >= MAX_INBOUND // LINK_PARTS:
            self.shed[Shed.FLOOD] += 1
        else:
            self._waiting[link_id] += 1
            self._inbound.append((link_id, packet))
            self.wake()

    def _batch(self) -> list[bytes]:
        """Take what is to be opened now."""
        taken = [self._inbound.popleft() for _ in range(min(BATCH, len(self._inbound)))]
        for link_id, _ in taken:
            self._waiting[link_id] -= 1
            if not self._waiting[link_id]:
                del self._waiting[link_id]
        return [packet for _, packet in taken]

    def close(self) -> None:
        """Do nothing more: the node stops."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def wake(self) -> None:
        """Work once, at the end of this turn of the event loop."""
        if not self._awake:
            self._awake = True
            self._loop.call_soon(self._woken)

    def _woken(self) -> None:
        self._awake = False
        self._work()

    def _work(self) -> None:
        now, inbound, relay = self._now(), self._inbound, self.relay
        if inbound:
            relay.receive(self._batch(), now)
            if inbound:
                self.wake()
        self._send_due(self._now())
        if relay.next_loop_at <= now:
            self._send_loops(now)
        self._links.flush()
        self._arm(relay.next_at)

    def _send_due(self, now: float) -> None:
        earliest = self.relay.holding.next_at
        if earliest is not None and earliest <= now:
            self._note_late(now, now - earliest)
        for item in self.relay.due(now):
            if isinstance(item, Forward):
                self.forwarded += 1
                self._links.put(item.next_index, item.packet)
                continue
            self.delivered += 1
            packet = item.delivery.encode(self._random)
            if item.next_index == self._index:
                self._to_self(packet)
            else:
                self._links.put(item.next_index, packet)

    def _send_loops(self, now: float) -> None:
        """Hand loops to an entry, once a link to it stands: a dead entry is nobody's attack."""
        for _ in range(self.relay.loops_due(now)):
            entry = self._draw_entry()
            if not entry or not self.layer:
                self.shed[Shed.NO_LOOP_ROUTE] += 1
                continue
            node = self._live.node(entry)
            self._links.pool.want(entry, node.node_id, self._hand_loop)
            self._seek()

    def _loop_layers(self, phase: int) -> Layers:
        """Layers for loops: without the mixes before us that no link leads to, as if dead.

        Where those are half of a layer or more, all are taken: who cuts us off shall be seen.
        """
        layers = self._live.layers_at(phase)
        linked = self._links.pool.links().keys()
        ahead = layers.layer_of(self._index) - 1
        parts = list(layers.layers)
        for place in range(max(ahead, 0)):
            alive = tuple(
                mix for mix in parts[place] if self._live.node(mix.index).node_id in linked
            )
            if 2 * sum(mix.weight for mix in alive) > sum(mix.weight for mix in parts[place]):
                parts[place] = alive
        return Layers(tuple(parts))

    def _seek(self) -> None:
        """Dial a mix before us that no link leads to, so that it counts among the living again."""
        layers = self._live.layers_at(self._phase())
        ahead = layers.layer_of(self._index) - 1
        linked = self._links.pool.links().keys()
        nodes = [self._live.node(mix.index) for part in layers.layers[:ahead] for mix in part]
        lost = [node for node in nodes if node.node_id not in linked]
        if lost:
            node = lost[uniform_below(len(lost), self._random)]
            self._links.pool.want(node.index, node.node_id, _found)

    def _hand_loop(self, link: Link | None, cause: str) -> None:
        del cause
        if link is None or link.is_closed or link.peer.node_id is None:
            self.shed[Shed.NO_LOOP_ROUTE] += 1
            return
        try:
            first_index, packet = self.relay.loop(self._phase(), self._now())
        except (StageError, LocalProtocolError):
            self.shed[Shed.NO_LOOP_ROUTE] += 1
            return
        self.loops += 1
        self._links.write(link, [packet], first_index)

    def _draw_entry(self) -> int:
        consensus = self._live.consensus
        nodes = consensus.nodes if consensus is not None else ()
        entries = [node for node in nodes if node.role is Role.ENTRY and node.weight]
        if not entries:
            return 0
        return entries[weighted_place([node.weight for node in entries], self._random)].index

    def _note_late(self, now: float, late: float) -> None:
        at, worst = self._latest
        if late >= worst or now - at > LATE_WINDOW_S:
            self._latest = now, late

    def _arm(self, due_at: float) -> None:
        """Wake at that time, a little later if it is at once."""
        if self._is_closed:
            return
        if self._timer is not None:
            if self._timer_at <= due_at and self._timer_at > self._now():
                return
            self._timer.cancel()
        wait_s = max(due_at - self._now(), LEAST_WAIT_S)
        self._timer_at = self._now() + wait_s
        self._timer = self._loop.call_later(wait_s, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._work()
