"""How an auditor probes a mix: over which entry and mixes, decided without I/O.

A probe is a packet that the auditor sends to itself, through the target in the target's layer. When
it does not return, a control runs through the same entry and the same other mixes, with a mix of
the target's layer in the target's place.

Source: docs/spec/rewards.md, QN-REW-041 and 046.
"""

from collections.abc import Collection
from dataclasses import dataclass

from node.accounting.assignments import Target
from node.accounting.auditor import Surroundings
from node.directory.diversity import are_distinct
from node.errors import Stage, StageError
from node.mix.layers import Layers, WeightedMix, draw_mixes
from node.mix.live_paths import LivePaths
from qnet.messages.consensus import ConsensusNode
from qnet.messages.descriptor import Role
from qnet.sampling import RandomBytes, weighted_place


@dataclass(frozen=True, slots=True)
class MixProbePlan:
    """The two ways of one probe of a mix.

    Args:
        target: registry index of the mix probed.
        entry: takes the packet, and keeps the mailbox that it returns to.
        mixes: registry indexes, first mix first; the target is one of them.
        control: the same with another mix of its layer; None if there is none.
        phase: key phase, u24.
    """

    target: int
    entry: ConsensusNode
    mixes: tuple[int, ...]
    control: tuple[int, ...] | None
    phase: int

    @property
    def hops(self) -> tuple[int, ...]:
        """Registry indexes of entry and mixes, in order."""
        return (self.entry.index, *self.mixes)

    @property
    def others(self) -> frozenset[int]:
        """The hops that probe and control share."""
        return frozenset(self.hops) - {self.target}


def plan_mix_probe(
    target: Target, around: Surroundings, live: LivePaths, *, random: RandomBytes
) -> MixProbePlan:
    """Draw entry and mixes such that the control fits too, if that is possible.

    Wishes are given up in this order: avoid suspects, enter through guards, have a control.

    Args:
        target: whom to probe; its control serves if it stands in the same layer.
        around: what paths are drawn from.
        live: layers of the mixes.
        random: source of random bytes.

    Raises:
        StageError: the target stands in no layer, or no way leads through it.
    """
    layers = live.layers_at(around.phase)
    if not layers.layer_of(target.index):
        raise StageError(Stage.PATH, f"node {target.index} stands in no layer of mixes")
    control = _control(target, layers, random)
    for rival in [control, None] if control is not None else [None]:
        for allowed, avoided in around.levels():
            plan = _draw(target.index, rival, layers, allowed, avoided, around, live, random)
            if plan is not None:
                return plan
    raise StageError(Stage.PATH, f"no way leads through mix {target.index}")


def _control(target: Target, layers: Layers, random: RandomBytes) -> int | None:
    """The control that the member named, or any other mix of the target's layer."""
    rivals = [
        mix
        for mix in layers.layers[layers.layer_of(target.index) - 1]
        if mix.index != target.index and mix.weight
    ]
    if target.control in {mix.index for mix in rivals}:
        return target.control
    if not rivals:
        return None
    return rivals[weighted_place([mix.weight for mix in rivals], random)].index


def _draw(
    target: int,
    rival: int | None,
    layers: Layers,
    allowed: Collection[int],
    avoided: frozenset[int],
    around: Surroundings,
    live: LivePaths,
    random: RandomBytes,
) -> MixProbePlan | None:
    """Entry and mixes, all without ties to the target and its control."""
    judged = [live.node(index) for index in (target, rival) if index is not None]

    def fits(index: int) -> bool:
        node = live.node(index)
        return index not in avoided and all(are_distinct(node, other) for other in judged)

    entries = [
        node
        for node in around.consensus.nodes
        if node.role is Role.ENTRY
        and node.index in allowed
        and node.weight > 0
        and node.phase_key(around.phase) is not None
        and fits(node.index)
    ]
    if not entries:
        return None
    parts = list(layers.layers)
    place = layers.layer_of(target) - 1
    for at, mixes in enumerate(parts):
        alone = (WeightedMix(target, 1),)
        parts[at] = alone if at == place else tuple(mix for mix in mixes if fits(mix.index))
    try:
        way = tuple(draw_mixes(Layers(tuple(parts)), random, live.paths.apart))
    except StageError:
        return None
    entry = entries[weighted_place([node.weight for node in entries], random)]
    control = None
    if rival is not None:
        control = (*way[:place], rival, *way[place + 1 :])
    return MixProbePlan(target, entry, way, control, around.phase)
