"""The model of the stake hub: single stories, then everything at once as a state machine."""

from fractions import Fraction

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from ledger.domain.accounts import NodeStake, Trace
from ledger.domain.hub import Hub
from ledger.domain.stake import TICKETS_MAX, VIRTUAL_SHARES, Pool
from ledger.domain.state import M, NodeState
from ledger.errors import StakeRefusedError
from qnet.epochs import EpochClock
from tests.ledger.domain.material import DEVNET, QNET

CLOCK = EpochClock(1000, DEVNET.slot_s, DEVNET.slots_per_epoch)
EPOCH_S = CLOCK.epoch_s
ALICE, BOB, CAROL, OWNER = b"alice", b"bob", b"carol", b"owner"


def make_hub(nodes: int = 2, bond_wei: int = 1000 * QNET) -> Hub:
    hub = Hub(DEVNET, CLOCK, now=1000)
    for index in range(1, nodes + 1):
        hub.nodes[index] = NodeStake(OWNER + bytes([index]), NodeState.ACTIVE)
        hub.bond(index, bond_wei)
    return hub


def refused(name: str):
    return pytest.raises(StakeRefusedError, match=name)


def test_a_delegation_counts_votes_and_comes_back():
    hub = make_hub()
    shares = hub.delegate(ALICE, 1, 100 * QNET)
    assert hub.stake_of(1) == 1100 * QNET
    assert hub.votes_of(ALICE) == 100 * QNET
    number, amount = hub.undelegate(ALICE, 1, shares)
    assert amount <= 100 * QNET
    assert hub.votes_of(ALICE) == 0
    with refused("StillUnbonding"):
        hub.withdraw(ALICE, number)
    hub.now = 1000 + EPOCH_S + DEVNET.unbond_s
    assert hub.withdraw(ALICE, number) == amount
    with refused("NoTicket"):
        hub.withdraw(ALICE, number)


def test_a_pool_is_limited_by_the_bond():
    hub = make_hub()
    hub.delegate(ALICE, 1, 9000 * QNET)
    with refused("Oversubscribed"):
        hub.delegate(BOB, 1, 1)


def test_a_shrinking_bond_lets_less_delegation_count():
    hub = make_hub()
    hub.delegate(ALICE, 1, 9000 * QNET)
    hub.now += 1
    hub.unbond(1, 500 * QNET)
    assert hub.counted_at(1, 1000) == 10_000 * QNET
    assert hub.stake_of(1) == 5000 * QNET


@pytest.mark.parametrize("state", [NodeState.RETIRED, NodeState.JAILED, NodeState.TOMBSTONED])
def test_nobody_delegates_to_a_node_that_is_out(state):
    hub = make_hub()
    hub.nodes[1].state = state
    with refused("NotBondable"):
        hub.delegate(ALICE, 1, QNET)


def test_a_node_must_be_settled_before_anybody_comes_in():
    hub = make_hub()
    hub.final_through, hub.final_leaves = 3, 1
    with refused("NotSettled"):
        hub.delegate(ALICE, 1, QNET)
    hub.delegate(ALICE, 2, QNET)  # without a leaf in the last final report
    hub.settle(1, 2, 0, 0)
    hub.delegate(ALICE, 1, QNET)


def test_what_is_refused():
    hub = make_hub()
    shares = hub.delegate(ALICE, 1, QNET)
    for call, name in (
        (lambda: hub.bond(1, 0), "ZeroAmount"),
        (lambda: hub.unbond(1, 0), "ZeroAmount"),
        (lambda: hub.unbond(1, 1001 * QNET), "InsufficientBond"),
        (lambda: hub.delegate(ALICE, 1, 0), "ZeroAmount"),
        (lambda: hub.undelegate(ALICE, 1, shares + 1), "InsufficientShares"),
        (lambda: hub.undelegate(ALICE, 1, 0), "ZeroAmount"),
        (lambda: hub.undelegate(ALICE, 1, 1), "ZeroAmount"),
        (lambda: hub.redelegate(ALICE, 1, 1, shares), "SameNode"),
        (lambda: hub.set_terms(1, DEVNET.cost_max_wei + 1, M), "InvalidTerms"),
        (lambda: hub.set_terms(1, 0, DEVNET.margin_min_ppm - 1), "InvalidTerms"),
        (lambda: hub.claim(1), "NothingToClaim"),
    ):
        with refused(name):
            call()
    hub.nodes[1].state = NodeState.RETIRED
    with refused("NotBondable"):
        hub.bond(1, 1)


