"""Arithmetic of bonds and delegation pools, the same integers as `StakeHub`.

Every function is pure; `ledger.domain.hub` keeps accounts with it. Amounts are wei, times unix
seconds, ratios ppm. Source: docs/spec/staking.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

from ledger.domain.state import M

TICKETS_MAX: Final = 16
"""Waiting tickets of an account; also its liens."""
VIRTUAL_SHARES: Final = 1_000
"""Shares that belong to nobody, against one wei that belongs to nobody."""
POOL_SLASH_DIVISOR: Final = 10
"""Delegators lose a tenth of the operator's rate."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Rewards on their way into a pool.

    Args:
        amount_wei: what still streamed at the start.
        start_s: when it began.
        end_s: when all of it is available.
    """

    amount_wei: int = 0
    start_s: int = 0
    end_s: int = 0

    def left(self, now: int) -> int:
        """Wei not available yet, rounded up (QN-STK-010)."""
        if now >= self.end_s:
            return 0
        return -(-self.amount_wei * (self.end_s - now) // (self.end_s - self.start_s))


@dataclass(frozen=True, slots=True)
class Pool:
    """Delegations to one node.

    Args:
        assets_wei: all that lies in it, streaming rewards included.
        shares: of all accounts.
        stream: rewards on their way.
    """

    assets_wei: int = 0
    shares: int = 0
    stream: Stream = Stream()

    def available(self, now: int) -> int:
        """Wei that the shares are worth together, but for rounding (QN-STK-002)."""
        return self.assets_wei - self.stream.left(now)

    def shares_for(self, amount_wei: int, now: int) -> int:
        """Shares that an amount buys."""
        return amount_wei * (self.shares + VIRTUAL_SHARES) // (self.available(now) + 1)

    def worth(self, shares: int, now: int) -> int:
        """Wei that shares are worth."""
        return shares * (self.available(now) + 1) // (self.shares + VIRTUAL_SHARES)

    def deposited(self, amount_wei: int, now: int) -> tuple[Self, int]:
        """The pool with an amount more, and the shares minted for it."""
        minted = self.shares_for(amount_wei, now)
        assets, shares = self.assets_wei + amount_wei, self.shares + minted
        return replace(self, assets_wei=assets, shares=shares), minted

    def withdrawn(self, shares: int, now: int) -> tuple[Self, int]:
        """The pool without these shares, and what they were worth."""
        amount = self.worth(shares, now)
        assets, left = self.assets_wei - amount, self.shares - shares
        return replace(self, assets_wei=assets, shares=left), amount

    def rewarded(self, amount_wei: int, now: int, stream_s: int) -> Self:
        """The pool with a reward that streams, along with what still streamed, from now on."""
        stream = Stream(self.stream.left(now) + amount_wei, now, now + stream_s)
        return replace(self, assets_wei=self.assets_wei + amount_wei, stream=stream)

    def slashed(self, amount_wei: int) -> Self:
        """The pool without an amount; the shares stay."""
        return replace(self, assets_wei=self.assets_wei - amount_wei)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Tickets from one node with one last epoch, all from its bond or all from its pool.

    Args:
        assets_wei: what they are worth together.
        shares: minted 1 : 1 until a slash (QN-STK-021).
    """

    assets_wei: int = 0
    shares: int = 0

    def worth(self, shares: int) -> int:
        """Wei that shares are worth."""
        return shares * self.assets_wei // self.shares if self.shares else 0

    def deposited(self, amount_wei: int) -> tuple[Self, int]:
        """The bucket with an amount more, and the shares minted for it."""
        minted = amount_wei
        if self.assets_wei and self.shares:
            minted = amount_wei * self.shares // self.assets_wei
        return replace(
            self, assets_wei=self.assets_wei + amount_wei, shares=self.shares + minted
        ), minted

    def withdrawn(self, shares: int) -> tuple[Self, int]:
        """The bucket without these shares, and what they were worth."""
        amount = self.worth(shares)
        left = self.shares - shares
        return replace(self, assets_wei=self.assets_wei - amount, shares=left), amount

    def slashed(self, amount_wei: int) -> Self:
        """The bucket without an amount; the shares stay."""
        return replace(self, assets_wei=self.assets_wei - amount_wei)


@dataclass(frozen=True, slots=True)
class Lien:
    """Shares of a pool that came from another node and stay slashable there (QN-STK-023).

    Args:
        source: node they came from.
        target: node whose shares they are.
        epoch: last epoch in which they counted there.
        slashes_seen: slashes of the source that happened before.
        unlocks_at_s: from when they are free.
        shares: of the target's pool.
    """

    source: int
    target: int
    epoch: int
    slashes_seen: int
    unlocks_at_s: int
    shares: int


@dataclass(frozen=True, slots=True)
class Slash:
    """A slash carried out: what a lien must know of it."""

    epoch: int
    ppm: int


@dataclass(frozen=True, slots=True)
class SlashParts:
    """What a slash takes, in wei; the buckets by their last epoch.

    Args:
        ppm: rate after the cap.
        bond: from the bond.
        pool: from the available pool.
        bond_buckets: from tickets out of the bond.
        pool_buckets: from tickets out of the pool.
    """

    ppm: int
    bond: int
    pool: int
    bond_buckets: Mapping[int, int]
    pool_buckets: Mapping[int, int]

    @property
    def total(self) -> int:
        """Wei in all."""
        tickets = sum(self.bond_buckets.values()) + sum(self.pool_buckets.values())
        return self.bond + self.pool + tickets


def reachable(buckets: Mapping[int, Bucket], epoch: int) -> dict[int, Bucket]:
    """Buckets whose tickets counted in an epoch or later, newest first."""
    return {last: buckets[last] for last in sorted(buckets, reverse=True) if last >= epoch}


def slash_parts(
    bond_wei: int,
    available_wei: int,
    bond_buckets: Mapping[int, Bucket],
    pool_buckets: Mapping[int, Bucket],
    *,
    ppm: int,
    max_wei: int,
) -> SlashParts:
    """What a slash takes (QN-STK-040): bond, its tickets, pool, its tickets, newest first.

    Args:
        bond_wei: own bond.
        available_wei: of the pool.
        bond_buckets: those that the slash reaches, newest first.
        pool_buckets: those that the slash reaches, newest first.
        ppm: rate on the bond; a tenth of it on the pool.
        max_wei: most it may take in all.
    """

    def at(rate: int, most: int) -> SlashParts:
        left = most

        def take(base_wei: int, one: int) -> int:
            nonlocal left
            part = min(base_wei * rate // one, left)
            left -= part
            return part

        tenth = POOL_SLASH_DIVISOR * M
        bond = take(bond_wei, M)
        of_bond = {last: take(bucket.assets_wei, M) for last, bucket in bond_buckets.items()}
        pool = take(available_wei, tenth)
        of_pool = {last: take(bucket.assets_wei, tenth) for last, bucket in pool_buckets.items()}
        return SlashParts(rate, bond, pool, of_bond, of_pool)

    tickets = sum(b.assets_wei for b in (*bond_buckets.values(), *pool_buckets.values()))
    whole = at(ppm, bond_wei + available_wei + tickets)
    return whole if whole.total <= max_wei else at(ppm * max_wei // whole.total, max_wei)


def lien_loss(shares: int, slash: Slash) -> int:
    """Shares that a slash of a lien's source takes of it."""
    return shares * slash.ppm // (POOL_SLASH_DIVISOR * M)
