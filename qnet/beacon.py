"""Public randomness of each slot: a hash chain that was committed before the first slot.

``keccak256(h_n) = h_(n-1)`` and ``h_(-1)`` is the anchor stored by the contract `Epochs`. The
value of slot n becomes public when the slot starts; nobody can know or change it before.

Source: docs/spec/receipts.md, section Beacon.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

from qnet.crypto.kdf import Label, derive_key
from qnet.crypto.keys import constant_time_equal, keccak256
from qnet.errors import CryptoError, LocalProtocolError
from qnet.sampling import RandomBytes, shuffle, uniform_below

BEACON_BYTES: Final = 32
ANCHOR_SLOT: Final = -1
"""Slot number of the anchor."""
MAX_VERIFY_STEPS: Final = 1 << 20
"""Longest distance that is hashed to verify a value."""
_BLOCK_BYTES: Final = 64

T = TypeVar("T")


class HashChain:
    """The secret side of the beacon.

    Args:
        seed: 32 secret random bytes; the value of the last slot is derived from it.
        length: slots the chain lasts for.

    Raises:
        LocalProtocolError: the seed is not 32 bytes or the length not positive.
    """

    __slots__ = ("_checkpoints", "_stride", "anchor", "length")

    def __init__(self, seed: bytes, length: int) -> None:
        if len(seed) != BEACON_BYTES or length <= 0:
            raise LocalProtocolError("a beacon needs a seed of 32 bytes and at least one slot")
        self.length: Final = length
        self._stride = max(int(length**0.5), 1)
        self._checkpoints: dict[int, bytes] = {}
        value = keccak256(seed)
        for slot in range(length - 1, ANCHOR_SLOT, -1):
            if slot % self._stride == 0 or slot == length - 1:
                self._checkpoints[slot] = value
            value = keccak256(value)
        self.anchor: Final = value

    def value(self, slot_number: int) -> bytes:
        """Return the value of a slot, 32 bytes; secret until the slot starts.

        Args:
            slot_number: global slot number; -1 gives the anchor.

        Raises:
            LocalProtocolError: outside the chain.
        """
        if slot_number == ANCHOR_SLOT:
            return self.anchor
        if not 0 <= slot_number < self.length:
            raise LocalProtocolError(f"the beacon has no slot {slot_number}")
        nearest = min(-(-slot_number // self._stride) * self._stride, self.length - 1)
        return _hash_times(self._checkpoints[nearest], nearest - slot_number)


def verify_value(slot_number: int, value: bytes, *, known_slot: int, known_value: bytes) -> None:
    """Check a value against an earlier one that is known to be right.

    Args:
        slot_number: global slot number of `value`.
        value: 32 bytes.
        known_slot: an earlier (or the same) slot, -1 for the anchor.
        known_value: its value, from the contract.

    Raises:
        CryptoError: it does not lead there, or the distance is too long.
    """
    steps = slot_number - known_slot
    if len(value) != BEACON_BYTES or not 0 <= steps <= MAX_VERIFY_STEPS:
        raise CryptoError
    if not constant_time_equal(_hash_times(value, steps), known_value):
        raise CryptoError


def earlier_value(value: bytes, steps: int) -> bytes:
    """Return the value `steps` slots before the one given."""
    return _hash_times(value, steps)


class BeaconStream:
    """Bytes that everybody who knows the beacon can repeat; usable as a `RandomBytes`.

    Args:
        beacon: value of a slot, 32 bytes.
        label: what is drawn, e.g. ``b"audit"`` and the members and nodes it is about.
    """

    __slots__ = ("_block", "_buffer", "_seed")

    def __init__(self, beacon: bytes, label: bytes) -> None:
        self._seed = beacon + label
        self._block = 0
        self._buffer = b""

    def __call__(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        while len(self._buffer) < size:
            material = self._block.to_bytes(8, "big") + self._seed
            self._buffer += derive_key(Label.BEACON_DRAW, material, _BLOCK_BYTES)
            self._block += 1
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken


def draw(beacon: bytes, label: bytes, n: int) -> int:
    """Return an integer in [0, n), each equally likely, the same for everybody.

    Raises:
        ValueError: `n` is not positive.
    """
    return uniform_below(n, BeaconStream(beacon, label))


def draw_order(beacon: bytes, label: bytes, items: Sequence[T]) -> list[T]:
    """Return the items in an order drawn by the beacon; its head is an unbiased sample."""
    ordered = list(items)
    stream: RandomBytes = BeaconStream(beacon, label)
    shuffle(ordered, stream)
    return ordered


def _hash_times(value: bytes, times: int) -> bytes:
    for _ in range(times):
        value = keccak256(value)
    return value
