"""Selection on random networks, and its statistics against exact probabilities."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.directory.atlas import NO_ATLAS, Atlas
from node.directory.diversity import are_distinct
from node.directory.guard import GuardState, maintain_guards, usable_guards
from node.directory.path import Chooser
from node.directory.wishes import ROLES, Position, Wishes
from node.errors import Stage, StageError
from qnet.messages.consensus import Consensus
from qnet.messages.consensus_node import ConsensusNode
from qnet.messages.descriptor import Role
from qnet.units import PPM
from tests.support.signed_network import PERIOD, make_network, seeded

DRAWS = 100_000
NETWORK = make_network(
    (Role.ENTRY,) * 4 + (Role.RELAY,) * 6 + (Role.EXIT,) * 5,
    weights=dict(enumerate((1, 2, 4, 8, 40, 1, 7, 9, 3, 3, 11, 5, 2, 2, 1), start=1)),
).consensus
PHASE = NETWORK.nodes[0].first_phase
Chosen = tuple[int, int, int]


def change(consensus: Consensus, changes: Mapping[int, dict[str, object]]) -> Consensus:
    nodes = (replace(node, **changes.get(node.index, {})) for node in consensus.nodes)
    return replace(consensus, nodes=tuple(nodes))


def chi_square_limit(degrees: int, z: float = 3.09) -> float:
    """Value that chi-square exceeds with p = 0.001 (Wilson and Hilferty)."""
    part = 2 / (9 * degrees)
    return degrees * (1 - part + z * part**0.5) ** 3


def exact_weight(
    consensus: Consensus, wishes: Wishes, guards: Iterable[int], position: Position, index: int
) -> Fraction:
    """Weight of a node at a position by the words of the specification, policy aside."""
    node = consensus.by_index[index]
    entries = [entry for entry in consensus.nodes if entry.role is Role.ENTRY]
    held = [entry for entry in entries if entry.index in guards and entry.weight]
    if node.role is not ROLES[position] or index in wishes.excluded or not node.weight:
        return Fraction(0)
    base = Fraction(node.weight)
    if position is Position.ENTRY and node not in held:
        return Fraction(0)
    if position is Position.ENTRY and len(held) == 2:
        base = Fraction(1, sum(entry.weight for entry in entries) - node.weight)
    return base * wishes.damping_ppm.get(index, PPM)


def exact(
    consensus: Consensus,
    wishes: Wishes,
    guards: Iterable[int],
    atlas: Atlas,
    refusing: Iterable[int],
) -> dict[Chosen, Fraction]:
    """Probability of every path by the words of the specification, with fractions."""
    order = (Position.EXIT, Position.ENTRY, Position.MIDDLE)

    def spread(chosen: tuple[ConsensusNode, ...]) -> dict[Chosen, Fraction]:
        if len(chosen) == 3:
            exit_, entry, middle = chosen
            return {(entry.index, middle.index, exit_.index): Fraction(1)}
        position = order[len(chosen)]
        ways = {
            node.index: (value, below)
            for node in consensus.nodes
            if (value := exact_weight(consensus, wishes, guards, position, node.index))
            and not (position is Position.EXIT and node.index in refusing)
            and all(are_distinct(node, other, atlas) for other in chosen)
            and (below := spread((*chosen, node)))
        }
        whole = sum(value for value, _ in ways.values())
        result: dict[Chosen, Fraction] = defaultdict(Fraction)
        for value, below in ways.values():
            for path, part in below.items():
                result[path] += value / whole * part
        return dict(result)

    return spread(())


FAMILIES = change(
    NETWORK,
    {
        1: {"family": "a"},
        11: {"family": "a"},
        5: {"family": "b"},
        12: {"family": "b"},
        2: {"owner": b"\x07" * 20},
        8: {"owner": b"\x07" * 20},
        6: {"host": "10.9.1.1"},
        13: {"host": "10.9.2.2"},
    },
)
# exit 11 shares something with both guards: every draw of it is taken back
STUCK = change(FAMILIES, {2: {"family": "a"}})
SYSTEMS = Atlas.parse(asmap=b"127.15.0.0/16 1\n127.21.0.0/16 1\n127.14.0.0/16 2\n127.17.0.0/16 2\n")


@pytest.mark.parametrize(
    ("consensus", "wishes", "guards", "atlas", "refusing"),
    [
        (NETWORK, Wishes("h.example", 443), (1, 4), NO_ATLAS, ()),
        (FAMILIES, Wishes("h.example", 443), (1, 2), NO_ATLAS, (14,)),
        (STUCK, Wishes("h.example", 443), (1, 2), NO_ATLAS, ()),
        (FAMILIES, Wishes(), (1, 2, 3, 4), SYSTEMS, ()),
        (
            FAMILIES,
            Wishes(damping_ppm={5: 100_000, 11: 1, 4: 500_000}, excluded=frozenset({9})),
            (1, 4),
            SYSTEMS,
            (),
        ),
        (NETWORK, Wishes("h.example", 22), (3, 4), NO_ATLAS, (11, 12, 13)),
    ],
    ids=["plain", "families", "taken-back", "systems", "damped", "few-exits"],
)
def test_frequencies_equal_the_exact_probabilities(consensus, wishes, guards, atlas, refusing):
    chances = exact(consensus, wishes, guards, atlas, refusing)
    chooser = Chooser(
        consensus, PHASE, exit_allows=lambda node, *_: node.index not in refusing, atlas=atlas
    )
    source, paths = seeded(20261123), Counter[Chosen]()
    for _ in range(DRAWS):
        path = chooser.path(wishes, guards=guards, random=source)
        paths[path.entry.index, path.middle.index, path.exit.index] += 1
    assert set(paths) <= set(chances)
    for place in range(3):
        expected: dict[int, Fraction] = defaultdict(Fraction)
        for chosen, chance in chances.items():
            expected[chosen[place]] += chance
        counts: Counter[int] = Counter()
        for chosen, count in paths.items():
            counts[chosen[place]] += count
        assert counts.total() == DRAWS
        assert_fits(counts, expected)
    # and jointly, where a path is expected often enough for the statistic
    often = {chosen: chance for chosen, chance in chances.items() if chance * DRAWS >= 5}
    assert_fits(Counter({chosen: paths[chosen] for chosen in often}), often)


def assert_fits(counts: Counter, expected: Mapping[object, Fraction]) -> None:
    statistic = sum(
        (counts[key] - float(chance * DRAWS)) ** 2 / float(chance * DRAWS)
        for key, chance in expected.items()
    )
    assert statistic < chi_square_limit(max(len(expected) - 1, 1))


def test_with_guards_drawn_by_weight_the_entries_loads_follow_weights():
    chooser = Chooser(NETWORK, PHASE, exit_allows=lambda *_: True)
    source, counts, clients = seeded(7), Counter[int](), 20_000
    for _ in range(clients):
        state = maintain_guards(GuardState(), NETWORK, now=PERIOD, random=source)
        guards = [node.index for node in usable_guards(state, NETWORK)]
        assert len(guards) == 2
        counts[chooser.path(Wishes(), guards=guards, random=source).entry.index] += 1
    shares = {1: 1, 2: 2, 3: 4, 4: 8}
    statistic = sum(
        (counts[index] - clients * share / 15) ** 2 / (clients * share / 15)
        for index, share in shares.items()
    )
    assert statistic < chi_square_limit(3)


# random networks

SMALL = make_network((Role.ENTRY,) * 3 + (Role.RELAY,) * 3 + (Role.EXIT,) * 3).consensus


@st.composite
def networks(draw):
    changes = {}
    for node in SMALL.nodes:
        changes[node.index] = {
            "weight": draw(st.sampled_from([0, 1, 2, 50])),
            "family": draw(st.sampled_from(["", "", "f", "g"])),
            "owner": bytes([draw(st.integers(1, 6))]) * 20,
            "host": draw(
                st.sampled_from(["10.1.0.1", "10.2.0.1", "10.3.0.1", "2001:db8::1", "2001:db9::1"])
            ),
        }
    return change(SMALL, changes)


GEO = b"10.1.0.0/16 CH\n10.2.0.0/16 IS\n2001:db8::/32 CH\n"
ASMAP = b"10.1.0.0/16 1\n2001:db8::/32 1\n10.2.0.0/16 2\n"
WISHES = st.builds(
    Wishes,
    st.just("h.example"),
    st.sampled_from([0, 443]),
    st.dictionaries(st.sampled_from(Position), st.integers(0, 10), max_size=1),
    st.frozensets(st.integers(1, 9), max_size=2),
    st.dictionaries(st.integers(1, 9), st.sampled_from([0, 1, PPM // 2, PPM]), max_size=3),
    st.frozensets(st.sampled_from(["CH", "IS"]), max_size=1),
    st.frozensets(st.sampled_from(["CH", "IS"]), max_size=1),
)


def fits_by_itself(
    node: ConsensusNode, position: Position, wishes: Wishes, guards, refusing, atlas: Atlas
) -> bool:
    pin = wishes.pinned.get(position)
    rules = [node.role is ROLES[position], node.index not in wishes.excluded]
    if pin is not None:
        return all([*rules, node.index == pin])
    rules += [node.weight > 0, wishes.damping_ppm.get(node.index) != 0]
    if position is Position.ENTRY:
        rules.append(node.index in guards)
    if position is Position.EXIT:
        country = atlas.country_of(node.host)
        rules.append(not wishes.port or node.index not in refusing)
        rules.append(not wishes.countries or country in wishes.countries)
        outside = bool(country) and country not in wishes.barred_countries
        rules.append(not wishes.barred_countries or outside)
    return all(rules)


@settings(max_examples=300)
@given(
    networks(),
    WISHES,
    st.frozensets(st.integers(1, 3)),
    st.frozensets(st.integers(7, 9)),
    st.sampled_from([NO_ATLAS, Atlas.parse(asmap=ASMAP, geo=GEO)]),
    st.integers(0, 2**32),
)
def test_a_path_keeps_every_rule_and_none_is_missed(
    consensus, wishes, guards, refusing, atlas, seed
):
    def all_paths():
        lanes = [
            [
                node
                for node in consensus.nodes
                if fits_by_itself(node, position, wishes, guards, refusing, atlas)
            ]
            for position in Position
        ]
        for nodes in product(*lanes):
            if all(are_distinct(a, b, atlas) for a, b in combinations(nodes, 2)):
                yield tuple(node.index for node in nodes)

    chooser = Chooser(
        consensus, PHASE, exit_allows=lambda node, *_: node.index not in refusing, atlas=atlas
    )
    possible = set(all_paths())
    if not possible:
        with pytest.raises(StageError) as caught:
            chooser.path(wishes, guards=sorted(guards), random=seeded(seed))
        assert caught.value.stage is Stage.PATH
        assert caught.value.why
        return
    path = chooser.path(wishes, guards=sorted(guards), random=seeded(seed))
    assert tuple(node.index for node in path.nodes) in possible
    assert chooser.path(wishes, guards=sorted(guards), random=seeded(seed)) == path


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        (Wishes(countries=frozenset({"DE"})), "5 listed, none is in DE"),
        (
            Wishes(countries=frozenset({"CH"}), barred_countries=frozenset({"CH"})),
            "none is in CH and known to be outside CH",
        ),
    ],
)
def test_an_impossible_country_is_named(wishes, words):
    chooser = Chooser(
        NETWORK, PHASE, exit_allows=lambda *_: True, atlas=Atlas.parse(geo=b"127.0.0.0/8 CH\n")
    )
    with pytest.raises(StageError) as caught:
        chooser.path(wishes, guards=(1, 2), random=seeded())
    assert words in caught.value.why


def test_nodes_of_one_system_are_named():
    chooser = Chooser(
        NETWORK, PHASE, exit_allows=lambda *_: True, atlas=Atlas.parse(asmap=b"127.0.0.0/8 1\n")
    )
    with pytest.raises(StageError, match="independent") as caught:
        chooser.path(Wishes(), guards=(1, 2), random=seeded())
    assert caught.value.why == "same autonomous system"
