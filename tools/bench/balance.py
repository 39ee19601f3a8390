"""`qnet bench balance`: does the load follow capacity?

Twelve nodes, each a process of its own, four for each position, have rates of 1 : 2 : 4 : 8: they
offer them, are chosen by them and send no faster. Many clients choose guards of their own, build
one circuit each with the code of `qnet client up`, and fetch a file through it, every byte
compared. The share of each node in circuits (as clients chose) and in bytes (as the nodes counted
the cells they sent) is compared with its share of capacity.

Clients are in one process and share a few links to entries; guards, suspicions and measurements
are each client's own.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from node.circuit.messages import Answer, EndReason
from node.client.doors.isolation import isolation_key
from node.client.paths.choice import Choice
from node.client.paths.circuit import Circuit
from node.client.session import Session
from node.directory.guard import GuardState
from node.directory.wishes import ROLES, Position
from node.io.control import call_blocking
from qnet import logging
from qnet.errors import NetworkError, QnetError
from tools.bench.machine import machine
from tools.bench.network import START_S, LocalNetwork, local_network
from tools.bench.transfer import FileServer, file_server

CAPACITIES: Final = (1, 2, 4, 8)
"""Of the four nodes of each position, in units of `UNIT_MBPS`."""
UNIT_MBPS: Final = 2
NETWORK_ROLES: Final = ("entry",) * 4 + ("relay",) * 4 + ("exit",) * 4
CALENDAR: Final = {"consensus_interval_s": 20, "key_phase_s": 10, "descriptor_lead_s": 2}
CELL_BYTES: Final = 2_048
LANES: Final = 12
"""Sessions whose links the clients share."""
LANE_PER_S: Final = 3.75
"""Circuits a second in one lane: in sum some 60 % of what the nodes can send."""
FETCH_S: Final = 20.0
TARGET_PERCENT: Final = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        circuits: How many clients, each with one circuit.
        size: Bytes each fetches.
    """

    circuits: int = 12_000
    size: int = 32_768


@dataclass(slots=True)
class Tally:
    """What the clients did.

    Attributes:
        circuits: Circuits that carried a whole file, by registry index of their nodes.
        transfers: Files that arrived whole.
        failures: Causes of those that did not.
        left: Clients still to come.
    """

    left: int
    circuits: Counter[int] = field(default_factory=Counter)
    transfers: int = 0
    failures: Counter[str] = field(default_factory=Counter)


class Fetch:
    """The sink of one stream: fetches a file and compares every byte."""

    def __init__(self, circuit: Circuit, server: FileServer, size: int) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._circuit = circuit
        self._received = bytearray()
        self._expected = server.block[:size]
        self._number = circuit.open_stream(server.host, server.port, self)
        circuit.send(self._number, f"GET /{size} HTTP/1.0\r\n\r\n".encode())

    def stream_connected(self, address: bytes) -> None:
        """The exit is connected."""

    def stream_data(self, chunks: tuple[bytes, ...]) -> None:
        """Data of the file."""
        for chunk in chunks:
            self._received += chunk
        self._circuit.consumed(self._number, sum(map(len, chunks)))

    def stream_ended(self, reason: EndReason) -> None:
        """The server is done, or the stream broke."""
        if self.done.done():
            return
        body = bytes(self._received).partition(b"\r\n\r\n")[2]
        if reason is EndReason.DONE and body == self._expected:
            self._circuit.end(self._number)
            self.done.set_result(None)
        else:
            cause = f"{reason.name.lower()} after {len(body)} bytes"
            self.done.set_exception(NetworkError("transfer failed", why=cause))

    def stream_writable(self) -> None:
        """The request fits at once."""

    def name_resolved(self, answers: tuple[Answer, ...]) -> None:
        """Nothing was asked."""


def run(plan: Plan) -> dict[str, Any]:
    """Measure.

    Raises:
        NetworkError: A process died.
    """
    return asyncio.run(_run(plan))


async def _run(plan: Plan) -> dict[str, Any]:
    mbps = [UNIT_MBPS * CAPACITIES[place % 4] for place in range(len(NETWORK_ROLES))]
    limits_kbps = {index: 1000 * rate for index, rate in enumerate(mbps, start=1)}
    async with local_network(
        NETWORK_ROLES, overrides=CALENDAR, mbps=mbps, limits_kbps=limits_kbps
    ) as network:
        log = logging.setup(file=network.home / "bench.log")
        with file_server() as server:
            before = await asyncio.to_thread(_cells, network)
            tally = Tally(plan.circuits)
            started = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for _ in range(LANES):
                    group.create_task(_lane(network, server, plan, tally))
            took_s = time.monotonic() - started
            after = await asyncio.to_thread(_cells, network)
        if log is not None:
            log.close()
    cells = {index: after[index] - before[index] for index in after}
    return report(plan, tally, cells, took_s)


