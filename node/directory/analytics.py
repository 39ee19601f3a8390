"""What a consensus says about the network as a whole: capacity, concentration, diversity.

Shares are of the selection weight, because that is what attracts traffic; where no node has any,
of the number of nodes.

Source: docs/spec/directory.md, section Analytics.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from node.directory.diversity import network_of
from qnet.messages.consensus import FLAG_MEASURED, FLAG_PAID, Consensus, ConsensusNode
from qnet.messages.descriptor import Role
from qnet.messages.freshness import Freshness

TOP_HOLDERS: Final = 10


@dataclass(frozen=True, slots=True)
class Share:
    """What one holder has of the network.

    Args:
        name: owner, family, network or role.
        nodes: how many nodes.
        share: part of all weight, 0 to 1.
    """

    name: str
    nodes: int
    share: float


@dataclass(frozen=True, slots=True)
class Spread:
    """How something is spread over its holders.

    Args:
        by: what is counted.
        shares: largest first.
    """

    by: str
    shares: tuple[Share, ...]

    @property
    def entropy_bits(self) -> float:
        """Shannon entropy of the shares."""
        return -sum(one.share * math.log2(one.share) for one in self.shares if one.share > 0)

    @property
    def effective(self) -> float:
        """How many equal holders would be as diverse."""
        return 2.0**self.entropy_bits if self.shares else 0.0

    @property
    def evenness(self) -> float:
        """Entropy against that of equal shares, 0 to 1; 1 for a single holder."""
        holders = sum(one.share > 0 for one in self.shares)
        return self.entropy_bits / math.log2(holders) if holders > 1 else 1.0

    @property
    def majority(self) -> int:
        """Least number of holders that together have more than half."""
        together = 0.0
        for place, one in enumerate(self.shares, start=1):
            together += one.share
            if together > 0.5:
                return place
        return len(self.shares)

    def to_json(self, top: int = TOP_HOLDERS) -> dict[str, Any]:
        """For output; the largest holders by name."""
        return {
            "by": self.by,
            "holders": len(self.shares),
            "effective": round(self.effective, 2),
            "entropy_bits": round(self.entropy_bits, 3),
            "evenness": round(self.evenness, 3),
            "majority_of": self.majority,
            "top": [
                {"name": one.name, "nodes": one.nodes, "share": round(one.share, 4)}
                for one in self.shares[:top]
            ],
        }


def spread(nodes: Sequence[ConsensusNode], by: str, name: Callable[[ConsensusNode], str]) -> Spread:
    """Count nodes and weight by holder.

    Args:
        nodes: to count.
        by: what is counted.
        name: holder of a node.
    """
    counts: defaultdict[str, int] = defaultdict(int)
    weights: defaultdict[str, int] = defaultdict(int)
    total = sum(node.weight for node in nodes)
    for node in nodes:
        counts[name(node)] += 1
        weights[name(node)] += node.weight if total else 1
    whole = total or len(nodes)
    shares = [Share(holder, counts[holder], weights[holder] / whole) for holder in counts]
    return Spread(by, tuple(sorted(shares, key=lambda one: (-one.share, one.name))))


def network_name(host: str) -> str:
    """The /16 or /32 of a host, written as people do; the name itself for names."""
    found = network_of(host)
    if not isinstance(found, tuple):
        return str(found)
    version, number = found
    if version == 4:
        return f"{number >> 8}.{number & 0xFF}.0.0/16"
    return f"{number >> 16:x}:{number & 0xFFFF:x}::/32"


def diversity(consensus: Consensus) -> list[Spread]:
    """How weight is spread over owners, families, networks and roles.

    A node without a family counts for itself.
    """
    nodes = consensus.nodes
    return [
        spread(nodes, "owner", lambda node: "0x" + node.owner.hex()),
        spread(nodes, "family", lambda node: node.family or f"node {node.index}"),
        spread(nodes, "network", lambda node: network_name(node.host)),
        spread(nodes, "role", lambda node: node.role.name.lower()),
        *(
            spread(listed, f"owner of {role.name.lower()}", lambda node: "0x" + node.owner.hex())
            for role in (Role.ENTRY, Role.RELAY, Role.EXIT)
            if (listed := [node for node in nodes if node.role is role])
        ),
    ]


def totals(nodes: Iterable[ConsensusNode]) -> dict[str, Any]:
    """Nodes and offered rate by role."""
    by_role: dict[str, dict[str, int]] = {}
    for node in nodes:
        row = by_role.setdefault(node.role.name.lower(), {"nodes": 0, "usable": 0, "mbps": 0})
        row["nodes"] += 1
        row["usable"] += node.weight > 0
        row["mbps"] += node.bandwidth_kbps // 1000
    return dict(sorted(by_role.items()))


def overview(consensus: Consensus, now: float) -> dict[str, Any]:
    """The network in short.

    Args:
        consensus: newest one known.
        now: unix time, to say how old it is.
    """
    bounds = Freshness.of(consensus)
    nodes = consensus.nodes
    return {
        "valid_after": consensus.valid_after,
        "age_s": int(now - consensus.valid_after),
        "state": _state(bounds, now),
        "epoch": consensus.epoch,
        "nodes": len(nodes),
        "roles": totals(nodes),
        "mbps": sum(node.bandwidth_kbps for node in nodes) // 1000,
        "measured_nodes": sum(bool(node.flags & FLAG_MEASURED) for node in nodes),
        "paid_nodes": sum(bool(node.flags & FLAG_PAID) for node in nodes),
        "owners": len({node.owner for node in nodes}),
        "users": consensus.users,
        "min_version": consensus.min_version,
        "hash": consensus.hash.hex(),
    }


def _state(bounds: Freshness, now: float) -> str:
    if now < bounds.usable_from:
        return "from the future: check this machine's clock"
    if now <= bounds.circuits_until:
        return "fresh"
    return "too old for circuits" if now <= bounds.refresh_until else "too old for anything"


def node_row(node: ConsensusNode, total_weight: int) -> dict[str, Any]:
    """One node in short.

    Args:
        node: as listed.
        total_weight: of all nodes of its role.
    """
    return {
        "index": node.index,
        "role": node.role.name.lower(),
        "host": node.host,
        "mbps": round(node.bandwidth_kbps / 1000, 1),
        "measured": bool(node.flags & FLAG_MEASURED),
        "share_percent": round(100 * node.weight / total_weight, 2) if total_weight else 0.0,
        "family": node.family,
        "owner": "0x" + node.owner.hex(),
    }


def node_rows(consensus: Consensus) -> list[dict[str, Any]]:
    """Every node in short, the heaviest first within its role."""
    weights: defaultdict[Role, int] = defaultdict(int)
    for node in consensus.nodes:
        weights[node.role] += node.weight
    ordered = sorted(consensus.nodes, key=lambda node: (node.role, -node.weight, node.index))
    return [node_row(node, weights[node.role]) for node in ordered]


def node_details(node: ConsensusNode, consensus: Consensus) -> dict[str, Any]:
    """Everything a consensus says about one node."""
    weight = sum(other.weight for other in consensus.nodes if other.role is node.role)
    return {
        **node_row(node, weight),
        "port": node.port,
        "sni": node.sni,
        "network": network_name(node.host),
        "node_id": node.node_id.hex(),
        "weight": node.weight,
        "paid_slot": bool(node.flags & FLAG_PAID),
        "policy": node.policy,
        "ciphers": list(node.ciphers),
        "phase_keys": len(node.phase_keys),
    }
