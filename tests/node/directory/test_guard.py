from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.directory.guard import (
    LIFETIME_MAX_S,
    LIFETIME_MIN_S,
    MAX_GUARDS,
    MIN_CIRCUITS,
    WINDOW_CIRCUITS,
    Guard,
    GuardState,
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
    assert maintain_guards(state, CONSENSUS, now=PERIOD + 86_400, random=seeded(2)) == state
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
    for seed in range(10):
        gone |= set(indexes(state, without(gone))[:1])
        state = maintain_guards(state, without(gone), now=PERIOD, random=seeded(seed))
        assert len(state.guards) <= MAX_GUARDS
        assert len(indexes(state, without(gone))) == 2
    assert len(state.guards) == MAX_GUARDS


def test_expired_guards_are_replaced_one_at_a_time() -> None:
    state = fresh()
    late = PERIOD + LIFETIME_MAX_S + 1
    once = maintain_guards(state, CONSENSUS, now=late, random=seeded(4))
    assert state.guards[0] not in once.guards
    assert state.guards[1] in once.guards
    twice = maintain_guards(once, CONSENSUS, now=late, random=seeded(5))
    assert state.guards[1] not in twice.guards


def test_failing_guards_are_dropped_and_not_chosen_again_at_once() -> None:
    state = fresh()
    bad = state.guards[0].node_id
    for circuit in range(MIN_CIRCUITS):
        assert not state.guards[0].is_failing
        state = state.record(bad, built=circuit % 3 != 0)
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
        state = state.record(node_id, built=circuit % 4 != 0)
    guard = state.guards[0]
    assert not guard.is_failing
    assert guard.built + guard.failed < WINDOW_CIRCUITS
    assert state.guards[1].built == 0


def test_networks_without_entries_give_no_guards() -> None:
    empty = replace(CONSENSUS, nodes=CONSENSUS.nodes[-1:])
    assert maintain_guards(GuardState(), empty, now=PERIOD, random=seeded()) == GuardState()


@given(
    st.lists(
        st.builds(
            Guard,
            st.binary(min_size=32, max_size=32),
            *[st.integers(0, 1 << 40)] * 4,
        ),
        max_size=MAX_GUARDS,
        unique_by=lambda guard: guard.node_id,
    )
)
def test_state_round_trips(guards: list[Guard]) -> None:
    state = GuardState(tuple(guards))
    assert GuardState.from_json(state.to_json()) == state


ROW = {"node_id": "00" * 32, "chosen_at": 1, "expires_at": 2, "built": 0, "failed": 0}


@pytest.mark.parametrize(
    "value",
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
    ],
)
def test_other_states_are_refused(value: object) -> None:
    with pytest.raises(DecodeError):
        GuardState.from_json(value)
