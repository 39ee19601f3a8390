"""The directory: descriptors, registry and reports in, the consensus of a period out.

Source: docs/spec/agreement.md, QN-AGR-020; docs/spec/rewards.md, QN-REW-013.
"""

from dataclasses import dataclass
from typing import Final

from ledger.domain.reputation import node_weight
from ledger.domain.state import CIRCUIT_ROLES, NetworkState
from ledger.domain.votes import MAX_DOCUMENT_BYTES
from qnet import cbor
from qnet.errors import DecodeError
from qnet.messages.assembly import Network, RegistryEntry, build_consensus
from qnet.messages.consensus import MAX_NODES, Consensus
from qnet.messages.descriptor import SignedDescriptor
from qnet.messages.fields import U32_MAX, U64_MAX, Fields
from qnet.parameters import NetworkParameters

NODES_MIN: Final = 3
"""A consensus that lists fewer serves nobody: a circuit has three hops."""
_KEYS: Final = frozenset({"valid_after", "block", "block_hash", "descriptors", "reachable"})


@dataclass(frozen=True, slots=True)
class DirectoryView:
    """What the chain says at one finalized block.

    Args:
        block_number: of the block.
        block_hash: 32 bytes.
        parameters: in force.
        report_hash: of the last live report, 32 bytes.
        min_version: least protocol version.
        registry: entries by index.
        stakes_wei: stake that counts by index, delegation included.
    """

    block_number: int
    block_hash: bytes
    parameters: NetworkParameters
    report_hash: bytes
    min_version: str
    registry: dict[int, RegistryEntry]
    stakes_wei: dict[int, int]

    @property
    def active(self) -> set[int]:
        """Indexes of active nodes."""
        return {index for index, entry in self.registry.items() if entry.active}


@dataclass(frozen=True, slots=True)
class DirectoryInput:
    """What a leader proposes to build the consensus from.

    Args:
        valid_after: period, unix seconds.
        block_number: finalized block to read the chain at.
        block_hash: its hash, 32 bytes.
        descriptors: wire forms, in any order.
        reachable: indexes of the nodes that answered.
    """

    valid_after: int
    block_number: int
    block_hash: bytes
    descriptors: tuple[bytes, ...]
    reachable: tuple[int, ...]

    def encode(self) -> bytes:
        """Deterministic CBOR."""
        return cbor.dumps(
            {
                "valid_after": self.valid_after,
                "block": self.block_number,
                "block_hash": self.block_hash,
                "descriptors": list(self.descriptors),
                "reachable": list(self.reachable),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "DirectoryInput":
        """Read a proposal.

        Raises:
            DecodeError: malformed or out of bounds.
        """
        value = cbor.loads(data, max_bytes=MAX_DOCUMENT_BYTES, max_depth=2)
        fields = Fields(value, _KEYS, "directory proposal")
        descriptors = tuple(fields.items("descriptors", MAX_NODES))
        if not all(isinstance(item, bytes) for item in descriptors):
            raise DecodeError("directory proposal: a descriptor is not bytes")
        reachable = fields.uints("reachable", MAX_NODES, U32_MAX)
        return cls(
            valid_after=fields.uint("valid_after", U64_MAX),
            block_number=fields.uint("block", U64_MAX),
            block_hash=fields.octets("block_hash", 32),
            descriptors=tuple(bytes(item) for item in descriptors if isinstance(item, bytes)),
            reachable=reachable,
        )


def assemble(
    proposal: DirectoryInput,
    view: DirectoryView,
    state: NetworkState,
    *,
    network: Network,
    epoch: int,
) -> Consensus:
    """Build the consensus that follows from a proposal.

    Args:
        proposal: the leader's inputs.
        view: chain at the proposal's block.
        state: after the report that `view` names.
        network: chain and contracts.
        epoch: reward epoch at the period.

    Raises:
        RemoteProtocolError: a descriptor is malformed or badly signed.
    """
    start = view.parameters.reputation_start_ppm
    weights = {
        index: node_weight(state.record(index, start), view.stakes_wei[index], view.parameters)
        for index in view.active
    }
    measured = {index: record.kbps for index, record in state.records.items() if record.kbps}
    return build_consensus(
        proposal.valid_after,
        [SignedDescriptor.decode(wire) for wire in proposal.descriptors],
        view.registry,
        measured,
        view.parameters,
        network=network,
        epoch=max(epoch, 0),
        weights=weights,
        reachable=frozenset(proposal.reachable),
        min_version=view.min_version,
    )


def serves_circuits(consensus: Consensus) -> bool:
    """Whether a consensus lists at least one node for every position."""
    roles = {node.role for node in consensus.nodes}
    return len(consensus.nodes) >= NODES_MIN and roles.issuperset(CIRCUIT_ROLES)
