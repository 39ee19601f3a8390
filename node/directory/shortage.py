"""Why no node fits a position: the rule that left none, in words.

Source: docs/spec/directory.md, QN-DIR-067.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias

from node.directory.atlas import Atlas
from node.directory.wishes import ROLES, ExitAllows, Position, Wishes
from qnet.messages.consensus import Consensus
from qnet.messages.consensus_node import ConsensusNode

Step: TypeAlias = tuple[str, Callable[[ConsensusNode], bool]]
"""A rule: what a node must be, in words and as a test."""


class Offer(Protocol):
    """What paths are drawn from."""

    @property
    def consensus(self) -> Consensus:
        """The nodes."""

    @property
    def atlas(self) -> Atlas:
        """Knows countries."""

    @property
    def exit_allows(self) -> ExitAllows:
        """Judges exit policies."""

    def has_key(self, node: ConsensusNode) -> bool:
        """Whether a node lists an onion key of the phase."""

    def is_in_country(self, node: ConsensusNode, wishes: Wishes) -> bool:
        """Whether a node stands where the exit is wished to stand."""


def what_lacks(offer: Offer, position: Position, wishes: Wishes, guards: Sequence[int]) -> str:
    """Why no node fits a position by itself, "" if one does."""
    left = [node for node in offer.consensus.nodes if node.role is ROLES[position]]
    counts = f"{len(left)} listed"
    for words, holds in _steps(offer, position, wishes, guards):
        fitting = [node for node in left if holds(node)]
        if not fitting:
            return f"{counts}, none {words}"
        if len(fitting) < len(left):
            counts = f"{counts}, {len(fitting)} {words}"
        left = fitting
    return ""


def _steps(
    offer: Offer, position: Position, wishes: Wishes, guards: Sequence[int]
) -> Iterator[Step]:
    """The rules in the order in which they are told."""
    pin = wishes.pinned.get(position)
    if pin is not None:
        yield f"is the pinned node {pin}", lambda node: node.index == pin
    else:
        yield "has a weight", lambda node: node.weight > 0
    yield "has an onion key of this phase", offer.has_key
    yield "is left by the exclusions", lambda node: node.index not in wishes.excluded
    if pin is not None:
        return
    yield "is left by the damping", lambda node: wishes.damping_of(node.index) > 0
    if position is Position.ENTRY:
        yield "is a guard of this client", lambda node: node.index in guards
    if position is Position.EXIT and wishes.port:
        where = f"{wishes.host or '*'}:{wishes.port}"
        yield f"admits {where}", lambda node: offer.exit_allows(node, wishes.host, wishes.port)
    if position is Position.EXIT and (wishes.countries or wishes.barred_countries):
        yield _country_words(offer.atlas, wishes), lambda node: offer.is_in_country(node, wishes)


def _country_words(atlas: Atlas, wishes: Wishes) -> str:
    if not atlas.knows_countries:
        return "has a known country: no geo file is set"
    inside = "in " + ", ".join(sorted(wishes.countries)) if wishes.countries else ""
    barred = ", ".join(sorted(wishes.barred_countries))
    outside = f"known to be outside {barred}" if barred else ""
    return f"is {' and '.join(filter(None, (inside, outside)))}"
