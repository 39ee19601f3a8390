"""Three mixes with their keys, and packets through them."""

import secrets

from node.circuit.keys.phase import PhaseKeyring
from node.mix.replay import ReplayFilter
from node.mix.route import MixHop, Route
from node.mix.unwrap import Deliver, Forward, Unwrapper

PHASE = 2_950_000
MAILBOX_NODE = 900


class Mix:
    """One mix; its layers are the same in all phases unless a test says otherwise."""

    def __init__(self, index, layer, phase=PHASE, slots=1 << 12):
        self.index = index
        self.layers = [layer]
        self.node_id = secrets.token_bytes(32)
        self.keyring = PhaseKeyring(phase)
        self.replays = ReplayFilter(slots)
        self.unwrapper = Unwrapper(
            self.node_id,
            self.keyring,
            lambda _phase: self.layers,
            self.replays,
            secrets.token_bytes,
        )

    def hop(self, phase=PHASE, delay_ms=0):
        return MixHop(self.index, self.node_id, self.keyring.public(phase), delay_ms)

    def advance(self, phase):
        self.keyring.advance(phase)

    def open(self, packet):
        (result,) = self.unwrapper.unwrap([packet])
        return result


class Mixes:
    """One mix of each layer."""

    def __init__(self, **options):
        self.mixes = [Mix(index, index, **options) for index in (1, 2, 3)]

    def route(self, phase=PHASE, delivery_id=None, delays=(5, 6, 7)):
        hops = [mix.hop(phase, delay) for mix, delay in zip(self.mixes, delays, strict=True)]
        delivery_id = delivery_id or secrets.token_bytes(16)
        return Route(phase, hops, MAILBOX_NODE, delivery_id)

    def carry(self, packet):
        """Through all three; returns what each gave."""
        results = [self.mixes[0].open(packet)]
        for mix in self.mixes[1:]:
            if not isinstance(results[-1], Forward):
                break
            results.append(mix.open(results[-1].packet))
        return results

    def deliver(self, packet):
        """Through all three; returns the delivery."""
        last = self.carry(packet)[-1]
        assert isinstance(last, Deliver)
        return last.delivery
