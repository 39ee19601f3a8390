"""A node's signed self-description.

Wire: ``version u8 = 1 | length u32 | payload | signature 64``; the payload is deterministic CBOR,
signed by the online key, which the identity key certifies.

Source: docs/spec/directory.md, section Descriptor.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from qnet import cbor
from qnet.codec import Reader, Writer
from qnet.crypto.kdf import node_id_of
from qnet.crypto.keys import (
    ADDRESS_BYTES,
    ED25519_SIGNATURE_BYTES,
    PUBLIC_BYTES,
    SigningKey,
    keccak256,
    verify_ed25519,
)
from qnet.errors import DecodeError
from qnet.messages.fields import U16_MAX, U24_MAX, U32_MAX, U64_MAX, Fields

DESCRIPTOR_VERSION: Final = 1
MAX_DESCRIPTOR_BYTES: Final = 16_384
"""Whole wire form; larger ones are refused before decoding."""
MAX_PHASES: Final = 64
MAX_TICKETS: Final = 4
MAX_CIPHERS: Final = 8
MAX_HOST_CHARS: Final = 255
MAX_FAMILY_CHARS: Final = 64
MAX_SOFTWARE_CHARS: Final = 32
MAX_POLICY_CHARS: Final = 4_096
PHASE_MODULUS: Final = 1 << 24
MIN_CLIENTS: Final = -128
MAX_CLIENTS: Final = 1_000_000
MAX_PRICE: Final = 255
CIPHER_CHACHA20_POLY1305: Final = 1

_SIGNATURE_CONTEXT: Final = b"qnet descriptor 1\0"
_ONLINE_CONTEXT: Final = b"qnet online key 1\0"


class Role(IntEnum):
    """What a node does; equals the registry's enumeration."""

    ENTRY = 1
    RELAY = 2
    MIX = 3
    EXIT = 4


@dataclass(frozen=True, slots=True)
class TicketKey:
    """An X25519 key for access tickets.

    Args:
        key_id: 8 bytes, named in the ticket.
        public: 32 bytes.
        until: unix time after which the node no longer honours it.
    """

    key_id: bytes
    public: bytes
    until: int


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The fields of a descriptor.

    Args:
        chain_id: EVM chain id of the registry.
        registry: NodeRegistry address, 20 bytes.
        owner: operator's address, 20 bytes.
        index: dense registry index, from 1.
        identity: Ed25519 identity key, 32 bytes.
        online: Ed25519 online key, 32 bytes.
        online_until: unix time at which the online key's certificate ends.
        online_signature: identity key over the certificate, 64 bytes.
        role: what the node does.
        host: IPv4, IPv6 or DNS name to dial.
        port: TCP port.
        sni: server name sent in TLS.
        spki_hash: BLAKE3 of the certificate's DER SPKI, 32 bytes.
        link_key: X25519 static of the link handshake, 32 bytes.
        tickets: keys for access tickets, the daily one first.
        first_phase: key phase of the first of `phase_keys` (24 bits, wraps).
        phase_keys: X25519 onion keys of consecutive key phases, 32 bytes each.
        ciphers: layer ciphers offered, ascending.
        receipt_address: address that signs receipts, 20 bytes.
        family: operator family, or "".
        software: version of the node software.
        policy: exit policy text, "" for nodes that are no exits.
        published: unix time of signing.
        bandwidth_kbps: rate the operator offers, kilobit per second.
        clients: noisy number of client links of an entry, 0 for others; noise may be negative.
        price: units that a MiB of premium traffic costs; 0 if the node takes no payment.
    """

    chain_id: int
    registry: bytes
    owner: bytes
    index: int
    identity: bytes
    online: bytes
    online_until: int
    online_signature: bytes
    role: Role
    host: str
    port: int
    sni: str
    spki_hash: bytes
    link_key: bytes
    tickets: tuple[TicketKey, ...]
    first_phase: int
    phase_keys: tuple[bytes, ...]
    ciphers: tuple[int, ...]
    receipt_address: bytes
    family: str
    software: str
    policy: str
    published: int
    bandwidth_kbps: int
    clients: int
    price: int = 0

    @property
    def node_id(self) -> bytes:
        """BLAKE3 of the identity key, 32 bytes."""
        return node_id_of(self.identity)

    def phase_key(self, phase: int) -> bytes | None:
        """Onion key of a key phase, or None if the descriptor does not list it."""
        offset = (phase - self.first_phase) % PHASE_MODULUS
        return self.phase_keys[offset] if offset < len(self.phase_keys) else None

    def payload(self) -> bytes:
        """The deterministic CBOR that is signed."""
        return cbor.dumps(
            {
                "v": DESCRIPTOR_VERSION,
                "chain": self.chain_id,
                "registry": self.registry,
                "owner": self.owner,
                "index": self.index,
                "identity": self.identity,
                "online": self.online,
                "online_until": self.online_until,
                "online_sig": self.online_signature,
                "role": int(self.role),
                "host": self.host,
                "port": self.port,
                "sni": self.sni,
                "spki": self.spki_hash,
                "link": self.link_key,
                "tickets": [
                    {"id": key.key_id, "pub": key.public, "until": key.until}
                    for key in self.tickets
                ],
                "phase0": self.first_phase,
                "phases": list(self.phase_keys),
                "ciphers": list(self.ciphers),
                "receipt": self.receipt_address,
                "family": self.family,
                "version": self.software,
                "policy": self.policy,
                "published": self.published,
                "bandwidth": self.bandwidth_kbps,
                "clients": self.clients,
                "price": self.price,
            }
        )

    def sign(self, online: SigningKey) -> "SignedDescriptor":
        """Sign with the online key the descriptor names."""
        payload = self.payload()
        return SignedDescriptor(self, payload, online.sign(_SIGNATURE_CONTEXT + payload))


@dataclass(frozen=True, slots=True)
class SignedDescriptor:
    """A descriptor with the bytes that were signed.

    Args:
        descriptor: the fields.
        payload: their deterministic CBOR.
        signature: Ed25519 by the online key, 64 bytes.
    """

    descriptor: Descriptor
    payload: bytes
    signature: bytes

    @property
    def digest(self) -> bytes:
        """Keccak-256 of the payload, 32 bytes: names this version of the descriptor."""
        return keccak256(self.payload)

    def encode(self) -> bytes:
        """Wire form."""
        return (
            Writer()
            .u8(DESCRIPTOR_VERSION)
            .u32(len(self.payload))
            .take(self.payload)
            .take(self.signature)
            .bytes()
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read and verify a descriptor: both signatures and every bound.

        Raises:
            DecodeError: malformed or out of bounds.
            CryptoError: the certificate or the signature does not hold.
        """
        if len(data) > MAX_DESCRIPTOR_BYTES:
            raise DecodeError(f"descriptor of {len(data)} bytes exceeds {MAX_DESCRIPTOR_BYTES}")
        reader = Reader(data)
        if reader.u8() != DESCRIPTOR_VERSION:
            raise DecodeError("descriptor: unknown version")
        payload = reader.take(reader.u32())
        signature = reader.take(ED25519_SIGNATURE_BYTES)
        reader.finish()
        descriptor = _parse(cbor.loads(payload, max_bytes=MAX_DESCRIPTOR_BYTES, max_depth=3))
        certificate = online_certificate(
            descriptor.chain_id, descriptor.registry, descriptor.online, descriptor.online_until
        )
        verify_ed25519(descriptor.identity, descriptor.online_signature, certificate)
        verify_ed25519(descriptor.online, signature, _SIGNATURE_CONTEXT + payload)
        return cls(descriptor, payload, signature)


