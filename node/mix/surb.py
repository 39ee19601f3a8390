"""Single-use reply blocks: answer somebody without knowing whom.

Source: docs/spec/mixnet.md, section Reply blocks.
"""

from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from node.circuit.keys.phase import PHASE_MODULUS
from node.mix.envelope import REPLY_KEY_BYTES, open_reply, seal_reply
from node.mix.packet import HEADER_BYTES, VERSION, Delivery, prefix
from node.mix.route import Route, build_header, wrap_payload
from qnet.codec import Reader, Writer
from qnet.errors import CryptoError, DecodeError
from qnet.sampling import RandomBytes

SURB_BYTES: Final = 1 + 3 + 4 + HEADER_BYTES + REPLY_KEY_BYTES
MAX_WAITING: Final = 4096

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Surb:
    """What a replier gets.

    Args:
        phase: key phase, u24.
        first_index: registry index of the first mix.
        header: 240 bytes.
        reply_key: 32 bytes.
    """

    phase: int
    first_index: int
    header: bytes
    reply_key: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Return 280 bytes."""
        writer = Writer().u8(VERSION).u24(self.phase).u32(self.first_index)
        return writer.take(self.header).take(self.reply_key).bytes()

    def is_usable(self, phase: int) -> bool:
        """Whether mixes accept it when `phase` is the current one."""
        return (self.phase - phase + 1) % PHASE_MODULUS <= 2

    def use(self, frame: bytes) -> bytes:
        """Return the packet (2,308 bytes) that carries a frame to its maker; only once.

        Args:
            frame: 2,016 bytes.
        """
        return prefix(self.phase) + self.header + seal_reply(frame, self.reply_key)


def decode_surb(data: bytes) -> Surb:
    """Read a reply block.

    Raises:
        DecodeError: another size or version, or no first mix.
    """
    reader = Reader(data)
    version, phase, first_index = reader.u8(), reader.u24(), reader.u32()
    surb = Surb(phase, first_index, reader.take(HEADER_BYTES), reader.take(REPLY_KEY_BYTES))
    reader.finish()
    if version != VERSION or not first_index:
        raise DecodeError("malformed reply block")
    return surb


@dataclass(frozen=True, slots=True)
class ReplySecret:
    """What the maker of a reply block keeps.

    Args:
        phase: key phase, u24.
        payload_keys: of the three mixes.
        reply_key: 32 bytes.
    """

    phase: int
    payload_keys: tuple[bytes, ...] = field(repr=False)
    reply_key: bytes = field(repr=False)


def make_surb(route: Route, random: RandomBytes) -> tuple[Surb, ReplySecret]:
    """Make a reply block along a route to one's own mailbox node.

    Raises:
        LocalProtocolError: a wrong route.
        CryptoError: an onion key has low order.
    """
    built, reply_key = build_header(route, random), random(REPLY_KEY_BYTES)
    surb = Surb(route.phase, route.hops[0].index, built.header, reply_key)
    return surb, ReplySecret(route.phase, built.payload_keys, reply_key)


@dataclass(frozen=True, slots=True)
class Returned(Generic[T]):
    """A reply that came.

    Args:
        purpose: what the maker noted.
        frame: 2,016 bytes; None if somebody changed it on the way.
    """

    purpose: T
    frame: bytes | None = field(repr=False)


class ReplyBook(Generic[T]):
    """Reply blocks that a client made, by delivery id.

    Args:
        capacity: how many it remembers.

    Attributes:
        refused: blocks not remembered because there were too many; they must not be given away.
        unknown: deliveries for no block that waits.
    """

    __slots__ = ("_capacity", "_waiting", "refused", "unknown")

    def __init__(self, capacity: int = MAX_WAITING) -> None:
        self._capacity = capacity
        self._waiting: dict[bytes, tuple[ReplySecret, T]] = {}
        self.refused = 0
        self.unknown = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, delivery_id: bytes) -> bool:
        return delivery_id in self._waiting

    def forget_oldest(self) -> None:
        """Make room: of blocks that are used soon or never, the oldest one is most likely lost."""
        del self._waiting[next(iter(self._waiting))]

    def remember(self, delivery_id: bytes, secret: ReplySecret, purpose: T) -> bool:
        """Wait for a reply under an id (16 bytes); false if too many are awaited."""
        if len(self._waiting) >= self._capacity:
            self.refused += 1
            return False
        self._waiting[delivery_id] = (secret, purpose)
        return True

    def take(self, delivery: Delivery) -> Returned[T] | None:
        """Read a reply and forget its block; None if it belongs to none that waits."""
        held = self._waiting.pop(delivery.delivery_id, None)
        if held is None:
            self.unknown += 1
            return None
        secret, purpose = held
        payload = wrap_payload(secret.payload_keys, delivery.payload)
        try:
            return Returned(purpose, open_reply(payload, secret.reply_key))
        except CryptoError:
            return Returned(purpose, None)

    def advance(self, phase: int) -> list[T]:
        """Forget the blocks of dead phases; returns what they were for.

        Args:
            phase: the current key phase, u24. Blocks of the previous one still work.
        """
        dead = [
            delivery_id
            for delivery_id, (secret, _) in self._waiting.items()
            if 2 <= (phase - secret.phase) % PHASE_MODULUS < PHASE_MODULUS // 2
        ]
        return [self._waiting.pop(delivery_id)[1] for delivery_id in dead]
