"""`qnet bench circuit`: a file through three hops on loopback, each node a process of its own.

Measured: throughput of one and of several streams, time to build a circuit, time to the first byte
on a fresh and on a reused circuit. Every byte is compared; a short or wrong transfer fails the
bench. Processor time of each process tells what limits the throughput.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, nullcontext
from dataclasses import dataclass
from typing import Any

from node.circuit.budget import CLIENT_PER_S
from node.client.doors.isolation import IsolationKey
from node.client.session import Session
from node.config import Endpoint
from node.directory.wishes import Wishes
from qnet import logging
from tools.bench.machine import Figure, cpu_seconds, machine
from tools.bench.network import START_S, LocalNetwork, local_network, running_client
from tools.bench.transfer import FileServer, Sample, download, file_server

ROLES = ("entry", "relay", "exit")
MIB = 2**20
FIRST_BYTE_SIZE = 1024
WARM_UP_MIB = 4
DEFAULT_STREAMS = (1, 4)
BETWEEN_BUILDS_S = 1 / CLIENT_PER_S
"""Not measured: an entry takes no more setups from one client."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        size_mib: MiB in one download.
        streams: Numbers of streams at once.
        repeats: Downloads for each number.
        builds: Circuits built.
    """

    size_mib: int = 64
    streams: tuple[int, ...] = DEFAULT_STREAMS
    repeats: int = 5
    builds: int = 20


def run(plan: Plan) -> dict[str, Any]:
    """Measure.

    Raises:
        NetworkError: A transfer was short or wrong, or a process died.
    """
    return asyncio.run(_run(plan))


async def _run(plan: Plan) -> dict[str, Any]:
    async with local_network(ROLES) as network:
        log = logging.setup(file=network.home / "bench.log")
        with file_server() as server, closing(log) if log is not None else nullcontext():
            figures = await _latencies(network, server, plan)
            async with client_process(network) as (process, socks):
                pids = {"client": process.pid} | {
                    node.role: node.process.pid
                    for node in network.nodes
                    if node.process is not None
                }
                rates, load = await _throughput(socks, server, plan, pids)
    return {
        "machine": machine(),
        "results": [figure.row() for figure in rates + figures],
        "cpu_core_ms_per_mib": load,
        "limit": _limit(load),
    }


async def _latencies(network: LocalNetwork, server: FileServer, plan: Plan) -> list[Figure]:
    """Build times and first bytes, with a client in this process that keeps nothing ready."""
    builds: list[float] = []
    fresh: list[float] = []
    reused: list[float] = []
    async with asyncio.TaskGroup() as group:
        session = Session(network.bundle(), None, ready=0)
        await session.start(group, timeout_s=START_S)
        listener = await session.listen(Endpoint("127.0.0.1", 0))
        host, _, port = session.listening[0].rpartition(":")
        socks = (host, int(port))
        for _ in range(plan.builds):
            made = await session.circuits.build(Wishes())
            builds.append(made.built_s * 1000)
            made.circuit.destroy()
            await asyncio.sleep(BETWEEN_BUILDS_S)
        for number in range(plan.builds):
            label = f"fresh {number}"
            for samples in (fresh, reused):
                sample = await asyncio.to_thread(
                    download, socks, server, FIRST_BYTE_SIZE, label=label
                )
                samples.append(sample.first_byte_s * 1000)
            key = IsolationKey(f"{host}:0", label.encode())
            for entry in [e for e in session.circuits.open if e.key == key]:
                entry.circuit.destroy()
            await asyncio.sleep(BETWEEN_BUILDS_S)
        listener.close()
        await session.stop()
    return [
        Figure("circuit build", "ms", builds),
        Figure("time to first byte, fresh circuit", "ms", fresh),
        Figure("time to first byte, reused circuit", "ms", reused),
    ]


async def _throughput(
    socks: tuple[str, int], server: FileServer, plan: Plan, pids: dict[str, int]
) -> tuple[list[Figure], dict[str, float]]:
    await asyncio.to_thread(download, socks, server, WARM_UP_MIB * MIB)
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    moved = 0
    figures = []
    for streams in plan.streams:
        rates = []
        for _ in range(plan.repeats):
            samples = await asyncio.to_thread(_at_once, socks, server, plan.size_mib, streams)
            rates.append(sum(s.size for s in samples) / max(s.total_s for s in samples) / 1e6)
            moved += sum(s.size for s in samples)
        name = "throughput, 1 stream" if streams == 1 else f"throughput, {streams} streams"
        figures.append(Figure(name, "MB/s", rates))
    load = {
        name: round((cpu_seconds(pid) - before[name]) * 1000 / (moved / MIB), 2)
        for name, pid in pids.items()
    }
    return figures, load


def _at_once(
    socks: tuple[str, int], server: FileServer, size_mib: int, streams: int
) -> Sequence[Sample]:
    share = size_mib * MIB // streams
    with ThreadPoolExecutor(streams) as pool:
        waiting = [pool.submit(download, socks, server, share) for _ in range(streams)]
        return [future.result() for future in waiting]


@asynccontextmanager
async def client_process(
    network: LocalNetwork,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, tuple[str, int]]]:
    """A client as a process of its own; yields it and its SOCKS port."""
    bundle = network.home / "client.json"
    bundle.write_text(json.dumps(network.bundle().to_json()))
    home = network.home / "client"
    words = ("-m", "node.client", "--home", str(home), "--bundle", str(bundle))
    async with running_client(home, *words, "--listen", "127.0.0.1:0") as running:
        yield running


def _limit(load: dict[str, float]) -> str:
    """What bounds the throughput, in words."""
    total = sum(load.values())
    if not total:
        return "unknown: this system does not tell processor time"
    busiest = max(load, key=lambda name: load[name])
    cores = machine()["cores"] or 1
    together = cores * 1000 / total * MIB / 1e6
    alone = 1000 / load[busiest] * MIB / 1e6
    return (
        f"processor time: {total:.1f} core-ms per MiB over {len(load)} processes bound {cores} "
        f"cores to {together:.0f} MB/s; the busiest process ({busiest}) to {alone:.0f} MB/s"
    )
