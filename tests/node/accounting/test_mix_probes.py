"""How mixes are probed: who stands where, and who is left out."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.accounting.assignments import Target
from node.accounting.auditor import Probe, Surroundings, Suspects
from node.accounting.mix_probes import plan_mix_probe
from node.directory.diversity import are_distinct
from node.errors import StageError
from node.mix.live_paths import LivePaths
from qnet.messages.descriptor import Role
from tests.support.signed_network import make_network, seeded

ROLES = (Role.ENTRY,) * 3 + (Role.RELAY, Role.EXIT) + (Role.MIX,) * 9
ENTRIES, MIXES = (1, 2, 3), range(6, 15)
CONSENSUS = make_network(ROLES, weights=dict.fromkeys(range(1, 15), 1000)).consensus
PHASE = CONSENSUS.nodes[0].first_phase + 1


def drawn_layers():
    live = LivePaths(seeded())
    live.follow(CONSENSUS)
    return live.layers_at(PHASE)


LAYERS = drawn_layers()


def live_of(consensus=CONSENSUS):
    """With the layers of `CONSENSUS`: a change of a node would draw others."""
    live = LivePaths(seeded())
    live.follow(consensus)
    if set(consensus.by_index) == set(CONSENSUS.by_index):
        live._sending[PHASE] = LAYERS
    return live


def around(consensus=CONSENSUS, *, guards=(1, 2), avoided=()):
    return Surroundings(consensus, guards, frozenset(avoided), PHASE)


def change(changes):
    """The same consensus, in which some nodes say something else."""
    nodes = (replace(node, **changes.get(node.index, {})) for node in CONSENSUS.nodes)
    return replace(CONSENSUS, nodes=tuple(nodes))


def peers(index):
    place = LAYERS.layer_of(index) - 1
    return [mix.index for mix in LAYERS.layers[place] if mix.index != index]


@given(
    index=st.sampled_from(MIXES),
    named=st.none() | st.integers(1, 20),
    seed=st.integers(0, 1 << 32),
)
def test_probe_and_control_differ_in_the_target_alone(index, named, seed):
    plan = plan_mix_probe(
        Target(index, named if named != index else None), around(), live_of(), random=seeded(seed)
    )
    place = LAYERS.layer_of(index) - 1
    assert plan.mixes[place] == index
    assert plan.control is not None
    assert plan.control[place] in peers(index)
    if named in peers(index):
        assert plan.control[place] == named
    assert [*plan.mixes[:place], *plan.mixes[place + 1 :]] == [
        *plan.control[:place],
        *plan.control[place + 1 :],
    ]
    assert [LAYERS.layer_of(mix) for mix in plan.mixes] == [1, 2, 3]
    assert [LAYERS.layer_of(mix) for mix in plan.control] == [1, 2, 3]
    assert plan.entry.index in {1, 2}
    assert plan.others == {plan.entry.index, *plan.mixes} - {index}
    for way in (plan.mixes, plan.control):
        nodes = [plan.entry, *(CONSENSUS.by_index[mix] for mix in way)]
        assert all(are_distinct(a, b) for a, b in combinations(nodes, 2))


def test_friends_of_target_and_control_are_no_hops():
    """Whoever belongs to the target could return its packets; whoever to the control, lose them."""
    target, rival = 6, peers(6)[0]
    elsewhere = [mix for mix in MIXES if LAYERS.layer_of(mix) != LAYERS.layer_of(target)]
    owner, other = (CONSENSUS.by_index[index].owner for index in (target, rival))
    friends = {1: owner, 2: other, elsewhere[0]: owner, elsewhere[-1]: other}
    consensus = change({index: {"owner": whose} for index, whose in friends.items()})
    live = live_of(consensus)
    for seed in range(30):
        plan = plan_mix_probe(Target(target, None), around(consensus), live, random=seeded(seed))
        assert plan.control is not None
        in_place = plan.control[LAYERS.layer_of(target) - 1]
        nodes = [consensus.by_index[index] for index in plan.others]
        for judged in (target, in_place):
            assert all(are_distinct(node, consensus.by_index[judged]) for node in nodes)


def test_suspects_and_strange_entries_are_avoided_while_it_can_be_helped():
    suspects = [mixes[0].index for mixes in LAYERS.layers]
    target = LAYERS.layers[0][1].index
    for seed in range(20):
        found = plan_mix_probe(
            Target(target, None), around(avoided=(1, *suspects)), live_of(), random=seeded(seed)
        )
        assert not found.others & {1, *suspects}
    everybody = tuple(range(1, 20))
    found = plan_mix_probe(
        Target(target, None), around(avoided=everybody), live_of(), random=seeded()
    )
    assert found.entry.index in {1, 2}
    owner = CONSENSUS.by_index[target].owner
    consensus = change({index: {"owner": owner} for index in (1, 2)})
    found = plan_mix_probe(
        Target(target, None), around(consensus), live_of(consensus), random=seeded()
    )
    assert found.entry.index == 3


def test_in_a_layer_of_one_there_is_no_control():
    roles = (Role.ENTRY, Role.ENTRY, Role.RELAY, Role.EXIT, *(Role.MIX,) * 3)
    consensus = make_network(roles, weights=dict.fromkeys(range(1, 8), 1000)).consensus
    live = live_of(consensus)
    for target in (5, 6, 7):
        plan = plan_mix_probe(
            Target(target, 5 if target != 5 else 6), around(consensus), live, random=seeded()
        )
        assert sorted(plan.mixes) == [5, 6, 7]
        assert plan.control is None


def test_where_no_control_fits_the_target_is_probed_without():
    target, rivals = 6, peers(6)
    elsewhere = [mix for mix in MIXES if LAYERS.layer_of(mix) != LAYERS.layer_of(target)]
    family = {"family": "one"}
    consensus = change(dict.fromkeys((rivals[0], *elsewhere), family))
    live = live_of(consensus)
    only = Target(target, rivals[0])
    with pytest.raises(StageError, match="no way"):
        plan_mix_probe(only, around(consensus), live, random=seeded())
    split = [mix for mix in elsewhere if LAYERS.layer_of(mix) == LAYERS.layer_of(elsewhere[0])]
    consensus = change(dict.fromkeys((rivals[0], *split), family))
    plan = plan_mix_probe(only, around(consensus), live_of(consensus), random=seeded())
    assert plan.control is None


@pytest.mark.parametrize("index", [1, 4, 99])
def test_who_stands_in_no_layer_is_not_probed(index):
    with pytest.raises(StageError, match="no layer"):
        plan_mix_probe(Target(index, None), around(), live_of(), random=seeded())


def test_without_an_independent_entry_nothing_is_probed():
    owner = CONSENSUS.by_index[6].owner
    consensus = change({index: {"owner": owner} for index in ENTRIES})
    with pytest.raises(StageError, match="no way"):
        plan_mix_probe(Target(6, None), around(consensus), live_of(consensus), random=seeded())


def test_who_spoilt_a_probe_is_suspected():
    plan = plan_mix_probe(Target(6, None), around(), live_of(), random=seeded())
    suspects = Suspects()
    suspects.learn(plan, Probe(None, control_ok=False), 10.0)
    assert suspects.current(11.0) == plan.others
    suspects.learn(plan, Probe(None, control_ok=True), 20.0)
    assert suspects.current(21.0) == {6}
