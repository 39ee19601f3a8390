"""What a node keeps for its clients: who claims which address, and deliveries that wait for them.

Everything here is in memory and bounded. It goes with the node, as its onion keys do: senders
repeat what is not acknowledged.

Source: docs/spec/mixnet.md, section Mailboxes.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from node.circuit.budget import Bucket
from node.circuit.keys.phase import PHASE_MODULUS
from node.mix.address import MailAddress
from node.mix.mailbox import KEY_BYTES, DeliveryIds
from node.mix.mailbox_wire import Claim, MailboxGrant, MailboxRequest
from node.mix.packet import Delivery
from qnet.errors import CryptoError
from qnet.sampling import RandomBytes

MAX_ADDRESSES: Final = 65_536
MAX_STORED: Final = 65_536
MAX_STORED_EACH: Final = 256
MAX_CLAIMS_EACH: Final = 64
FORGET_S: Final = 7 * 86_400
REQUESTS_PER_S: Final = 2
REQUEST_BURST: Final = 16


class Loss(StrEnum):
    """Why a delivery, request or claim came to nothing; the metric label."""

    UNKNOWN = "unknown_id"
    DEAD_PHASE = "dead_phase"
    STORE_FULL = "store_full"
    ADDRESS_FULL = "address_full"
    TOO_MANY_REQUESTS = "too_many_requests"
    BAD_CLAIM = "bad_claim"
    TOO_MANY_CLAIMS = "too_many_claims"
    FORGOTTEN = "forgotten"


@dataclass(slots=True, eq=False)
class _Box:
    """One mailbox: of an address, or of a link that claimed none.

    Args:
        slot: in delivery ids, u32.
        key: of the address, 32 bytes; empty if it has none.
        link: where deliveries go; None while it is claimed by no link.
        seen_at: when it was claimed, or lost its link, in seconds.
        stored: deliveries that wait, with their phases.
    """

    slot: int
    key: bytes
    link: int | None
    seen_at: float
    stored: deque[tuple[int, bytes]] = field(default_factory=deque)


@dataclass(slots=True)
class _Client:
    """A link of a client that asked for something.

    Args:
        budget: of requests.
        own: the box of the link itself.
        home: its ids are made for this box.
        claimed: boxes that it claimed, by address key; others may have claimed them since.
    """

    budget: Bucket
    own: _Box
    home: _Box
    claimed: dict[bytes, _Box] = field(default_factory=dict)


class Mailboxes:
    """Mailboxes of one node.

    Args:
        node_index: registry index of this node.
        exchange: X25519 of its onion key of a phase with a public key; CryptoError if not held.
        random: source of random bytes.
        phase: current key phase, u24.

    Attributes:
        lost: what came to nothing, by cause.
        stored: deliveries that wait.
    """

    __slots__ = (
        "_addresses",
        "_by_id",
        "_clients",
        "_exchange",
        "_idle",
        "_ids",
        "_node_index",
        "_phase",
        "_random",
        "_slots",
        "_slots_used",
        "lost",
        "stored",
    )

    def __init__(
        self,
        node_index: int,
        exchange: Callable[[int, bytes], bytes],
        random: RandomBytes,
        phase: int,
    ) -> None:
        self._node_index = node_index
        self._exchange = exchange
        self._random = random
        self._phase = phase
        self._ids = DeliveryIds(random(KEY_BYTES))
        self._addresses: dict[bytes, _Box] = {}
        self._idle: dict[bytes, _Box] = {}
        self._clients: dict[int, _Client] = {}
        self._slots: dict[int, _Box] = {}
        self._slots_used = 0
        self._by_id: dict[int, dict[bytes, _Box]] = {each: {} for each in _live(phase)}
        self.lost: Counter[Loss] = Counter()
        self.stored = 0

    @property
    def addresses(self) -> int:
        """Addresses that are remembered."""
        return len(self._addresses)

    # --- clients ------------------------------------------------------------------------------

    def request(self, link: int, request: MailboxRequest, now: float) -> MailboxGrant | None:
        """Serve a client; None if it asks too often.

        Its ids belong to the first address that it claims in the request, so they stay good when
        it claims that from another link; without claims they go with the link. What waited for it
        is there to `take`.

        Args:
            link: names it.
            request: what it asks for.
            now: seconds.
        """
        client = self._clients.get(link)
        if client is None:
            own = self._new_box(b"", link, now)
            budget = Bucket(REQUESTS_PER_S, REQUEST_BURST, REQUEST_BURST, now)
            client = self._clients[link] = _Client(budget, own, own)
        if not client.budget.take(now):
            self.lost[Loss.TOO_MANY_REQUESTS] += 1
            return None
        accepted = 0
        for place, claim in enumerate(request.claims):
            box = self._claimed(link, client, claim, now)
            if box is None:
                continue
            if not accepted:
                client.home = box
            accepted |= 1 << place
        ids = [self._ids.issue(client.home.slot, self._random) for _ in range(request.ids)]
        return MailboxGrant(self._phase, ids, accepted)

    def take(self, link: int, most: int) -> list[bytes]:
        """Return deliveries (2,308 bytes) that wait for addresses of a link, and forget them."""
        client = self._clients.get(link)
        packets: list[bytes] = []
        for box in client.claimed.values() if client is not None else ():
            while box.link == link and box.stored and len(packets) < most:
                packets.append(box.stored.popleft()[1])
        self.stored -= len(packets)
        return packets

    def closed(self, link: int, now: float) -> None:
        """A client's link is gone at `now` (seconds)."""
        client = self._clients.pop(link, None)
        if client is None:
            return
        del self._slots[client.own.slot]
        for box in client.claimed.values():
            if box.link == link:
                box.link, box.seen_at = None, now
                self._idle[box.key] = box

    def _claimed(self, link: int, client: _Client, claim: Claim, now: float) -> _Box | None:
        try:
            shared = self._exchange(claim.phase, claim.key)
        except CryptoError:
            shared = b""
        if not shared or not claim.is_proven(shared, self._node_index):
            self.lost[Loss.BAD_CLAIM] += 1
            return None
        box = self._addresses.get(claim.key)
        is_full = claim.key not in client.claimed and len(client.claimed) >= MAX_CLAIMS_EACH
        if not is_full and box is None:
            box = self._remember(claim.key, link, now)
        if is_full or box is None:
            self.lost[Loss.TOO_MANY_CLAIMS] += 1
            return None
        client.claimed[claim.key] = box
        self._idle.pop(claim.key, None)
        box.link, box.seen_at = link, now
        return box

    def _remember(self, key: bytes, link: int, now: float) -> _Box | None:
        """A box for a new address; forgets the one that was left longest ago if there are many."""
        if len(self._addresses) >= MAX_ADDRESSES:
            if not self._idle:
                return None
            self._forget(next(iter(self._idle.values())))
        box = self._addresses[key] = self._new_box(key, link, now)
        for phase, by_id in self._by_id.items():
            by_id[self._id_of(key, phase)] = box
        return box

    def _new_box(self, key: bytes, link: int, now: float) -> _Box:
        self._slots_used += 1
        box = self._slots[self._slots_used] = _Box(self._slots_used, key, link, now)
        return box

    # --- deliveries ---------------------------------------------------------------------------

    def deliver(self, delivery: Delivery, packet: bytes) -> int | None:
        """Return the link that a delivery goes to; None if it waits or is lost.

        Args:
            delivery: what came.
            packet: the same as it came, 2,308 bytes.
        """
        by_id = self._by_id.get(delivery.phase)
        if by_id is None:
            self.lost[Loss.DEAD_PHASE] += 1
            return None
        box = by_id.get(delivery.delivery_id)
        if box is None:
            slot = self._ids.slot_of(delivery.delivery_id)
            box = self._slots.get(slot) if slot is not None else None
        if box is None:
            self.lost[Loss.UNKNOWN] += 1
            return None
        if box.link is None:
            self._store(box, delivery.phase, packet)
        return box.link

    def _store(self, box: _Box, phase: int, packet: bytes) -> None:
        if len(box.stored) >= MAX_STORED_EACH:
            self.lost[Loss.ADDRESS_FULL] += 1
        elif self.stored >= MAX_STORED:
            self.lost[Loss.STORE_FULL] += 1
        else:
            box.stored.append((phase, packet))
            self.stored += 1

    # --- time ---------------------------------------------------------------------------------

    def advance(self, phase: int, now: float) -> None:
        """Begin a key phase (u24) at `now` (seconds): know its ids, forget what is dead."""
        if phase == self._phase:
            return
        self._phase = phase
        for box in [box for box in self._idle.values() if now - box.seen_at > FORGET_S]:
            self._forget(box)
        known = self._by_id
        self._by_id = {each: known.get(each) or self._ids_in(each) for each in _live(phase)}
        for box in self._addresses.values():
            while box.stored and box.stored[0][0] not in self._by_id:
                box.stored.popleft()
                self.stored -= 1
                self.lost[Loss.DEAD_PHASE] += 1

    def _ids_in(self, phase: int) -> dict[bytes, _Box]:
        return {self._id_of(key, phase): box for key, box in self._addresses.items()}

    def _id_of(self, key: bytes, phase: int) -> bytes:
        return MailAddress(self._node_index, key).delivery_id(phase)

    def _forget(self, box: _Box) -> None:
        self.lost[Loss.FORGOTTEN] += 1
        self.stored -= len(box.stored)
        box.stored.clear()
        del self._addresses[box.key], self._idle[box.key], self._slots[box.slot]
        for phase, by_id in self._by_id.items():
            by_id.pop(self._id_of(box.key, phase), None)


def _live(phase: int) -> tuple[int, ...]:
    """Phases whose packets are accepted: the previous one, this one, the next one."""
    return tuple((phase + step) % PHASE_MODULUS for step in (-1, 0, 1))
