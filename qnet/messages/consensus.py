"""The committee-signed view of the network.

Wire: ``version u8 = 1 | length u32 | payload | bitmap 32 | signatures 65 each``; the payload is
deterministic CBOR, its Keccak-256 is signed as EIP-712 ``Consensus`` by a quorum.

Source: docs/spec/directory.md, section Consensus.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

from qnet import cbor
from qnet.codec import Reader, Writer
from qnet.crypto.kdf import node_id_of
from qnet.crypto.keys import (
    ADDRESS_BYTES,
    EVM_SIGNATURE_BYTES,
    PUBLIC_BYTES,
    ReceiptKey,
    keccak256,
    recover,
)
from qnet.eip712 import digest, qnet_domain
from qnet.errors import ConfigError, CryptoError, DecodeError
from qnet.messages.descriptor import (
    MAX_CIPHERS,
    MAX_FAMILY_CHARS,
    MAX_HOST_CHARS,
    MAX_PHASES,
    MAX_POLICY_CHARS,
    MAX_SOFTWARE_CHARS,
    PHASE_MODULUS,
    Role,
)
from qnet.messages.fields import U16_MAX, U24_MAX, U32_MAX, U64_MAX, Fields
from qnet.parameters import BOUNDS, NetworkParameters

CONSENSUS_VERSION: Final = 1
MAX_CONSENSUS_BYTES: Final = 32 << 20
"""Whole wire form; larger ones are refused before decoding."""
MAX_NODES: Final = 20_000
MAX_MEMBERS: Final = 64
CONSENSUS_TYPE: Final = "Consensus(uint64 validAfter,bytes32 hash)"

FLAG_PAID: Final = 1
"""The node holds a paid slot of its role."""
FLAG_MEASURED: Final = 2
"""`bandwidth_kbps` was measured by the committee, not only claimed."""
_FLAGS_MAX: Final = FLAG_PAID | FLAG_MEASURED
_BITMAP_BYTES: Final = 32
_WORD_MAX_BYTES: Final = 32


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
        }


@dataclass(frozen=True)
class Consensus:
    """The document that is hashed and signed.

    Args:
        chain_id: EVM chain id.
        committee: Committee contract, 20 bytes.
        valid_after: start of its period, unix seconds, a multiple of `interval_s`.
        interval_s: time to the next consensus.
        epoch: reward epoch at `valid_after`.
        parameters: the network's parameters; their hash stands on chain.
        min_version: least protocol version nodes and clients must speak.
        users: about how many users were active, from the entries' noisy counts.
        nodes: ascending by index.
    """

    chain_id: int
    committee: bytes
    valid_after: int
    interval_s: int
    epoch: int
    parameters: NetworkParameters
    min_version: str
    users: int
    nodes: tuple[ConsensusNode, ...]

    @cached_property
    def by_index(self) -> Mapping[int, ConsensusNode]:
        """Nodes by registry index."""
        return {node.index: node for node in self.nodes}

    @cached_property
    def by_node_id(self) -> Mapping[bytes, ConsensusNode]:
        """Nodes by node id."""
        return {node.node_id: node for node in self.nodes}

    @cached_property
    def payload(self) -> bytes:
        """Deterministic CBOR."""
        return cbor.dumps(
            {
                "v": CONSENSUS_VERSION,
                "chain": self.chain_id,
                "committee": self.committee,
                "valid_after": self.valid_after,
                "interval": self.interval_s,
                "epoch": self.epoch,
                "params": {
                    name: _pack_word(value) for name, value in self.parameters.to_map().items()
                },
                "min_version": self.min_version,
                "users": self.users,
                "nodes": [node.to_map() for node in self.nodes],
            }
        )

    @cached_property
    def hash(self) -> bytes:
        """Keccak-256 of the payload, 32 bytes: what is signed and anchored on chain."""
        return keccak256(self.payload)

    @property
    def digest(self) -> bytes:
        """EIP-712 digest that members sign, 32 bytes."""
        return consensus_digest(self.chain_id, self.committee, self.valid_after, self.hash)


def consensus_digest(chain_id: int, committee: bytes, valid_after: int, hash_: bytes) -> bytes:
    """EIP-712 digest (32 bytes) of a consensus hash, as ``Committee.anchor`` checks it."""
    return digest(qnet_domain(chain_id, committee), CONSENSUS_TYPE, (valid_after, hash_))


@dataclass(frozen=True, slots=True)
class CommitteeTrust:
    """The committee a program trusts.

    Args:
        chain_id: EVM chain id.
        committee: Committee contract, 20 bytes.
        signers: members' signing addresses in member order, 20 bytes each.
        quorum: signatures needed.
    """

    chain_id: int
    committee: bytes
    signers: tuple[bytes, ...]
    quorum: int

    def check_signatures(self, message: bytes, bitmap: int, signatures: bytes) -> None:
        """Check a quorum over a 32-byte digest, exactly as ``Committee.checkQuorum`` does.

        Args:
            message: digest that was signed.
            bitmap: bit i set for member i.
            signatures: 65 bytes for each set bit, in member order.

        Raises:
            CryptoError: too few, unknown members or a signature that does not hold.
        """
        members = [i for i in range(len(self.signers)) if bitmap >> i & 1]
        if bitmap < 0 or bitmap >> len(self.signers) or len(members) < self.quorum:
            raise CryptoError
        if len(signatures) != EVM_SIGNATURE_BYTES * len(members):
            raise CryptoError
        for place, member in enumerate(members):
            start = place * EVM_SIGNATURE_BYTES
            signature = signatures[start : start + EVM_SIGNATURE_BYTES]
            if recover(message, signature) != self.signers[member]:
                raise CryptoError


@dataclass(frozen=True, slots=True)
class SignedConsensus:
    """A consensus with its quorum of signatures.

    Args:
        consensus: the document.
        bitmap: bit i set for member i.
        signatures: 65 bytes for each set bit, in member order.
    """

    consensus: Consensus
    bitmap: int
    signatures: bytes

    @property
    def hash(self) -> bytes:
        """Hash of the document, 32 bytes."""
        return self.consensus.hash

    def encode(self) -> bytes:
        """Wire form."""
        return (
            Writer()
            .u8(CONSENSUS_VERSION)
            .u32(len(self.consensus.payload))
            .take(self.consensus.payload)
            .take(self.bitmap.to_bytes(_BITMAP_BYTES, "big"))
            .take(self.signatures)
            .bytes()
        )

    @classmethod
    def decode(cls, data: bytes, *, trust: CommitteeTrust) -> Self:
        """Read and verify a signed consensus.

        Raises:
            DecodeError: malformed, out of bounds, or of another chain or committee.
            CryptoError: no quorum.
        """
        if len(data) > MAX_CONSENSUS_BYTES:
            raise DecodeError(f"consensus of {len(data)} bytes exceeds {MAX_CONSENSUS_BYTES}")
        reader = Reader(data)
        if reader.u8() != CONSENSUS_VERSION:
            raise DecodeError("consensus: unknown version")
        payload = reader.take(reader.u32())
        bitmap = int.from_bytes(reader.take(_BITMAP_BYTES), "big")
        if reader.remaining > MAX_MEMBERS * EVM_SIGNATURE_BYTES:
            raise DecodeError("consensus: too many signatures")
        signatures = reader.rest()
        consensus = decode_payload(payload)
        if (consensus.chain_id, consensus.committee) != (trust.chain_id, trust.committee):
            raise DecodeError("consensus: of another chain or committee")
        trust.check_signatures(consensus.digest, bitmap, signatures)
        return cls(consensus, bitmap, signatures)


def join_signatures(parts: Mapping[int, bytes]) -> tuple[int, bytes]:
    """Return (bitmap, joined signatures) of member number → 65-byte signature."""
    bitmap = sum(1 << member for member in parts)
    return bitmap, b"".join(parts[member] for member in sorted(parts))


def sign_consensus(consensus: Consensus, key: ReceiptKey) -> bytes:
    """A member's 65-byte signature over a consensus."""
    return key.sign(consensus.digest)


