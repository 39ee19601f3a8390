"""What a circuit is for: its destination, and which nodes may stand where.

Source: docs/spec/directory.md, section Path selection.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from qnet.messages.consensus_node import ConsensusNode
from qnet.messages.descriptor import Role
from qnet.units import PPM

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


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a circuit is for.

    Args:
        host: destination, "" if none (measurements, directory).
        port: its port, 0 if none.
        pinned: nodes that must stand at a position, by registry index; they need no weight.
        excluded: registry indexes not to be used.
        damping_ppm: factor on a node's weight in ppm, at most PPM, for nodes known to be slow.
        countries: countries where the exit may stand, two capital letters; empty for any.
        barred_countries: countries where the exit must not stand.
    """

    host: str = ""
    port: int = 0
    pinned: Mapping[Position, int] = field(default_factory=dict)
    excluded: frozenset[int] = frozenset()
    damping_ppm: Mapping[int, int] = field(default_factory=dict)
    countries: frozenset[str] = frozenset()
    barred_countries: frozenset[str] = frozenset()

    def damping_of(self, index: int) -> int:
        """Factor on a node's weight in ppm; never above 1."""
        return min(self.damping_ppm.get(index, PPM), PPM)