def test_rewards_stream_to_delegators_and_wait_for_the_operator():
    hub = make_hub()
    hub.settle(1, 0, 10, 5)
    assert hub.nodes[1].owed_wei == 15  # nobody delegates: all is the operator's
    shares = hub.delegate(ALICE, 1, 100 * QNET)
    hub.final_through, hub.final_leaves = 1, 2
    hub.settle(1, 1, 10, 5 + 30 * QNET)
    assert hub.worth_of(ALICE, 1) <= 100 * QNET
    hub.now += DEVNET.stream_s // 2
    assert 114 * QNET < hub.worth_of(ALICE, 1) <= 115 * QNET
    hub.now += DEVNET.stream_s
    assert 129 * QNET < hub.worth_of(ALICE, 1) <= 130 * QNET
    assert hub.claim(1) == 15
    for epoch, operator, pool, name in (
        (1, 10, 5, "NothingToSettle"),
        (2, 9, 50 * QNET, "CumulativeRegression"),
    ):
        with refused(name):
            hub.settle(1, epoch, operator, pool)
    assert hub.positions[ALICE, 1].shares == shares


def test_what_the_last_delegator_leaves_behind_is_the_operators():
    hub = make_hub()
    shares = hub.delegate(ALICE, 1, 100 * QNET)
    hub.settle(1, 0, 0, 30 * QNET)
    _, amount = hub.undelegate(ALICE, 1, shares)
    assert hub.nodes[1].pool == Pool()
    assert hub.nodes[1].owed_wei == 130 * QNET - amount
    hub.now += 1
    assert hub.nodes[1].pool.worth(hub.delegate(BOB, 1, QNET), hub.now) <= QNET


def test_a_slash_of_nothing_is_none():
    hub = make_hub()
    assert hub.slash(1, 0, 100_000, 0) == 0
    assert hub.nodes[1].slashes == []


def test_terms_wait_while_somebody_delegates():
    hub = make_hub()
    assert hub.terms_at(1, 0) == (0, 0)
    assert hub.set_terms(1, 5, 200_000) == 1
    shares = hub.delegate(ALICE, 1, QNET)
    hub.now += EPOCH_S
    later = hub.set_terms(1, 7, 300_000)
    start = CLOCK.epoch_bounds(later)[0]
    assert start >= hub.now + DEVNET.terms_delay_s > start - EPOCH_S
    assert hub.terms_at(1, later - 1) == (5, 200_000)
    assert hub.terms_at(1, later) == (7, 300_000)
    hub.undelegate(ALICE, 1, shares)
    assert hub.set_terms(1, 9, 400_000) == 2  # replaces what had not taken effect
    assert hub.terms_at(1, later) == (9, 400_000)


def test_terms_count_from_an_epoch_that_starts_just_then():
    hub = make_hub()
    hub.delegate(ALICE, 1, QNET)
    hub.now = CLOCK.epoch_bounds(9)[0] - DEVNET.terms_delay_s
    assert hub.set_terms(1, 0, M) == 9


