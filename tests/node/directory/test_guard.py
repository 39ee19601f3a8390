from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.directory.guard import (
    DAY_S,
    LIFETIME_MAX_S,
    LIFETIME_MIN_S,
    MAX_GUARDS,
    MAX_NEW_PER_DAY,
    MIN_CIRCUITS,
    REPLACEMENT_GAP_S,
    WINDOW_CIRCUITS,
    Guard,
    GuardState,
    Outcome,
    maintain_guards,
    usable_guards,
)
from qnet.errors import DecodeError
from qnet.messages.consensus import Consensus
from qnet.messages.descriptor import Role
from tests.support.signed_network import PERIOD, make_network, seeded

CONSENSUS = make_network((Role.ENTRY,) * 12 + (Role.RELAY,)).consensus


def without(indexes: set[int]) -> Consensus:
    return replace(
        CONSENSUS, nodes=tuple(node for node in CONSENSUS.nodes if node.index not in indexes)
    )


def fresh(seed: int = 1) -> GuardState:
    return maintain_guards(GuardState(), CONSENSUS, now=PERIOD, random=seeded(seed))


def indexes(state: GuardState, consensus: Consensus = CONSENSUS) -> list[int]:
    return [node.index for node in usable_guards(state, consensus)]


def test_two_guards_are_chosen_and_kept() -> None:
    state = fresh()
    assert len(state.guards) == 2
    later = maintain_guards(state, CONSENSUS, now=PERIOD + DAY_S, random=seeded(2))
    assert later.guards == state.guards
    for guard in state.guards:
        assert LIFETIME_MIN_S <= guard.expires_at - guard.chosen_at <= LIFETIME_MAX_S


def test_choice_follows_the_weights() -> None:
    source, draws = seeded(3), 3000
    counts = Counter(
        indexes(maintain_guards(GuardState(), CONSENSUS, now=PERIOD, random=source))[0]
        for _ in range(draws)
    )
    total = sum(range(1, 13))
    statistic = sum(
        (counts[i] - draws * i / total) ** 2 / (draws * i / total) for i in range(1, 13)
    )
    assert statistic < 31.3  # chi-square, 11 degrees of freedom, p = 0.001


def test_guards_are_independent_of_each_other_where_possible() -> None:
    alike = replace(
        CONSENSUS,
        nodes=tuple(
            replace(node, family="one") if node.index > 1 else node for node in CONSENSUS.nodes
        ),
    )
    for seed in range(30):
        state = maintain_guards(GuardState(), alike, now=PERIOD, random=seeded(seed))
        assert 1 in indexes(state, alike)
    only_alike = replace(alike, nodes=alike.nodes[1:])
    state = maintain_guards(GuardState(), only_alike, now=PERIOD, random=seeded())
    assert len(state.guards) == 2


def test_unlisted_guards_are_remembered_and_come_back() -> None:
    state = fresh()
    gone = indexes(state)[0]
    reduced = without({gone})
    later = maintain_guards(state, reduced, now=PERIOD + 60, random=seeded(9))
    assert len(later.guards) == 3
    assert gone not in indexes(later, reduced)
    assert indexes(later) == indexes(state)


def test_memory_is_bounded() -> None:
    state, gone = fresh(), set[int]()
    for day in range(1, 11):
        gone |= set(indexes(state, without(gone))[:1])
        now = PERIOD + day * DAY_S
        state = maintain_guards(state, without(gone), now=now, random=seeded(day))
        assert len(state.guards) <= MAX_GUARDS
        assert len(indexes(state, without(gone))) == 2
    assert len(state.guards) == MAX_GUARDS


def test_expired_guards_are_replaced_one_at_a_time() -> None:
    state = fresh()
    late = PERIOD + LIFETIME_MAX_S + 1
    once = maintain_guards(state, CONSENSUS, now=late, random=seeded(4))
    assert state.guards[0] not in once.guards
    assert state.guards[1] in once.guards
    soon = late + REPLACEMENT_GAP_S - 1
    assert state.guards[1] in maintain_guards(once, CONSENSUS, now=soon, random=seeded(5)).guards
    twice = maintain_guards(once, CONSENSUS, now=soon + 1, random=seeded(5))
    assert state.guards[1] not in twice.guards


