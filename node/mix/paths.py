"""Routes from what the consensus says about mixes.

Source: docs/spec/mixnet.md, sections Layers and Delays.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from node.errors import Stage, StageError
from node.mix.layers import Layers, WeightedMix, draw_mixes
from node.mix.packet import ID_BYTES
from node.mix.poisson import MEAN_DELAY_MS, draw_delay_ms
from node.mix.route import MixHop, Route
from qnet.errors import LocalProtocolError
from qnet.sampling import RandomBytes, uniform_below


@dataclass(frozen=True, slots=True)
class MixInfo:
    """A mix of the consensus.

    Args:
        index: registry index.
        node_id: 32 bytes.
        phase_keys: its onion keys (32 bytes each) by key phase.
    """

    index: int
    node_id: bytes
    phase_keys: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Paths:
    """Draws routes.

    Args:
        mixes: by registry index.
        layers_at: layers that packets of a key phase (u24) are sent through.
        layers_of: layers in which a node (registry index) may stand in a key phase (u24), by all
            that is known of the consensuses that others hold.
        mailbox_nodes: registry indices of nodes that keep mailboxes, where drops go.
        apart: whether two nodes (registry indices) may stand in one route.
        random: source of random bytes.
        mean_delay_ms: at each mix.
    """

    mixes: Mapping[int, MixInfo]
    layers_at: Callable[[int], Layers]
    layers_of: Callable[[int, int], Sequence[int]]
    mailbox_nodes: Sequence[int]
    apart: Callable[[int, int], bool]
    random: RandomBytes
    mean_delay_ms: float = MEAN_DELAY_MS

    def route(
        self, phase: int, mailbox_node: int, delivery_id: bytes, *, through: int = 0
    ) -> Route:
        """Draw a route.

        Args:
            phase: key phase, u24.
            mailbox_node: registry index of the node at its end.
            delivery_id: 16 bytes.
            through: registry index of a mix that it shall take in that mix's layer; 0 for any.

        Raises:
            StageError: no route, or a mix has no key of that phase.
            LocalProtocolError: `through` has no layer.
        """
        layers = self.layers_at(phase)
        if through:
            layers = _through(layers, through)
        mixes = draw_mixes(layers, self.random, self.apart)
        return self.along(mixes, phase, mailbox_node, delivery_id)

    def along(
        self, mixes: Sequence[int], phase: int, mailbox_node: int, delivery_id: bytes
    ) -> Route:
        """Route along given mixes (registry indexes, first one first), with fresh delays.

        Raises:
            StageError: a mix has no key of that phase.
        """
        hops = [self._hop(index, phase) for index in mixes]
        return Route(phase, hops, mailbox_node, delivery_id)

    def begins_at(self, index: int, phase: int) -> bool:
        """Whether a node (registry index) may be a first mix in a key phase (u24)."""
        return 1 in self.layers_of(index, phase)

    def drop(self, phase: int) -> Route:
        """Draw a route to a mailbox that nobody has.

        Raises:
            StageError: no route, no mailbox node, or a mix has no key of that phase.
        """
        if not self.mailbox_nodes:
            raise StageError(Stage.PATH, "no node keeps mailboxes")
        node = self.mailbox_nodes[uniform_below(len(self.mailbox_nodes), self.random)]
        return self.route(phase, node, self.random(ID_BYTES))

    def _hop(self, index: int, phase: int) -> MixHop:
        mix = self.mixes.get(index)
        key = mix.phase_keys.get(phase) if mix else None
        if mix is None or key is None:
            raise StageError(Stage.PATH, f"mix {index} has no key for this phase")
        return MixHop(index, mix.node_id, key, draw_delay_ms(self.random, self.mean_delay_ms))


def _through(layers: Layers, index: int) -> Layers:
    """The same layers with one mix alone in its own."""
    layer = layers.layer_of(index)
    if not layer:
        raise LocalProtocolError(f"node {index} is no mix in this epoch")
    alone = tuple(
        (WeightedMix(index, 1),) if place == layer else mixes
        for place, mixes in enumerate(layers.layers, 1)
    )
    return replace(layers, layers=alone)
