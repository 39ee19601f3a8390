"""Which mix stands in which layer, drawn anew for each epoch, and routes through the layers.

Source: docs/spec/mixnet.md, section Layers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.errors import Stage, StageError
from node.mix.packet import LAYERS
from qnet.beacon import draw_order
from qnet.sampling import RandomBytes, weighted_place

MAX_DRAWS: Final = 256
"""Routes drawn before we say that ties leave none."""
_LABEL: Final = b"mix layers"


@dataclass(frozen=True, slots=True)
class WeightedMix:
    """A mix of the consensus.

    Args:
        index: registry index.
        weight: of the consensus, not negative.
    """

    index: int
    weight: int


@dataclass(frozen=True, slots=True)
class Layers:
    """The mixes of an epoch.

    Args:
        layers: three, each in the order of the draw.
    """

    layers: tuple[tuple[WeightedMix, ...], ...]
    _places: Mapping[int, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        places = {mix.index: layer for layer, mixes in enumerate(self.layers, 1) for mix in mixes}
        object.__setattr__(self, "_places", places)

    def layer_of(self, index: int) -> int:
        """Layer (1 to 3) of a node; 0 if it is no mix in this epoch."""
        return self._places.get(index, 0)

    def weights(self) -> tuple[int, ...]:
        """Sum of the weights of each layer."""
        return tuple(sum(mix.weight for mix in mixes) for mixes in self.layers)


def assign_layers(beacon: bytes, epoch: int, mixes: Iterable[WeightedMix]) -> Layers:
    """Put the mixes into layers, the same way for everybody.

    Args:
        beacon: value that was not known when the mixes registered, 32 bytes.
        epoch: reward epoch.
        mixes: all of them, in any order.

    Raises:
        StageError: fewer than three.
    """
    ascending = sorted(mixes, key=lambda mix: mix.index)
    if len(ascending) < LAYERS:
        raise StageError(
            Stage.PATH, f"{len(ascending)} mixes are too few", why=f"{LAYERS} layers need one each"
        )
    layers: list[list[WeightedMix]] = [[] for _ in range(LAYERS)]
    sums = [0] * LAYERS
    for mix in draw_order(beacon, _LABEL + epoch.to_bytes(8, "big"), ascending):
        layer = min(range(LAYERS), key=lambda place: (sums[place], len(layers[place]), place))
        layers[layer].append(mix)
        sums[layer] += mix.weight
    return Layers(tuple(tuple(mixes) for mixes in layers))


def draw_mixes(
    layers: Layers, random: RandomBytes, apart: Callable[[int, int], bool]
) -> Sequence[int]:
    """Draw a mix of each layer by weight; redraw all when two have ties.

    Args:
        layers: of the epoch in which the packet's phase begins.
        random: source of random bytes.
        apart: whether two nodes (registry indices) may stand in one route.

    Returns:
        Registry indices, first mix first.

    Raises:
        StageError: no route was found.
    """
    weights = [[mix.weight for mix in mixes] for mixes in layers.layers]
    if not all(sum(layer) for layer in weights):
        raise StageError(Stage.PATH, "a layer of mixes is empty")
    for _ in range(MAX_DRAWS):
        first, second, third = (
            mixes[weighted_place(parts, random)].index
            for mixes, parts in zip(layers.layers, weights, strict=True)
        )
        if apart(first, second) and apart(first, third) and apart(second, third):
            return first, second, third
    raise StageError(Stage.PATH, "no three mixes without ties", why="too few operators run mixes")
