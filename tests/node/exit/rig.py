"""Parts of an exit for tests: resolvers, connectors and streams without a network around them."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace

from node.exit.connector import Connector
from node.exit.limits import ExitLimits
from node.exit.nameservers import NameServers
from node.exit.own import OwnAddresses
from node.exit.policy import ExitPolicy
from node.exit.resolver import Resolver
from qnet.parameters import NetworkParameters

PARAMETERS = NetworkParameters.profile("devnet")


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Spawner:
    """Runs coroutines as tasks of its own, as a node's task group would."""

    def __init__(self):
        self.tasks = set()

    def __call__(self, work):
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def close(self):
        for task in self.tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self.tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


@asynccontextmanager
async def spawner():
    spawn = Spawner()
    try:
        yield spawn
    finally:
        await spawn.close()


@asynccontextmanager
async def resolver(*ports, codes=None, timeout_s=2.0, now=time.monotonic, drops=None, **changes):
    """A resolver that asks servers on ports of loopback."""
    servers = ", ".join(f"127.0.0.1:{port}" for port in ports or (1,))
    async with spawner() as spawn:
        yield Resolver(
            NameServers(servers, (codes if codes is not None else []).append, timeout_s),
            parameters=lambda: replace(PARAMETERS, **changes),
            spawn=spawn,
            now=now,
            on_drop=lambda: (drops if drops is not None else []).append(1),
        )


@asynccontextmanager
async def connector(
    *ports, policy="accept *:*", allow_private=True, refused=None, timeout_s=3.0, own=(), sources=()
):
    """A connector over such a resolver."""
    async with resolver(*ports, timeout_s=1) as names:
        yield Connector(
            ExitPolicy.parse(policy, allow_private=allow_private),
            names,
            lambda: timeout_s,
            OwnAddresses(own, allow_private=allow_private),
            ExitLimits(),
            (refused if refused is not None else []).append,
            dict(sources),
        )
