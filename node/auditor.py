"""The auditor of a committee member: probes nodes with ordinary circuits and measures them.

It asks its member for the slot's work, builds circuits through each target, takes the round trip of
one byte, and posts what it found. When a probe fails, the same path with the control node in the
target's place tells whether the target is to blame. Once an epoch a burst measures capacity.

Source: docs/spec/ledger-api.md, section Audits; docs/spec/rewards.md, QN-REW-041.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import structlog

from node.client.circuits import Circuits, PathCircuit
from node.client.directory import DirectoryStream
from node.directory.exchange import DirRequest, Kind
from node.directory.path import Path, Position, Wishes, are_distinct
from node.errors import LedgerUnavailableError, StageError
from node.view import NetworkView
from qnet.errors import QnetError
from qnet.messages.consensus import ConsensusNode

PROBES_PER_TARGET = 2
PROBE_BYTES = 1
AT_ONCE = 4
"""Targets probed at the same time."""

PATH_DRAWS = 16
POLL_S = 0.25
HTTP_TIMEOUT_S = 5.0
MAX_BODY_BYTES = 2**20
BURST_TIMEOUT_S = 30.0
SLOT_MARGIN_S = 0.3
"""Results are posted this long before the slot ends, at the latest."""

POSITIONS = {"entry": Position.ENTRY, "relay": Position.MIDDLE, "exit": Position.EXIT}

_ORDER = (Position.ENTRY, Position.MIDDLE, Position.EXIT)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """One node to probe.

    Attributes:
        index: Registry index.
        position: Where it stands in a circuit.
        control: Node that takes its place in the control probe; None if there is none.
    """

    index: int
    position: Position
    control: int | None


@dataclass(frozen=True, slots=True)
class SlotWork:
    """What a member wants probed in one slot.

    Attributes:
        epoch: Reward epoch.
        slot: Slot within it.
        ends_at: Unix seconds.
        targets: Nodes to probe.
        capacity: Registry indexes of nodes to measure.
        burst_bytes: Size of one burst.
    """

    epoch: int
    slot: int
    ends_at: float
    targets: tuple[Target, ...]
    capacity: tuple[int, ...]
    burst_bytes: int

    @classmethod
    def parse(cls, body: bytes) -> SlotWork:
        """Read what a member answers.

        Raises:
            LedgerUnavailableError: It is malformed.
        """
        try:
            value = json.loads(body)
            return cls(
                epoch=int(value["epoch"]),
                slot=int(value["slot"]),
                ends_at=float(value["slot_ends_at"]),
                targets=tuple(
                    Target(int(item["index"]), POSITIONS[item["role"]], item["control"])
                    for item in value["targets"]
                    if item["role"] in POSITIONS
                ),
                capacity=tuple(int(index) for index in value["capacity"]),
                burst_bytes=int(value["burst_bytes"]),
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise LedgerUnavailableError(
                "the member's assignments are malformed", why=str(error)
            ) from error


@dataclass(slots=True)
class Auditor:
    """Works for one member.

    Attributes:
        view: The network.
        circuits: Builds the probes' circuits.
        url: The member's base URL.
        token: Shared secret with the member.
        probes: Probes sent so far.
        failures: Probes that failed.
        posted: Slots reported.
    """

    view: NetworkView
    circuits: Circuits
    url: str
    token: str
    probes: int = 0
    failures: int = 0
    posted: int = 0
    problem: str = ""
    _done: tuple[int, int] = (-1, -1)
    _limit: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def run(self) -> None:
        """Do every slot's work, for ever."""
        timeout = aiohttp.ClientTimeout(total=HTTP_TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self.token}"}
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as http:
            while True:
                try:
                    work = await self._assignments(http)
                    if work is not None and (work.epoch, work.slot) > self._done:
                        self._done = (work.epoch, work.slot)
                        await self._post(http, await self.work(work))
                except QnetError as error:
                    self._note(error)
                await asyncio.sleep(POLL_S)

    async def work(self, work: SlotWork) -> dict[str, Any]:
        """Probe and measure within the slot; what is not done by its end is left out."""
        results: list[dict[str, Any]] = []
        capacity: list[dict[str, Any]] = []

        async def probe(target: Target) -> None:
            found = []
            for _ in range(PROBES_PER_TARGET):
                async with self._limit:
                    found.append(await self.probe(target))
            results.append({"target": target.index, "probes": found})

        async def measure(index: int) -> None:
            async with self._limit:
                burst = await self.measure(index, work.burst_bytes)
            if burst is not None:
                capacity.append(burst)

        left = work.ends_at - SLOT_MARGIN_S - time.time()
        jobs = [probe(target) for target in work.targets] + [measure(i) for i in work.capacity]
        tasks = [asyncio.ensure_future(job) for job in jobs]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=max(left, 0.0))
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for task in tasks:
                if not task.cancelled() and task.exception() is not None:
                    task.result()
        return {"epoch": work.epoch, "slot": work.slot, "results": results, "capacity": capacity}

    async def probe(self, target: Target) -> dict[str, Any]:
        """One probe: `micros`, or null and whether the control succeeded."""
        self.probes += 1
        try:
            path = self._path(target)
        except StageError as error:
            self._note(error)
            return {"micros": None, "control_ok": None}
        micros = await self._round_trip(path)
        if micros is not None:
            return {"micros": micros, "control_ok": None}
        self.failures += 1
        control = self._with_control(path, target)
        passed = None if control is None else await self._round_trip(control) is not None
        return {"micros": None, "control_ok": passed}

    async def measure(self, index: int, size: int) -> dict[str, Any] | None:
        """One burst from a node; None when it failed."""
        node = self.view.for_circuits().by_index.get(index)
        if node is None or node.role.name.lower() not in POSITIONS:
            return None
        position = POSITIONS[node.role.name.lower()]
        try:
            made = await self.circuits.build_path(self._path(Target(index, position, None)))
        except QnetError as error:
            self._note(error)
            return None
        try:
            started = time.perf_counter()
            request = DirRequest(secrets.randbelow(2**16), Kind.MEASURE, size_bytes=size)
            stream = DirectoryStream(made.circuit, request, hop=_ORDER.index(position))
            await stream.answer(BURST_TIMEOUT_S)
            micros = round((time.perf_counter() - started) * 1e6)
        except QnetError as error:
            self._note(error)
            return None
        finally:
            made.circuit.destroy()
        return {"target": index, "bytes": stream.received_bytes, "micros": max(micros, 1)}

    # inside

    async def _round_trip(self, path: Path) -> int | None:
        """Microseconds for one byte from the last hop, None when it did not come in time."""
        limit_s = self.view.parameters.audit_latency_max_ms / 1000
        made: PathCircuit | None = None
        try:
            made = await self.circuits.build_path(path)
            started = time.perf_counter()
            request = DirRequest(secrets.randbelow(2**16), Kind.MEASURE, size_bytes=PROBE_BYTES)
            stream = DirectoryStream(made.circuit, request, hop=len(_ORDER) - 1)
            await stream.answer(limit_s)
            return round((time.perf_counter() - started) * 1e6)
        except QnetError as error:
            _log.info("probe failed", cause=f"{error.message}: {error.why}")
            return None
        finally:
            if made is not None:
                made.circuit.destroy()

    def _path(self, target: Target) -> Path:
        """A path through the target on which the control could take its place."""
        pinned = {target.position: target.index}
        excluded = frozenset() if target.control is None else frozenset((target.control,))
        path = self.circuits.choose(Wishes(pinned=pinned, excluded=excluded))
        for _ in range(PATH_DRAWS):
            if target.control is None or self._with_control(path, target) is not None:
                return path
            path = self.circuits.choose(Wishes(pinned=pinned, excluded=excluded))
        return path

    def _with_control(self, path: Path, target: Target) -> Path | None:
        """The same path with the control in the target's place, None if rules forbid it."""
        if target.control is None:
            return None
        control = self.view.for_circuits().by_index.get(target.control)
        if control is None or control.phase_key(path.phase) is None:
            return None
        others = [node for node in path.nodes if node.index != target.index]
        if not all(are_distinct(control, other) for other in others):
            return None
        return _replaced(path, target.position, control)

    async def _assignments(self, http: aiohttp.ClientSession) -> SlotWork | None:
        """The slot's work; None while the member has none."""
        status, body = await self._request(http, "GET", "/v1/audit/assignments", None)
        if status == 200:
            return SlotWork.parse(body)
        if status == 401:
            raise LedgerUnavailableError("the member refuses this auditor's token")
        return None

    async def _post(self, http: aiohttp.ClientSession, results: dict[str, Any]) -> None:
        if not results["results"] and not results["capacity"]:
            return
        data = json.dumps(results).encode()
        status, body = await self._request(http, "POST", "/v1/audit/results", data)
        if status != 202:
            raise LedgerUnavailableError(
                f"the member answers {status} to results", why=body[:200].decode("utf-8", "replace")
            )
        self.posted += 1
        self.problem = ""

    async def _request(
        self, http: aiohttp.ClientSession, method: str, path: str, data: bytes | None
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"}
        try:
            async with http.request(
                method, self.url.rstrip("/") + path, data=data, headers=headers
            ) as response:
                return response.status, await response.content.read(MAX_BODY_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise LedgerUnavailableError(
                "the member does not answer", why=str(error) or type(error).__name__
            ) from error

    def _note(self, error: QnetError) -> None:
        cause = f"{error.message}: {error.why}" if error.why else error.message
        if cause != self.problem:
            _log.warning("audit", cause=cause)
        self.problem = cause


def _replaced(path: Path, position: Position, node: ConsensusNode) -> Path:
    match position:
        case Position.ENTRY:
            return replace(path, entry=node)
        case Position.MIDDLE:
            return replace(path, middle=node)
        case Position.EXIT:
            return replace(path, exit=node)
