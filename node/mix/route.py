"""Building packets: headers from the inside out, payloads under three layers.

Source: docs/spec/mixnet.md, section Packet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from node.mix.packet import (
    ID_BYTES,
    LAYERS,
    PAYLOAD_BYTES,
    SHARE_BYTES,
    HopKeys,
    Routing,
    binding,
    hop_keys,
    prefix,
)
from node.mix.wide_block import wrap_block
from qnet.crypto.keys import DhKey
from qnet.errors import LocalProtocolError
from qnet.sampling import RandomBytes

_NONCE: Final = bytes(12)


@dataclass(frozen=True, slots=True)
class MixHop:
    """A mix of a route, as the sender knows it.

    Args:
        index: registry index.
        node_id: 32 bytes.
        phase_key: its onion key of the packet's phase, 32 bytes.
        delay_ms: how long it shall hold the packet.
    """

    index: int
    node_id: bytes
    phase_key: bytes
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Route:
    """Where a packet goes.

    Args:
        phase: key phase whose onion keys are used, u24.
        hops: one mix of each layer, in order.
        mailbox_node: registry index of the node that the last mix hands it to.
        delivery_id: for whom there, 16 bytes.
    """

    phase: int
    hops: Sequence[MixHop]
    mailbox_node: int
    delivery_id: bytes

    @property
    def delay_ms(self) -> int:
        """What all mixes together hold it for."""
        return sum(hop.delay_ms for hop in self.hops)


@dataclass(frozen=True, slots=True)
class BuiltHeader:
    """A header, and what its builder shares with each mix.

    Args:
        prefix: version and phase, 4 bytes.
        header: 240 bytes.
        keys: of the mixes, first one first.
    """

    prefix: bytes
    header: bytes
    keys: Sequence[HopKeys]

    @property
    def payload_keys(self) -> tuple[bytes, ...]:
        """96 bytes for each mix."""
        return tuple(keys.payload for keys in self.keys)


def build_header(route: Route, random: RandomBytes) -> BuiltHeader:
    """Build a header.

    Raises:
        LocalProtocolError: not one mix for each layer, a mix twice, or a wrong id.
        CryptoError: an onion key has low order.
    """
    hops = route.hops
    if len(hops) != LAYERS or len({hop.index for hop in hops}) != LAYERS:
        raise LocalProtocolError(f"a route has {LAYERS} different mixes")
    if len(route.delivery_id) != ID_BYTES:
        raise LocalProtocolError(f"a delivery id has {ID_BYTES} bytes")
    keys: list[HopKeys] = []
    shares: list[bytes] = []
    for layer, hop in enumerate(hops, 1):
        ephemeral = DhKey(random(SHARE_BYTES))
        bound = binding(hop.node_id, route.phase, layer)
        keys.append(hop_keys(ephemeral.exchange(hop.phase_key), ephemeral.public, bound))
        shares.append(ephemeral.public)
    following = [hop.index for hop in hops[1:]] + [route.mailbox_node]
    header = b""
    for position in range(LAYERS - 1, -1, -1):
        delivery_id = route.delivery_id if position == LAYERS - 1 else b""
        routing = Routing(following[position], hops[position].delay_ms, delivery_id)
        plain = routing.encode() + header
        sealed = ChaCha20Poly1305(keys[position].header).encrypt(_NONCE, plain, None)
        text, tag = sealed[: len(plain)], sealed[len(plain) :]
        header = shares[position] + tag + text
    return BuiltHeader(prefix(route.phase), header, tuple(keys))


def build_packet(route: Route, payload: bytes, random: RandomBytes) -> bytes:
    """Build a packet of 2,308 bytes for the first mix of `route`.

    Args:
        route: where it goes.
        payload: 2,064 bytes that look random to all but their receiver.
        random: source of random bytes.

    Raises:
        LocalProtocolError: a wrong size or route.
        CryptoError: an onion key has low order.
    """
    if len(payload) != PAYLOAD_BYTES:
        raise LocalProtocolError(f"a payload has {PAYLOAD_BYTES} bytes")
    built = build_header(route, random)
    return built.prefix + built.header + wrap_payload(built.payload_keys, payload)


def wrap_payload(payload_keys: Sequence[bytes], payload: bytes) -> bytes:
    """Put a payload under the layers that the mixes take off, first mix outermost.

    It also undoes what the mixes of a reply did: they took off layers that nobody had put on.
    """
    for keys in reversed(payload_keys):
        payload = wrap_block(keys, payload)
    return payload
