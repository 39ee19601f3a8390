"""Which node has which role and where it listens."""

import ipaddress
from collections import Counter
from dataclasses import dataclass
from enum import IntEnum

from qnet.crypto.kdf import blake3
from tools.devnet.config import MIN_NODES, DevnetConfig

HOLDERS = ("alice", "bob", "carol")
MIXES = 3
"""One for each layer: packets go through three."""


class Role(IntEnum):
    """Roles of the registry that a devnet fills."""

    ENTRY = 1
    RELAY = 2
    MIX = 3
    EXIT = 4


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node before it exists.

    Attributes:
        number: from 1; names the node and its second address byte, 10 + number.
        role: entry, relay, mix or exit.
        host: loopback address, alone in its /16.
        port: TCP port of its links.
        sni: server name that its links show.
        operator: name of the account that owns and bonds it.
    """

    number: int
    role: Role
    host: str
    port: int
    sni: str
    operator: str

    @property
    def name(self) -> str:
        """Name of its process and home."""
        return f"node-{self.number}"

    @property
    def listen(self) -> str:
        """Address and port in `host:port` form."""
        return f"{self.host}:{self.port}"

    @property
    def network16(self) -> str:
        """Its /16, which no other node shares."""
        return str(ipaddress.ip_network(f"{self.host}/16", strict=False))


@dataclass(frozen=True, slots=True)
class MemberPlan:
    """One committee member before it exists (index from 0)."""

    index: int
    url: str

    @property
    def name(self) -> str:
        """Name of its process and home."""
        return f"ledger-{self.index}"

    @property
    def auditor(self) -> str:
        """Name of the prober that works for it."""
        return f"auditor-{self.index}"

    @property
    def owner(self) -> str:
        """Name of the account that bonds it."""
        return f"member-{self.index}"

    @property
    def signer(self) -> str:
        """Name of the key that signs for it."""
        return f"signer-{self.index}"


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything a devnet is made of, before the first key is drawn."""

    nodes: tuple[NodePlan, ...]
    members: tuple[MemberPlan, ...]
    holders: tuple[str, ...] = HOLDERS

    def count(self, role: Role) -> int:
        """Number of nodes of one role."""
        return Counter(node.role for node in self.nodes)[role]

    @property
    def operators(self) -> tuple[str, ...]:
        """Accounts that own nodes, one each, so that no two nodes share an owner."""
        return tuple(node.operator for node in self.nodes)


def role_counts(nodes: int) -> dict[Role, int]:
    """Split `nodes`: three mixes if enough others are left, then exits, entries and relays.

    A quarter of the others are exits, at least two; the rest are entries and relays in halves.
    """
    mixes = MIXES if nodes >= MIN_NODES + MIXES else 0
    rest = nodes - mixes
    exits = max(2, rest // 4)
    entries = (rest - exits + 1) // 2
    return {
        Role.ENTRY: entries,
        Role.RELAY: rest - exits - entries,
        Role.MIX: mixes,
        Role.EXIT: exits,
    }


def plan(config: DevnetConfig) -> Topology:
    """Lay out a network: same numbers and seed, same layout.

    The seed decides only which number gets which role; keys always come from the system.
    """
    roles = [role for role, count in role_counts(config.nodes).items() for _ in range(count)]
    order = sorted(range(config.nodes), key=lambda place: _rank(config.seed, place))
    nodes = tuple(
        NodePlan(
            number=number,
            role=roles[place],
            host=f"127.{10 + number}.0.1",
            port=config.node_port,
            sni=f"node-{number}.devnet",
            operator=f"operator-{number}",
        )
        for number, place in enumerate(order, start=1)
    )
    members = tuple(
        MemberPlan(index, config.member_url(index)) for index in range(config.committee)
    )
    return Topology(nodes, members)


def _rank(seed: int, place: int) -> bytes:
    return blake3(f"qnet devnet topology {seed} {place}".encode())