def test_failing_guards_are_dropped_and_not_chosen_again_at_once() -> None:
    state = fresh()
    bad = state.guards[0].node_id
    for circuit in range(MIN_CIRCUITS):
        assert not state.guards[0].is_failing
        state = state.record(bad, Outcome.BUILT if circuit % 3 else Outcome.FAILED)
    assert state.guards[0].is_failing
    only = replace(
        CONSENSUS,
        nodes=tuple(
            node
            for node in CONSENSUS.nodes
            if node.node_id in {guard.node_id for guard in state.guards}
        ),
    )
    after = maintain_guards(state, only, now=PERIOD, random=seeded())
    assert [guard.node_id for guard in after.guards] == [state.guards[1].node_id]


def test_a_few_failures_are_forgiven() -> None:
    state = fresh()
    node_id = state.guards[0].node_id
    for circuit in range(200):
        state = state.record(node_id, Outcome.BUILT if circuit % 4 else Outcome.FAILED)
    guard = state.guards[0]
    assert not guard.is_failing
    assert guard.circuits < WINDOW_CIRCUITS
    assert state.guards[1].built == 0


def test_a_guard_behind_which_most_circuits_break_is_suspicious_but_kept() -> None:
    state = fresh()
    node_id = state.guards[0].node_id
    for circuit in range(MIN_CIRCUITS):
        assert not state.guards[0].is_suspicious
        state = state.record(node_id, Outcome.BROKEN if circuit % 3 else Outcome.BUILT)
    assert state.guards[0].is_suspicious
    assert not state.guards[0].is_failing
    assert maintain_guards(state, CONSENSUS, now=PERIOD, random=seeded()).guards == state.guards


def test_the_guard_that_worked_first_comes_first() -> None:
    state = fresh()
    first, second = (guard.node_id for guard in state.guards)
    state = state.record(second, Outcome.BUILT)
    assert [guard.node_id for guard in state.guards] == [second, first]
    state = state.record(first, Outcome.BUILT)
    assert [guard.node_id for guard in state.guards] == [second, first]


def all_of(state: GuardState) -> set[bytes]:
    return {guard.node_id for guard in state.guards}


def test_when_nobody_answers_it_is_the_network() -> None:
    state = fresh()
    for hour in range(24 * 40):
        now = PERIOD + 3600 * hour
        state = maintain_guards(
            state, CONSENSUS, now=now, random=seeded(hour), unreachable=all_of(state)
        )
    assert len(state.guards) == 3


def test_when_only_the_guards_are_gone_a_few_others_are_tried_each_day() -> None:
    state = fresh()
    for minute in range(60):
        state = maintain_guards(
            state,
            CONSENSUS,
            now=PERIOD + 60 * minute,
            random=seeded(minute),
            unreachable=all_of(state),
            network_is_up=True,
        )
    assert len(state.guards) == MAX_NEW_PER_DAY
    state = maintain_guards(
        state,
        CONSENSUS,
        now=PERIOD + DAY_S,
        random=seeded(),
        unreachable=all_of(state),
        network_is_up=True,
    )
    assert len(state.guards) == MAX_NEW_PER_DAY + 1


def test_no_guard_that_is_listed_makes_room_for_another() -> None:
    state = fresh()
    for day in range(1, 9):
        state = maintain_guards(
            state,
            CONSENSUS,
            now=PERIOD + day * DAY_S,
            random=seeded(day),
            unreachable=all_of(state),
            network_is_up=True,
        )
    assert len(state.guards) == MAX_GUARDS
    later = maintain_guards(
        state,
        CONSENSUS,
        now=PERIOD + 20 * DAY_S,
        random=seeded(),
        unreachable=all_of(state),
        network_is_up=True,
    )
    assert later.guards == state.guards


