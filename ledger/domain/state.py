"""What a report rests on and what it leaves behind: chain snapshot, node records, network state."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from qnet.messages.descriptor import Role

M: Final = 1_000_000
"""One, in parts per million."""
P_ONE: Final = 1_000
"""P of a slot in which every counted probe returned, permille."""
P_CARRY: Final = 900
"""Most that a slot without enough results can carry, permille."""
P_NEW: Final = 900_000
"""Mean P of a node without history, ppm."""
P_HISTORY: Final = 7
"""Epochs in the mean behind the selection weight."""
CIRCUIT_ROLES: Final = (Role.ENTRY, Role.RELAY, Role.EXIT)
"""Positions of a circuit, in order."""
MIX_LAYERS: Final = 3
"""Mixes on every route: so often a packet counts."""
LOOP_PASSAGES: Final = 16
"""Least N̂ of mixes for each second and paid mix, so that their loops weigh little (QN-REW-025)."""


class NodeState(IntEnum):
    """State of a node in the registry; equals the contract's enumeration."""

    NONE = 0
    REGISTERED = 1
    ACTIVE = 2
    RETIRED = 3
    JAILED = 4
    TOMBSTONED = 5


def counted_stake(bond_wei: int, pool_wei: int, delegation_factor: int) -> int:
    """Stake that counts at a moment (QN-STK-004)."""
    return bond_wei + min(pool_wei, delegation_factor * bond_wei)


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node at the snapshot.

    Args:
        index: registry index, from 1.
        owner: operator's address, 20 bytes.
        role: what the node does.
        state: its status in the epoch.
        slot: whether it held a paid slot in the epoch.
        receipt_key: address that signs its receipts in the epoch, 20 bytes.
        bond_start_wei: own bond at the start of the epoch.
        bond_end_wei: own bond at its end.
        pool_start_wei: delegations at the start of the epoch.
        pool_end_wei: delegations at its end.
        cost_wei: of its terms in the epoch.
        margin_ppm: of its terms in the epoch.
    """

    index: int
    owner: bytes
    role: Role
    state: NodeState
    slot: bool
    receipt_key: bytes
    bond_start_wei: int
    bond_end_wei: int
    pool_start_wei: int = 0
    pool_end_wei: int = 0
    cost_wei: int = 0
    margin_ppm: int = 0

    @property
    def bond_wei(self) -> int:
        """Bond that counts: the lower of start and end."""
        return min(self.bond_start_wei, self.bond_end_wei)

    def stake_wei(self, delegation_factor: int) -> int:
        """Stake that counts: the lower of start and end (QN-REW-002)."""
        return min(
            counted_stake(self.bond_start_wei, self.pool_start_wei, delegation_factor),
            counted_stake(self.bond_end_wei, self.pool_end_wei, delegation_factor),
        )

    @property
    def takes_part(self) -> bool:
        """Whether the node was Active with stake that counts (QN-REW-005).

        Without a bond no delegation counts, so the bond tells whether there is stake.
        """
        return self.state is NodeState.ACTIVE and self.bond_wei > 0

    @property
    def paid(self) -> bool:
        """Whether the node can earn (QN-REW-005)."""
        return self.takes_part and self.slot


@dataclass(frozen=True, slots=True)
class ChainSnapshot:
    """Registry, hub and calendar at one finalized block.

    Args:
        chain_id: EVM chain id.
        oracle: ReportOracle address, 20 bytes.
        block_number: of the block read.
        block_hash: 32 bytes.
        epoch: the epoch reported.
        attempt: `attemptOf(epoch)`, how often its report was disabled.
        params_hash: `epochInfo(epoch).paramsHash`, 32 bytes.
        reveal: `epochInfo(epoch).reveal`, the last slot's beacon, 32 bytes.
        budget_wei: `epochInfo(epoch).budget`.
        prev_report_hash: hash of the last live report, zeros for the first, 32 bytes.
        members: committee signers in member order, 20 bytes each.
        nodes: every registry index from 1, in order.
    """

    chain_id: int
    oracle: bytes
    block_number: int
    block_hash: bytes
    epoch: int
    attempt: int
    params_hash: bytes
    reveal: bytes
    budget_wei: int
    prev_report_hash: bytes
    members: tuple[bytes, ...]
    nodes: tuple[NodeView, ...]


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """What the reports so far say about one node.

    Args:
        rho_ppm: reputation.
        last_p: P of the last slot, permille; `P_CARRY` if it took no part (QN-REW-044).
        history_ppm: epoch P of up to `P_HISTORY` epochs, oldest first.
        kbps: measured rate, 0 if never measured.
        cum_operator_wei: earned so far by the operator.
        cum_pool_wei: earned so far by delegators.
    """

    rho_ppm: int
    last_p: int = P_CARRY
    history_ppm: tuple[int, ...] = ()
    kbps: int = 0
    cum_operator_wei: int = 0
    cum_pool_wei: int = 0

    @property
    def mean_p_ppm(self) -> int:
        """Mean epoch P of the history (QN-REW-011)."""
        if not self.history_ppm:
            return P_NEW
        return sum(self.history_ppm) // len(self.history_ppm)


@dataclass(frozen=True, slots=True)
class NetworkState:
    """State after the last reported epoch (QN-REW-004).

    Args:
        epoch: that epoch, -1 before the first report.
        report_hash: its hash, zeros before the first, 32 bytes.
        n_hat_cells: N̂ of circuits, the median of the position totals.
        n_hat_packets: N̂ of mixes, their total.
        records: per registry index.
    """

    epoch: int = -1
    report_hash: bytes = bytes(32)
    n_hat_cells: int = 0
    n_hat_packets: int = 0
    records: dict[int, NodeRecord] = field(default_factory=dict)

    def record(self, index: int, start_ppm: int) -> NodeRecord:
        """Record of a node; a new node starts at reputation `start_ppm`."""
        return self.records.get(index) or NodeRecord(rho_ppm=start_ppm)
