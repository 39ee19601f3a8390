"""The committee-signed view of the network.

Wire: ``version u8 = 1 | length u32 | payload | bitmap 32 | signatures 65 each``; the payload is
deterministic CBOR, its Keccak-256 is signed as EIP-712 ``Consensus`` by a quorum.

Source: docs/spec/directory.md, section Consensus.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol, Self

from qnet import cbor
from qnet.codec import Reader, Writer
from qnet.crypto.keys import ADDRESS_BYTES, EVM_SIGNATURE_BYTES, ReceiptKey, keccak256
from qnet.eip712 import digest, qnet_domain
from qnet.errors import ConfigError, DecodeError
from qnet.messages.consensus_node import FLAG_MEASURED, FLAG_PAID, ConsensusNode, parse_node
from qnet.messages.descriptor import MAX_SOFTWARE_CHARS
from qnet.messages.fields import U32_MAX, U64_MAX, Fields, pack_word, unpack_word
from qnet.messages.trust import BITMAP_BYTES, MAX_MEMBERS, CommitteeTrust, join_signatures
from qnet.parameters import BOUNDS, NetworkParameters

__all__ = [
    "CONSENSUS_TYPE",
    "CONSENSUS_VERSION",
    "FLAG_MEASURED",
    "FLAG_PAID",
    "MAX_CONSENSUS_BYTES",
    "MAX_MEMBERS",
    "MAX_NODES",
    "CommitteeTrust",
    "Consensus",
    "ConsensusNode",
    "SignedConsensus",
    "TrustSource",
    "consensus_digest",
    "decode_payload",
    "join_signatures",
    "payload_of",
    "sign_consensus",
]

CONSENSUS_VERSION: Final = 1
MAX_CONSENSUS_BYTES: Final = 32 << 20
"""Whole wire form; larger ones are refused before decoding."""
MAX_NODES: Final = 20_000
CONSENSUS_TYPE: Final = "Consensus(uint64 validAfter,bytes32 hash)"


class TrustSource(Protocol):
    """Says whose signatures make the consensus of a period."""

    @property
    def chain_id(self) -> int:
        """EVM chain id."""

    @property
    def committee(self) -> bytes:
        """Committee contract, 20 bytes."""

    def at(self, period: int) -> CommitteeTrust:
        """The committee that signs the consensus of a period (unix seconds).

        Raises:
            QnetError: not known, or not to be trusted any more.
        """


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
                    name: pack_word(value) for name, value in self.parameters.to_map().items()
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
            .take(self.bitmap.to_bytes(BITMAP_BYTES, "big"))
            .take(self.signatures)
            .bytes()
        )

    @classmethod
    def decode(cls, data: bytes, *, trust: TrustSource) -> Self:
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
        bitmap = int.from_bytes(reader.take(BITMAP_BYTES), "big")
        if reader.remaining > MAX_MEMBERS * EVM_SIGNATURE_BYTES:
            raise DecodeError("consensus: too many signatures")
        signatures = reader.rest()
        consensus = decode_payload(payload)
        if (consensus.chain_id, consensus.committee) != (trust.chain_id, trust.committee):
            raise DecodeError("consensus: of another chain or committee")
        trust.at(consensus.valid_after).check_signatures(consensus.digest, bitmap, signatures)
        return cls(consensus, bitmap, signatures)


def payload_of(wire: bytes) -> bytes:
    """The payload inside a wire form, unverified.

    Raises:
        DecodeError: too short.
    """
    reader = Reader(wire)
    reader.u8()
    return reader.take(reader.u32())


def sign_consensus(consensus: Consensus, key: ReceiptKey) -> bytes:
    """A member's 65-byte signature over a consensus."""
    return key.sign(consensus.digest)


_KEYS: Final = frozenset(
    {"v", "chain", "committee", "valid_after", "interval", "epoch", "params", "min_version"}
    | {"users", "nodes"}
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


def _parse_parameters(values: Mapping[object, object]) -> NetworkParameters:
    read: dict[str, int] = {}
    for name, value in values.items():
        word = unpack_word(value)
        if word is None:
            raise DecodeError("consensus: a parameter is not an unsigned integer")
        read[str(name)] = word
    return NetworkParameters.from_map(read)


def _parse_nodes(items: Sequence[object]) -> tuple[ConsensusNode, ...]:
    nodes: list[ConsensusNode] = []
    for item in items:
        node = parse_node(item)
        if nodes and node.index <= nodes[-1].index:
            raise DecodeError("consensus: nodes are not in ascending order")
        nodes.append(node)
    if len({node.node_id for node in nodes}) != len(nodes):
        raise DecodeError("consensus: a node is listed twice")
    return tuple(nodes)