def test_primary_guards_are_preferred_again_when_they_are_back() -> None:
    state = fresh()
    gone = {guard.node_id for guard in state.guards}
    state = state.record(state.guards[0].node_id, Outcome.BUILT)
    state = state.record(state.guards[1].node_id, Outcome.BUILT)
    primary = indexes(state)
    state = maintain_guards(state, CONSENSUS, now=PERIOD, random=seeded(), unreachable=gone)
    (other,) = usable_guards(state, CONSENSUS, gone)
    assert other.index not in primary
    state = state.record(other.node_id, Outcome.BUILT)
    assert indexes(state) == primary
    assert [n.index for n in usable_guards(state, CONSENSUS, {state.guards[0].node_id})] == [
        primary[1]
    ]


def test_a_clock_that_was_wrong_does_not_bind_for_ever() -> None:
    future = PERIOD + 1000 * DAY_S
    state = maintain_guards(GuardState(), CONSENSUS, now=future, random=seeded())
    state = replace(state, dropped_at=future)
    right = maintain_guards(state, CONSENSUS, now=PERIOD, random=seeded())
    assert right.dropped_at <= PERIOD
    assert all(at <= PERIOD for at in right.drawn_at)
    for guard in right.guards:
        assert guard.chosen_at <= PERIOD
        assert guard.expires_at <= PERIOD + LIFETIME_MAX_S


def test_a_client_whose_guards_all_left_finds_new_ones() -> None:
    state, gone = fresh(), set[int]()
    for seed in range(5):
        gone |= set(indexes(state, without(gone)))
        state = maintain_guards(state, without(gone), now=PERIOD, random=seeded(seed))
        assert indexes(state, without(gone))


def test_networks_without_entries_give_no_guards() -> None:
    empty = replace(CONSENSUS, nodes=CONSENSUS.nodes[-1:])
    assert maintain_guards(GuardState(), empty, now=PERIOD, random=seeded()) == GuardState()


GUARDS = st.builds(
    Guard,
    st.binary(min_size=32, max_size=32),
    st.integers(0, 1 << 40),
    st.integers(0, 1 << 40),
    st.booleans(),
    *[st.integers(0, 1 << 40)] * 3,
)


@given(
    st.lists(GUARDS, max_size=MAX_GUARDS, unique_by=lambda guard: guard.node_id),
    st.lists(st.integers(0, 1 << 40), max_size=MAX_NEW_PER_DAY),
    st.integers(0, 1 << 40),
)
def test_state_round_trips(guards: list[Guard], drawn_at: list[int], dropped_at: int) -> None:
    ordered = sorted(guards, key=lambda guard: not guard.confirmed)
    state = GuardState(tuple(ordered), tuple(drawn_at), dropped_at)
    assert GuardState.from_json(state.to_json()) == state


ROW = {
    "node_id": "00" * 32,
    "chosen_at": 1,
    "expires_at": 2,
    "confirmed": True,
    "built": 0,
    "failed": 0,
    "broken": 0,
}


@pytest.mark.parametrize(
    "guards",
    [
        None,
        {},
        [1],
        [{}],
        [ROW, ROW],
        [ROW] * 9,
        [{**ROW, "node_id": "zz"}],
        [{**ROW, "node_id": "00"}],
        [{**ROW, "node_id": 5}],
        [{**ROW, "built": -1}],
        [{**ROW, "built": True}],
        [{**ROW, "built": 1.5}],
        [{**ROW, "chosen_at": 1 << 60}],
        [{**ROW, "confirmed": 1}],
    ],
)
def test_other_guards_are_refused(guards: object) -> None:
    with pytest.raises(DecodeError):
        GuardState.from_json({"guards": guards, "drawn_at": [], "dropped_at": 0})


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {"guards": []},
        {"guards": [], "drawn_at": [0] * 7, "dropped_at": 0},
        {"guards": [], "drawn_at": 0, "dropped_at": 0},
        {"guards": [], "drawn_at": ["1"], "dropped_at": 0},
        {"guards": [], "drawn_at": [], "dropped_at": -1},
    ],
)
def test_other_states_are_refused(value: object) -> None:
    with pytest.raises(DecodeError):
        GuardState.from_json(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["guards", "drawn_at", "dropped_at", *ROW]), inner)
        ),
        max_leaves=20,
    )
)
def test_reading_a_state_never_fails_otherwise(value: object) -> None:
    try:
        state = GuardState.from_json(value)
    except DecodeError:
        return
    assert len(state.guards) <= MAX_GUARDS