def test_a_slash_reaches_bond_pool_and_tickets_but_no_older_ones():
    hub = make_hub()
    early = hub.unbond(1, 100 * QNET)
    hub.now += EPOCH_S
    late = hub.unbond(1, 100 * QNET)
    shares = hub.delegate(ALICE, 1, 200 * QNET)
    ticket, _ = hub.undelegate(ALICE, 1, shares // 2)
    reach = hub.slashable_of(1, 1)
    taken = hub.slash(1, 1, 100_000, reach)
    owner = OWNER + b"\x01"
    assert hub.ticket_worth(owner, early) == 100 * QNET
    assert hub.ticket_worth(owner, late) == 90 * QNET
    assert hub.nodes[1].bond_wei == 720 * QNET
    assert abs(hub.ticket_worth(ALICE, ticket) - 99 * QNET) < 10
    assert abs(taken - (80 + 10 + 1 + 1) * QNET) < 10
    assert hub.votes_of(ALICE) == 100 * QNET
    hub.poke(ALICE, 1)
    assert hub.votes_of(ALICE) <= 99 * QNET


def test_frozen_tickets_wait():
    hub = make_hub()
    number = hub.unbond(1, QNET)
    hub.nodes[1].freezes = 1
    hub.now += 10 * EPOCH_S
    with refused("Frozen"):
        hub.withdraw(OWNER + b"\x01", number)
    hub.nodes[1].freezes = 0
    assert hub.withdraw(OWNER + b"\x01", number) == QNET


def test_who_redelegates_pays_for_what_the_former_node_did():
    hub = make_hub()
    shares = hub.delegate(ALICE, 1, 100 * QNET)
    hub.delegate(BOB, 2, 100 * QNET)
    moved = hub.redelegate(ALICE, 1, 2, shares)
    assert hub.bound_shares(ALICE, 2) == moved
    with refused("InsufficientShares"):
        hub.undelegate(ALICE, 2, 1)
    with refused("InsufficientShares"):
        hub.redelegate(ALICE, 2, 1, moved)
    before, bobs = hub.balance_wei, hub.worth_of(BOB, 2)
    hub.slash(1, 0, 100_000, 10**30)
    burned_from = hub.balance_wei
    hub.poke(ALICE, 2)
    assert hub.positions[ALICE, 2].shares == moved - moved // 100
    assert abs(burned_from - hub.balance_wei - QNET) < 10
    assert hub.balance_wei < before
    assert hub.worth_of(BOB, 2) >= bobs
    hub.now += EPOCH_S + DEVNET.unbond_s
    hub.nodes[1].freezes = 1
    with refused("InsufficientShares"):
        hub.undelegate(ALICE, 2, moved - moved // 100)
    hub.nodes[1].freezes = 0
    hub.undelegate(ALICE, 2, moved - moved // 100)


def test_a_lien_does_not_pay_for_what_came_after_it():
    hub = make_hub()
    shares = hub.delegate(ALICE, 1, 100 * QNET)
    hub.slash(1, 0, 1000, 10**30)  # before: it took its part of the pool already
    moved = hub.redelegate(ALICE, 1, 2, shares)
    hub.now += EPOCH_S
    hub.slash(1, 1, 100_000, 10**30)
    hub.poke(ALICE, 2)
    assert hub.positions[ALICE, 2].shares == moved


def test_an_account_has_so_many_tickets_and_liens_and_no_more():
    hub = make_hub(nodes=TICKETS_MAX + 3)
    for index in range(1, TICKETS_MAX + 2):
        hub.delegate(ALICE, index, QNET)
        hub.delegate(BOB, index, QNET)
    for index in range(1, TICKETS_MAX + 1):
        hub.undelegate(ALICE, index, 500 * QNET)
        hub.redelegate(BOB, index, TICKETS_MAX + 3, 500 * QNET)
    with refused("TooManyTickets"):
        hub.undelegate(ALICE, TICKETS_MAX + 1, 500 * QNET)
    with refused("TooManyTickets"):
        hub.redelegate(BOB, TICKETS_MAX + 1, TICKETS_MAX + 3, 500 * QNET)


def test_a_trace_keeps_one_value_a_second():
    trace = Trace()
    for time, value in ((5, 1), (5, 2), (9, 3)):
        trace.push(time, value)
    assert [trace.at(time) for time in (4, 5, 8, 9, 99)] == [0, 2, 2, 3, 3]


accounts = st.sampled_from([ALICE, BOB, CAROL])
indexes = st.integers(1, 3)
amounts = st.one_of(st.integers(1, 10), st.integers(1, 5000 * QNET))
parts = st.fractions(0, 1)


class HubMachine(RuleBasedStateMachine):
    """Whatever happens, the books balance and the price of a share falls only by a slash."""

    tickets = Bundle("tickets")

    @initialize()
    def begin(self) -> None:
        self.hub = make_hub(nodes=3)
        self.prices = {index: Fraction(0) for index in self.hub.nodes}
        self.slashed = 0
        self.taken = 0
        self.brought = 3 * 1000 * QNET
        self.paid = 0
        self.burned_before = 0

    def attempt(self, call):
        """Do it, or leave it if the hub refuses."""
        try:
            return call()
        except StakeRefusedError:
            return None

    @rule(seconds=st.integers(0, 3 * EPOCH_S))
    def wait(self, seconds) -> None:
        self.hub.now += seconds

    @rule(index=indexes, amount=amounts)
    def bond(self, index, amount) -> None:
        self.hub.bond(index, amount)
        self.brought += amount

    @rule(target=tickets, index=indexes, part=parts)
    def unbond(self, index, part):
        amount = int(self.hub.nodes[index].bond_wei * part)
        number = self.attempt(lambda: self.hub.unbond(index, amount))
        return multiple() if number is None else (self.hub.nodes[index].owner, number)

    @rule(account=accounts, index=indexes, amount=amounts)
    def delegate(self, account, index, amount) -> None:
        shares = self.attempt(lambda: self.hub.delegate(account, index, amount))
        if shares is not None:
            self.brought += amount
            assert self.hub.nodes[index].pool.worth(shares, self.hub.now) <= amount

    @rule(target=tickets, account=accounts, index=indexes, part=parts)
    def undelegate(self, account, index, part):
        shares = self.shares(account, index, part)
        made = self.attempt(lambda: self.hub.undelegate(account, index, shares))
        return multiple() if made is None else (account, made[0])

    @rule(account=accounts, source=indexes, goal=indexes, part=parts)
    def redelegate(self, account, source, goal, part) -> None:
        shares = self.shares(account, source, part)
        self.attempt(lambda: self.hub.redelegate(account, source, goal, shares))

    @rule(ticket=tickets)
    def withdraw(self, ticket) -> None:
        worth = self.attempt(lambda: self.hub.withdraw(*ticket))
        self.paid += worth or 0

    @rule(account=accounts, index=indexes)
    def poke(self, account, index) -> None:
        self.hub.poke(account, index)
        position = self.hub.positions.get((account, index))
        if position is not None:
            assert position.principal_wei <= self.hub.worth_of(account, index)

    @rule(index=indexes, operator=amounts, pool=amounts)
    def settle(self, index, operator, pool) -> None:
        node = self.hub.nodes[index]
        sums = node.cum_operator_wei + operator, node.cum_pool_wei + pool
        self.hub.settle(index, node.settled_through, *sums)
        self.brought += operator + pool

    @rule(index=indexes)
    def claim(self, index) -> None:
        self.paid += self.attempt(lambda: self.hub.claim(index)) or 0

    @rule(index=indexes, back=st.integers(0, 4), ppm=st.integers(0, 100_000), cap=parts)
    def slash(self, index, back, ppm, cap) -> None:
        epoch = max(CLOCK.epoch_at(self.hub.now) - back, 0)
        reach = self.hub.slashable_of(index, epoch)
        taken = self.hub.slash(index, epoch, ppm, int(reach * cap))
        assert taken <= int(reach * cap)
        assert self.hub.slashable_of(index, epoch) == reach - taken
        self.taken += taken
        self.slashed = index

    @rule(index=indexes)
    def freeze(self, index) -> None:
        self.hub.nodes[index].freezes += 1

    @rule(index=indexes)
    @precondition(lambda self: any(node.freezes for node in self.hub.nodes.values()))
    def unfreeze(self, index) -> None:
        self.hub.nodes[index].freezes = 0

    def shares(self, account, index, part) -> int:
        held = self.hub.positions.get((account, index))
        return int((held.shares if held else 0) * part)

    @invariant()
    def the_hub_is_solvent(self) -> None:
        owed = 0
        for node in self.hub.nodes.values():
            owed += node.bond_wei + node.pool.assets_wei + node.owed_wei
            owed += sum(b.assets_wei for b in node.bond_buckets.values())
            owed += sum(b.assets_wei for b in node.pool_buckets.values())
        assert self.hub.balance_wei == owed
        burned = self.brought - self.paid - self.taken - self.hub.balance_wei
        assert burned >= self.burned_before
        self.burned_before = burned

    @invariant()
    def shares_add_up(self) -> None:
        for index, node in self.hub.nodes.items():
            held = [p.shares for (_, at), p in self.hub.positions.items() if at == index]
            assert sum(held) == node.pool.shares
            assert node.pool.worth(node.pool.shares, self.hub.now) <= node.pool.available(
                self.hub.now
            )
        for (account, index), position in self.hub.positions.items():
            assert self.hub.bound_shares(account, index) <= position.shares
        for from_bond in (True, False):
            for index, node in self.hub.nodes.items():
                for epoch, bucket in node.buckets(from_bond=from_bond).items():
                    mine = [
                        ticket.shares
                        for found in self.hub.tickets.values()
                        for ticket in found.values()
                        if (ticket.index, ticket.from_bond, ticket.epoch)
                        == (index, from_bond, epoch)
                    ]
                    assert sum(mine) == bucket.shares

    @invariant()
    def the_price_of_a_share_falls_only_by_a_slash(self) -> None:
        for index, node in self.hub.nodes.items():
            now = Fraction(node.pool.available(self.hub.now) + 1, node.pool.shares + VIRTUAL_SHARES)
            if index != self.slashed and node.pool.shares:
                assert now >= self.prices[index]
            self.prices[index] = now
        self.slashed = 0

    @invariant()
    def votes_are_bonds_and_principal(self) -> None:
        voters = {ALICE, BOB, CAROL} | {node.owner for node in self.hub.nodes.values()}
        bonds = sum(node.bond_wei for node in self.hub.nodes.values())
        principal = sum(p.principal_wei for p in self.hub.positions.values())
        assert sum(map(self.hub.votes_of, voters)) == bonds + principal


HubMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestHubMachine = HubMachine.TestCase
