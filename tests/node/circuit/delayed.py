"""The network of `network.py` over lines with a round trip and a rate, in simulated time."""

import heapq
from collections import defaultdict
from itertools import count

from tests.node.circuit.network import CLIENT, Network

BATCH = 32
"""Cells handed to a line that is free, as a link takes them while its buffer is short."""


class DelayedNetwork(Network):
    """Nothing moves but in `run`; every line passes cells one after the other.

    Args:
        delay_s: round trip of every link.
        cells_per_s: rate of every link, each direction.
    """

    def __init__(self, relays=3, *, delay_s=0.1, cells_per_s=2000, **options):
        self.delay_s = delay_s
        self.rates = defaultdict(lambda: cells_per_s)
        self.free_at = defaultdict(float)
        self.most_queued = 0
        self._events, self._order = [], count()
        super().__init__(relays, **options)

    def run(self, seconds):
        """Let time pass; deadlines are looked at once a second."""
        end = self.now + seconds
        for index in self.parties():
            self.pump(index)
        while self._events and self._events[0][0] <= end:
            self.now, _, source, target, item = heapq.heappop(self._events)
            if item is None:
                self.pump(source)
            else:
                self.wires[source, target].items.append(item)
                self.deliver(source, target)
                self.pump(target)
            self.most_queued = max(self.most_queued, *(c.queued_cells for c in self.cores))
        self.now = end

    def settle(self, limit=100_000):
        """Let a build's worth of time pass."""
        del limit
        self.run(8 * self.delay_s)

    def pump(self, index):
        for source, target in list(self.link_ids):
            if source == index:
                self._fill(source, target)
        for target, content in self._credits(index):
            self._post(index, target, content)
        if index == CLIENT:
            self.note(self.client.take_events())
        else:
            self.carry_out(index, self.cores[index].take_actions())

    def _fill(self, source, target):
        line = source, target
        while self.free_at[line] <= self.now:
            cells = self._pull(source, target)
            if not cells:
                return
            self.free_at[line] = self.now + len(cells) / self.rates[line]
            self._post(source, target, cells)
            heapq.heappush(
                self._events, (self.free_at[line], next(self._order), source, target, None)
            )

    def _pull(self, source, target):
        if source == CLIENT:
            return self.client.pull(BATCH)
        return self.cores[source].pull(self.link_ids[source, target], BATCH)

    def _credits(self, index):
        if index == CLIENT:
            return [(0, content) for content in self.client.take_credits()]
        targets = {self.link_ids[ends]: ends[1] for ends in self.link_ids if ends[0] == index}
        return [(targets[link], content) for link, content in self.cores[index].take_credits()]

    def _post(self, source, target, item):
        due = max(self.now, self.free_at[source, target]) + self.delay_s / 2
        heapq.heappush(self._events, (due, next(self._order), source, target, item))
