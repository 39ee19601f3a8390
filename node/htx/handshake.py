"""The inner handshake: framing, payloads and the root key.

Each message is `length u16 ‖ Noise message`. A payload is `content_length u16 ‖ content ‖ random`.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from node.errors import HandshakeRefusedError
from node.htx.events import CLIENT, NODE_ID_BYTES, CloseReason, PeerIdentity, Role
from node.htx.keys import LocalIdentity
from node.htx.noise import QNET_SUITE, Handshake, Suite
from node.htx.record import RecordCipher
from node.htx.ticket import Random
from qnet.codec import Reader, Writer
from qnet.crypto import kem
from qnet.crypto.kdf import Label, blake3, derive_key
from qnet.crypto.keys import DhKey
from qnet.errors import CryptoError, DecodeError

PROTOCOL_NAME: Final = QNET_SUITE.name
MIN_VERSION: Final = 1
MAX_VERSION: Final = 1
AES_RECORDS: Final = 1
"""Feature bit: records under AES-256-GCM, for machines that do it faster than ChaCha20-Poly1305."""
FEATURES: Final = AES_RECORDS
"""Feature bits this implementation has; an end sets those its machine is good at."""
MAX_PAD_BYTES: Final = 255
MAX_FRAME_BYTES: Final = 2048
_KEM_OVERHEAD: Final = 32 + kem.CIPHERTEXT_BYTES
MIN_REPLY_BYTES: Final = _KEM_OVERHEAD + 2 * 16

LinkKeysOf = Callable[[bytes], Collection[bytes]]
"""Node id → link keys that node has now or still honours; empty for an unknown node."""


@dataclass(frozen=True, slots=True)
class Secured:
    """What a finished handshake gives.

    Attributes:
        root: root key of generation 0, 32 bytes.
        peer: who is at the other end.
        version: protocol version.
        features: feature bits both have.
    """

    root: bytes = field(repr=False)
    peer: PeerIdentity
    version: int
    features: int


def record_cipher(features: int) -> RecordCipher:
    """What records are sealed with when both ends have these feature bits."""
    aes = features & AES_RECORDS
    return RecordCipher.AES_256_GCM if aes else RecordCipher.CHACHA20_POLY1305


@dataclass(frozen=True, slots=True)
class Offer:
    """First payload: what the initiator speaks."""

    low: int = MIN_VERSION
    high: int = MAX_VERSION
    features: int = 0

    def encode(self) -> bytes:
        """Return 6 bytes."""
        return Writer().u8(self.low).u8(self.high).u32(self.features).bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read 6 bytes or raise DecodeError."""
        reader = Reader(data)
        offer = cls(reader.u8(), reader.u8(), reader.u32())
        reader.finish()
        if offer.low > offer.high:
            raise DecodeError("empty version range")
        return offer


@dataclass(frozen=True, slots=True)
class Choice:
    """Second payload: what both will speak."""

    version: int
    features: int

    def encode(self) -> bytes:
        """Return 5 bytes."""
        return Writer().u8(self.version).u32(self.features).bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read 5 bytes or raise DecodeError."""
        reader = Reader(data)
        choice = cls(reader.u8(), reader.u32())
        reader.finish()
        return choice


def encode_identity(identity: LocalIdentity | None) -> bytes:
    """Third payload: role ‖ node_id, 33 bytes; zeros for a client."""
    if identity is None:
        return bytes([Role.CLIENT]) + bytes(NODE_ID_BYTES)
    return bytes([identity.role]) + identity.node_id


def decode_identity(data: bytes) -> PeerIdentity:
    """Read the third payload.

    Raises:
        DecodeError: wrong size, unknown role, or a client with a node id.
    """
    reader = Reader(data)
    role, node_id = reader.u8(), reader.take(NODE_ID_BYTES)
    reader.finish()
    if role == Role.CLIENT and node_id == bytes(NODE_ID_BYTES):
        return CLIENT
    if not Role.ENTRY <= role <= Role.EXIT:
        raise DecodeError("unknown role")
    return PeerIdentity(role, node_id)


def pad(content: bytes, random: Random) -> bytes:
    """Frame a payload and append 0 to 255 random bytes."""
    return len(content).to_bytes(2, "big") + content + random(random(1)[0])


def unpad(payload: bytes) -> bytes:
    """Return the content of a padded payload, or raise DecodeError."""
    reader = Reader(payload)
    return reader.take(reader.u16())


def frame(message: bytes) -> bytes:
    """Put the length before a handshake message."""
    return len(message).to_bytes(2, "big") + message


def prologue(ticket: bytes, spki_hash: bytes) -> bytes:
    """What both ends must have seen: protocol, ticket (105 bytes) and certificate key."""
    return PROTOCOL_NAME + blake3(ticket) + spki_hash


def root_key(handshake: Handshake) -> bytes:
    """Root of the link's keys: bound to every secret and to the whole transcript."""
    return derive_key(Label.HTX_ROOT, handshake.chaining_key + handshake.transcript)


