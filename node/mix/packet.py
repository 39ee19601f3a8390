"""Packets: one size everywhere, and what one mix reads in them.

`version u8 ‖ phase u24 ‖ header 240 ‖ payload 2,064`. The header of a mix holds that of
the next one inside its AEAD, and stands in front of as many random bytes as have been taken.

Source: docs/spec/mixnet.md, sections Packet and Phases and replays.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from node.circuit.keys.phase import PHASE_MODULUS
from qnet.codec import Reader, Writer
from qnet.crypto.aead import TAG_BYTES
from qnet.crypto.kdf import Label, derive_key
from qnet.errors import DecodeError, LocalProtocolError
from qnet.sampling import RandomBytes

VERSION: Final = 1
DELIVERY: Final = 2
LAYERS: Final = 3
SHARE_BYTES: Final = 32
ID_BYTES: Final = 16
ROUTING_BYTES: Final = 32
LAYER_BYTES: Final = SHARE_BYTES + TAG_BYTES + ROUTING_BYTES
HEADER_BYTES: Final = LAYERS * LAYER_BYTES
PAYLOAD_BYTES: Final = 2064
PREFIX_BYTES: Final = 4
"""Version and phase."""
PAYLOAD_START: Final = PREFIX_BYTES + HEADER_BYTES
PACKET_BYTES: Final = PAYLOAD_START + PAYLOAD_BYTES
UNIT_BYTES: Final = 4 + PACKET_BYTES
UNITS_PER_RECORD: Final = 7
KEYS_BYTES: Final = 144
REPLAY_TAG_BYTES: Final = 16

_FORWARD: Final = 0
_DELIVER: Final = 1
_ROUTING: Final = Struct(">BIH16s9s")
_RESERVED: Final = bytes(9)
_NO_ID: Final = bytes(ID_BYTES)


# Tuples, because a mix makes one for every packet and a frozen dataclass costs three times as much.
class HopKeys(NamedTuple):
    """What sender and one mix share about one packet; single-use.

    Args:
        header: key of the header's AEAD, 32 bytes.
        replay_tag: 16 bytes.
        payload: k1, k2, k3 of the wide block, 96 bytes.
    """

    header: bytes
    replay_tag: bytes
    payload: bytes

    def __repr__(self) -> str:
        return "HopKeys()"


def binding(node_id: bytes, phase: int, layer: int) -> bytes:
    """What keys are bound to besides secret and share: node id, phase, layer (36 bytes)."""
    return node_id + phase.to_bytes(3, "big") + layer.to_bytes(1, "big")


def hop_keys(shared: bytes, share: bytes, bound: bytes) -> HopKeys:
    """Derive the keys of one hop.

    Args:
        shared: X25519(x, onion key), 32 bytes.
        share: X as sent, 32 bytes.
        bound: from `binding`.
    """
    output = derive_key(Label.MIX_PACKET, shared + share + bound, KEYS_BYTES)
    return HopKeys(output[:32], output[32:48], output[48:])


class Routing(NamedTuple):
    """What one mix learns.

    Args:
        next_index: registry index of the next mix, or of the mailbox node after layer 3.
        delay_ms: how long to hold the packet.
        delivery_id: 16 bytes after layer 3, empty before.
    """

    next_index: int
    delay_ms: int
    delivery_id: bytes = b""

    def encode(self) -> bytes:
        """Return 32 bytes: `flags ‖ next u32 ‖ delay_ms u16 ‖ id 16 ‖ 0 x 9`.

        Raises:
            LocalProtocolError: the id is neither empty nor 16 bytes, or there is no next node.
        """
        if len(self.delivery_id) not in {0, ID_BYTES} or not self.next_index:
            raise LocalProtocolError("a route names a next node, and an id of 16 bytes at its end")
        flags = _DELIVER if self.delivery_id else _FORWARD
        delivery_id = self.delivery_id or _NO_ID
        return _ROUTING.pack(flags, self.next_index, self.delay_ms, delivery_id, _RESERVED)


def decode_routing(data: bytes, layer: int) -> Routing:
    """Read the routing of a mix.

    Args:
        data: what the header's tag covers; routing is the first 32 bytes.
        layer: of the mix, 1 to 3.

    Raises:
        DecodeError: not what a mix of this layer may be told.
    """
    flags, next_index, delay_ms, delivery_id, reserved = _ROUTING.unpack_from(data)
    if next_index and reserved == _RESERVED:
        if layer == LAYERS and flags == _DELIVER:
            return Routing(next_index, delay_ms, delivery_id)
        if layer < LAYERS and flags == _FORWARD and delivery_id == _NO_ID:
            return Routing(next_index, delay_ms)
    raise DecodeError("malformed routing")


def prefix(phase: int) -> bytes:
    """Version and phase (4 bytes) in front of a packet."""
    return bytes([VERSION]) + (phase % PHASE_MODULUS).to_bytes(3, "big")


class Delivery(NamedTuple):
    """What a mailbox node and its client get of a packet.

    Args:
        phase: key phase of the packet, u24.
        delivery_id: whom or what it is for, 16 bytes.
        payload: 2,064 bytes.
    """

    phase: int
    delivery_id: bytes
    payload: bytes

    def encode(self, random: RandomBytes) -> bytes:
        """Return it in the size of a packet."""
        padding = random(HEADER_BYTES - ID_BYTES)
        writer = Writer().u8(DELIVERY).u24(self.phase).take(self.delivery_id).take(padding)
        return writer.take(self.payload).bytes()


def decode_delivery(data: bytes) -> Delivery:
    """Read a delivery.

    Raises:
        DecodeError: another size or first byte.
    """
    if len(data) != PACKET_BYTES or data[0] != DELIVERY:
        raise DecodeError("malformed delivery")
    reader = Reader(data)
    reader.u8()
    phase, delivery_id = reader.u24(), reader.take(ID_BYTES)
    return Delivery(phase, delivery_id, data[PAYLOAD_START:])


def encode_unit(next_index: int, packet: bytes) -> bytes:
    """Return `next u32 ‖ packet`; `next` is 0 except from a client to its guard."""
    return next_index.to_bytes(4, "big") + packet


def units_of(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Read the content of a PACKETS record: next node and packet of each unit.

    Raises:
        DecodeError: not 1 to 7 whole units.
    """
    count, rest = divmod(len(content), UNIT_BYTES)
    if rest or not 1 <= count <= UNITS_PER_RECORD:
        raise DecodeError("malformed PACKETS record")
    for start in range(0, len(content), UNIT_BYTES):
        unit = content[start : start + UNIT_BYTES]
        yield int.from_bytes(unit[:4], "big"), unit[4:]
