"""Layers and routes by the consensuses that a running node or client holds.

Senders use the newest consensus that every mix should hold by the time a key phase begins; mixes
take packets by any of the last ones, because not everybody asks for the next at the same moment.

Source: docs/spec/mixnet.md, section Layers.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from node.directory.atlas import NO_ATLAS, Atlas
from node.directory.consensus import REFRESH_UNTIL_DIVISOR
from node.directory.diversity import are_distinct
from node.errors import Stage, StageError
from node.mix.layers import Layers, WeightedMix, assign_layers
from node.mix.packet import LAYERS
from node.mix.paths import MixInfo, Paths
from node.mix.poisson import MEAN_DELAY_MS
from qnet.epochs import consensus_phases, phase_bounds
from qnet.messages.consensus import Consensus
from qnet.messages.consensus_node import ConsensusNode
from qnet.messages.descriptor import PHASE_MODULUS, Role
from qnet.sampling import RandomBytes

KEPT: Final = 3
"""Consensuses whose layers count: reply blocks are made up to two periods ahead."""
NO_LAYERS: Final = Layers(((),) * LAYERS)
_MAILBOX_ROLES: Final = frozenset({Role.ENTRY, Role.EXIT})


@dataclass(frozen=True, slots=True)
class _Period:
    """What one consensus says about mixes.

    Args:
        consensus: the document.
        layers: of its mixes; empty ones if they are too few.
    """

    consensus: Consensus
    layers: Layers

    @classmethod
    def of(cls, consensus: Consensus) -> "_Period":
        mixes = [
            WeightedMix(node.index, node.weight)
            for node in consensus.nodes
            if node.role is Role.MIX and node.weight
        ]
        if len(mixes) < LAYERS:
            return cls(consensus, NO_LAYERS)
        return cls(consensus, assign_layers(consensus.hash, consensus.epoch, mixes))

    def is_known_by(self, phase: int) -> bool:
        """Whether every mix should hold this consensus when a phase (u24) begins."""
        consensus = self.consensus
        length = consensus.parameters.key_phase_s
        start, _ = phase_bounds(phase, consensus.valid_after, length)
        return start >= consensus.valid_after + consensus.interval_s // REFRESH_UNTIL_DIVISOR

    def lists(self, phase: int) -> bool:
        """Whether it can have been used for packets of a phase."""
        return any(node.phase_key(phase) is not None for node in self.consensus.nodes)


class LivePaths:
    """Follows the consensus; tell it every newer one.

    Args:
        random: source of random bytes.
        atlas: knows autonomous systems.
        mean_delay_ms: at each mix, of routes drawn here.

    Attributes:
        paths: draws routes; one object for the life of the process, which follows along.
    """

    __slots__ = ("_atlas", "_mailbox_nodes", "_mixes", "_periods", "_sending", "paths")

    def __init__(
        self,
        random: RandomBytes,
        *,
        atlas: Atlas = NO_ATLAS,
        mean_delay_ms: float = MEAN_DELAY_MS,
    ) -> None:
        self._atlas = atlas
        self._periods: deque[_Period] = deque(maxlen=KEPT)
        self._mixes: dict[int, MixInfo] = {}
        self._mailbox_nodes: list[int] = []
        self._sending: dict[int, Layers] = {}
        self.paths: Final = Paths(
            mixes=self._mixes,
            layers_at=self.layers_at,
            layers_of=self.layers_of,
            mailbox_nodes=self._mailbox_nodes,
            apart=self._apart,
            random=random,
            mean_delay_ms=mean_delay_ms,
        )

    def follow(self, consensus: Consensus) -> None:
        """Use a newer consensus from now on."""
        self._periods.appendleft(_Period.of(consensus))
        self._sending.clear()
        self._mixes.clear()
        self._mixes.update(
            (node.index, MixInfo(node.index, node.node_id, _phase_keys(node)))
            for node in consensus.nodes
            if node.role is Role.MIX
        )
        self._mailbox_nodes[:] = [
            node.index for node in consensus.nodes if node.role in _MAILBOX_ROLES and node.weight
        ]

    @property
    def consensus(self) -> Consensus | None:
        """The newest one, if any is known."""
        return self._periods[0].consensus if self._periods else None

    @property
    def phases(self) -> Sequence[int]:
        """Key phases (u24) whose keys are published, oldest first."""
        if not self._periods:
            return ()
        newest = self._periods[0].consensus
        length = newest.parameters.key_phase_s
        first, count = consensus_phases(newest.valid_after, newest.interval_s, length)
        return [(first + step) % PHASE_MODULUS for step in range(count)]

    def layers_at(self, phase: int) -> Layers:
        """Layers to send packets of a key phase (u24) through; empty ones if there are none."""
        known = self._sending.get(phase)
        if known is not None:
            return known
        usable = [period for period in self._periods if period.lists(phase)]
        if not usable:  # not remembered: strangers name any phase
            return NO_LAYERS
        layers = self._sending[phase] = self._layers_at(phase, usable)
        return layers

    def layers_of(self, index: int, phase: int) -> Sequence[int]:
        """Layers in which a mix (registry index) takes packets of a key phase, likeliest first.

        Who has just started may not know the consensus that senders use for the phase: then it is
        any layer.
        """
        usable = [period for period in self._periods if period.lists(phase)]
        layers = [period.layers.layer_of(index) for period in usable]
        found = [layer for layer in (self.layers_at(phase).layer_of(index), *layers) if layer]
        if found and not any(period.is_known_by(phase) for period in usable):
            found += range(1, LAYERS + 1)
        return list(dict.fromkeys(found))

    def node(self, index: int) -> ConsensusNode:
        """A node of the newest consensus, by registry index.

        Raises:
            StageError: it is not listed.
        """
        node = self.consensus.by_index.get(index) if self.consensus is not None else None
        if node is None:
            raise StageError(Stage.PATH, f"node {index} is not in the consensus")
        return node

    def phase_key(self, index: int, phase: int) -> bytes:
        """Onion key (32 bytes) of any node, by registry index, in a key phase (u24).

        Raises:
            StageError: the node is not listed, or has no key of that phase.
        """
        key = self.node(index).phase_key(phase)
        if key is None:
            raise StageError(Stage.PATH, f"node {index} has no key for this phase")
        return key

    def _layers_at(self, phase: int, usable: Sequence[_Period]) -> Layers:
        """Those of the newest consensus that all should hold by then; else of the oldest known.

        A mix that the newest one does not list any more is left out.
        """
        ready = [period for period in usable if period.is_known_by(phase)]
        chosen = ready[0] if ready else usable[-1]
        listed = tuple(
            tuple(mix for mix in mixes if self._has_key(mix.index, phase))
            for mixes in chosen.layers.layers
        )
        return Layers(listed) if all(listed) else usable[0].layers

    def _has_key(self, index: int, phase: int) -> bool:
        mix = self._mixes.get(index)
        return mix is not None and phase in mix.phase_keys

    def _apart(self, one: int, other: int) -> bool:
        return are_distinct(self.node(one), self.node(other), self._atlas)


def _phase_keys(node: ConsensusNode) -> Mapping[int, bytes]:
    first = node.first_phase
    return {(first + step) % PHASE_MODULUS: key for step, key in enumerate(node.phase_keys)}
