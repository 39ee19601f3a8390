"""The committee's result of an epoch and its leaves, byte for byte as the contracts see them.

Source: docs/spec/messages.md, section Reports; ReportOracle.sol.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from qnet.eip712 import digest
from qnet.errors import DecodeError
from qnet.merkle import standard_leaf

REPORT_TYPE: Final = (
    "EpochReport(uint32 epoch,bytes32 paramsHash,bytes32 nodesRoot,bytes32 evidenceRoot,"
    "bytes32 auditRoot,uint128 totalReward,uint32 nodeCount,bytes32 dataHash,"
    "bytes32 prevReportHash)"
)
NODE_LEAF_KIND: Final = 1
NO_REPORT: Final = bytes(32)
"""`previous_hash` of the first report, and root of an empty list."""
SLOT_P_BITS: Final = 10
SLOT_P_MAX: Final = (1 << SLOT_P_BITS) - 1
"""Largest value of one slot; P is written in permille (docs/spec/rewards.md)."""
SLOT_P_COUNT: Final = 24

_U32: Final = 32
_U128: Final = 128
_U256: Final = 256
_WORD: Final = 32


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What a quorum signs for an epoch.

    Args:
        epoch: reward epoch.
        params_hash: hash of the parameters in force, 32 bytes.
        nodes_root: Merkle root over the node leaves.
        evidence_root: Merkle root over evidence, NO_REPORT if none.
        audit_root: Merkle root over the audit reveals.
        total_reward_wei: sum of all rewards.
        node_count: leaves.
        data_hash: Keccak-256 of the data everything is recomputed from.
        previous_hash: hash of the last live report, NO_REPORT for the first.
    """

    epoch: int
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

    def to_json(self) -> dict[str, str]:
        """Decimal and 0x strings by field name."""
        return _to_json(self, _REPORT_FIELDS)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            DecodeError: fields missing, unknown or out of bounds.
        """
        return cls(**_from_json(value, _REPORT_FIELDS, "report"))  # type: ignore[arg-type]


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
        head = (NODE_LEAF_KIND, chain_id, int.from_bytes(oracle, "big"))
        words = b"".join(value.to_bytes(_WORD, "big") for value in (*head, *self.values()))
        return standard_leaf(words)

    def to_json(self) -> dict[str, str]:
        """Decimal strings by field name."""
        return _to_json(self, _LEAF_FIELDS)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            DecodeError: fields missing, unknown or out of bounds.
        """
        return cls(**_from_json(value, _LEAF_FIELDS, "leaf"))  # type: ignore[arg-type]


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


# Field → bits of an unsigned integer, or 0 for 32 bytes.
_REPORT_FIELDS: Final[Mapping[str, int]] = {
    "epoch": _U32,
    "params_hash": 0,
    "nodes_root": 0,
    "evidence_root": 0,
    "audit_root": 0,
    "total_reward_wei": _U128,
    "node_count": _U32,
    "data_hash": 0,
    "previous_hash": 0,
}
_LEAF_FIELDS: Final[Mapping[str, int]] = {
    "epoch": _U32,
    "node": _U32,
    "bond_wei": _U256,
    "stake_wei": _U256,
    "slot_p": _U256,
    "w_ppm": _U32,
    "rho_ppm": _U32,
    "reward_wei": _U256,
    "cum_operator_wei": _U256,
    "cum_pool_wei": _U256,
}


def _to_json(record: object, fields: Mapping[str, int]) -> dict[str, str]:
    return {
        name: str(getattr(record, name)) if bits else "0x" + getattr(record, name).hex()
        for name, bits in fields.items()
    }


def _from_json(value: object, fields: Mapping[str, int], what: str) -> dict[str, int | bytes]:
    if not isinstance(value, dict) or value.keys() != fields.keys():
        raise DecodeError(f"{what}: not a map of the expected fields")
    return {name: _parse_field(value[name], bits, what) for name, bits in fields.items()}


def _parse_field(text: object, bits: int, what: str) -> int | bytes:
    if not isinstance(text, str) or len(text) > 80 or not text.isascii():  # 2^256 has 78 digits
        raise DecodeError(f"{what}: a value is not a short text")
    if bits:
        if not text.isdecimal() or int(text).bit_length() > bits or str(int(text)) != text:
            raise DecodeError(f"{what}: a value is not an unsigned integer of {bits} bits")
        return int(text)
    try:
        octets = bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise DecodeError(f"{what}: a value is not hexadecimal") from error
    if len(octets) != _WORD or "0x" + octets.hex() != text:
        raise DecodeError(f"{what}: a value is not 32 bytes in lower-case hexadecimal")
    return octets
