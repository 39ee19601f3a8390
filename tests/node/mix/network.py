"""A mixnet in memory on a clock of its own: mixes, clients, mailboxes, and loss.

Everything is the real core; only links are replaced by calls, and a heap holds what is under way.
"""

from heapq import heappop, heappush
from itertools import count

from node.circuit.keys.phase import PhaseKeyring
from node.mix.client import Account, MixClient
from node.mix.layers import WeightedMix, assign_layers
from node.mix.mailbox import DeliveryIds
from node.mix.packet import DELIVERY, decode_delivery
from node.mix.paths import MixInfo, Paths
from node.mix.relay import LoopPlan, MixRelay
from node.mix.replay import ReplayFilter
from node.mix.schedule import Rates
from node.mix.unwrap import Forward, Unwrapper
from qnet.crypto.kdf import blake3
from qnet.crypto.keys import DhKey

PHASE_S = 100
FIRST_PHASE = 5
MAILBOX_NODE = 500
LINK_S = 0.02
RATES = Rates(payload_hz=4.0, loop_hz=0.5, drop_hz=0.5)


class Network:
    """Nine mixes and a mailbox node; `random` gives all times, routes and losses again."""

    def __init__(self, random, *, loss=0.0, start=FIRST_PHASE * PHASE_S, loop_hz=0.2):
        self.random, self.loss, self.now = random, loss, float(start)
        self.layers = assign_layers(blake3(b"net"), 0, [WeightedMix(i, 5) for i in range(1, 10)])
        self.keyrings = {i: PhaseKeyring(self.phase) for i in range(1, 10)}
        self.ids = {i: self.random.randbytes(32) for i in range(1, 10)}
        infos = {
            i: MixInfo(
                i, self.ids[i], {p: ring.public(p) for p in range(self.phase, self.phase + 13)}
            )
            for i, ring in self.keyrings.items()
        }
        self.paths = Paths(
            infos,
            lambda _phase: self.layers,
            lambda index, _phase: [self.layers.layer_of(index)],
            [MAILBOX_NODE],
            lambda a, b: a != b,
            self.random.randbytes,
        )
        self.mixes = {i: self._mix(i, loop_hz) for i in self.keyrings}
        self.mailbox_ids = DeliveryIds(self.random.randbytes(16))
        self.clients, self.events, self.blocked = [], [], set()
        self._heap, self._order = [], count()
        self.delivered_to_nobody = 0

    @property
    def phase(self):
        return int(self.now // PHASE_S)

    def _mix(self, index, loop_hz):
        layer = self.layers.layer_of(index)
        unwrapper = Unwrapper(
            self.ids[index],
            self.keyrings[index],
            lambda _phase: [layer],
            ReplayFilter(1 << 14),
            self.random.randbytes,
        )
        plan = LoopPlan(loop_hz, 2.0)
        return MixRelay(
            index,
            unwrapper,
            self.paths,
            lambda _phase: layer,
            plan,
            self.random.randbytes,
            self.now,
        )

    def client(self):
        slot = len(self.clients)
        account = Account(
            DhKey(self.random.randbytes(32)),
            MAILBOX_NODE,
            lambda: self.mailbox_ids.issue(slot, self.random.randbytes),
        )
        client = MixClient(account, self.paths, RATES, self.random.randbytes, self.now)
        self.clients.append((client, account))
        self.events.append([])
        return client, account, self.events[-1]

    def send(self, index, packet, *, own=False):
        """Over a link to a mix; `own` marks packets of an attacker, which he lets through."""
        if self.random.random() < self.loss or (index in self.blocked and not own):
            return
        heappush(self._heap, (self.now + LINK_S, next(self._order), index, packet))

    def run(self, seconds):
        end = self.now + seconds
        while True:
            times = [client.next_at for client, _ in self.clients]
            times += [mix.next_at for mix in self.mixes.values()]
            times += [self._heap[0][0]] if self._heap else []
            phase_end = (self.phase + 1) * PHASE_S
            at = max(min(*times, phase_end), self.now)
            if at > end:
                self.now = end
                return
            self.now = at
            if at == phase_end:
                self._turn()
            self._step()

    def _turn(self):
        for ring in self.keyrings.values():
            ring.advance(self.phase)
        for client, _ in self.clients:
            client.advance(self.phase)

    def _step(self):
        while self._heap and self._heap[0][0] <= self.now:
            _, _, index, packet = heappop(self._heap)
            self._arrive(index, packet)
        for mix in self.mixes.values():
            for item in mix.due(self.now):
                if isinstance(item, Forward):
                    self.send(item.next_index, item.packet)
                else:
                    self._arrive(item.next_index, item.delivery.encode(self.random.randbytes))
            for index, packet in mix.loops(self.phase, self.now):
                self.send(index, packet)
        for client, _ in self.clients:
            for index, packet in client.packets(self.phase, self.now):
                self.send(index, packet)

    def _arrive(self, index, packet):
        if packet[0] != DELIVERY:
            self.mixes[index].receive([packet], self.now)
        elif index == MAILBOX_NODE:
            self._deliver(decode_delivery(packet))

    def _deliver(self, delivery):
        slot = self.mailbox_ids.slot_of(delivery.delivery_id)
        for number, (client, account) in enumerate(self.clients):
            if number == slot or delivery.delivery_id == account.address.delivery_id(
                delivery.phase
            ):
                self.events[number] += client.receive(delivery, self.now)
                return
        self.delivered_to_nobody += 1
