"""`qnet bench soak`: hours of browsing in minutes, through a network with hostile nodes.

Client and nodes are processes of their own. One entry, one relay and one exit are hostile: they
drop, delay, reorder, flip, flood, fall silent or die at random. Memory, descriptors, queued cells
and circuits of every process are sampled. The verdict: every request ended within its deadline,
no byte was wrong and no end silent, memory and descriptors are flat, queues stayed bounded.
"""

from __future__ import annotations

import asyncio
import random
import signal
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from node.circuit.cell import CELL_BYTES
from node.io.control import call
from qnet import logging
from qnet.errors import QnetError
from qnet.parameters import NetworkParameters
from tools.bench.circuit import client_process
from tools.bench.hostile import Behaviour, tell
from tools.bench.load import BAD, Load, Outcome
from tools.bench.machine import Figure, machine
from tools.bench.network import LocalNetwork, LocalNode, local_network
from tools.bench.subject import resident_bytes
from tools.bench.transfer import file_server

ROLES: Final = ("entry",) * 2 + ("relay",) * 3 + ("exit",) * 3
HOSTILE: Final = (1, 3, 6)
"""Registry indexes: the first of each role."""
SAMPLE_S: Final = 3.0
TURN_S: Final = (4.0, 12.0)
"""A hostile node changes its mind after a time between these."""
RESTART_S: Final = 5.0
WARM_UP_SHARE: Final = 1 / 3
"""Of the samples, which say nothing about growth."""
GROWTH_PERCENT: Final = 5.0
SLACK_BYTES: Final = 2 << 20
"""Growth below this is the allocator's grain."""
SLACK_DESCRIPTORS: Final = 16
"""Growth of open files, sockets included, that the load's chance explains."""
OUTAGE_S: Final = 30.0
"""Longest time without a whole page: other paths carry on."""
CIRCUITS_MAX: Final = 1024
"""Open circuits of a client, and those of one client at a node."""
_CHANCE: Final = random.SystemRandom()

