"""`qnet bench premium`: what a unit buys at a relay that has more to send than it may.

Committee, nodes and two clients are processes of their own on loopback; the middle relay is limited
and is the bottleneck. Each round one client that pays and one that does not fetch at the same time
through the same three nodes; both rates are those of the time in which both are at it.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from node.io.control import call
from qnet.errors import NetworkError
from tools.bench.issuer import FILE_NAME
from tools.bench.machine import Figure, machine
from tools.bench.network import START_S, LocalNetwork, local_network, running_client
from tools.bench.transfer import FileServer, Watch, download, file_server

ROLES = ("entry", "relay", "exit")
LIMITED = 2
"""Registry index of the node in the middle."""
MIB = 2**20
FREE, PREMIUM = "free", "premium"
KEYS_S = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        rounds: How often.
        seconds: Length of a round.
        rate_kbps: Most that the middle relay sends.
    """

    rounds: int = 9
    seconds: float = 8.0
    rate_kbps: int = 40_000


@dataclass(slots=True)
class Fetch:
    """One client's download in a round.

    Attributes:
        watch: Counts what arrived.
        thread: Runs it.
    """

    watch: Watch = field(default_factory=Watch)
    thread: threading.Thread | None = None


def run(plan: Plan) -> dict[str, Any]:
    """Measure.

    Raises:
        NetworkError: A transfer was wrong, or a process died.
    """
    return asyncio.run(_run(plan))


async def _run(plan: Plan) -> dict[str, Any]:
    limits = {LIMITED: plan.rate_kbps}
    samples: dict[str, list[float]] = {FREE: [], PREMIUM: []}
    async with (
        local_network(ROLES, limits_kbps=limits, price=1) as network,
        _client(network, FREE) as free,
        _client(network, PREMIUM) as premium,
    ):
        await _keys_known(network)
        with file_server() as server:
            for number in range(plan.rounds):
                ports = {FREE: free, PREMIUM: premium}
                rates = await asyncio.to_thread(_round, ports, server, plan.seconds, number)
                for name, rate in rates.items():
                    samples[name].append(rate)
        status = await call(network.nodes[LIMITED - 1].home / "control.sock", "status")
    ratios = [
        paid / max(free, 1e-9) for paid, free in zip(samples[PREMIUM], samples[FREE], strict=True)
    ]
    figures = [Figure(name, "MB/s", samples[name]) for name in (FREE, PREMIUM)]
    figures.append(Figure("premium against free", "times", ratios))
    return {
        "machine": machine(),
        "plan": {"rounds": plan.rounds, "seconds": plan.seconds, "rate_kbps": plan.rate_kbps},
        "results": [figure.row() for figure in figures],
        "relay": status["payments"],
    }


def _round(
    ports: dict[str, tuple[str, int]], server: FileServer, seconds: float, number: int
) -> dict[str, float]:
    """Let both fetch at the same time; returns MB/s of each while both did."""
    fetches = {name: Fetch() for name in ports}
    for name, fetch in fetches.items():
        fetch.thread = threading.Thread(
            target=_fetch, args=(ports[name], server, f"{name} {number}", fetch.watch), daemon=True
        )
        fetch.thread.start()
    for fetch in fetches.values():
        if not fetch.watch.begun.wait(START_S):
            raise NetworkError("a transfer did not begin")
    time.sleep(seconds / 4)  # until windows have grown
    before = {name: fetch.watch.received for name, fetch in fetches.items()}
    began = time.perf_counter()
    time.sleep(seconds)
    span = time.perf_counter() - began
    rates = {
        name: (fetch.watch.received - before[name]) / span / 1e6 for name, fetch in fetches.items()
    }
    for fetch in fetches.values():
        fetch.watch.stop()
        assert fetch.thread is not None
        fetch.thread.join(START_S)
        if fetch.watch.error is not None:
            raise fetch.watch.error
    return rates


def _fetch(socks: tuple[str, int], server: FileServer, label: str, watch: Watch) -> None:
    """Download until told to stop; every byte is compared."""
    try:
        download(socks, server, 1 << 40, label=label, watch=watch)
    except (NetworkError, OSError) as error:
        watch.failed(error)


@asynccontextmanager
async def _client(network: LocalNetwork, name: str) -> AsyncIterator[tuple[str, int]]:
    """A client process; one whose home holds the issuer's keys pays. Yields its SOCKS port."""
    home = network.home / f"client-{name}"
    home.mkdir(mode=0o700)
    (home / "network.json").write_text(json.dumps(network.bundle().to_json()))
    if name == PREMIUM:
        (home / FILE_NAME).write_text((network.home / FILE_NAME).read_text())
    async with running_client(home, "-m", "tools.bench.client", str(home)) as (_, socks):
        yield socks


async def _keys_known(network: LocalNetwork) -> None:
    """Wait until every node takes tokens."""
    async with asyncio.timeout(START_S):
        for node in network.nodes:
            while True:
                status = await call(node.home / "control.sock", "status")
                if status["payments"]["epochs"]:
                    break
                await asyncio.sleep(KEYS_S)
