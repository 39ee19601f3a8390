"""A client that carries SOCKS streams over the mixnet by hand, for tests of exits and tunnels."""

import asyncio
import secrets
import time
from collections import deque
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

from node.client.doors.doors import Doors
from node.client.doors.streams import StreamCounts
from node.client.paths.mix_tier import CONNECT_MARGIN_S, MixTier
from node.config import Endpoint
from node.mix.account import Account
from node.mix.client import MixClient
from node.mix.packet import encode_unit
from node.mix.rates import STREAMS
from tools.bench.mix_link import mix_link

LOW_IDS = 64
"""At so many ids more are asked for."""


class MixStreams:
    """The host of a SOCKS door whose streams take the mixnet; also what tests look at."""

    def __init__(self, link, entry, exits, group, rates):
        self.link, self.group = link, group
        self.ids = deque()
        self.errors = []
        self.connect_timeout_s = 10 + CONNECT_MARGIN_S
        account = Account(link.key, entry, self._new_id)
        self.client = MixClient(
            account, link.live.paths, rates, secrets.token_bytes, time.monotonic()
        )
        self.tier = MixTier(
            lambda: self.client.account,
            link.live,
            choose=lambda wishes: SimpleNamespace(exit=SimpleNamespace(index=exits(wishes))),
            parameters=lambda: link.live.consensus.parameters,
            admits=lambda answers: answers,
            random=secrets.token_bytes,
            now=time.monotonic,
        )
        self.client.carried.append(self.tier.tunnels)
        self.counts = StreamCounts()
        self.doors = Doors(self, self.counts)
        self.losing = False

    @property
    def listening(self):
        return self.doors.addresses("socks")

    async def circuit_for(self, key, host, port):
        return await self.tier.circuit_for(key, host, port)

    def spawn(self, work):
        self.group.create_task(work)

    def stream_failed(self, error):
        self.errors.append(error)

    def _new_id(self):
        return self.ids.popleft() if self.ids else None

    async def run(self):
        """The client's loop: its schedule and what comes."""
        link = self.link
        while True:
            if len(self.ids) < LOW_IDS:
                self.ids.extend((await link.ask(128)).ids)
            now = time.monotonic()
            units = [encode_unit(*each) for each in self.client.packets(link.phase, now)]
            link.send([] if self.losing else units)
            with suppress(TimeoutError):
                wait_s = self.client.next_at - time.monotonic()
                delivery, _ = await link.next(link.deliveries, max(0, wait_s))
                if not self.losing:
                    self.client.receive(delivery, time.monotonic())


@asynccontextmanager
async def mix_streams(node, entry, exit_index, *, rates=STREAMS):
    """A client with a SOCKS port over the mixnet, as `node` knows the network."""
    async with (
        mix_link(node.view.held.consensus, entry) as link,
        asyncio.TaskGroup() as group,
    ):
        node.view.on_change(link.live.follow)
        host = MixStreams(link, entry, lambda _wishes: exit_index, group, rates)
        loop = group.create_task(host.run())
        await host.doors.add("socks", Endpoint("127.0.0.1", 0))
        try:
            yield host
        finally:
            host.doors.close()
            for stream in list(host.counts.active):
                stream.abort()
            loop.cancel()
