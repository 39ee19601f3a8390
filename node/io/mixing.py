"""A node's part in the mixnet: entry, mix and mailbox, over its links.

Entries pass packets of their clients to first mixes; mixes open, hold and forward; whoever is named
as mailbox node hands over or keeps. Nothing here waits.

Source: docs/spec/mixnet.md, section Mixes in a node.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from node.circuit.budget import Bucket
from node.circuit.keys.phase import PHASE_MODULUS, PhaseKeyring
from node.htx.events import CloseReason
from node.io.endpoint import Link
from node.io.mix_role import MixRole
from node.io.packet_links import PacketLinks
from node.io.pool import LinkPool
from node.mix.address import MailAddress
from node.mix.live_paths import LivePaths
from node.mix.mailbox_wire import REQUEST, decode_request
from node.mix.mailboxes import Mailboxes
from node.mix.packet import DELIVERY, VERSION, Delivery, decode_delivery, units_of
from node.mix.replay import ReplayFilter
from node.mix.unwrap import Unwrapper
from qnet.errors import DecodeError
from qnet.messages.descriptor import Role
from qnet.sampling import RandomBytes

CLIENT_PER_S: Final = 512
"""Packets a second that a link may hand to first mixes."""
CLIENT_BURST: Final = 1024
MAX_AT_ONCE: Final = 128
"""Deliveries that waited, handed over in one turn; more follow when the link's queue is empty."""


class Refused(StrEnum):
    """Why a node did not take a unit; the metric label."""

    MALFORMED = "malformed_unit"
    NOT_A_MIX = "not_a_mix"
    NOT_FIRST_LAYER = "not_first_layer"
    WRONG_PHASE = "entry_wrong_phase"
    TOO_FAST = "client_too_fast"


class Meter(Protocol):
    """Counts packets between nodes."""

    def sent(self, node_id: bytes, cells: Sequence[bytes]) -> None:
        """Packets left for a neighbour."""

    def received(self, node_id: bytes, cells: Sequence[bytes]) -> None:
        """Packets came from a neighbour."""


@dataclass(frozen=True, slots=True)
class MixIdentity:
    """Which node this is.

    Args:
        index: Registry index.
        node_id: 32 bytes.
        role: Of the registry.
    """

    index: int
    node_id: bytes
    role: Role


@dataclass(slots=True)
class MixStats:
    """What passed; read by metrics and status."""

    received: int = 0
    entered: int = 0
    handed_over: int = 0


