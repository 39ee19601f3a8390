from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.devnet.config import MAX_COMMITTEE, MAX_NODES, MIN_COMMITTEE, MIN_NODES, DevnetConfig
from tools.devnet.errors import TopologyError
from tools.devnet.topology import Role, plan, role_counts

configs = st.builds(
    DevnetConfig,
    home=st.just(Path("/nowhere")),
    nodes=st.integers(MIN_NODES, MAX_NODES),
    committee=st.integers(MIN_COMMITTEE, MAX_COMMITTEE),
    seed=st.integers(0, 2**64),
)


@settings(max_examples=50)
@given(configs)
def test_every_node_has_a_16_and_an_owner_of_its_own(config):
    nodes = plan(config).nodes
    assert len({node.network16 for node in nodes}) == config.nodes
    assert len({node.operator for node in nodes}) == config.nodes
    assert [node.number for node in nodes] == list(range(1, config.nodes + 1))
    assert all(node.host == f"127.{10 + node.number}.0.1" for node in nodes)


@settings(max_examples=50)
@given(configs)
def test_each_role_has_a_spare(config):
    topology = plan(config)
    for role in (Role.ENTRY, Role.RELAY, Role.EXIT):
        assert topology.count(role) >= 2
    assert topology.count(Role.MIX) == (3 if config.nodes >= 9 else 0)
    assert sum(topology.count(role) for role in Role) == config.nodes


@settings(max_examples=50)
@given(configs)
def test_same_seed_same_layout(config):
    assert plan(config) == plan(config)


def test_seed_shapes_roles():
    layouts = {
        tuple(node.role for node in plan(DevnetConfig(Path("/nowhere"), seed=seed)).nodes)
        for seed in range(20)
    }
    assert len(layouts) > 5


def test_eight_nodes_are_three_three_two():
    assert role_counts(8) == {Role.ENTRY: 3, Role.RELAY: 3, Role.MIX: 0, Role.EXIT: 2}


def test_eleven_nodes_are_eight_and_a_mix_for_each_layer():
    assert role_counts(11) == {Role.ENTRY: 3, Role.RELAY: 3, Role.MIX: 3, Role.EXIT: 2}


def test_members_have_distinct_addresses():
    members = plan(DevnetConfig(Path("/nowhere"), committee=7)).members
    assert len({member.url for member in members}) == 7
    assert members[0].url == "http://127.0.0.1:18701"


@pytest.mark.parametrize("sizes", [{"nodes": 5}, {"nodes": 201}, {"committee": 3}])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(TopologyError):
        DevnetConfig(Path("/nowhere"), **sizes)