_KEYS: Final = frozenset(
    {"v", "chain", "committee", "valid_after", "interval", "epoch", "params", "min_version"}
    | {"users", "nodes"}
)
_NODE_KEYS: Final = frozenset(
    {"i", "id", "role", "host", "port", "sni", "spki", "link", "tid", "tpub", "phase0", "phases"}
    | {"w", "owner", "family", "policy", "receipt", "ident", "bw", "ciphers", "flags"}
)


def decode_payload(payload: bytes) -> Consensus:
    """Parse an unsigned consensus, every field checked.

    Raises:
        DecodeError: malformed or out of bounds.
    """
    value = cbor.loads(payload, max_bytes=MAX_CONSENSUS_BYTES, max_depth=4)
    fields = Fields(value, _KEYS, "consensus")
    fields.uint("v", CONSENSUS_VERSION, minimum=CONSENSUS_VERSION)
    parameters = _parse_parameters(fields.mapping("params", len(BOUNDS)))
    chain_id = fields.uint("chain", U64_MAX, minimum=1)
    interval_s = fields.uint("interval", U32_MAX, minimum=1)
    valid_after = fields.uint("valid_after", U64_MAX)
    if interval_s != parameters.consensus_interval_s or valid_after % interval_s:
        raise DecodeError("consensus: its period does not follow its parameters")
    try:
        parameters.check_chain(chain_id)
    except ConfigError as error:
        raise DecodeError(f"consensus: {error.message}", why=error.why) from error
    return Consensus(
        chain_id=chain_id,
        committee=fields.octets("committee", ADDRESS_BYTES),
        valid_after=valid_after,
        interval_s=interval_s,
        epoch=fields.uint("epoch", U32_MAX),
        parameters=parameters,
        min_version=fields.text("min_version", MAX_SOFTWARE_CHARS, minimum=1),
        users=fields.uint("users", U64_MAX),
        nodes=_parse_nodes(fields.items("nodes", MAX_NODES)),
    )


def _pack_word(value: int) -> int | bytes:
    """CBOR integers end at 64 bits; larger values are big-endian bytes without leading zeros."""
    return value if value <= U64_MAX else value.to_bytes((value.bit_length() + 7) // 8, "big")


def _unpack_word(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, bytes) and 8 < len(value) <= _WORD_MAX_BYTES and value[0]:
        return int.from_bytes(value, "big")
    raise DecodeError("consensus: a parameter is not an unsigned integer")


def _parse_parameters(values: Mapping[object, object]) -> NetworkParameters:
    return NetworkParameters.from_map(
        {str(name): _unpack_word(value) for name, value in values.items()}
    )


def _parse_nodes(items: Sequence[object]) -> tuple[ConsensusNode, ...]:
    nodes: list[ConsensusNode] = []
    for item in items:
        node = _parse_node(item)
        if nodes and node.index <= nodes[-1].index:
            raise DecodeError("consensus: nodes are not in ascending order")
        nodes.append(node)
    if len({node.node_id for node in nodes}) != len(nodes):
        raise DecodeError("consensus: a node is listed twice")
    return tuple(nodes)


def _parse_node(item: object) -> ConsensusNode:
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
    )
