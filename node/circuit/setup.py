"""Setup of a circuit in one round trip, at constant size whatever a hop's position.

CREATE carries one onion for all hops; each hop opens its part with its key of the phase, learns
only the next hop, and passes on a body of the same length. CREATED comes back through the same
hops; each puts its fresh X25519 share in front, so no traffic key depends on a published key
alone.

Source: docs/spec/circuits.md, section "Setup"; Danezis, Goldberg: Sphinx (2009).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from node.circuit.cell import BODY_BYTES, TAG_BYTES
from node.circuit.keys.phase import PhaseKeyring
from node.circuit.layer import CHACHA20_POLY1305, CIPHERS, MAX_HOPS, KeyStream, LayerKeys
from qnet.codec import Reader, Writer
from qnet.crypto.kdf import Label, blake3, derive_key, keyed
from qnet.crypto.keys import DhKey, constant_time_equal
from qnet.errors import CryptoError, DecodeError, LocalProtocolError
from qnet.messages.instruments import OPENING_BYTES, Opening

SHARE_BYTES: Final = 32
NODE_ID_BYTES: Final = 32
ROUTING_BYTES: Final = 160
OPEN_BYTES: Final = OPENING_BYTES
SEALED_BYTES: Final = BODY_BYTES - SHARE_BYTES - TAG_BYTES
"""C of a CREATE body: 1,992 bytes."""
REST_BYTES: Final = SEALED_BYTES - ROUTING_BYTES
SETUP_PAD_BYTES: Final = BODY_BYTES - REST_BYTES
"""What each hop appends to the CREATE body: 208 bytes, as much as it took."""
CONFIRMED_BYTES: Final = 96
"""Head of the body behind a hop that its CREATED tag covers."""
ANSWER_BYTES: Final = SHARE_BYTES + TAG_BYTES

_NONCE_ZERO: Final = bytes(12)
_RESERVED_BYTES: Final = ROUTING_BYTES - 1 - 1 - 4 - NODE_ID_BYTES - OPEN_BYTES
_LAST: Final = 1
_NO_OPENING: Final = bytes(OPEN_BYTES)


@dataclass(frozen=True, slots=True)
class Routing:
    """What one hop learns from CREATE.

    Args:
        cipher: code of the forward cipher.
        next_index: registry index of the next hop, 0 at the last.
        next_node_id: its id (32 bytes), zeros at the last.
        opening: token that pays the hop, None for a free circuit.
    """

    cipher: int
    next_index: int = 0
    next_node_id: bytes = bytes(NODE_ID_BYTES)
    opening: Opening | None = None

    @property
    def is_last(self) -> bool:
        """Whether the circuit ends here."""
        return self.next_index == 0

    def encode(self) -> bytes:
        """Return 160 bytes: `flags ‖ cipher ‖ next u32 ‖ node id 32 ‖ 18 zeros ‖ OPEN 104`."""
        writer = Writer().u8(_LAST if self.is_last else 0).u8(self.cipher)
        writer.u32(self.next_index).take(self.next_node_id)
        shown = _NO_OPENING if self.opening is None else self.opening.encode()
        return writer.take(bytes(_RESERVED_BYTES)).take(shown).bytes()


def decode_routing(data: bytes) -> Routing:
    """Return the routing of a hop.

    Raises:
        DecodeError: unknown flags or cipher, reserved bytes, or a last hop with a successor.
    """
    reader = Reader(data)
    flags, cipher = reader.u8(), reader.u8()
    next_index, next_node_id = reader.u32(), reader.take(NODE_ID_BYTES)
    if any(reader.take(_RESERVED_BYTES)) or flags > _LAST or cipher not in CIPHERS:
        raise DecodeError("malformed routing")
    shown = reader.take(OPEN_BYTES)
    reader.finish()
    opening = None if shown == _NO_OPENING else Opening.decode(shown)
    routing = Routing(cipher, next_index, next_node_id, opening)
    if routing.is_last != bool(flags) or (routing.is_last and any(routing.next_node_id)):
        raise DecodeError("malformed routing")
    return routing


@dataclass(frozen=True, slots=True)
class SetupKeys:
    """Keys of one hop's part of CREATE: 32 bytes each, from s = X25519(x, phase key)."""

    seal: bytes = field(repr=False)
    pad: bytes = field(repr=False)
    replay: bytes


