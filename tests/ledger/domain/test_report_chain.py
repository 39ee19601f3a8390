"""Reports in their order, and whole networks over many epochs as a state machine."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.domain.claims import Claims
from ledger.domain.disputes import find_wrong
from ledger.domain.report import EpochResult, recompute
from ledger.domain.report_chain import UNFINISHED_MAX, ReportChain, Status
from ledger.domain.rewards import role_budget, role_slots
from ledger.domain.state import M, NetworkState, NodeState
from ledger.errors import ReportRefusedError
from qnet.messages.report import NO_REPORT, EpochReport
from tests.ledger.domain.material import (
    DEVNET,
    QNET,
    both_sides,
    epoch_data,
    reveal,
    small_network,
)

EPOCH_S = DEVNET.slot_s * DEVNET.slots_per_epoch


def make_chain() -> ReportChain:
    return ReportChain(DEVNET.report_deadline_s, DEVNET.challenge_window_s, EPOCH_S)


def report(epoch: int, chain: ReportChain, **changes: object) -> EpochReport:
    whole = EpochReport(
        epoch=epoch,
        attempt=chain.entry(epoch).attempt,
        params_hash=bytes(32),
        nodes_root=bytes(32),
        evidence_root=bytes(32),
        audit_root=bytes(32),
        total_reward_wei=0,
        node_count=1,
        data_hash=bytes(32),
        previous_hash=chain.last_hash,
    )
    return replace(whole, **changes)


def submit(chain: ReportChain, epoch: int, **changes: object) -> None:
    made = report(epoch, chain, **changes)
    chain.submit(made, bytes([epoch + 1, made.attempt]) * 16)


def refused(name: str):
    return pytest.raises(ReportRefusedError, match=name)


def test_reports_come_in_order_and_in_time():
    chain = make_chain()
    with refused("EpochNotOver"):
        submit(chain, 0)
    chain.now = 2 * EPOCH_S
    with refused("ReportOutOfOrder"):
        submit(chain, 1)
    with refused("WrongPredecessor"):
        submit(chain, 0, previous_hash=b"\x01" * 32)
    with refused("WrongAttempt"):
        submit(chain, 0, attempt=1)
    submit(chain, 0)
    with refused("AlreadyReported"):
        submit(chain, 0)
    with refused("WindowOpen"):
        chain.finalize(0)
    submit(chain, 1)
    chain.now = chain.deadline(2) + 1
    with refused("PredecessorNotFinal"):
        chain.finalize(1)
    with refused("DeadlinePassed"):
        submit(chain, 2)
    chain.finalize(0)
    chain.finalize(1)
    assert chain.final_through == 2
    with refused("WrongStatus"):
        chain.disable(0)
    with refused("WrongStatus"):
        chain.finalize(0)


def test_a_disabled_report_takes_those_after_it_along():
    chain = make_chain()
    chain.now = 4 * EPOCH_S
    for epoch in range(3):
        submit(chain, epoch)
    first = chain.entry(0).hash
    chain.disable(1)
    assert [chain.entry(epoch).status for epoch in range(3)] == [
        Status.SUBMITTED,
        Status.DISABLED,
        Status.DISABLED,
    ]
    assert (chain.next_epoch, chain.last_hash) == (1, first)
    assert [chain.entry(epoch).attempt for epoch in range(3)] == [0, 1, 1]
    submit(chain, 1)
    submit(chain, 2)
    assert chain.entry(2).previous == 1
    chain.disable(0)
    assert (chain.next_epoch, chain.last_hash) == (0, NO_REPORT)
    assert [chain.entry(epoch).attempt for epoch in range(3)] == [1, 2, 2]


def test_an_overdue_epoch_is_skipped_for_good():
    chain = make_chain()
    chain.now = chain.deadline(0)
    with refused("DeadlineNotPassed"):
        chain.skip(0)
    chain.now += 1
    with refused("ReportOutOfOrder"):
        chain.now = chain.deadline(1) + 1
        chain.skip(1)
    chain.skip(0)
    assert chain.next_epoch == 1
    chain.now = 3 * EPOCH_S
    submit(chain, 1)
    with refused("AlreadyReported"):
        chain.skip(1)
    chain.disable(1)
    assert chain.next_epoch == 1
    assert chain.deadline(1) == chain.now + DEVNET.report_deadline_s


def test_a_skipped_epoch_is_passed_over_again_after_a_disabling():
    chain = make_chain()
    chain.now = EPOCH_S
    submit(chain, 0)
    chain.now = chain.deadline(1) + 1
    chain.skip(1)
    chain.disable(0)
    assert chain.next_epoch == 0
    submit(chain, 0)
    assert chain.next_epoch == 2


def test_only_so_many_reports_wait():
    chain = make_chain()
    for epoch in range(UNFINISHED_MAX + 1):
        chain.now = (epoch + 1) * EPOCH_S
        if epoch < UNFINISHED_MAX:
            submit(chain, epoch)
    with refused("TooManyUnfinished"):
        submit(chain, UNFINISHED_MAX)


class NetworkMachine(RuleBasedStateMachine):
    """Nodes bond, delegate, misbehave; epochs are reported, disabled, skipped and settled."""

    @initialize()
    def begin(self) -> None:
        self.chain = make_chain()
        self.chain.now = EPOCH_S
        self.nodes = list(small_network())
        self.nodes[1] = replace(self.nodes[1], pool_start_wei=QNET, pool_end_wei=9 * QNET)
        self.states: dict[bytes, NetworkState] = {NO_REPORT: NetworkState()}
        self.reported: dict[bytes, tuple[EpochResult, object]] = {}
        self.signed: set[tuple[int, int]] = set()
        self.settled: dict[int, tuple[int, int]] = {}

    # ---- what happens to nodes ---------------------------------------------------------------

    @rule(
        place=st.integers(0, 5),
        bonds=st.tuples(*[st.integers(0, 20_000 * QNET)] * 2),
        pools=st.tuples(*[st.integers(0, 60_000 * QNET)] * 2),
        cost=st.integers(0, 100 * QNET),
        margin=st.integers(0, 2 * M),
    )
    def stake(self, place, bonds, pools, cost, margin) -> None:
        self.nodes[place] = replace(
            self.nodes[place],
            bond_start_wei=bonds[0],
            bond_end_wei=bonds[1],
            pool_start_wei=pools[0],
            pool_end_wei=pools[1],
            cost_wei=cost,
            margin_ppm=margin,
        )

    @rule(place=st.integers(0, 5), state=st.sampled_from(NodeState), slot=st.booleans())
    def change(self, place, state, slot) -> None:
        if self.nodes[place].state is not NodeState.TOMBSTONED:
            self.nodes[place] = replace(self.nodes[place], state=state, slot=slot)

    # ---- what happens to reports -------------------------------------------------------------

    @rule(seconds=st.integers(1, EPOCH_S))
    def wait(self, seconds) -> None:
        self.chain.now += seconds

    def is_due(self) -> bool:
        epoch, now = self.chain.next_epoch, self.chain.now
        return (epoch + 1) * EPOCH_S <= now <= self.chain.deadline(epoch)

    @precondition(is_due)
    @rule(cells=st.integers(0, 3000), back=st.integers(0, 4), slots=st.integers(0, 6))
    def report(self, cells, back, slots) -> None:
        if self.chain.unfinished >= UNFINISHED_MAX:
            return
        epoch = self.chain.next_epoch
        attempt, before = self.chain.entry(epoch).attempt, self.states[self.chain.last_hash]
        found = dict.fromkeys(range(1, 7), (4, back))
        data = epoch_data(
            [*both_sides(epoch, 1, 1, 2, cells), *both_sides(epoch, 1, 2, 3, cells)],
            [reveal(epoch, slot, auditor, found) for slot in range(slots) for auditor in range(4)],
            epoch=epoch,
            attempt=attempt,
            before=before,
            nodes=tuple(self.nodes),
        )
        result = recompute(data.encode())
        assert (epoch, attempt) not in self.signed  # nobody signs twice
        self.signed.add((epoch, attempt))
        self.chain.submit(result.report, result.digest)
        self.states[result.digest] = result.after
        self.reported[result.digest] = result, data
        self.check_report(result, data, before)

    def check_report(self, result, data, before) -> None:
        """SumRewardLeBudget, RewardLeCap, and nothing that the court could be shown."""
        assert result.report.total_reward_wei <= data.snapshot.budget_wei
        for leaf, node in zip(result.leaves, data.snapshot.nodes, strict=True):
            most = role_budget(data.snapshot.budget_wei, node.role, DEVNET)
            assert leaf.reward_wei <= most // role_slots(node.role, DEVNET)
            old = before.record(leaf.node, 0)
            grown = (
                leaf.cum_operator_wei - old.cum_operator_wei,
                leaf.cum_pool_wei - old.cum_pool_wei,
            )
            assert sum(grown) == leaf.reward_wei
            assert min(grown) >= 0
        earlier = self.reported.get(data.before.report_hash)
        previous = None if earlier is None else Claims.of(*earlier)
        assert find_wrong(Claims.of(result, data), previous, data) == []

    @precondition(lambda self: self.chain.unfinished > 0)
    @rule(back=st.integers(0, 3))
    def disable(self, back) -> None:
        waiting = [
            epoch
            for epoch, entry in sorted(self.chain.entries.items())
            if entry.status is Status.SUBMITTED
        ]
        self.chain.disable(waiting[-1 - min(back, len(waiting) - 1)])

    @precondition(lambda self: self.chain.unfinished > 0)
    @rule()
    def finalize(self) -> None:
        epoch = min(e for e, x in self.chain.entries.items() if x.status is Status.SUBMITTED)
        self.chain.now = max(self.chain.now, self.chain.entry(epoch).since_s + self.chain.window_s)
        self.chain.finalize(epoch)
        for leaf in self.reported[self.chain.entry(epoch).hash][0].leaves:
            operator, pool = self.settled.get(leaf.node, (0, 0))
            assert leaf.cum_operator_wei >= operator
            assert leaf.cum_pool_wei >= pool
            self.settled[leaf.node] = leaf.cum_operator_wei, leaf.cum_pool_wei

    @precondition(lambda self: self.chain.now > self.chain.deadline(self.chain.next_epoch))
    @rule()
    def skip(self) -> None:
        self.chain.skip(self.chain.next_epoch)

    # ---- what always holds -------------------------------------------------------------------

    @invariant()
    def live_reports_form_one_chain(self) -> None:
        """OneLiveReport; each names the one before, sums only grow along it."""
        epoch, later = self.chain.last, None
        while epoch is not None:
            entry = self.chain.entries[epoch]
            assert entry.status in {Status.SUBMITTED, Status.FINAL}
            result, _ = self.reported[entry.hash]
            assert result.report.epoch == epoch
            assert epoch not in self.chain.skipped
            if later is not None:
                assert later.report.previous_hash == entry.hash
                assert later.report.epoch > epoch
                for old, new in zip(result.leaves, later.leaves, strict=True):
                    assert new.cum_operator_wei >= old.cum_operator_wei
                    assert new.cum_pool_wei >= old.cum_pool_wei
            epoch, later = entry.previous, result
        live = {e for e, x in self.chain.entries.items() if x.status is Status.SUBMITTED}
        assert all(epoch >= self.chain.final_through for epoch in live)

    @invariant()
    def what_was_settled_was_funded(self) -> None:
        """DisabledNeverSettles and EpochPaidLeFunded: all sums come from final reports."""
        final = [
            self.reported[entry.hash][0].report.total_reward_wei
            for entry in self.chain.entries.values()
            if entry.status is Status.FINAL
        ]
        assert sum(map(sum, self.settled.values())) == sum(final)
        assert all(paid <= DEVNET.emission_wei for paid in final)

    @invariant()
    def attempts_count_disablings(self) -> None:
        for epoch, entry in self.chain.entries.items():
            made = {attempt for e, attempt in self.signed if e == epoch}
            live = entry.status in {Status.SUBMITTED, Status.FINAL}
            assert made == set(range(entry.attempt + live))

    @invariant()
    def reputation_is_a_share(self) -> None:
        for record in self.states[self.chain.last_hash].records.values():
            assert 0 <= record.rho_ppm <= M


NetworkMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestNetworkMachine = NetworkMachine.TestCase
