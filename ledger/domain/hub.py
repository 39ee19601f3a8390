"""A model of `StakeHub`: bonds, pools, tickets, liens and slashes of a whole network.

It keeps the same books with the same integers as the contract, for tests and simulations. Left
out are tokens, permits, pauses and the choice of vote delegates: an account votes for itself.
Errors carry the names of the contract's; a call that is refused may have brought the account's
liens up to date, as a poke would. Set `now` before each call; it never goes back.

Source: docs/spec/staking.md.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from ledger.domain.accounts import Account, NodeStake, Position, Terms, Ticket
from ledger.domain.stake import (
    TICKETS_MAX,
    Bucket,
    Lien,
    Pool,
    Slash,
    lien_loss,
    reachable,
    slash_parts,
)
from ledger.domain.state import M, NodeState, counted_stake
from ledger.errors import StakeRefusedError
from qnet.epochs import EpochClock
from qnet.parameters import NetworkParameters

CLOSED: Final = frozenset({NodeState.RETIRED, NodeState.JAILED, NodeState.TOMBSTONED})
"""States in which a node takes no delegation."""
GONE: Final = frozenset({NodeState.RETIRED, NodeState.TOMBSTONED})
"""States in which a node takes no bond."""


@dataclass(slots=True)
class Hub:
    """All nodes and accounts.

    Args:
        parameters: in force.
        clock: the calendar.
        now: unix seconds.
        final_through: last final epoch plus one.
        final_leaves: leaves in the last final report.
        balance_wei: tokens that the hub holds.
    """

    parameters: NetworkParameters
    clock: EpochClock
    now: int = 0
    final_through: int = 0
    final_leaves: int = 0
    balance_wei: int = 0
    nodes: dict[int, NodeStake] = field(default_factory=dict)
    positions: dict[tuple[Account, int], Position] = field(default_factory=dict)
    tickets: dict[Account, dict[int, Ticket]] = field(default_factory=dict)
    liens: dict[Account, list[Lien]] = field(default_factory=dict)

    # ---- bonds and delegations -----------------------------------------------------------------

    def bond(self, index: int, amount_wei: int) -> None:
        """Add to a node's own bond."""
        node = self.nodes[index]
        _refuse("NotBondable", when=node.state in GONE)
        _refuse("ZeroAmount", when=amount_wei <= 0)
        self.balance_wei += amount_wei
        self._set_bond(node, node.bond_wei + amount_wei)

    def unbond(self, index: int, amount_wei: int) -> int:
        """Move tokens of a bond into a ticket of the owner; returns its number."""
        node = self.nodes[index]
        _refuse("ZeroAmount", when=amount_wei <= 0)
        _refuse("InsufficientBond", when=amount_wei > node.bond_wei)
        number = self._ticket(node.owner, index, amount_wei, from_bond=True)
        self._set_bond(node, node.bond_wei - amount_wei)
        return number

    def delegate(self, account: Account, index: int, amount_wei: int) -> int:
        """Put tokens into a node's pool; returns the shares."""
        self._check_open(index, amount_wei)
        self.balance_wei += amount_wei
        return self._enter(account, index, amount_wei)

    def undelegate(self, account: Account, index: int, shares: int) -> tuple[int, int]:
        """Move shares of a pool into a ticket; returns its number and what it is worth."""
        self._refresh(account, index)
        self._check_free(account, index, shares)
        amount = self.nodes[index].pool.worth(shares, self.now)
        number = self._ticket(account, index, amount, from_bond=False)
        self._leave(account, index, shares)
        return number, amount

    def redelegate(self, account: Account, source: int, target: int, shares: int) -> int:
        """Move shares to another pool, under a lien (QN-STK-023); returns the new shares."""
        _refuse("SameNode", when=source == target)
        self._refresh(account, source)
        self._check_free(account, source, shares)
        amount = self.nodes[source].pool.worth(shares, self.now)
        self._check_open(target, amount)
        _refuse("TooManyTickets", when=len(self.liens.get(account, [])) >= TICKETS_MAX)
        self._leave(account, source, shares)
        minted = self._enter(account, target, amount)
        epoch = self.clock.epoch_at(self.now)
        seen = len(self.nodes[source].slashes)
        lien = Lien(source, target, epoch, seen, self._unlock(epoch), minted)
        self.liens.setdefault(account, []).append(lien)
        return minted

    def withdraw(self, account: Account, number: int) -> int:
        """Pay out a ticket; returns the amount."""
        ticket = self.tickets.get(account, {}).get(number)
        if ticket is None:
            raise StakeRefusedError("NoTicket")
        node = self.nodes[ticket.index]
        _refuse("StillUnbonding", when=self.now < ticket.unlocks_at_s)
        _refuse("Frozen", when=node.freezes > 0)
        buckets = node.buckets(from_bond=ticket.from_bond)
        buckets[ticket.epoch], amount = buckets[ticket.epoch].withdrawn(ticket.shares)
        del self.tickets[account][number]
        self.balance_wei -= amount
        return amount

    def poke(self, account: Account, index: int) -> None:
        """Bring a delegation up to date (QN-STK-023, 031) and checkpoint the pool."""
        self._refresh(account, index)
        self._cap_principal(account, index)
        self._checkpoint(index)

    # ---- rewards -------------------------------------------------------------------------------

    def set_terms(self, index: int, cost_wei: int, margin_ppm: int) -> int:
        """Choose terms; returns the epoch from which they count (QN-STK-012)."""
        node, parameters = self.nodes[index], self.parameters
        fits = cost_wei <= parameters.cost_max_wei and parameters.margin_min_ppm <= margin_ppm <= M
        _refuse("InvalidTerms", when=not fits)
        epoch = self.clock.epoch_at(self.now)
        first = epoch + 1
        if node.pool.shares:
            first = max(first, self._epoch_from(self.now + parameters.terms_delay_s))
        node.terms = [terms for terms in node.terms if terms.from_epoch <= epoch]
        node.terms.append(Terms(first, cost_wei, margin_ppm))
        return first

    def terms_at(self, index: int, epoch: int) -> tuple[int, int]:
        """Cost and margin of a node in an epoch as they were set; (0, 0) before any."""
        known = [terms for terms in self.nodes[index].terms if terms.from_epoch <= epoch]
        return (known[-1].cost_wei, known[-1].margin_ppm) if known else (0, 0)

    def settle(self, index: int, epoch: int, cum_operator_wei: int, cum_pool_wei: int) -> None:
        """Settle a node from the sums of its leaf (QN-STK-010, 011)."""
        node = self.nodes[index]
        _refuse("NothingToSettle", when=epoch < node.settled_through)
        operator = cum_operator_wei - node.cum_operator_wei
        pool = cum_pool_wei - node.cum_pool_wei
        _refuse("CumulativeRegression", when=operator < 0 or pool < 0)
        node.settled_through = epoch + 1
        node.cum_operator_wei, node.cum_pool_wei = cum_operator_wei, cum_pool_wei
        self.balance_wei += operator + pool
        if not node.pool.shares:
            operator, pool = operator + pool, 0
        node.owed_wei += operator
        if pool:
            node.pool = node.pool.rewarded(pool, self.now, self.parameters.stream_s)

    def claim(self, index: int) -> int:
        """Pay what is owed to the operator."""
        node = self.nodes[index]
        amount, node.owed_wei = node.owed_wei, 0
        _refuse("NothingToClaim", when=amount == 0)
        self.balance_wei -= amount
        return amount

    # ---- slashes -------------------------------------------------------------------------------

    def slash(self, index: int, epoch: int, ppm: int, max_wei: int) -> int:
        """Take a share of all that counted at a node in or after an epoch (QN-STK-040)."""
        node = self.nodes[index]
        parts = slash_parts(
            node.bond_wei,
            node.pool.available(self.now),
            reachable(node.bond_buckets, epoch),
            reachable(node.pool_buckets, epoch),
            ppm=ppm,
            max_wei=max_wei,
        )
        if not parts.ppm:
            return 0
        self._set_bond(node, node.bond_wei - parts.bond)
        node.pool = node.pool.slashed(parts.pool)
        for buckets, taken in (
            (node.bond_buckets, parts.bond_buckets),
            (node.pool_buckets, parts.pool_buckets),
        ):
            for last, amount in taken.items():
                buckets[last] = buckets[last].slashed(amount)
        node.slashes.append(Slash(epoch, parts.ppm))
        self._checkpoint(index)
        self.balance_wei -= parts.total
        return parts.total

    def slashable_of(self, index: int, epoch: int) -> int:
        """What a slash for something in an epoch can reach, in wei."""
        node = self.nodes[index]
        waiting = (
            bucket.assets_wei
            for buckets in (node.bond_buckets, node.pool_buckets)
            for bucket in reachable(buckets, epoch).values()
        )
        return node.bond_wei + node.pool.available(self.now) + sum(waiting)

    # ---- views ---------------------------------------------------------------------------------

    def counted_at(self, index: int, time: int) -> int:
        """Stake that counted at a second (QN-STK-004)."""
        node = self.nodes[index]
        factor = self.parameters.delegation_factor
        return counted_stake(node.bonds.at(time), node.pools.at(time), factor)

    def stake_of(self, index: int) -> int:
        """Stake that counts now."""
        return self.counted_at(index, self.now)

    def worth_of(self, account: Account, index: int) -> int:
        """What an account's shares are worth, in wei."""
        shares = self.positions.get((account, index), Position()).shares
        return self.nodes[index].pool.worth(shares, self.now)

    def ticket_worth(self, account: Account, number: int) -> int:
        """What a ticket pays now, in wei."""
        ticket = self.tickets[account][number]
        buckets = self.nodes[ticket.index].buckets(from_bond=ticket.from_bond)
        return buckets[ticket.epoch].worth(ticket.shares)

    def votes_of(self, account: Account) -> int:
        """Bonds and principal of an account, in wei."""
        bonds = sum(node.bond_wei for node in self.nodes.values() if node.owner == account)
        return bonds + sum(
            position.principal_wei
            for (holder, _), position in self.positions.items()
            if holder == account
        )

    def bound_shares(self, account: Account, index: int) -> int:
        """Shares of an account that liens keep in a pool."""
        return sum(lien.shares for lien in self.liens.get(account, []) if lien.target == index)

    # ---- parts ---------------------------------------------------------------------------------

    def _check_open(self, index: int, amount_wei: int) -> None:
        """Whether a pool takes an amount (QN-STK-003)."""
        node = self.nodes[index]
        _refuse("ZeroAmount", when=amount_wei <= 0)
        _refuse("NotBondable", when=node.state in CLOSED)
        most = self.parameters.delegation_factor * node.bond_wei
        _refuse("Oversubscribed", when=node.pool.available(self.now) + amount_wei > most)
        behind = node.settled_through < self.final_through and index <= self.final_leaves
        _refuse("NotSettled", when=behind)
        _refuse("ZeroAmount", when=node.pool.shares_for(amount_wei, self.now) == 0)

    def _check_free(self, account: Account, index: int, shares: int) -> None:
        """Whether an account may take shares out of a pool."""
        held = self.positions.get((account, index), Position()).shares
        free = held - self.bound_shares(account, index)
        _refuse("InsufficientShares", when=shares > free)
        worth = self.nodes[index].pool.worth(shares, self.now) if shares > 0 else 0
        _refuse("ZeroAmount", when=worth == 0)

    def _enter(self, account: Account, index: int, amount_wei: int) -> int:
        """Put an amount into a pool that takes it; returns the shares."""
        node = self.nodes[index]
        node.pool, shares = node.pool.deposited(amount_wei, self.now)
        held = self.positions.get((account, index), Position())
        self.positions[account, index] = Position(
            held.shares + shares, held.principal_wei + amount_wei
        )
        self._checkpoint(index)
        return shares

    def _leave(self, account: Account, index: int, shares: int) -> None:
        """Take free shares out of a pool, and the same share of the principal."""
        held = self.positions[account, index]
        principal = held.principal_wei - held.principal_wei * shares // held.shares
        self.positions[account, index] = Position(held.shares - shares, principal)
        self._take_out(index, shares)
        self._checkpoint(index)

    def _take_out(self, index: int, shares: int) -> int:
        """Burn shares of a pool; what nobody holds shares of any more is the operator's."""
        node = self.nodes[index]
        node.pool, amount = node.pool.withdrawn(shares, self.now)
        if not node.pool.shares:
            node.owed_wei += node.pool.assets_wei
            node.pool = Pool()
        return amount

    def _refresh(self, account: Account, index: int) -> None:
        """Apply slashes of the sources of liens, and lift the liens that are over."""
        kept, burned = [], 0
        for lien in self.liens.get(account, []):
            if lien.target != index:
                kept.append(lien)
                continue
            current, lost = self._follow(account, lien)
            burned += lost
            if self.now < lien.unlocks_at_s or self.nodes[lien.source].freezes:
                kept.append(current)
        if account in self.liens:
            self.liens[account] = kept
        if burned:
            self.balance_wei -= burned
            self._cap_principal(account, index)

    def _follow(self, account: Account, lien: Lien) -> tuple[Lien, int]:
        """Take from a lien what its source's slashes since then cost it; returns the wei."""
        slashes = self.nodes[lien.source].slashes
        left = lien.shares
        for slash in slashes[lien.slashes_seen :]:
            if slash.epoch <= lien.epoch:
                left -= lien_loss(left, slash)
        lost, amount = lien.shares - left, 0
        if lost:
            held = self.positions[account, lien.target]
            self.positions[account, lien.target] = replace(held, shares=held.shares - lost)
            amount = self._take_out(lien.target, lost)
            self._checkpoint(lien.target)
        return replace(lien, slashes_seen=len(slashes), shares=left), amount

    def _cap_principal(self, account: Account, index: int) -> None:
        held = self.positions.get((account, index))
        if held is not None:
            worth = self.worth_of(account, index)
            self.positions[account, index] = replace(
                held, principal_wei=min(held.principal_wei, worth)
            )

    def _ticket(self, account: Account, index: int, amount_wei: int, *, from_bond: bool) -> int:
        open_tickets = self.tickets.setdefault(account, {})
        _refuse("TooManyTickets", when=len(open_tickets) >= TICKETS_MAX)
        number = next(place for place in range(TICKETS_MAX) if place not in open_tickets)
        epoch = self.clock.epoch_at(self.now)
        buckets = self.nodes[index].buckets(from_bond=from_bond)
        buckets[epoch], shares = buckets.get(epoch, Bucket()).deposited(amount_wei)
        open_tickets[number] = Ticket(index, from_bond, epoch, shares, self._unlock(epoch))
        return number

    def _unlock(self, epoch: int) -> int:
        return self.clock.epoch_bounds(epoch)[1] + self.parameters.unbond_s

    def _epoch_from(self, time: int) -> int:
        """First epoch that starts at a second or later."""
        epoch = self.clock.epoch_at(time)
        return epoch if self.clock.epoch_bounds(epoch)[0] == time else epoch + 1

    def _set_bond(self, node: NodeStake, bond_wei: int) -> None:
        node.bond_wei = bond_wei
        node.bonds.push(self.now, bond_wei)

    def _checkpoint(self, index: int) -> None:
        node = self.nodes[index]
        node.pools.push(self.now, node.pool.available(self.now))


def _refuse(name: str, *, when: bool) -> None:
    if when:
        raise StakeRefusedError(name)
