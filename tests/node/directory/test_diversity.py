"""Which nodes may stand in one circuit."""

from dataclasses import replace

import pytest

from node.directory.atlas import Atlas
from node.directory.diversity import Rule, are_distinct, network_of, ties_of
from qnet.messages.consensus_node import ConsensusNode
from tests.support.signed_network import make_network

FIRST, SECOND = make_network().consensus.nodes[:2]


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("10.1.2.3", "10.1.200.9", True),
        ("10.1.2.3", "10.2.2.3", False),
        ("2001:db8:1::1", "2001:db8:ffff::1", True),
        ("2001:db8::1", "2001:db9::1", False),
        ("::ffff:10.1.2.3", "10.1.9.9", True),
        ("node.example", "NODE.example", True),
        ("node.example", "other.example", False),
        ("::1", "0.0.0.1", False),
    ],
)
def test_networks(left: str, right: str, *, same: bool) -> None:
    assert (network_of(left) == network_of(right)) is same


def spoiled(**fields: object) -> ConsensusNode:
    return replace(SECOND, **fields)


def test_distinct_nodes() -> None:
    first, second = FIRST, SECOND
    assert are_distinct(first, second)
    assert not are_distinct(first, first)

    assert not are_distinct(first, spoiled(owner=first.owner))
    assert not are_distinct(first, spoiled(host=first.host))
    assert are_distinct(first, spoiled(family="x"))
    assert not are_distinct(replace(first, family="x"), spoiled(family="x"))


def test_nodes_of_one_autonomous_system_where_it_is_known() -> None:
    atlas = Atlas.parse(asmap=b"127.11.0.0/16 64500\n127.12.0.0/16 64500\n")
    assert not are_distinct(FIRST, SECOND, atlas)
    assert are_distinct(FIRST, spoiled(host="127.13.0.1"), atlas)
    assert are_distinct(spoiled(index=9, owner=b"\1" * 20, host="a.example"), SECOND, atlas)


@pytest.mark.parametrize("rule", [rule for rule in Rule if rule is not Rule.NODE])
def test_a_rule_can_be_left_out(rule: Rule) -> None:
    atlas = Atlas.parse(asmap=b"127.0.0.0/8 1\n")
    alike = {
        Rule.OPERATOR: {"owner": FIRST.owner},
        Rule.FAMILY: {"family": "f"},
        Rule.NETWORK: {"host": "127.11.7.7"},
        Rule.SYSTEM: {},
    }
    first = replace(FIRST, family="f")
    known = atlas if rule is Rule.SYSTEM else Atlas()
    second = spoiled(**alike[rule])
    assert not are_distinct(first, second, known)
    assert ties_of(first, known, rule).isdisjoint(ties_of(second, known, rule))