class Mixing:
    """Handles PACKETS records of a node.

    Args:
        identity: Which node this is.
        keyring: Its onion keys; their owner advances them.
        live: Layers and routes.
        pool: Links to nodes.
        meter: Counts packets between nodes.
        admits: Takes room for so many cells under the operator's limit; false if there is none.
        random: Source of random bytes.
        now: Clock in seconds.

    Attributes:
        stats: What passed.
        refused: Units dropped before any mix looked at them, by cause.
        links: What leaves, and what could not.
        boxes: Mailboxes of clients.
        mix: What only mixes do; None in other roles.
    """

    def __init__(
        self,
        identity: MixIdentity,
        *,
        keyring: PhaseKeyring,
        live: LivePaths,
        pool: LinkPool,
        meter: Meter,
        admits: Callable[[float], bool],
        random: RandomBytes,
        now: Callable[[], float],
    ) -> None:
        self.identity = identity
        self.stats = MixStats()
        self.refused: Counter[Refused] = Counter()
        self.live = live
        self.boxes = Mailboxes(identity.index, keyring.exchange, random, keyring.current)
        self._keyring = keyring
        self._meter = meter
        self._random = random
        self._now = now
        self.links = PacketLinks(pool, meter, lambda index: live.node(index).node_id, admits)
        self._clients: dict[int, Link] = {}
        self._handing: dict[int, Link] = {}
        self._budgets: dict[int, Bucket] = {}
        self._own_ids: dict[int, bytes] = {}
        self._take_own: Callable[[Delivery], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._awake = False
        self.mix = self._make_mix() if identity.role is Role.MIX else None

    # for the owner

    def serve_own(self, handler: Callable[[Delivery], None]) -> None:
        """Give deliveries to the address of this node's own onion keys to `handler`."""
        self._take_own = handler

    def hand_in(self, first_index: int, packet: bytes) -> None:
        """Send a packet of this node's own to a first mix; the caller has checked that it is one.

        Args:
            first_index: Registry index.
            packet: 2,308 bytes.
        """
        self._put(first_index, packet)

    def tick(self) -> None:
        """Follow the key phase, hand over what waits; call about once a second."""
        self.boxes.advance(self._keyring.current, self._now())
        self._own_ids = {
            phase: known for phase, known in self._own_ids.items() if self._is_accepted(phase)
        }
        for link in [each for each in self._handing.values() if each.queued_bytes == 0]:
            self._hand_over(link)
        if self.mix is not None:
            self.mix.wake()

    def close(self) -> None:
        """The node stops."""
        if self.mix is not None:
            self.mix.close()

    # links

    def received(self, link: Link, content: bytes) -> None:
        """A PACKETS record came; a malformed one closes the link."""
        try:
            units = list(units_of(content))
        except DecodeError:
            self.refused[Refused.MALFORMED] += 1
            link.close(CloseReason.PROTOCOL)
            return
        self.stats.received += len(units)
        node_id = link.peer.node_id
        if node_id is not None:
            self._meter.received(node_id, [packet for _, packet in units])
        for next_index, packet in units:
            if next_index:
                self._enter(link, next_index, packet)
            elif packet[0] == VERSION and node_id is not None:
                self._mix(link, packet)
            elif packet[0] == DELIVERY and node_id is not None:
                self._deliver(packet)
            elif packet[0] == REQUEST and node_id is None:
                self._serve(link, packet)
            else:
                self.refused[Refused.MALFORMED] += 1

    def link_closed(self, link: Link) -> None:
        """A link is gone."""
        self._budgets.pop(link.link_id, None)
        self._handing.pop(link.link_id, None)
        if self._clients.pop(link.link_id, None) is not None:
            self.boxes.closed(link.link_id, self._now())

    # entry

    def _enter(self, link: Link, first_index: int, packet: bytes) -> None:
        """Pass a packet of a client, or a loop of a mix, to the first mix that it names."""
        budget = self._budgets.get(link.link_id)
        if budget is None:
            budget = Bucket(CLIENT_PER_S, CLIENT_BURST, CLIENT_BURST, self._now())
            self._budgets[link.link_id] = budget
        phase = int.from_bytes(packet[1:4], "big")
        if not budget.take(self._now()):
            self.refused[Refused.TOO_FAST] += 1
        elif packet[0] != VERSION:
            self.refused[Refused.MALFORMED] += 1
        elif not self._is_accepted(phase):
            self.refused[Refused.WRONG_PHASE] += 1
        elif not self.live.paths.begins_at(first_index, phase):
            self.refused[Refused.NOT_FIRST_LAYER] += 1
        else:
            self.stats.entered += 1
            self._put(first_index, packet)

    def _is_accepted(self, phase: int) -> bool:
        return (phase - self._keyring.current + 1) % PHASE_MODULUS <= 2

    # mailbox

    def _serve(self, link: Link, packet: bytes) -> None:
        try:
            request = decode_request(packet)
        except DecodeError:
            self.refused[Refused.MALFORMED] += 1
            return
        self._clients[link.link_id] = link
        grant = self.boxes.request(link.link_id, request, self._now())
        if grant is not None:
            self.links.write(link, [grant.encode()])
            self._hand_over(link)

    def _hand_over(self, link: Link) -> None:
        """Give a client what waited for it, as much at once as its link takes without a queue."""
        waiting = self.boxes.take(link.link_id, MAX_AT_ONCE)
        if waiting and self.links.write(link, waiting):
            self.stats.handed_over += len(waiting)
        if len(waiting) == MAX_AT_ONCE:
            self._handing[link.link_id] = link
        else:
            self._handing.pop(link.link_id, None)

    def _deliver(self, packet: bytes) -> None:
        delivery = decode_delivery(packet)
        if self._take_own is not None and delivery.delivery_id == self._own_id(delivery.phase):
            self.stats.handed_over += 1
            self._take_own(delivery)
            return
        link_id = self.boxes.deliver(delivery, packet)
        link = self._clients.get(link_id) if link_id is not None else None
        if link is not None and self.links.write(link, [packet]):
            self.stats.handed_over += 1

    def _own_id(self, phase: int) -> bytes:
        """Delivery id of the address that is this node's onion key of a phase."""
        known = self._own_ids.get(phase)
        if known is None and self._is_accepted(phase):
            address = MailAddress(self.identity.index, self._keyring.public(phase))
            known = self._own_ids[phase] = address.delivery_id(phase)
        return known or b""

    # mix

    def _mix(self, link: Link, packet: bytes) -> None:
        if self.mix is None:
            self.refused[Refused.NOT_A_MIX] += 1
        else:
            self.mix.receive(packet, link.link_id)

    def _make_mix(self) -> MixRole:
        index = self.identity.index
        unwrapper = Unwrapper(
            self.identity.node_id,
            self._keyring,
            lambda phase: self.live.layers_of(index, phase),
            ReplayFilter(),
            self._random,
        )
        return MixRole(
            index,
            unwrapper,
            live=self.live,
            links=self.links,
            phase=lambda: self._keyring.current,
            to_self=self._deliver,
            random=self._random,
            now=self._now,
        )

    def _put(self, index: int, packet: bytes) -> None:
        self.links.put(index, packet)
        if not self._awake:
            self._awake = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._awake = False
        self.links.flush()