def decode_descriptor(data: bytes) -> SignedDescriptor:
    """Read and verify a signed descriptor (see :meth:`SignedDescriptor.decode`)."""
    return SignedDescriptor.decode(data)


def online_certificate(chain_id: int, registry: bytes, online: bytes, until: int) -> bytes:
    """Bytes that the identity key signs to certify an online key."""
    return (
        Writer().take(_ONLINE_CONTEXT).u64(chain_id).take(registry).take(online).u64(until).bytes()
    )


def certify_online(
    identity: SigningKey, *, chain_id: int, registry: bytes, online: bytes, until: int
) -> bytes:
    """Certify an online key: 64-byte signature of the identity key."""
    return identity.sign(online_certificate(chain_id, registry, online, until))


_TICKET_KEYS: Final = frozenset({"id", "pub", "until"})
_KEYS: Final = frozenset(
    {"v", "chain", "registry", "owner", "index", "identity", "online", "online_until"}
    | {"online_sig", "role", "host", "port", "sni", "spki", "link", "tickets", "phase0"}
    | {"phases", "ciphers", "receipt", "family", "version", "policy", "published", "bandwidth"}
    | {"clients", "price"}
)


def _parse_ticket(value: object) -> TicketKey:
    fields = Fields(value, _TICKET_KEYS, "descriptor ticket key")
    return TicketKey(
        key_id=fields.octets("id", 8),
        public=fields.octets("pub", PUBLIC_BYTES),
        until=fields.uint("until", U64_MAX),
    )


def _parse_phase_key(value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) != PUBLIC_BYTES:
        raise DecodeError("descriptor: a phase key is not 32 bytes")
    return value


def _parse(value: object) -> Descriptor:
    fields = Fields(value, _KEYS, "descriptor")
    fields.uint("v", DESCRIPTOR_VERSION, minimum=DESCRIPTOR_VERSION)
    return Descriptor(
        chain_id=fields.uint("chain", U64_MAX, minimum=1),
        registry=fields.octets("registry", ADDRESS_BYTES),
        owner=fields.octets("owner", ADDRESS_BYTES),
        index=fields.uint("index", U32_MAX, minimum=1),
        identity=fields.octets("identity", PUBLIC_BYTES),
        online=fields.octets("online", PUBLIC_BYTES),
        online_until=fields.uint("online_until", U64_MAX),
        online_signature=fields.octets("online_sig", ED25519_SIGNATURE_BYTES),
        role=Role(fields.uint("role", max(Role), minimum=min(Role))),
        host=fields.text("host", MAX_HOST_CHARS, minimum=1),
        port=fields.uint("port", U16_MAX, minimum=1),
        sni=fields.text("sni", MAX_HOST_CHARS, minimum=1),
        spki_hash=fields.octets("spki", 32),
        link_key=fields.octets("link", PUBLIC_BYTES),
        tickets=tuple(map(_parse_ticket, fields.items("tickets", MAX_TICKETS, minimum=1))),
        first_phase=fields.uint("phase0", U24_MAX),
        phase_keys=tuple(map(_parse_phase_key, fields.items("phases", MAX_PHASES, minimum=1))),
        ciphers=fields.uints("ciphers", MAX_CIPHERS, 0xFF),
        receipt_address=fields.octets("receipt", ADDRESS_BYTES),
        family=fields.text("family", MAX_FAMILY_CHARS),
        software=fields.text("version", MAX_SOFTWARE_CHARS),
        policy=fields.text("policy", MAX_POLICY_CHARS, lines=True),
        published=fields.uint("published", U64_MAX),
        bandwidth_kbps=fields.uint("bandwidth", U32_MAX),
        clients=fields.uint("clients", MAX_CLIENTS, minimum=MIN_CLIENTS),
        price=fields.uint("price", MAX_PRICE),
    )