class InitiatorHandshake:
    """The dialling side.

    Args:
        address_link_key: the responder's static key, 32 bytes.
        binding: the prologue.
        identity: who dials, None for a client (a fresh static key is made up).
        random: source of random bytes.
        features: feature bits to offer.
        suite: protocol spoken.
    """

    def __init__(
        self,
        address_link_key: bytes,
        binding: bytes,
        identity: LocalIdentity | None,
        random: Random,
        *,
        features: int = 0,
        suite: Suite = QNET_SUITE,
    ) -> None:
        self._identity = identity
        self._offer = Offer(features=features)
        self._random = random
        self._noise = Handshake(
            suite,
            initiator=True,
            prologue=binding,
            static=identity.link_key if identity else DhKey(random(32)),
            ephemeral=DhKey(random(32)),
            remote_static=address_link_key,
            ephemeral_kem=kem.KemKey(random(kem.SEED_BYTES)),
        )

    def start(self) -> bytes:
        """Return the first message, framed."""
        return frame(self._noise.write_message(pad(self._offer.encode(), self._random)))

    def finish(self, message: bytes, peer: PeerIdentity) -> tuple[bytes, Secured]:
        """Take the responder's message; return the third one, framed, and the keys.

        Args:
            message: second message, without its length.
            peer: who was dialled; proven by its link key.

        Raises:
            CryptoError: the responder is not the one dialled.
            HandshakeRefusedError: it chose a version we do not speak or what was not offered.
        """
        choice = Choice.decode(unpad(self._noise.read_message(message)))
        known = MIN_VERSION <= choice.version <= MAX_VERSION
        if not known or choice.features & ~self._offer.features:
            raise HandshakeRefusedError(CloseReason.VERSION)
        payload = pad(encode_identity(self._identity), self._random)
        last = frame(self._noise.write_message(payload))
        return last, Secured(root_key(self._noise), peer, choice.version, choice.features)


@dataclass(slots=True)
class ResponderHandshake:
    """The accepting side.

    Attributes:
        link_keys: own static keys, tried in order.
        binding: the prologue.
        link_keys_of: link keys of nodes, for the third payload.
        random: source of random bytes.
        features: feature bits to agree to.
        suite: protocol spoken.
    """

    link_keys: Sequence[DhKey]
    binding: bytes
    link_keys_of: LinkKeysOf
    random: Random
    features: int = 0
    suite: Suite = QNET_SUITE
    _noise: Handshake | None = field(default=None, init=False)
    _choice: Choice | None = field(default=None, init=False)

    def respond(self, message: bytes) -> bytes:
        """Take the first message; return the second one, framed.

        Raises:
            CryptoError: it was made for none of our link keys.
            HandshakeRefusedError: no common version.
        """
        offer = Offer.decode(unpad(self._open(message)))
        version = min(MAX_VERSION, offer.high)
        if version < max(MIN_VERSION, offer.low):
            raise HandshakeRefusedError(CloseReason.VERSION)
        self._choice = Choice(version, self.features & offer.features)
        assert self._noise is not None
        return frame(self._noise.write_message(pad(self._choice.encode(), self.random)))

    def _open(self, message: bytes) -> bytes:
        for key in self.link_keys:
            noise = Handshake(
                self.suite,
                initiator=False,
                prologue=self.binding,
                static=key,
                ephemeral=DhKey(self.random(32)),
            )
            try:
                payload = noise.read_message(message)
            except CryptoError:
                continue
            self._noise = noise
            return payload
        raise CryptoError

    def finish(self, message: bytes) -> Secured:
        """Take the third message; return the keys.

        Raises:
            CryptoError: it does not open.
            HandshakeRefusedError: the peer claims a node id with another link key.
        """
        noise, choice = self._noise, self._choice
        assert noise is not None
        assert choice is not None
        peer = decode_identity(unpad(noise.read_message(message)))
        if peer.node_id is not None and noise.remote_static not in self.link_keys_of(peer.node_id):
            raise HandshakeRefusedError(CloseReason.UNKNOWN_NODE)
        return Secured(root_key(noise), peer, choice.version, choice.features)