class Life(RuleBasedStateMachine):
    """A client's guards while nodes come and go, and the network with them."""

    def __init__(self) -> None:
        super().__init__()
        self.state = GuardState()
        self.now = PERIOD
        self.gone: set[int] = set()
        self.silent: set[bytes] = set()
        self.offline = False
        self.draws: list[int] = []
        self.drops: list[int] = []
        self.seed = 0

    @rule(indexes=st.sets(st.integers(1, 12), max_size=9))
    def consensus_changes(self, indexes: set[int]) -> None:
        self.gone = indexes

    @rule(indexes=st.sets(st.integers(1, 12)))
    def some_do_not_answer(self, indexes: set[int]) -> None:
        self.silent = {node.node_id for node in CONSENSUS.nodes if node.index in indexes}

    @rule()
    def the_machine_goes_offline(self) -> None:
        self.offline = True

    @rule()
    def it_is_online_again(self) -> None:
        self.offline = False

    @rule(seconds=st.sampled_from([1, 600, 3600, DAY_S, 30 * DAY_S, LIFETIME_MAX_S]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(
        place=st.integers(0, MAX_GUARDS - 1),
        outcome=st.sampled_from(Outcome),
        times=st.sampled_from([1, MIN_CIRCUITS]),
    )
    def circuits_go(self, place: int, outcome: Outcome, times: int) -> None:
        if place < len(self.state.guards):
            for _ in range(times):
                self.state = self.state.record(self.state.guards[place].node_id, outcome)

    @rule(is_up=st.booleans())
    def guards_are_maintained(self, *, is_up: bool) -> None:
        consensus, before = without(self.gone), self.state
        silent = self.silent | all_of(before) if self.offline else self.silent
        self.seed += 1
        after = maintain_guards(
            before,
            consensus,
            now=self.now,
            random=seeded(self.seed),
            unreachable=silent,
            network_is_up=is_up,
        )
        listed = {node.node_id for node in consensus.nodes}
        held = {guard.node_id for guard in after.guards}
        had = {guard.node_id for guard in before.guards}
        lost = {g for g in before.guards if g.node_id not in held}
        ended = {g for g in lost if g.is_failing or g.expires_at <= self.now}
        evicted = lost - ended
        # none leaves without a reason, and no two with one within the gap
        assert len(ended) <= 1
        assert all(guard.node_id not in listed for guard in evicted)
        if ended and self.drops:
            assert self.now - self.drops[-1] >= REPLACEMENT_GAP_S
        self.drops += [self.now] * len(ended)
        # new ones: only where they are needed, and few
        new = held - had
        kept_listed = [g for g in after.guards if g.node_id in listed & (held - new)]
        answering = [g for g in kept_listed if g.node_id not in silent]
        assert len(new) <= max(2 - len(kept_listed), 1)
        assert not new or len(kept_listed) < 2 or not answering
        recent = sum(at > self.now - DAY_S for at in self.draws)
        if kept_listed:
            assert recent + len(new) <= max(MAX_NEW_PER_DAY, recent)
        extras = [g for g in kept_listed[2:] if not g.confirmed]
        if new and len(kept_listed) >= 2 and not is_up:
            assert not extras
        self.draws += [self.now] * len(new)
        self.state = after

    @invariant()
    def what_always_holds(self) -> None:
        guards = self.state.guards
        assert len(guards) <= MAX_GUARDS
        assert len({guard.node_id for guard in guards}) == len(guards)
        assert [g.confirmed for g in guards] == sorted((g.confirmed for g in guards), reverse=True)
        for guard in guards:
            assert LIFETIME_MIN_S <= guard.expires_at - guard.chosen_at <= LIFETIME_MAX_S
        assert GuardState.from_json(self.state.to_json()) == self.state
        consensus = without(self.gone)
        usable = usable_guards(self.state, consensus, self.silent)
        listed = usable_guards(self.state, consensus)
        assert len(usable) <= 2
        assert not {node.node_id for node in usable} & self.silent
        if {node.node_id for node in listed} - self.silent:
            assert {node.index for node in usable} <= {node.index for node in listed}


Life.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase
