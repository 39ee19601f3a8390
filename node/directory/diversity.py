"""What two nodes of one circuit must not share.

A node's ties are the facts that it may share with others: its operator's address, its family, its
network, its autonomous system. Two nodes may stand in one circuit if they have no tie in common.

Source: docs/spec/directory.md, QN-DIR-061.
"""

from collections.abc import Hashable
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final, TypeAlias

from node.directory.atlas import NO_ATLAS, Atlas
from qnet.messages.consensus_node import ConsensusNode

_V4_SHIFT: Final = 16
_V6_SHIFT: Final = 96


class Rule(StrEnum):
    """Rules of diversity; the words say what would coincide."""

    NODE = "node"
    OPERATOR = "operator address"
    FAMILY = "family"
    NETWORK = "network (/16 or /32)"
    SYSTEM = "autonomous system"


Ties: TypeAlias = frozenset[tuple[Rule, Hashable]]


@lru_cache(maxsize=65_536)
def network_of(host: str) -> Hashable:
    """What two nodes of one circuit must not share: /16, /32, or the name itself."""
    try:
        address = ip_address(host)
    except ValueError:
        return host.lower()
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return 6, int(address) >> _V6_SHIFT
        address = address.ipv4_mapped
    return 4, int(address) >> _V4_SHIFT


def ties_of(node: ConsensusNode, atlas: Atlas = NO_ATLAS, without: Rule | None = None) -> Ties:
    """Everything a node may share with another one.

    Args:
        node: a node.
        atlas: knows autonomous systems.
        without: a rule to leave out, to see whether it is the one that stands in the way.
    """
    facts: list[tuple[Rule, Hashable]] = [
        (Rule.NODE, node.index),
        (Rule.OPERATOR, node.owner),
        (Rule.NETWORK, network_of(node.host)),
    ]
    if node.family:
        facts.append((Rule.FAMILY, node.family))
    system = atlas.asn_of(node.host)
    if system:
        facts.append((Rule.SYSTEM, system))
    return frozenset(fact for fact in facts if fact[0] is not without)


def are_distinct(left: ConsensusNode, right: ConsensusNode, atlas: Atlas = NO_ATLAS) -> bool:
    """Whether two nodes may stand in one circuit."""
    return ties_of(left, atlas).isdisjoint(ties_of(right, atlas))
