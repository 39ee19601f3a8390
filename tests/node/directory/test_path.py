from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import pytest

from node.directory.diversity import are_distinct
from node.directory.path import Path, select_path
from node.directory.wishes import Position, Wishes
from node.errors import Stage, StageError
from qnet.messages.consensus import Consensus
from qnet.messages.descriptor import Role
from tests.support.signed_network import make_network, seeded

ROLES = (Role.ENTRY,) * 3 + (Role.RELAY,) * 4 + (Role.EXIT,) * 3 + (Role.MIX,)
WEIGHTS = {1: 5, 2: 10, 3: 1, 4: 8, 5: 4, 6: 2, 7: 2, 8: 6, 9: 3, 10: 1, 11: 50}
CONSENSUS = make_network(ROLES, weights=WEIGHTS).consensus
PHASE = CONSENSUS.nodes[0].first_phase + 1
ALL_ENTRIES = (1, 2, 3)


def change(consensus: Consensus, changes: Mapping[int, dict[str, object]]) -> Consensus:
    nodes = (replace(node, **changes.get(node.index, {})) for node in consensus.nodes)
    return replace(consensus, nodes=tuple(nodes))


def select(
    consensus: Consensus = CONSENSUS,
    wishes: Wishes | None = None,
    *,
    seed: int = 1,
    guards: tuple[int, ...] = ALL_ENTRIES,
    phase: int = PHASE,
    refusing: frozenset[int] = frozenset(),
) -> Path:
    return select_path(
        consensus,
        wishes or Wishes("example.com", 443),
        guards=guards,
        phase=phase,
        random=seeded(seed),
        exit_allows=lambda node, _host, _port: node.index not in refusing,
    )


def chi_square(counts: Counter[int], weights: Mapping[int, int]) -> float:
    draws, total = counts.total(), sum(weights.values())
    assert set(counts) <= set(weights)
    return sum(
        (counts[index] - draws * weight / total) ** 2 / (draws * weight / total)
        for index, weight in weights.items()
    )


def test_equal_randomness_gives_equal_paths() -> None:
    assert select(seed=5) == select(seed=5)
    assert len({select(seed=seed).nodes for seed in range(40)}) > 10


def test_each_position_follows_the_weights() -> None:
    source = seeded(2026)
    counts: dict[Position, Counter[int]] = {position: Counter() for position in Position}
    for _ in range(6000):
        path = select_path(
            CONSENSUS,
            Wishes("example.com", 443),
            guards=ALL_ENTRIES,
            phase=PHASE,
            random=source,
            exit_allows=lambda *_: True,
        )
        for position, node in zip(Position, path.nodes, strict=True):
            counts[position][node.index] += 1
    by_role = {
        role: {n.index: n.weight for n in CONSENSUS.nodes if n.role is role} for role in Role
    }
    # chi-square at p = 0.001: 13.8 for 2 and 16.3 for 3 degrees of freedom
    assert chi_square(counts[Position.ENTRY], by_role[Role.ENTRY]) < 13.8
    assert chi_square(counts[Position.MIDDLE], by_role[Role.RELAY]) < 16.3
    assert chi_square(counts[Position.EXIT], by_role[Role.EXIT]) < 13.8


def test_conditional_weights_under_a_diversity_rule() -> None:
    # relay 4 shares its operator with exit 8: given exit 8, relays 5, 6, 7 remain
    family = change(CONSENSUS, {4: {"family": "f"}, 8: {"family": "f"}})
    wishes = Wishes("example.com", 443, pinned={Position.EXIT: 8})
    source = seeded(7)
    counts: Counter[int] = Counter()
    for _ in range(4000):
        path = select_path(
            family,
            wishes,
            guards=ALL_ENTRIES,
            phase=PHASE,
            random=source,
            exit_allows=lambda *_: True,
        )
        counts[path.middle.index] += 1
    assert chi_square(counts, {5: 4, 6: 2, 7: 2}) < 13.8


def test_damping_lowers_a_share() -> None:
    wishes = Wishes("example.com", 443, damping_ppm={8: 500_000, 9: 0})
    counts: Counter[int] = Counter()
    for seed in range(2000):
        counts[select(wishes=wishes, seed=seed).exit.index] += 1
    assert chi_square(counts, {8: 3, 10: 1}) < 10.8  # 1 degree of freedom


