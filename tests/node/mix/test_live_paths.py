import secrets
from dataclasses import replace

import pytest

from node.errors import StageError
from node.mix.live_paths import KEPT, LivePaths
from node.mix.packet import LAYERS
from qnet.epochs import phase_at
from qnet.messages.descriptor import Role
from tests.node.mix.consensuses import INTERVAL_S, PHASE_S, START, consensus, later


@pytest.fixture
def live():
    return LivePaths(secrets.token_bytes)


def phase_after(seconds):
    return phase_at(START + seconds, PHASE_S)


def places(live, document, phase):
    mixes = [node.index for node in document.nodes if node.role is Role.MIX]
    return [live.layers_at(phase).layer_of(index) for index in mixes]


def test_without_a_consensus_there_are_no_routes(live):
    assert not live.layers_of(1, phase_after(0))
    assert not live.phases
    with pytest.raises(StageError):
        live.paths.route(phase_after(0), 1, bytes(16))
    with pytest.raises(StageError):
        live.node(1)


def test_routes_follow_the_consensus(live):
    document = consensus(mixes=9)
    live.follow(document)
    for phase in live.phases:
        route = live.paths.route(phase, 1, bytes(16))
        assert [live.layers_of(hop.index, phase)[0] for hop in route.hops] == [1, 2, 3]
        assert all(hop.phase_key == live.phase_key(hop.index, phase) for hop in route.hops)
        assert live.paths.begins_at(route.hops[0].index, phase)
    assert len(live.phases) == 1 + 2 * INTERVAL_S // PHASE_S


def test_everybody_draws_the_same_layers_from_a_consensus(live):
    document = consensus(mixes=9)
    other = LivePaths(secrets.token_bytes)
    live.follow(document)
    other.follow(document)
    assert places(live, document, live.phases[0]) == places(other, document, live.phases[0])


def test_two_mixes_are_too_few(live):
    live.follow(consensus(mixes=2))
    assert live.layers_at(live.phases[0]).layers == ((),) * LAYERS
    with pytest.raises(StageError):
        live.paths.route(live.phases[0], 1, bytes(16))


def test_a_mix_without_weight_has_no_layer(live):
    document = consensus(mixes=4)
    idle = document.nodes[-1]
    live.follow(replace(document, nodes=(*document.nodes[:-1], replace(idle, weight=0))))
    assert not live.layers_of(idle.index, live.phases[0])


def test_mixes_of_one_operator_are_no_route(live):
    document = consensus(mixes=3)
    owner = document.nodes[-1].owner
    nodes = tuple(replace(node, owner=owner) for node in document.nodes)
    live.follow(replace(document, nodes=nodes))
    with pytest.raises(StageError):
        live.paths.route(live.phases[0], 1, bytes(16))


def test_senders_wait_with_new_layers_until_every_mix_has_them(live):
    """Nodes ask for a consensus until a quarter of its period is over."""
    assert PHASE_S >= INTERVAL_S // 4
    old = consensus(mixes=30)
    new = later(old)
    live.follow(old)
    border = phase_after(INTERVAL_S)
    before = places(live, old, border)
    live.follow(new)
    assert places(live, old, border) == before
    assert places(live, old, phase_after(INTERVAL_S + PHASE_S)) != before


def test_mixes_take_packets_by_any_consensus_that_lists_the_phase(live):
    documents = [consensus(mixes=30)]
    for _ in range(KEPT):
        documents.append(later(documents[-1]))
    phase = phase_after(INTERVAL_S + INTERVAL_S // 2)
    mix = next(node.index for node in documents[0].nodes if node.role is Role.MIX)
    layers = []
    for document in documents[:2]:
        alone = LivePaths(secrets.token_bytes)
        alone.follow(document)
        layers += alone.layers_of(mix, phase)
        live.follow(document)
    assert set(live.layers_of(mix, phase)) == set(layers)
    assert live.layers_of(mix, phase)[0] == live.layers_at(phase).layer_of(mix)
    for document in documents[2:]:
        live.follow(document)
    assert len(live.layers_of(mix, phase)) <= KEPT


def test_who_has_just_started_takes_any_layer_until_it_knows_what_senders_use(live):
    """Else an entry that restarts early in a period would refuse everybody."""
    old = consensus(mixes=30)
    new, early, late = later(old), phase_after(INTERVAL_S), phase_after(INTERVAL_S + PHASE_S)
    mix = next(node.index for node in old.nodes if node.role is Role.MIX)
    live.follow(new)
    assert sorted(live.layers_of(mix, early)) == [1, 2, 3]
    assert live.layers_of(mix, early)[0] == live.layers_at(early).layer_of(mix)
    assert live.layers_of(mix, late) == [live.layers_at(late).layer_of(mix)]
    assert not live.layers_of(1, early)
    senders = LivePaths(secrets.token_bytes)
    senders.follow(old)
    senders.follow(new)
    for _ in range(20):
        assert live.paths.begins_at(senders.paths.route(early, 1, bytes(16)).hops[0].index, early)


def test_a_mix_that_is_gone_is_on_no_route(live):
    old = consensus(mixes=9)
    gone = old.nodes[-1].index
    live.follow(old)
    new = later(old)
    live.follow(replace(new, nodes=new.nodes[:-1]))
    phase = phase_after(INTERVAL_S)
    assert live.layers_at(phase).layer_of(gone) == 0
    for _ in range(50):
        assert gone not in [hop.index for hop in live.paths.route(phase, 1, bytes(16)).hops]


def test_strangers_cannot_make_it_remember_phases(live):
    live.follow(consensus(mixes=3))
    for phase in range(1000):
        assert not live.layers_of(5, phase)
    assert not live._sending
    with pytest.raises(StageError):
        live.phase_key(5, 1)


def test_drops_go_to_entries_and_exits(live):
    document = consensus(mixes=3)
    live.follow(document)
    nodes = {live.paths.drop(live.phases[0]).mailbox_node for _ in range(100)}
    roles = {document.by_index[index].role for index in nodes}
    assert roles == {Role.ENTRY, Role.EXIT}
