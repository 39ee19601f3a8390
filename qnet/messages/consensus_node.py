"""One node as a consensus lists it, and its CBOR map.

Source: docs/spec/directory.md, section Consensus.
"""

from dataclasses import dataclass
from typing import Final

from qnet.crypto.kdf import node_id_of
from qnet.crypto.keys import ADDRESS_BYTES, PUBLIC_BYTES
from qnet.errors import DecodeError
from qnet.messages.descriptor import (
    MAX_CIPHERS,
    MAX_FAMILY_CHARS,
    MAX_HOST_CHARS,
    MAX_PHASES,
    MAX_POLICY_CHARS,
    MAX_PRICE,
    PHASE_MODULUS,
    Role,
)
from qnet.messages.fields import U16_MAX, U24_MAX, U32_MAX, Fields

FLAG_PAID: Final = 1
"""The node holds a paid slot of its role."""
FLAG_MEASURED: Final = 2
"""`bandwidth_kbps` was measured by the committee, not only claimed."""
_FLAGS_MAX: Final = FLAG_PAID | FLAG_MEASURED


@dataclass(frozen=True, slots=True)
class ConsensusNode:
    """One node as the committee lists it.

    Args:
        index: registry index.
        node_id: BLAKE3 of `identity`, 32 bytes.
        role: entry, relay, mix or exit.
        host: address to dial.
        port: TCP port.
        sni: server name for TLS.
        spki_hash: BLAKE3 of the certificate's DER SPKI, 32 bytes.
        link_key: X25519 static of the link handshake, 32 bytes.
        ticket_id: id of the daily ticket key, 8 bytes.
        ticket_key: daily ticket key, 32 bytes.
        first_phase: key phase of the first of `phase_keys`.
        phase_keys: onion keys of consecutive key phases, 32 bytes each.
        weight: selection weight, 0 for nodes that are listed but not selected.
        owner: operator's address, 20 bytes.
        family: operator family, or "".
        policy: exit policy text.
        receipt_address: signer of its receipts, 20 bytes.
        identity: Ed25519 identity key, 32 bytes.
        bandwidth_kbps: measured (else claimed) rate.
        ciphers: layer ciphers, ascending.
        flags: FLAG_ bits.
        price: units that a MiB of premium traffic costs; 0 if the node takes no payment.
    """

    index: int
    node_id: bytes
    role: Role
    host: str
    port: int
    sni: str
    spki_hash: bytes
    link_key: bytes
    ticket_id: bytes
    ticket_key: bytes
    first_phase: int
    phase_keys: tuple[bytes, ...]
    weight: int
    owner: bytes
    family: str
    policy: str
    receipt_address: bytes
    identity: bytes
    bandwidth_kbps: int
    ciphers: tuple[int, ...]
    flags: int
    price: int = 0

    def phase_key(self, phase: int) -> bytes | None:
        """Onion key of a key phase, or None if it is not listed."""
        offset = (phase - self.first_phase) % PHASE_MODULUS
        return self.phase_keys[offset] if offset < len(self.phase_keys) else None

    def to_map(self) -> dict[str, object]:
        """The node's CBOR map."""
        return {
            "i": self.index,
            "id": self.node_id,
            "role": int(self.role),
            "host": self.host,
            "port": self.port,
            "sni": self.sni,
            "spki": self.spki_hash,
            "link": self.link_key,
            "tid": self.ticket_id,
            "tpub": self.ticket_key,
            "phase0": self.first_phase,
            "phases": b"".join(self.phase_keys),
            "w": self.weight,
            "owner": self.owner,
            "family": self.family,
            "policy": self.policy,
            "receipt": self.receipt_address,
            "ident": self.identity,
            "bw": self.bandwidth_kbps,
            "ciphers": list(self.ciphers),
            "flags": self.flags,
            "price": self.price,
        }


_NODE_KEYS: Final = frozenset(
    {"i", "id", "role", "host", "port", "sni", "spki", "link", "tid", "tpub", "phase0", "phases"}
    | {"w", "owner", "family", "policy", "receipt", "ident", "bw", "ciphers", "flags"}
    | {"price"}
)


def parse_node(item: object) -> ConsensusNode:
    """Read a node's CBOR map, every field checked.

    Raises:
        DecodeError: malformed or out of bounds.
    """
    fields = Fields(item, _NODE_KEYS, "consensus node")
    identity = fields.octets("ident", PUBLIC_BYTES)
    node_id = fields.octets("id", 32)
    if node_id_of(identity) != node_id:
        raise DecodeError("consensus node: id is not the hash of its identity key")
    phases = fields.blob("phases", multiple=PUBLIC_BYTES, maximum=MAX_PHASES)
    return ConsensusNode(
        index=fields.uint("i", U32_MAX, minimum=1),
        node_id=node_id,
        role=Role(fields.uint("role", max(Role), minimum=min(Role))),
        host=fields.text("host", MAX_HOST_CHARS, minimum=1),
        port=fields.uint("port", U16_MAX, minimum=1),
        sni=fields.text("sni", MAX_HOST_CHARS, minimum=1),
        spki_hash=fields.octets("spki", 32),
        link_key=fields.octets("link", PUBLIC_BYTES),
        ticket_id=fields.octets("tid", 8),
        ticket_key=fields.octets("tpub", PUBLIC_BYTES),
        first_phase=fields.uint("phase0", U24_MAX),
        phase_keys=tuple(
            phases[start : start + PUBLIC_BYTES] for start in range(0, len(phases), PUBLIC_BYTES)
        ),
        weight=fields.uint("w", U32_MAX),
        owner=fields.octets("owner", ADDRESS_BYTES),
        family=fields.text("family", MAX_FAMILY_CHARS),
        policy=fields.text("policy", MAX_POLICY_CHARS, lines=True),
        receipt_address=fields.octets("receipt", ADDRESS_BYTES),
        identity=identity,
        bandwidth_kbps=fields.uint("bw", U32_MAX),
        ciphers=fields.uints("ciphers", MAX_CIPHERS, 0xFF),
        flags=fields.uint("flags", _FLAGS_MAX),
        price=fields.uint("price", MAX_PRICE),
    )