def test_paths_are_always_independent() -> None:
    crowded = change(
        CONSENSUS,
        {
            1: {"family": "a"},
            4: {"family": "a"},
            2: {"owner": b"\1" * 20},
            8: {"owner": b"\1" * 20},
            5: {"host": "10.0.1.1"},
            9: {"host": "10.0.2.2"},
        },
    )
    for seed in range(300):
        path = select(crowded, seed=seed)
        assert all(are_distinct(left, right) for left, right in combinations(path.nodes, 2))
        assert [node.role for node in path.nodes] == [Role.ENTRY, Role.RELAY, Role.EXIT]
        assert path.phase == PHASE


def test_dead_ends_are_left_again() -> None:
    # exit 8 (weight 6) only fits no entry at all: paths end at 9 or 10
    stuck = change(CONSENSUS, {index: {"family": "same"} for index in (1, 2, 3, 8)})
    assert {select(stuck, seed=seed).exit.index for seed in range(60)} == {9, 10}


def test_entry_comes_from_the_guards() -> None:
    assert {select(seed=seed, guards=(3,)).entry.index for seed in range(30)} == {3}


def test_exit_follows_policy_only_for_a_destination() -> None:
    refusing = frozenset({8, 9})
    assert {select(seed=seed, refusing=refusing).exit.index for seed in range(20)} == {10}
    anywhere = {select(wishes=Wishes(), seed=s, refusing=refusing).exit.index for s in range(40)}
    assert 8 in anywhere


def test_pinned_and_excluded_nodes() -> None:
    weightless = change(CONSENSUS, {7: {"weight": 0}})
    wishes = Wishes(pinned={Position.MIDDLE: 7}, excluded=frozenset({8}))
    for seed in range(30):
        path = select(weightless, wishes, seed=seed)
        assert path.middle.index == 7
        assert path.exit.index != 8
    pinned_entry = Wishes(pinned={Position.ENTRY: 1})
    assert select(wishes=pinned_entry, guards=()).entry.index == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"refusing": frozenset({8, 9, 10})}, "none admits example.com:443"),
        ({"guards": ()}, "none is a guard"),
        ({"phase": PHASE + 100}, "3 listed, none has an onion key of this phase"),
        (
            {"wishes": Wishes(excluded=frozenset({4, 5, 6, 7}))},
            "4 listed, none is left by the exclusions",
        ),
        ({"wishes": Wishes(pinned={Position.EXIT: 1})}, "3 listed, none is the pinned node 1"),
        (
            {"wishes": Wishes(countries=frozenset({"CH"}))},
            "none has a known country: no geo file is set",
        ),
        (
            {"wishes": Wishes(damping_ppm={8: 0, 9: 0, 10: 0})},
            "3 listed, none is left by the damping",
        ),
        (
            {"consensus": change(CONSENSUS, {i: {"weight": 0} for i in (4, 5, 6, 7)})},
            "4 listed, none has a weight",
        ),
        (
            {"consensus": change(CONSENSUS, {i: {"family": "one"} for i in range(12)})},
            "same family",
        ),
        (
            {"consensus": change(CONSENSUS, {i: {"host": f"10.1.2.{i}"} for i in range(12)})},
            "same network (/16 or /32)",
        ),
        (
            {"consensus": change(CONSENSUS, {i: {"owner": b"\1" * 20} for i in range(12)})},
            "same operator address",
        ),
    ],
)
def test_errors_say_what_is_missing(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(StageError) as caught:
        select(**arguments)
    assert caught.value.stage is Stage.PATH
    assert words in caught.value.why


def test_search_is_bounded_when_nothing_is_independent() -> None:
    many = make_network((Role.ENTRY,) * 20 + (Role.RELAY,) * 20 + (Role.EXIT,) * 20).consensus
    alike = change(many, {node.index: {"family": "one"} for node in many.nodes})
    first = many.nodes[0].first_phase
    with pytest.raises(StageError):
        select(alike, guards=tuple(range(1, 21)), phase=first)


def test_search_gives_up_after_many_dead_ends() -> None:
    # 400 pairs of exit and entry, and no relay for any of them
    many = make_network((Role.ENTRY,) * 20 + (Role.RELAY,) * 2 + (Role.EXIT,) * 20).consensus
    alike = change(many, {index: {"family": "one"} for index in range(1, 23)})
    with pytest.raises(StageError) as caught:
        select(alike, guards=tuple(range(1, 21)), phase=many.nodes[0].first_phase)
    assert caught.value.why == "same family"
