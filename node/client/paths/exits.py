"""Exits as a client sees them: what their policies admit, where they are, which can be used."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any

from node.directory.path import Chooser
from node.directory.wishes import Wishes
from node.errors import ExitPolicyError
from node.exit.address import parse_address
from node.exit.policy import ExitPolicy, Refusal
from qnet.messages.consensus_node import ConsensusNode
from qnet.messages.descriptor import Role
from qnet.units import PPM


def exit_allows(node: ConsensusNode, host: str, port: int) -> bool:
    """Whether an exit's published policy admits a destination, as far as a client can tell."""
    policy = policy_of(node.policy)
    address = parse_address(host) if host else None
    if address is not None:
        return policy.refusal(address, port) is not Refusal.POLICY
    return policy.may_reach(port) if port else policy.is_exit


@lru_cache(maxsize=1024)
def policy_of(text: str) -> ExitPolicy:
    """A published policy; one that cannot be read admits nothing."""
    try:
        return ExitPolicy.parse(text, allow_private=True)
    except ExitPolicyError:
        return ExitPolicy(())


def exit_rows(
    chooser: Chooser, wishes: Wishes, port: int, avoided: Collection[int]
) -> list[dict[str, Any]]:
    """All exits of a consensus, the largest first, for people.

    Args:
        chooser: what the consensus offers.
        wishes: countries wished for.
        port: port that they should reach, 0 for any.
        avoided: registry indexes of nodes that broke circuits lately.
    """
    exits = [node for node in chooser.consensus.nodes if node.role is Role.EXIT]
    total = sum(node.weight for node in exits)
    rows = []
    for node in sorted(exits, key=lambda node: (-node.weight, node.index)):
        admits = exit_allows(node, "", port)
        has_key = chooser.has_key(node)
        is_wished = chooser.is_in_country(node, wishes)
        rows.append(
            {
                "index": node.index,
                "country": chooser.atlas.country_of(node.host),
                "policy": policy_of(node.policy).summary(),
                "share_ppm": PPM * node.weight // total if total else 0,
                "kbps": node.bandwidth_kbps,
                "admits_port": admits,
                "usable": bool(
                    admits and has_key and is_wished and node.weight and node.index not in avoided
                ),
            }
        )
    return rows
