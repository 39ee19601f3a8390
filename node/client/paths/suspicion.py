"""Whom a client suspects after a circuit broke, and for how long it goes without them.

What a hop says is its word only: the one that reports a dead neighbour may be the one that lies.
So the hop named is accused and its neighbours are doubted; a path without either is tried first,
then one without the accused. The entry cannot be swapped lightly: it is given up when it is silent
itself, was accused twice, or stood in two broken circuits that had no other node in common.

Source: docs/spec/exits-and-clients.md, section "Detection".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from node.circuit.messages import BLAMES_NEXT, EndReason

AVOID_S: Final = 60.0
"""A node that may have broken a circuit is avoided for this long."""
EVIDENCE_S: Final = 300.0
"""What speaks against an entry is forgotten after this."""
ENTRY_EVIDENCE: Final = 2
"""Independent pieces of evidence against an entry at which it is given up."""

_UNSUSPICIOUS: Final = frozenset({EndReason.IDLE, EndReason.CIRCUIT_DESTROYED})
"""Without a hop: the client itself ended the circuit."""


@dataclass(frozen=True, slots=True)
class Suspects:
    """Positions in a path, 0 for the entry.

    Attributes:
        accused: Who is named.
        doubted: Who may have done it, or may lie about it.
        is_certain: Whether nobody else can have done it.
    """

    accused: frozenset[int] = frozenset()
    doubted: frozenset[int] = frozenset()
    is_certain: bool = False


def suspects(reason: EndReason | None, hop: int | None, hops: int) -> Suspects:
    """Who may have broken a circuit of `hops` hops that ended for this reason at this hop.

    Args:
        reason: As the circuit's end says; None when nobody answered at all.
        hop: The hop named, None when nobody could tell.
        hops: Length of the path.
    """
    everybody = frozenset(range(hops))
    if hop is None:
        return Suspects() if reason in _UNSUSPICIOUS else Suspects(doubted=everybody)
    if hop == 0 and reason is EndReason.LINK_LOST:
        return Suspects()  # the client's own network may have changed
    accused = frozenset({hop})
    if hop == 0 and reason is EndReason.BUILD_TIMEOUT:
        return Suspects(accused, is_certain=True)  # it takes cells and owes an echo itself
    if reason is EndReason.PROTOCOL:
        # who sees a broken rule is its victim more often than its author
        return Suspects(doubted=everybody & {hop - 1, hop, hop + 1})
    if reason in BLAMES_NEXT:
        return Suspects(accused, everybody & {hop - 1})
    return Suspects(accused)


@dataclass(slots=True)
class _Evidence:
    until: float
    others: frozenset[int]


@dataclass(slots=True)
class Suspicion:
    """Memory of what broke; times are monotonic seconds, nodes registry indexes."""

    _accused: dict[int, float] = field(default_factory=dict)
    _doubted: dict[int, float] = field(default_factory=dict)
    _evidence: dict[int, list[_Evidence]] = field(default_factory=dict)

    def broke(self, path: Sequence[int], found: Suspects, now: float) -> bool:
        """Remember who may have broken a circuit over `path`.

        Returns:
            Whether its entry is to be given up.
        """
        for position in found.accused - {0}:
            self._accused[path[position]] = now + AVOID_S
        for position in found.doubted - {0}:
            self._doubted[path[position]] = now + AVOID_S
        if 0 in found.accused and found.is_certain:
            return True
        if 0 in found.accused:
            return self._testify(path[0], frozenset(), now)
        if 0 in found.doubted:
            others = frozenset(path[position] for position in found.doubted - {0})
            return self._testify(path[0], others, now)
        return False

    def exclusions(self, now: float) -> tuple[frozenset[int], ...]:
        """Whom to leave out of a path, the strictest wish first."""
        for memory in (self._accused, self._doubted):
            for index in [index for index, until in memory.items() if until <= now]:
                del memory[index]
        accused = frozenset(self._accused)
        return accused | self._doubted.keys(), accused

    def _testify(self, entry: int, others: frozenset[int], now: float) -> bool:
        """Add evidence against an entry, unless older evidence shares another suspect with it."""
        kept = [piece for piece in self._evidence.get(entry, []) if piece.until > now]
        if all(piece.others.isdisjoint(others) for piece in kept):
            kept.append(_Evidence(now + EVIDENCE_S, others))
        self._evidence[entry] = kept
        if len(kept) < ENTRY_EVIDENCE:
            return False
        del self._evidence[entry]
        return True