TRICKS: Final[Sequence[tuple[Behaviour, Mapping[str, float]]]] = (
    (Behaviour.NONE, {}),
    (Behaviour.DROP, {"share": 0.01}),
    (Behaviour.DELAY, {"share": 1.0, "seconds": 0.3}),
    (Behaviour.DELAY, {"after": 50, "seconds": 20.0}),
    (Behaviour.REORDER, {"share": 0.02}),
    (Behaviour.DUPLICATE, {"share": 0.01}),
    (Behaviour.FLIP, {"share": 0.01}),
    (Behaviour.FLOOD, {"after": 20, "share": 0.1}),
    (Behaviour.BLACKHOLE, {"after": 100}),
    (Behaviour.SLOW_CREDIT, {"seconds": 2.0}),
    (Behaviour.REFUSE, {}),
    (Behaviour.STALL, {}),
    (Behaviour.MUTE, {}),
    (Behaviour.DIE, {"after": 20}),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    Attributes:
        minutes: Length of the load.
        browsers: Browsing users at once.
        slow: Slow readers.
        bulk: Bulk streams.
    """

    minutes: float = 10.0
    browsers: int = 6
    slow: int = 2
    bulk: int = 1


@dataclass(slots=True)
class Series:
    """Samples of one process; a restarted one begins anew.

    Attributes:
        name: Who.
        pid: Its process id.
        lasts: Whether it is to live through the whole run.
    """

    name: str
    pid: int
    lasts: bool = True
    at: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    queued: list[int] = field(default_factory=list)
    circuits: list[int] = field(default_factory=list)

    def growth(self, values: Sequence[float]) -> float:
        """How much a straight line through the last two thirds of the samples rises."""
        first = int(len(values) * WARM_UP_SHARE)
        times, kept = self.at[first : len(values)], values[first:]
        if len(kept) < 3:
            return 0.0
        slope, _ = statistics.linear_regression(times, kept)
        return slope * (times[-1] - times[0])

    def growth_percent(self) -> float:
        """Growth of memory against its mean."""
        return 100 * self.growth(self.memory) / statistics.fmean(self.memory)

    def by_minute(self) -> list[float]:
        """Median memory of each minute, in MiB."""
        minutes: dict[int, list[int]] = {}
        for at, memory in zip(self.at, self.memory, strict=True):
            minutes.setdefault(int(at / 60), []).append(memory)
        return [round(statistics.median(found) / 2**20, 1) for found in minutes.values()]

    def row(self) -> dict[str, Any]:
        """Figures of this process for the result."""
        return {
            "process": self.name,
            "samples": len(self.at),
            "memory_mib": round(statistics.median(self.memory) / 2**20, 1),
            "memory_max_mib": round(max(self.memory) / 2**20, 1),
            "memory_growth_percent": round(self.growth_percent(), 2),
            "memory_by_minute_mib": self.by_minute(),
            "descriptors_max": max(self.descriptors),
            "descriptors_growth": round(self.growth(self.descriptors), 1),
            "queued_cells_max": max(self.queued, default=0),
            "circuits_max": max(self.circuits, default=0),
        }


def judge(series: Sequence[Series], load: Load, pool_bytes: int) -> list[str]:
    """What speaks against the run; nothing if it passed.

    Args:
        series: Samples of all processes.
        load: What became of requests.
        pool_bytes: Bound of queued cells of a process.
    """
    outcomes = load.outcomes
    found = [f"{outcomes[bad]} requests: {bad}" for bad in Outcome if bad in BAD and outcomes[bad]]
    if not outcomes[Outcome.WHOLE]:
        found.append("no request succeeded")
    if load.outage_s > OUTAGE_S:
        found.append(f"no whole page for {load.outage_s:.0f} s")
    for one in series:
        if max(one.queued, default=0) * CELL_BYTES > pool_bytes:
            found.append(f"{one.name}: {max(one.queued)} cells queued")
        if max(one.circuits, default=0) > CIRCUITS_MAX:
            found.append(f"{one.name}: {max(one.circuits)} circuits")
        if not one.lasts:
            continue
        if one.growth(one.memory) > SLACK_BYTES and one.growth_percent() > GROWTH_PERCENT:
            found.append(f"{one.name}: memory grew by {one.growth_percent():.1f} %")
        if one.growth(one.descriptors) > SLACK_DESCRIPTORS:
            found.append(f"{one.name}: {one.growth(one.descriptors):.0f} more descriptors")
    return found


def run(plan: Plan) -> dict[str, Any]:
    """Soak.

    Raises:
        NetworkError: The network or the client did not come up.
    """
    return asyncio.run(_run(plan))


async def _run(plan: Plan) -> dict[str, Any]:
    async with local_network(ROLES, hostile=HOSTILE) as network:
        log = logging.setup(file=network.home / "soak.log")
        with file_server() as server:
            async with client_process(network) as (process, socks):
                load = Load(socks, server)
                watch = Watch(network, process.pid, network.home / "client")
                turns = await _under_load(plan, network, load, watch)
        if log is not None:
            log.close()
    pool_bytes = NetworkParameters.profile("devnet").pool_bytes
    failures = judge(watch.series, load, pool_bytes)
    if process.returncode:
        failures.append(f"the client ended with code {process.returncode}")
    return {
        "machine": machine(),
        "results": _rows(load, watch),
        "passed": not failures,
        "failures": failures,
        "minutes": plan.minutes,
        "requests": {outcome.value: load.outcomes[outcome] for outcome in Outcome},
        "hostile": turns,
        "processes": [one.row() for one in watch.series if len(one.at) > 1],
    }


async def _under_load(
    plan: Plan, network: LocalNetwork, load: Load, watch: Watch
) -> dict[str, int]:
    stop = asyncio.Event()
    torment = Torment([network.nodes[index - 1] for index in HOSTILE])
    async with asyncio.TaskGroup() as group:
        loops = [group.create_task(watch.run()), group.create_task(torment.run())]
        work = load.run(stop, browsers=plan.browsers, slow=plan.slow, bulk=plan.bulk)
        working = group.create_task(work)
        await asyncio.sleep(plan.minutes * 60)
        stop.set()
        await working
        for loop in loops:
            loop.cancel()
    return dict(torment.turns)


@dataclass(slots=True)
class Torment:
    """Lets hostile nodes change their behaviour at random, and restarts those that died."""

    nodes: Sequence[LocalNode]
    turns: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        """For ever."""
        while True:
            node = _CHANCE.choice(self.nodes)
            behaviour, how = _CHANCE.choice(TRICKS)
            with suppress(QnetError, OSError):
                await tell(node.home, behaviour, **how)
                self.turns[behaviour] = self.turns.get(behaviour, 0) + 1
            await asyncio.sleep(_CHANCE.uniform(*TURN_S))
            for each in self.nodes:
                if each.process is None or each.process.returncode is not None:
                    await asyncio.sleep(RESTART_S)
                    await each.stop(number=signal.SIGKILL)
                    await each.start()
                    self.turns["restarted"] = self.turns.get("restarted", 0) + 1


class Watch:
    """Samples all processes.

    Args:
        network: The nodes.
        client: Process id of the client.
        home: Its folder.
    """

    def __init__(self, network: LocalNetwork, client: int, home: Path) -> None:
        self.series = [Series("client", client)]
        self._nodes = network.nodes
        self._home = home
        self._began = time.monotonic()
        self._living: dict[str, Series] = {"client": self.series[0]}

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.sample()
            await asyncio.sleep(SAMPLE_S)

    async def sample(self) -> None:
        """Look at every process once."""
        status = await _status(self._home)
        self._note(self._living["client"], status, "circuits", "open")
        for node in self._nodes:
            if node.process is None or node.process.returncode is not None:
                continue
            name = f"{node.role} {node.index}"
            known = self._living.get(name)
            if known is None or known.pid != node.process.pid:
                known = Series(name, node.process.pid, node.index not in HOSTILE)
                self._living[name] = known
                self.series.append(known)
            self._note(known, await _status(node.home), "circuits")

    def _note(self, series: Series, status: Mapping[str, Any], *circuits: str) -> None:
        try:
            memory = resident_bytes(series.pid)
            descriptors = sum(1 for _ in Path(f"/proc/{series.pid}/fd").iterdir())
        except (OSError, IndexError):
            return  # it just died
        series.at.append(time.monotonic() - self._began)
        series.memory.append(memory)
        series.descriptors.append(descriptors)
        if status:
            count: Any = status
            for word in circuits:
                count = count[word]
            series.circuits.append(int(count))
            series.queued.append(int(status.get("cells", {}).get("queued", 0)))


async def _status(home: Path) -> Mapping[str, Any]:
    """What a process says; nothing if it is dead, frozen or busy with its own tricks."""
    try:
        found: Mapping[str, Any] = await call(home / "control.sock", "status", timeout_s=SAMPLE_S)
    except (QnetError, OSError):
        return {}
    return found


def _rows(load: Load, watch: Watch) -> list[dict[str, Any]]:
    whole = load.seconds or [0.0]
    lasting = [one for one in watch.series if one.lasts and len(one.at) > 1]
    figures = [
        Figure(
            "growth of memory, each lasting process", "%", [o.growth_percent() for o in lasting]
        ),
        Figure("page request, whole", "s", whole),
        Figure("longest page request, any end", "s", [load.worst_s]),
        Figure("longest time without a whole page", "s", [load.outage_s]),
        Figure("bytes moved", "MiB", [load.moved / 2**20]),
        Figure("queued cells, most", "cells", [max(o.queued, default=0) for o in watch.series]),
        Figure("circuits, most", "circuits", [max(o.circuits, default=0) for o in watch.series]),
    ]
    return [figure.row() for figure in figures]
