"""Choosing the nodes of a circuit: a pure function of consensus, wishes and random bytes.

Hard rules: no two nodes share an operator, family, network or autonomous system; the entry is one
of the client's guards; the exit's policy admits the destination and its country is wished for.
Among what the rules leave, a node is drawn with probability proportional to its weight.

Source: docs/spec/directory.md, section Path selection.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from node.directory.atlas import NO_ATLAS, Atlas
from node.directory.diversity import Rule, Ties, ties_of
from node.directory.shortage import what_lacks
from node.directory.wishes import ROLES, ExitAllows, Position, Wishes
from node.errors import Stage, StageError
from qnet.messages.consensus import Consensus
from qnet.messages.consensus_node import ConsensusNode
from qnet.messages.descriptor import Role
from qnet.sampling import RandomBytes, uniform_below, weighted_place
from qnet.units import PPM

MAX_ATTEMPTS: Final = 256
"""Dead ends met before selection gives up; a network that has a path rarely shows one."""
QUICK_DRAWS: Final = 16
"""Draws from all nodes of a position before those that fit are listed one by one."""
PAIR: Final = 2
"""Guards between which an entry is drawn so that the loads of all entries follow their weights."""

_DRAW_ORDER: Final = (Position.EXIT, Position.ENTRY, Position.MIDDLE)
"""The scarcest first: exits are bound by policy, entries by the guards."""


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


def select_path(
    consensus: Consensus,
    wishes: Wishes,
    *,
    guards: Sequence[int],
    phase: int,
    random: RandomBytes,
    exit_allows: ExitAllows,
    atlas: Atlas = NO_ATLAS,
) -> Path:
    """Draw one path; see :meth:`Chooser.path`, which draws many from one consensus.

    Raises:
        StageError: no path fits; names the rule that left none.
    """
    chooser = Chooser(consensus, phase, exit_allows=exit_allows, atlas=atlas)
    return chooser.path(wishes, guards=guards, random=random)


@dataclass(frozen=True, slots=True)
class _Lane:
    """Nodes that may stand at a position, and the running sums of their weights."""

    nodes: tuple[ConsensusNode, ...]
    sums: tuple[int, ...]

    @classmethod
    def of(cls, nodes: Sequence[ConsensusNode], weights: Sequence[int]) -> "_Lane":
        return cls(tuple(nodes), tuple(accumulate(weights)))

    def weight_at(self, place: int) -> int:
        return self.sums[place] - (self.sums[place - 1] if place else 0)


class Chooser:
    """What a consensus offers at each position; made once per consensus and key phase.

    Args:
        consensus: a consensus fresh enough for circuits.
        phase: key phase now.
        exit_allows: judges exit policies.
        atlas: knows autonomous systems and countries.
    """

    def __init__(
        self,
        consensus: Consensus,
        phase: int,
        *,
        exit_allows: ExitAllows,
        atlas: Atlas = NO_ATLAS,
    ) -> None:
        self.consensus = consensus
        self.phase = phase
        self.exit_allows = exit_allows
        self.atlas = atlas
        self.entry_weight = sum(n.weight for n in consensus.nodes if n.role is Role.ENTRY)
        self._lanes = {position: self._lane(position) for position in Position}
        self._ties: dict[int, Ties] = {}

    def path(self, wishes: Wishes, *, guards: Sequence[int], random: RandomBytes) -> Path:
        """Draw a path of three hops.

        Args:
            wishes: what the circuit is for.
            guards: registry indexes allowed as entry. Between two, which were drawn by weight
                already, the draw is such that loads follow weights; among more, it is by weight.
            random: source of random bytes.

        Raises:
            StageError: no path fits; names the rule that left none.
        """
        found = _Search(self, wishes, guards).draw(random)
        if found is None:
            raise self._shortage(wishes, guards, random)
        return Path(found[Position.ENTRY], found[Position.MIDDLE], found[Position.EXIT], self.phase)

    def ties(self, node: ConsensusNode) -> Ties:
        """What a node may share with others."""
        known = self._ties.get(node.index)
        if known is None:
            known = self._ties[node.index] = ties_of(node, self.atlas)
        return known

    def lane(self, position: Position, wishes: Wishes, guards: Sequence[int]) -> _Lane:
        """Nodes to draw from at a position, before wishes and diversity."""
        by_index = self.consensus.by_index
        pin = wishes.pinned.get(position)
        if pin is not None:
            node = by_index.get(pin)
            usable = node is not None and node.role is ROLES[position] and self.has_key(node)
            return _Lane.of([node], [1]) if node is not None and usable else _Lane((), ())
        if position is not Position.ENTRY:
            return self._lanes[position]
        known = [by_index[index] for index in sorted(set(guards)) if index in by_index]
        nodes = [node for node in known if self._stands_at(position, node)]
        weights = [node.weight for node in nodes]
        if len(nodes) == PAIR:
            # first drawn with w/W, second with w/(W - w of the first): this undoes the second draw
            weights = [self.entry_weight - weight for weight in reversed(weights)]
        return _Lane.of(nodes, weights)

    def admits(self, position: Position, node: ConsensusNode, wishes: Wishes) -> bool:
        """Whether a node fits the wishes by itself."""
        if node.index in wishes.excluded:
            return False
        if position is not Position.EXIT or position in wishes.pinned:
            return True
        if wishes.port and not self.exit_allows(node, wishes.host, wishes.port):
            return False
        return self.is_in_country(node, wishes)

    def has_key(self, node: ConsensusNode) -> bool:
        """Whether a node lists an onion key of the phase."""
        return node.phase_key(self.phase) is not None

    def is_in_country(self, node: ConsensusNode, wishes: Wishes) -> bool:
        """Whether a node stands where the exit is wished to stand, as far as is known."""
        if not wishes.countries and not wishes.barred_countries:
            return True
        country = self.atlas.country_of(node.host)
        if not country or country in wishes.barred_countries:
            return False
        return not wishes.countries or country in wishes.countries

    def _shortage(self, wishes: Wishes, guards: Sequence[int], random: RandomBytes) -> StageError:
        """The error that names the rule which left no path."""
        for position in _DRAW_ORDER:
            lacking = what_lacks(self, position, wishes, guards)
            if lacking:
                return StageError(Stage.PATH, f"no {position} node fits", why=lacking)
        guilty = [
            rule
            for rule in Rule
            if rule is not Rule.NODE
            and _Search(self, wishes, guards, without=rule).draw(random) is not None
        ]
        words = " or ".join(guilty) or "operator address, family, network or autonomous system"
        return StageError(
            Stage.PATH, "no three nodes are independent of each other", why=f"same {words}"
        )

    def _stands_at(self, position: Position, node: ConsensusNode) -> bool:
        return node.role is ROLES[position] and node.weight > 0 and self.has_key(node)

    def _lane(self, position: Position) -> _Lane:
        nodes = [node for node in self.consensus.nodes if self._stands_at(position, node)]
        return _Lane.of(nodes, [node.weight for node in nodes])


class _Search:
    """One search for a path."""

    def __init__(
        self,
        chooser: Chooser,
        wishes: Wishes,
        guards: Sequence[int],
        *,
        without: Rule | None = None,
    ) -> None:
        self._chooser = chooser
        self._wishes = wishes
        self._without = without
        self._lanes = {position: chooser.lane(position, wishes, guards) for position in _DRAW_ORDER}
        pinned = [position for position in _DRAW_ORDER if position in wishes.pinned]
        self._order = pinned + [position for position in _DRAW_ORDER if position not in pinned]
        self._attempts = 0

    def draw(self, random: RandomBytes) -> dict[Position, ConsensusNode] | None:
        """A node for each position, or None if no path was found."""
        chosen: dict[Position, ConsensusNode] = {}
        return chosen if self._extend(chosen, frozenset(), random) else None

    def _extend(
        self, chosen: dict[Position, ConsensusNode], taken: Ties, random: RandomBytes
    ) -> bool:
        """Fill the next position, trying other nodes where one leads to a dead end."""
        if len(chosen) == len(self._order):
            return True
        position = self._order[len(chosen)]
        dead: set[int] = set()
        while self._attempts < MAX_ATTEMPTS:
            node = self._draw(position, taken, dead, random)
            if node is None:
                return False
            chosen[position] = node
            if self._extend(chosen, taken | self._ties(node), random):
                return True
            self._attempts += 1
            del chosen[position]
            dead.add(node.index)
        return False

    def _draw(
        self, position: Position, taken: Ties, dead: set[int], random: RandomBytes
    ) -> ConsensusNode | None:
        """Draw by weight among the nodes that fit; None if there is none.

        A draw among all that is repeated until it fits has the same distribution as a draw among
        those that fit, and costs one bisection.
        """
        lane = self._lanes[position]
        if not lane.nodes:
            return None
        for _ in range(QUICK_DRAWS):
            node = lane.nodes[bisect_right(lane.sums, uniform_below(lane.sums[-1], random))]
            if self._fits(position, node, taken, dead) and self._is_kept(position, node, random):
                return node
        fitting = [
            (node, lane.weight_at(place) * self._damping(position, node))
            for place, node in enumerate(lane.nodes)
            if self._fits(position, node, taken, dead)
        ]
        if not any(weight for _, weight in fitting):
            return None
        return fitting[weighted_place([weight for _, weight in fitting], random)][0]

    def _fits(self, position: Position, node: ConsensusNode, taken: Ties, dead: set[int]) -> bool:
        return (
            node.index not in dead
            and taken.isdisjoint(self._ties(node))
            and self._chooser.admits(position, node, self._wishes)
        )

    def _damping(self, position: Position, node: ConsensusNode) -> int:
        return PPM if position in self._wishes.pinned else self._wishes.damping_of(node.index)

    def _is_kept(self, position: Position, node: ConsensusNode, random: RandomBytes) -> bool:
        damping = self._damping(position, node)
        return damping == PPM or uniform_below(PPM, random) < damping

    def _ties(self, node: ConsensusNode) -> Ties:
        if self._without is None:
            return self._chooser.ties(node)
        return ties_of(node, self._chooser.atlas, self._without)