async def _lane(network: LocalNetwork, server: FileServer, plan: Plan, tally: Tally) -> None:
    """One session; one client after the other uses its links."""
    async with asyncio.TaskGroup() as group:
        session = Session(network.bundle(), None, ready=0)
        await session.start(group, timeout_s=START_S)
        due = time.monotonic()
        while tally.left > 0:
            tally.left -= 1
            due = max(due + 1 / LANE_PER_S, time.monotonic())
            await asyncio.sleep(max(due - time.monotonic(), 0.0))
            become_new_client(session)
            try:
                await _fetch(session, server, plan.size, tally)
            except (QnetError, TimeoutError) as error:
                tally.failures[getattr(error, "why", "") or str(error) or "no answer"] += 1
        await session.stop()


def become_new_client(session: Session) -> None:
    """Forget what the client before knew: guards, suspicions, measurements, circuits."""
    circuits, entries = session.circuits, session.entries
    entries.forgive()
    entries.state = GuardState()
    circuits.choice = Choice(circuits.view, entries, circuits.now, circuits.wall)


async def _fetch(session: Session, server: FileServer, size: int, tally: Tally) -> None:
    key = isolation_key("bench", str(tally.left).encode(), server.host, server.port)
    made = await session.circuits.circuit_for(key, server.host, server.port)
    try:
        async with asyncio.timeout(FETCH_S):
            await Fetch(made.circuit, server, size).done
        tally.transfers += 1
        tally.circuits.update(node.index for node in made.path.nodes)
    finally:
        made.circuit.destroy()


def _cells(network: LocalNetwork) -> dict[int, int]:
    """Cells each node sent so far, by its own count."""
    cells = {}
    for node in network.nodes:
        status = call_blocking(node.home / "control.sock", "status", timeout_s=START_S)
        cells[node.index] = status["cells"]["sent"]
    return cells


def report(plan: Plan, tally: Tally, cells: Mapping[int, int], took_s: float) -> dict[str, Any]:
    """Shares of every node beside its share of capacity, and the largest deviation."""
    rows = []
    for position, role in ROLES.items():
        first = NETWORK_ROLES.index(role.name.lower()) + 1
        indexes = range(first, first + len(CAPACITIES))
        rows += _rows(position, indexes, tally, cells, took_s)
    worst = max(abs(row["deviation_percent"]) for row in rows)
    return {
        "machine": machine(),
        "circuits": plan.circuits,
        "transfers": tally.transfers,
        "bytes_each": plan.size,
        "failures": dict(tally.failures),
        "took_s": round(took_s, 1),
        "results": rows,
        "max_deviation_percent": worst,
        "max_bytes_deviation_percent": max(abs(row["bytes_deviation_percent"]) for row in rows),
        "target_percent": TARGET_PERCENT,
        "passed": worst <= TARGET_PERCENT and tally.transfers >= 0.99 * plan.circuits,
    }


def _rows(
    position: Position,
    indexes: Sequence[int],
    tally: Tally,
    cells: Mapping[int, int],
    took_s: float,
) -> list[dict[str, Any]]:
    """The nodes of one position."""
    circuits = sum(tally.circuits[index] for index in indexes) or 1
    moved = sum(cells[index] for index in indexes) or 1
    rows = []
    for index, capacity in zip(indexes, CAPACITIES, strict=True):
        share = capacity / sum(CAPACITIES)
        by_circuits, by_bytes = tally.circuits[index] / circuits, cells[index] / moved
        error = math.sqrt((1 - share) / (share * circuits))
        megabits_s = cells[index] * CELL_BYTES * 8 / took_s / 1e6
        rows.append(
            {
                "node": index,
                "position": str(position),
                "mbps": capacity * UNIT_MBPS,
                "used_percent": round(100 * megabits_s / (capacity * UNIT_MBPS), 1),
                "capacity_share": round(share, 4),
                "circuits": tally.circuits[index],
                "circuit_share": round(by_circuits, 4),
                "deviation_percent": round(100 * (by_circuits / share - 1), 2),
                "mib": round(cells[index] * CELL_BYTES / 2**20, 1),
                "byte_share": round(by_bytes, 4),
                "bytes_deviation_percent": round(100 * (by_bytes / share - 1), 2),
                "binomial_error_percent": round(100 * error, 2),
            }
        )
    return rows
