"""What the model of the stake hub holds: nodes, positions, tickets and checkpoints.

Source: docs/spec/staking.md.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TypeAlias

from ledger.domain.stake import Bucket, Pool, Slash
from ledger.domain.state import NodeState

Account: TypeAlias = bytes


class Trace:
    """Values by time, as the contract's checkpoints: one for each second, the last one stands."""

    __slots__ = ("_times", "_values")

    def __init__(self) -> None:
        self._times: list[int] = []
        self._values: list[int] = []

    def push(self, time: int, value: int) -> None:
        """Record the value from a second on."""
        if self._times and self._times[-1] == time:
            self._values[-1] = value
        else:
            self._times.append(time)
            self._values.append(value)

    def at(self, time: int) -> int:
        """Value as last recorded up to a second; 0 before the first."""
        place = bisect_right(self._times, time)
        return self._values[place - 1] if place else 0


@dataclass(frozen=True, slots=True)
class Ticket:
    """Tokens that wait: shares of the bucket of a node, a kind and a last epoch."""

    index: int
    from_bond: bool
    epoch: int
    shares: int
    unlocks_at_s: int


@dataclass(frozen=True, slots=True)
class Terms:
    """How a node shares its rewards, from an epoch on."""

    from_epoch: int
    cost_wei: int
    margin_ppm: int


@dataclass(frozen=True, slots=True)
class Position:
    """Shares of an account in a pool, and the principal that votes, in wei."""

    shares: int = 0
    principal_wei: int = 0


@dataclass(slots=True)
class NodeStake:
    """What the hub holds for one node."""

    owner: Account
    state: NodeState = NodeState.REGISTERED
    bond_wei: int = 0
    pool: Pool = field(default_factory=Pool)
    bonds: Trace = field(default_factory=Trace)
    pools: Trace = field(default_factory=Trace)
    bond_buckets: dict[int, Bucket] = field(default_factory=dict)
    pool_buckets: dict[int, Bucket] = field(default_factory=dict)
    terms: list[Terms] = field(default_factory=list)
    slashes: list[Slash] = field(default_factory=list)
    freezes: int = 0
    owed_wei: int = 0
    cum_operator_wei: int = 0
    cum_pool_wei: int = 0
    settled_through: int = 0

    def buckets(self, *, from_bond: bool) -> dict[int, Bucket]:
        """Buckets of one kind, by last epoch."""
        return self.bond_buckets if from_bond else self.pool_buckets
