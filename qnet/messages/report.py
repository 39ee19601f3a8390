"""The committee's result of an epoch and its leaves, byte for byte as the contracts see them.

Source: docs/spec/messages.md, section Reports; IReportOracle.sol, IDisputeCourt.sol.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from qnet.crypto.keys import keccak256
from qnet.eip712 import digest
from qnet.merkle import standard_leaf
from qnet.messages.json_fields import (
    OCTETS,
    U16,
    U32,
    U32_LIST,
    U64,
    U128,
    U256,
    Json,
    from_json,
    to_json,
)

REPORT_TYPE: Final = (
    "EpochReport(uint32 epoch,uint32 attempt,bytes32 paramsHash,bytes32 nodesRoot,"
    "bytes32 evidenceRoot,bytes32 auditRoot,uint128 totalReward,uint32 nodeCount,bytes32 dataHash,"
    "bytes32 prevReportHash)"
)
NODE_LEAF_KIND: Final = 1
LINK_LEAF_KIND: Final = 2
AUDIT_LEAF_KIND: Final = 3
NO_REPORT: Final = bytes(32)
"""`previous_hash` of the first report, and root of an empty list."""
SLOT_P_BITS: Final = 10
SLOT_P_MAX: Final = (1 << SLOT_P_BITS) - 1
"""Largest value of one slot; P is written in permille (docs/spec/rewards.md)."""
SLOT_P_COUNT: Final = 24

_WORD: Final = 32


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What a quorum signs for an epoch.

    Args:
        epoch: reward epoch.
        attempt: how often a report of the epoch was disabled before.
        params_hash: hash of the parameters in force, 32 bytes.
        nodes_root: Merkle root over the node leaves.
        evidence_root: Merkle root over the link leaves, NO_REPORT if there are none.
        audit_root: Merkle root over the audit leaves, NO_REPORT if there are none.
        total_reward_wei: sum of all rewards.
        node_count: leaves.
        data_hash: Keccak-256 of the data everything is recomputed from.
        previous_hash: hash of the last live report, NO_REPORT for the first.
    """

    epoch: int
    attempt: int
    params_hash: bytes
    nodes_root: bytes
    evidence_root: bytes
    audit_root: bytes
    total_reward_wei: int
    node_count: int
    data_hash: bytes
    previous_hash: bytes

    def values(self) -> tuple[int | bytes, ...]:
        """Fields in the order of the contract's structure."""
        return (
            self.epoch,
            self.attempt,
            self.params_hash,
            self.nodes_root,
            self.evidence_root,
            self.audit_root,
            self.total_reward_wei,
            self.node_count,
            self.data_hash,
            self.previous_hash,
        )

    def digest(self, domain: bytes) -> bytes:
        """EIP-712 digest (32 bytes) that members sign; `domain` is the ReportOracle's."""
        return digest(domain, REPORT_TYPE, self.values())

    def to_json(self) -> dict[str, Json]:
        """Decimal and 0x strings by field name."""
        return to_json(self, _REPORT_FIELDS)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            DecodeError: fields missing, unknown or out of bounds.
        """
        return cls(**from_json(value, _REPORT_FIELDS, "report"))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class NodeLeaf:
    """One node's line of a report; it settles by itself.

    Args:
        epoch: reward epoch.
        node: registry index.
        bond_wei: own bond counted.
        stake_wei: own bond and delegations counted.
        slot_p: 24 performance values of 10 bits, slot 0 lowest (see :func:`pack_slot_p`).
        w_ppm: work factor W.
        rho_ppm: reputation after this epoch.
        reward_wei: reward of this epoch.
        cum_operator_wei: all rewards to the operator up to this epoch.
        cum_pool_wei: all rewards to the delegation pool up to this epoch.
    """

    epoch: int
    node: int
    bond_wei: int
    stake_wei: int
    slot_p: int
    w_ppm: int
    rho_ppm: int
    reward_wei: int
    cum_operator_wei: int
    cum_pool_wei: int

    def values(self) -> tuple[int, ...]:
        """Fields in the order of the contract's structure."""
        return (
            self.epoch,
            self.node,
            self.bond_wei,
            self.stake_wei,
            self.slot_p,
            self.w_ppm,
            self.rho_ppm,
            self.reward_wei,
            self.cum_operator_wei,
            self.cum_pool_wei,
        )

    def hash(self, chain_id: int, oracle: bytes) -> bytes:
        """Leaf hash (32 bytes), as ``ReportOracle.leafHash`` computes it.

        Args:
            chain_id: EVM chain id.
            oracle: ReportOracle proxy, 20 bytes.
        """
        return standard_leaf(_head(NODE_LEAF_KIND, chain_id, oracle) + _words(self.values()))

    def to_json(self) -> dict[str, Json]:
        """Decimal strings by field name."""
        return to_json(self, _LEAF_FIELDS)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            DecodeError: fields missing, unknown or out of bounds.
        """
        return cls(**from_json(value, _LEAF_FIELDS, "leaf"))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class LinkLeaf:
    """Traffic of one direction of a pair of nodes in one slot, as a report counts it.

    Args:
        epoch: reward epoch.
        slot: slot within the epoch.
        node_from: registry index of the sender.
        node_to: registry index of the receiver.
        sent: cells in the sender's receipt.
        received: cells in the receiver's receipt.
        matched: cells that count.
        sent_proof: names the sender's receipt (see :func:`receipt_proof`), 32 bytes.
        received_proof: names the receiver's, 32 bytes.
    """

    epoch: int
    slot: int
    node_from: int
    node_to: int
    sent: int
    received: int
    matched: int
    sent_proof: bytes
    received_proof: bytes

    def values(self) -> tuple[int | bytes, ...]:
        """Fields in the order of the contract's structure."""
        return tuple(getattr(self, name) for name in _LINK_FIELDS)

    def hash(self, chain_id: int, oracle: bytes) -> bytes:
        """Leaf hash, 32 bytes (see :meth:`NodeLeaf.hash`)."""
        return standard_leaf(_head(LINK_LEAF_KIND, chain_id, oracle) + _words(self.values()))

    def to_json(self) -> dict[str, Json]:
        """Decimal and 0x strings by field name."""
        return to_json(self, _LINK_FIELDS)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            DecodeError: fields missing, unknown or out of bounds.
        """
        return cls(**from_json(value, _LINK_FIELDS, "link leaf"))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class AuditLeaf:
    """All results of one target in one slot that counted, as a report lists them.

    Args:
        epoch: reward epoch.
        slot: slot within the epoch.
        target: registry index of the node probed.
        auditors: members, ascending.
        sent: probes that counted, per auditor.
        returned: those that came back, per auditor.
    """

    epoch: int
    slot: int
    target: int
    auditors: tuple[int, ...]
    sent: tuple[int, ...]
    returned: tuple[int, ...]

    def values(self) -> tuple[int | tuple[int, ...], ...]:
        """Fields in the order of the contract's structure."""
        return tuple(getattr(self, name) for name in _AUDIT_FIELDS)

    def hash(self, chain_id: int, oracle: bytes) -> bytes:
        """Leaf hash, 32 bytes (see :meth:`NodeLeaf.hash`)."""
        place, tail, offsets = 6 * _WORD, b"", []
        for items in (self.auditors, self.sent, self.returned):
            offsets.append(place + len(tail))
            tail += _words((len(items), *items))
        start = _words((4 * _WORD,))  # where the structure begins: it has no fixed size
        struct = _words((self.epoch, self.slot, self.target, *offsets)) + tail
        return standard_leaf(_head(AUDIT_LEAF_KIND, chain_id, oracle) + start + struct)

    def to_json(self) -> dict[str, Json]:
        """Decimal strings, and lists of them, by field name."""
        return to_json(self, _AUDIT_FIELDS)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            DecodeError: fields missing, unknown or out of bounds.
        """
        return cls(**from_json(value, _AUDIT_FIELDS, "audit leaf"))  # type: ignore[arg-type]


def receipt_proof(digest_: bytes, signature: bytes) -> bytes:
    """Name a signed receipt in a link leaf: its EIP-712 digest and 65-byte signature hashed."""
    return keccak256(digest_ + signature)


def pack_slot_p(values: tuple[int, ...]) -> int:
    """Pack up to 24 slot performances (0 to 1023) into one word, slot 0 lowest.

    Raises:
        ValueError: too many, or one out of bounds.
    """
    if len(values) > SLOT_P_COUNT or any(not 0 <= value <= SLOT_P_MAX for value in values):
        raise ValueError("slot performances are at most 24 values of 10 bits")
    return sum(value << SLOT_P_BITS * slot for slot, value in enumerate(values))


def unpack_slot_p(word: int, slots: int) -> tuple[int, ...]:
    """Return the performances of the first `slots` slots."""
    return tuple(word >> SLOT_P_BITS * slot & SLOT_P_MAX for slot in range(slots))


_REPORT_FIELDS: Final[Mapping[str, int]] = {
    "epoch": U32,
    "attempt": U32,
    "params_hash": OCTETS,
    "nodes_root": OCTETS,
    "evidence_root": OCTETS,
    "audit_root": OCTETS,
    "total_reward_wei": U128,
    "node_count": U32,
    "data_hash": OCTETS,
    "previous_hash": OCTETS,
}
_LEAF_FIELDS: Final[Mapping[str, int]] = {
    "epoch": U32,
    "node": U32,
    "bond_wei": U256,
    "stake_wei": U256,
    "slot_p": U256,
    "w_ppm": U32,
    "rho_ppm": U32,
    "reward_wei": U256,
    "cum_operator_wei": U256,
    "cum_pool_wei": U256,
}


_LINK_FIELDS: Final[Mapping[str, int]] = {
    "epoch": U32,
    "slot": U16,
    "node_from": U32,
    "node_to": U32,
    "sent": U64,
    "received": U64,
    "matched": U64,
    "sent_proof": OCTETS,
    "received_proof": OCTETS,
}
_AUDIT_FIELDS: Final[Mapping[str, int]] = {
    "epoch": U32,
    "slot": U16,
    "target": U32,
    "auditors": U32_LIST,
    "sent": U32_LIST,
    "returned": U32_LIST,
}


def _head(kind: int, chain_id: int, oracle: bytes) -> bytes:
    """What binds a leaf to its kind, chain and oracle."""
    return _words((kind, chain_id, oracle.rjust(_WORD, b"\0")))


def _words(values: Sequence[int | bytes]) -> bytes:
    """ABI encoding of values of one word each."""
    return b"".join(
        value if isinstance(value, bytes) else value.to_bytes(_WORD, "big") for value in values
    )
