"""What a mix does with packets, many at once: open, judge, change.

Source: docs/spec/mixnet.md, QN-MIX-004 to 008.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from node.circuit.keys.phase import PHASE_MODULUS, PhaseKeyring
from node.mix.packet import (
    LAYER_BYTES,
    LAYERS,
    PACKET_BYTES,
    PAYLOAD_START,
    PREFIX_BYTES,
    ROUTING_BYTES,
    SHARE_BYTES,
    VERSION,
    Delivery,
    HopKeys,
    Routing,
    binding,
    decode_routing,
    hop_keys,
)
from node.mix.replay import Admission, ReplayFilter
from node.mix.wide_block import unwrap_block
from qnet.crypto.aead import TAG_BYTES
from qnet.errors import CryptoError, DecodeError
from qnet.sampling import RandomBytes

_NONCE: Final = bytes(12)
_SHARE_END: Final = PREFIX_BYTES + SHARE_BYTES
_TAG_END: Final = _SHARE_END + TAG_BYTES
_HEADER_ENDS: Final = tuple(
    PREFIX_BYTES + LAYER_BYTES * (LAYERS + 1 - layer) for layer in range(1, LAYERS + 1)
)
"""Where the header of mix 1, 2, 3 ends in a packet: what lies behind means nothing."""


class Cause(StrEnum):
    """Why a packet was dropped; the metric label."""

    MALFORMED = "malformed"
    WRONG_PHASE = "wrong_phase"
    WRONG_LAYER = "wrong_layer"
    BAD_TAG = "bad_tag"
    REPLAYED = "replayed"
    FULL = "full"


class Forward(NamedTuple):
    """A packet to pass on.

    Args:
        next_index: registry index of the next mix.
        delay_ms: how long to hold it.
        packet: 2,308 bytes.
        replay_tag: what this mix saw of it, 16 bytes; a loop of its own is known by it.
    """

    next_index: int
    delay_ms: int
    packet: bytes
    replay_tag: bytes


class Deliver(NamedTuple):
    """A packet that ends here.

    Args:
        next_index: registry index of the mailbox node.
        delay_ms: how long to hold it.
        delivery: what to hand over.
        replay_tag: as in `Forward`.
    """

    next_index: int
    delay_ms: int
    delivery: Delivery
    replay_tag: bytes


class Dropped(NamedTuple):
    """A packet that goes nowhere.

    Args:
        cause: why.
    """

    cause: Cause


Result: TypeAlias = Forward | Deliver | Dropped

_DROPPED: Final = {cause: Dropped(cause) for cause in Cause}
_REFUSED: Final = {
    Admission.REPLAYED: _DROPPED[Cause.REPLAYED],
    Admission.FULL: _DROPPED[Cause.FULL],
}


class _Place(NamedTuple):
    """Where this mix stands in a phase, for packets that begin with `head`."""

    head: bytes
    phase: int
    layer: int
    bound: bytes
    header_end: int
    others: Sequence[int]


_Shared: TypeAlias = tuple[int, _Place, bytes]
"""A packet after the exchange: its position, where we stand, the secret."""
_Opening: TypeAlias = tuple[_Place, bytes, HopKeys]
"""A header whose tag holds: where we stand, its plaintext, and the keys."""
_Opened: TypeAlias = tuple[int, _Place, bytes, Routing, HopKeys]
"""A packet whose header verified, for the first time: position, place, plaintext of the header."""


class Unwrapper:
    """One mix.

    Args:
        node_id: of this node, 32 bytes.
        keyring: its onion keys; its owner advances it, and replay tables follow.
        layers_of: layers (1 to 3) in which this node takes packets of a phase, likeliest first;
            senders may know another consensus than the node.
        replays: what was opened before.
        random: source of random bytes.

    Attributes:
        dropped: packets by cause, since the start.
    """

    __slots__ = ("_keyring", "_layers_of", "_node_id", "_phase", "_random", "_replays", "dropped")

    def __init__(
        self,
        node_id: bytes,
        keyring: PhaseKeyring,
        layers_of: Callable[[int], Sequence[int]],
        replays: ReplayFilter,
        random: RandomBytes,
    ) -> None:
        self._node_id = node_id
        self._keyring = keyring
        self._phase = keyring.current
        self._layers_of = layers_of
        self._replays = replays
        self._random = random
        self.dropped: Counter[Cause] = Counter()

    def unwrap(self, packets: Sequence[bytes]) -> list[Result]:
        """Open packets: all exchanges first, then all headers, then all payloads.

        One kind of work at a time keeps its code in the processor's caches.

        Args:
            packets: as they came, of any size.

        Returns:
            One result for each, in order; drops are counted.
        """
        if self._phase != self._keyring.current:
            self._phase = self._keyring.current
            self._replays.forget_unless(self._holds)
        results: list[Result] = [_DROPPED[Cause.MALFORMED]] * len(packets)
        shared = self._exchange(packets, results)
        opened = self._open_headers(packets, shared, results)
        self._pass_on(packets, opened, results)
        if len(opened) < len(packets):
            self.dropped.update(result.cause for result in results if isinstance(result, Dropped))
        return results

    def _holds(self, phase: int) -> bool:
        try:
            self._keyring.public(phase)
        except CryptoError:
            return False
        return True

    def _exchange(self, packets: Sequence[bytes], results: list[Result]) -> list[_Shared]:
        places: dict[bytes, _Place | Dropped] = {}
        exchange = self._keyring.exchange
        shared = []
        for position, packet in enumerate(packets):
            if len(packet) != PACKET_BYTES:
                continue
            head = packet[:PREFIX_BYTES]
            place = places.get(head)
            if place is None:
                place = places[head] = self._place(head)
            if isinstance(place, Dropped):
                results[position] = place
                continue
            try:
                secret = exchange(place.phase, packet[PREFIX_BYTES:_SHARE_END])
            except CryptoError:
                results[position] = _DROPPED[Cause.BAD_TAG]
                continue
            shared.append((position, place, secret))
        return shared

    def _place(self, head: bytes) -> _Place | Dropped:
        if head[0] != VERSION:
            return _DROPPED[Cause.MALFORMED]
        phase = int.from_bytes(head[1:], "big")
        if (phase - self._keyring.current + 1) % PHASE_MODULUS > 2:
            return _DROPPED[Cause.WRONG_PHASE]
        layers = self._layers_of(phase)
        return self._stand(head, phase, layers) if layers else _DROPPED[Cause.WRONG_LAYER]

    def _stand(self, head: bytes, phase: int, layers: Sequence[int]) -> _Place:
        layer, *others = layers
        bound = binding(self._node_id, phase, layer)
        return _Place(head, phase, layer, bound, _HEADER_ENDS[layer - 1], others)

    def _open_headers(
        self, packets: Sequence[bytes], shared: Sequence[_Shared], results: list[Result]
    ) -> list[_Opened]:
        admit = self._replays.admit
        opened = []
        for position, place, secret in shared:
            packet = packets[position]
            opening = _open(packet, place, secret) or self._open_elsewhere(packet, place, secret)
            if isinstance(opening, Dropped):
                results[position] = opening
                continue
            place, plain, keys = opening  # noqa: PLW2901 - it may stand in another layer
            try:
                routing = decode_routing(plain, place.layer)
            except DecodeError:
                continue
            admission = admit(place.phase, keys.replay_tag)
            if admission:
                results[position] = _REFUSED[admission]
                continue
            opened.append((position, place, plain, routing, keys))
        return opened

    def _pass_on(
        self, packets: Sequence[bytes], opened: Sequence[_Opened], results: list[Result]
    ) -> None:
        layers = [place.layer for _, place, _, _, _ in opened if place.layer < LAYERS]
        padding = memoryview(self._random(LAYER_BYTES * sum(layers)))
        start = 0
        for position, place, plain, routing, keys in opened:
            left, right = unwrap_block(keys.payload, packets[position][PAYLOAD_START:])
            next_index, delay_ms, delivery_id = routing
            tag = keys.replay_tag
            if delivery_id:
                delivery = Delivery(place.phase, delivery_id, left + right)
                results[position] = Deliver(next_index, delay_ms, delivery, tag)
                continue
            end = start + place.layer * LAYER_BYTES
            parts = (place.head, plain[ROUTING_BYTES:], padding[start:end], left, right)
            start, packet = end, b"".join(parts)
            results[position] = Forward(next_index, delay_ms, packet, tag)

    def _open_elsewhere(self, packet: bytes, place: _Place, secret: bytes) -> _Opening | Dropped:
        """Open a header in another layer; only in those where this mix may stand does it count."""
        for other in range(1, LAYERS + 1):
            if other == place.layer:
                continue
            opening = _open(packet, self._stand(place.head, place.phase, (other,)), secret)
            if opening is not None:
                return opening if other in place.others else _DROPPED[Cause.WRONG_LAYER]
        return _DROPPED[Cause.BAD_TAG]


def _open(packet: bytes, place: _Place, secret: bytes) -> _Opening | None:
    """Open a header; None if its tag fails."""
    keys = hop_keys(secret, packet[PREFIX_BYTES:_SHARE_END], place.bound)
    sealed = packet[_TAG_END : place.header_end] + packet[_SHARE_END:_TAG_END]
    try:
        return place, ChaCha20Poly1305(keys.header).decrypt(_NONCE, sealed, None), keys
    except InvalidTag:
        return None
