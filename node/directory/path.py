"""Choosing the nodes of a circuit: a pure function of consensus, wishes and random bytes.

Hard rules: no two nodes of one operator, family or network (/16 of IPv4, /32 of IPv6); the entry
is one of the client's guards; the exit's policy admits the destination. Among what the rules
leave, a node is drawn with probability proportional to its weight.

Source: docs/spec/directory.md, section Path selection.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final, TypeAlias

from node.errors import Stage, StageError
from qnet.messages.consensus import Consensus, ConsensusNode
from qnet.messages.descriptor import Role
from qnet.sampling import RandomBytes, weighted_place
from qnet.units import PPM

MAX_ATTEMPTS: Final = 64
"""Dead ends met before selection gives up; a network that has a path rarely shows one."""
_V4_SHIFT: Final = 16
_V6_SHIFT: Final = 96

ExitAllows: TypeAlias = Callable[[ConsensusNode, str, int], bool]
"""Whether an exit's policy admits host (name or address) and port."""


class Position(StrEnum):
    """Places of a circuit of three hops, in order."""

    ENTRY = "entry"
    MIDDLE = "middle"
    EXIT = "exit"


ROLES: Final[Mapping[Position, Role]] = {
    Position.ENTRY: Role.ENTRY,
    Position.MIDDLE: Role.RELAY,
    Position.EXIT: Role.EXIT,
}
_DRAW_ORDER: Final = (Position.EXIT, Position.ENTRY, Position.MIDDLE)
"""The scarcest first: exits are bound by policy, entries by the guards."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a circuit is for.

    Args:
        host: destination, "" if none (measurements, directory).
        port: its port, 0 if none.
        pinned: nodes that must stand at a position, by registry index; they need no weight.
        excluded: registry indexes not to be used.
        damping_ppm: factor on a node's weight in ppm, for nodes known to be slow or loaded.
    """

    host: str = ""
    port: int = 0
    pinned: Mapping[Position, int] = field(default_factory=dict)
    excluded: frozenset[int] = frozenset()
    damping_ppm: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Path:
    """The nodes of a circuit.

    Args:
        entry: first hop.
        middle: second hop.
        exit: last hop.
        phase: key phase whose onion keys the circuit uses.
    """

    entry: ConsensusNode
    middle: ConsensusNode
    exit: ConsensusNode
    phase: int

    @property
    def nodes(self) -> tuple[ConsensusNode, ConsensusNode, ConsensusNode]:
        """All hops in order."""
        return self.entry, self.middle, self.exit


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


def are_distinct(left: ConsensusNode, right: ConsensusNode) -> bool:
    """Whether two nodes may stand in one circuit."""
    return (
        left.index != right.index
        and left.owner != right.owner
        and (not left.family or left.family != right.family)
        and network_of(left.host) != network_of(right.host)
    )


def select_path(
    consensus: Consensus,
    wishes: Wishes,
    *,
    guards: Sequence[int],
    phase: int,
    random: RandomBytes,
    exit_allows: ExitAllows,
) -> Path:
    """Draw a path of three hops.

    Args:
        consensus: a consensus fresh enough for circuits.
        wishes: what the circuit is for.
        guards: registry indexes allowed as entry (the client's guards).
        phase: key phase now.
        random: source of random bytes.
        exit_allows: judges exit policies.

    Raises:
        StageError: no node fits a position, and how many each rule left.
    """
    selection = _Selection(consensus, wishes, frozenset(guards), phase, exit_allows)
    chosen = selection.draw(random)
    return Path(chosen[Position.ENTRY], chosen[Position.MIDDLE], chosen[Position.EXIT], phase)


class _Selection:
    """One search: candidates by position and their weights."""

    def __init__(
        self,
        consensus: Consensus,
        wishes: Wishes,
        guards: frozenset[int],
        phase: int,
        exit_allows: ExitAllows,
    ) -> None:
        self._wishes = wishes
        self._candidates = {
            position: self._fitting(consensus, position, guards, phase, exit_allows)
            for position in Position
        }
        pinned = [position for position in _DRAW_ORDER if position in wishes.pinned]
        self._order = pinned + [position for position in _DRAW_ORDER if position not in pinned]
        self._attempts = 0

    def draw(self, random: RandomBytes) -> dict[Position, ConsensusNode]:
        """Return a node for each position."""
        chosen: dict[Position, ConsensusNode] = {}
        if not self._extend(chosen, random):
            counts = ", ".join(
                f"{len(nodes)} for {position}" for position, nodes in self._candidates.items()
            )
            raise StageError(
                Stage.PATH,
                "no three nodes are independent of each other",
                why=f"operator, family or network coincide; candidates: {counts}",
            )
        return chosen

    def _extend(self, chosen: dict[Position, ConsensusNode], random: RandomBytes) -> bool:
        """Fill the next position, trying other nodes where one leads to a dead end."""
        if len(chosen) == len(self._order):
            return True
        position = self._order[len(chosen)]
        fitting = [
            node
            for node in self._candidates[position]
            if all(are_distinct(node, other) for other in chosen.values())
        ]
        weights = [self._weight(node, position) for node in fitting]
        while fitting and self._attempts < MAX_ATTEMPTS:
            place = weighted_place(weights, random)
            chosen[position] = fitting[place]
            if self._extend(chosen, random):
                return True
            self._attempts += 1
            del chosen[position], fitting[place], weights[place]
        return False

    def _weight(self, node: ConsensusNode, position: Position) -> int:
        if position in self._wishes.pinned:
            return 1
        return node.weight * self._wishes.damping_ppm.get(node.index, PPM)

    def _fitting(
        self,
        consensus: Consensus,
        position: Position,
        guards: frozenset[int],
        phase: int,
        exit_allows: ExitAllows,
    ) -> list[ConsensusNode]:
        """Nodes that fit a position by themselves."""
        wishes = self._wishes
        pin = wishes.pinned.get(position)
        role = [node for node in consensus.nodes if node.role is ROLES[position]]
        usable = [
            node
            for node in role
            if node.index not in wishes.excluded
            and node.phase_key(phase) is not None
            and (node.index == pin if pin is not None else self._weight(node, position) > 0)
        ]
        admitted = usable
        if position is Position.ENTRY and pin is None:
            admitted = [node for node in usable if node.index in guards]
        elif position is Position.EXIT and wishes.port:
            admitted = [node for node in usable if exit_allows(node, wishes.host, wishes.port)]
        if not admitted:
            raise StageError(
                Stage.PATH,
                f"no {position} node fits",
                why=_shortage(position, len(role), len(usable), wishes),
            )
        return admitted


def _shortage(position: Position, listed: int, usable: int, wishes: Wishes) -> str:
    start = f"{listed} listed, {usable} usable"
    if usable and position is Position.EXIT:
        return f"{start}, none admits {wishes.host}:{wishes.port}"
    if usable and position is Position.ENTRY:
        return f"{start}, none is a guard of this client"
    return start