def derive_setup_keys(shared: bytes, share: bytes, node_id: bytes, phase: int) -> SetupKeys:
    """Derive the keys that open a CREATE body.

    Args:
        shared: s, 32 bytes.
        share: X, 32 bytes.
        node_id: id of the hop, 32 bytes.
        phase: key phase, u24.
    """
    material = shared + share + node_id + phase.to_bytes(3, "big")
    output = derive_key(Label.CIRCUIT_SETUP, material, 96)
    return SetupKeys(output[:32], output[32:64], output[64:])


@dataclass(frozen=True, slots=True)
class TrafficKeys:
    """Everything that one hop and the client share after setup."""

    confirm: bytes = field(repr=False)
    created: bytes = field(repr=False)
    layer: LayerKeys
    root: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the traffic keys of one hop are bound to, besides the fresh exchange."""

    shared: bytes = field(repr=False)
    share: bytes
    phase_key: bytes
    node_id: bytes
    phase: int
    body_hash: bytes

    def traffic_keys(self, fresh: bytes, answer: bytes) -> TrafficKeys:
        """Derive the traffic keys.

        Args:
            fresh: X25519(x, y), 32 bytes.
            answer: Y, 32 bytes.
        """
        phase = self.phase.to_bytes(3, "big")
        exchanged = self.shared + fresh + self.share + self.phase_key + answer
        material = exchanged + self.node_id + phase + self.body_hash
        output = derive_key(Label.CIRCUIT_KEYS, material, 8 * 32)
        confirm, created, forward, pad, backward, mac, stream, root = (
            output[start : start + 32] for start in range(0, 8 * 32, 32)
        )
        return TrafficKeys(confirm, created, LayerKeys(forward, pad, backward, mac, stream), root)


# --- hop -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenedCreate:
    """A CREATE body that verified at this hop."""

    routing: Routing
    next_body: bytes = field(repr=False)
    transcript: Transcript

    def answer(self, fresh: DhKey) -> TrafficKeys:
        """Derive the traffic keys with the hop's fresh ephemeral.

        Raises:
            CryptoError: the client's share has low order.
        """
        return self.transcript.traffic_keys(fresh.exchange(self.transcript.share), fresh.public)


def open_create(body: bytes, phase: int, node_id: bytes, keyring: PhaseKeyring) -> OpenedCreate:
    """Open a CREATE body and remember it, so that it opens once.

    Raises:
        CryptoError: wrong key, changed bytes, dead phase, low-order share or replay: all alike.
        DecodeError: the routing is malformed.
    """
    share = body[:SHARE_BYTES]
    shared = keyring.exchange(phase, share)
    keys = derive_setup_keys(shared, share, node_id, phase)
    sealed = body[ANSWER_BYTES:] + body[SHARE_BYTES:ANSWER_BYTES]
    try:
        plain = ChaCha20Poly1305(keys.seal).decrypt(_NONCE_ZERO, sealed, None)
    except InvalidTag:
        raise CryptoError from None
    keyring.admit(phase, keys.replay)
    routing = decode_routing(plain[:ROUTING_BYTES])
    pad = keyed(keys.pad, b"", SETUP_PAD_BYTES)
    phase_key = keyring.public(phase)
    transcript = Transcript(shared, share, phase_key, node_id, phase, blake3(body))
    return OpenedCreate(routing, plain[ROUTING_BYTES:] + pad, transcript)


def last_body(keys: TrafficKeys) -> bytes:
    """What stands behind the last hop: 2,040 bytes that only it and the client can tell from noise.

    Because the client can compute them, it can check every byte of CREATED. A hop that cannot
    extend the circuit answers in the same way, so that the client learns where it ended.
    """
    return keyed(keys.confirm, b"", BODY_BYTES)


def created_body(keys: TrafficKeys, answer: bytes, behind: bytes) -> bytes:
    """Return the CREATED body of a hop.

    Args:
        keys: the hop's traffic keys.
        answer: Y, 32 bytes.
        behind: the body it got from its next hop, or `last_body`.
    """
    tag = keyed(keys.confirm, behind[:CONFIRMED_BYTES], TAG_BYTES)
    return answer + tag + _mask(keys, behind[:SEALED_BYTES])


def _mask(keys: TrafficKeys, data: bytes) -> bytes:
    return Cipher(ChaCha20(keys.created, bytes(16)), mode=None).encryptor().update(data)


# --- client ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HopInfo:
    """A hop as the client knows it.

    Args:
        index: registry index.
        node_id: 32 bytes.
        phase_key: its onion key of the phase, 32 bytes.
        cipher: forward cipher, one of those in its descriptor.
        opening: token that pays it from the start, None for none.
    """

    index: int
    node_id: bytes
    phase_key: bytes
    cipher: int = CHACHA20_POLY1305
    opening: Opening | None = None


@dataclass(frozen=True, slots=True)
class PendingHop:
    """What the client keeps of a hop between CREATE and CREATED."""

    ephemeral: DhKey
    transcript: Transcript


def build_create(
    hops: Sequence[HopInfo], phase: int, random: Callable[[int], bytes]
) -> tuple[bytes, list[PendingHop]]:
    """Return the CREATE body and what is needed to read the answer.

    Raises:
        LocalProtocolError: no hop, more than 5, or a hop twice.
        CryptoError: a hop's key has low order.
    """
    if not 1 <= len(hops) <= MAX_HOPS or len({hop.node_id for hop in hops}) != len(hops):
        raise LocalProtocolError(f"a circuit has 1 to {MAX_HOPS} different hops")
    ephemerals = [DhKey(random(SHARE_BYTES)) for _ in hops]
    shared = [key.exchange(hop.phase_key) for key, hop in zip(ephemerals, hops, strict=True)]
    keys = [
        derive_setup_keys(secret, key.public, hop.node_id, phase)
        for secret, key, hop in zip(shared, ephemerals, hops, strict=True)
    ]
    bodies = _onion(hops, keys, [key.public for key in ephemerals], random)
    pending = [
        PendingHop(key, Transcript(secret, key.public, hop.phase_key, hop.node_id, phase, digest))
        for key, secret, hop, digest in zip(
            ephemerals, shared, hops, map(blake3, bodies), strict=True
        )
    ]
    return bodies[0], pending


def _onion(
    hops: Sequence[HopInfo],
    keys: Sequence[SetupKeys],
    shares: Sequence[bytes],
    random: Callable[[int], bytes],
) -> list[bytes]:
    """Return the body that each hop receives, entry first."""
    tail = b""
    for hop_keys in keys[:-1]:
        tail = _unmask(hop_keys, tail) + keyed(hop_keys.pad, b"", SETUP_PAD_BYTES)
    filling = random(REST_BYTES - len(tail)) + _unmask(keys[-1], tail)
    plain = Routing(hops[-1].cipher, opening=hops[-1].opening).encode() + filling
    bodies = [_seal(keys[-1], shares[-1], plain)]
    for position in range(len(hops) - 2, -1, -1):
        behind = hops[position + 1]
        hop = hops[position]
        routing = Routing(hop.cipher, behind.index, behind.node_id, hop.opening)
        plain = routing.encode() + bodies[0][:REST_BYTES]
        bodies.insert(0, _seal(keys[position], shares[position], plain))
    return bodies


def _unmask(keys: SetupKeys, tail: bytes) -> bytes:
    """Return the plaintext whose ciphertext, at the end of C, is `tail`."""
    return KeyStream(CHACHA20_POLY1305, keys.seal).apply(0, SEALED_BYTES - len(tail), tail)


def _seal(keys: SetupKeys, share: bytes, plain: bytes) -> bytes:
    sealed = ChaCha20Poly1305(keys.seal).encrypt(_NONCE_ZERO, plain, None)
    return share + sealed[SEALED_BYTES:] + sealed[:SEALED_BYTES]


def open_created(body: bytes, pending: Sequence[PendingHop]) -> list[TrafficKeys]:
    """Read the answer of all hops and check every byte of it.

    Returns:
        Keys of the hops that answered, entry first. Fewer than `pending` mean that the circuit
        ended there: the last one could not reach its successor, and will say why.

    Raises:
        CryptoError: a tag or any other byte is wrong.
    """
    keys: list[TrafficKeys] = []
    rest = body
    for hop in pending:
        answer, tag = rest[:SHARE_BYTES], rest[SHARE_BYTES:ANSWER_BYTES]
        hop_keys = hop.transcript.traffic_keys(hop.ephemeral.exchange(answer), answer)
        rest = _mask(hop_keys, rest[ANSWER_BYTES:])
        if not constant_time_equal(tag, keyed(hop_keys.confirm, rest[:CONFIRMED_BYTES], TAG_BYTES)):
            break
        keys.append(hop_keys)
        if constant_time_equal(rest, last_body(hop_keys)[: len(rest)]):
            return keys
    raise CryptoError
