"""The auditor of a committee member: probes nodes with ordinary circuits and measures them.

`node.accounting.auditor` plans a slot without I/O; here are its clock, its circuits and the talk
with the member. Work that does not fit into its slot is left out.

Source: docs/spec/ledger-api.md, section Audits; docs/spec/rewards.md, QN-REW-012 and 041.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import aiohttp
import structlog

from node.accounting.assignments import (
    MAX_WORK_BYTES,
    Burst,
    SlotWork,
    Target,
    decode_work,
    encode_results,
)
from node.accounting.auditor import (
    Measure,
    Probe,
    SlotPlan,
    Surroundings,
    Suspects,
    hops_of,
    in_time,
    plan_burst,
    plan_probe,
    plan_slot,
)
from node.client.directory import DirectoryStream
from node.client.entries import Entries
from node.client.entry import Circuit
from node.directory.exchange import DirRequest, Kind
from node.errors import CircuitError, LedgerUnavailableError, Stage
from node.view import NetworkView
from qnet.epochs import phase_at
from qnet.errors import QnetError
from qnet.messages.consensus import ConsensusNode

PROBE_BYTES = 1
AT_ONCE = 8
"""Jobs done at the same time."""

POLL_S = 0.25
HTTP_TIMEOUT_S = 5.0
SLOT_MARGIN_S = 0.3
"""Results are posted this long before the slot ends, at the latest."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class SlotFindings:
    """What one slot brought, by registry index."""

    probes: dict[int, list[Probe]] = field(default_factory=dict)
    bursts: dict[int, Burst] = field(default_factory=dict)


@dataclass(slots=True)
class Auditor:
    """Works for one member.

    Attributes:
        view: The network.
        entries: Links to first hops.
        url: The member's base URL.
        token: Shared secret with the member.
        wall: Unix clock in seconds.
        probes: Probes sent so far.
        failures: Probes that did not return.
        posted: Slots reported.
        problem: Why the last step failed, for status.
    """

    view: NetworkView
    entries: Entries
    url: str
    token: str
    wall: Callable[[], float] = time.time
    probes: int = 0
    failures: int = 0
    posted: int = 0
    problem: str = ""
    _done: tuple[int, int] = (-1, -1)
    _suspects: Suspects = field(default_factory=Suspects)
    _limit: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def run(self) -> None:
        """Do every slot's work, for ever."""
        timeout = aiohttp.ClientTimeout(total=HTTP_TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self.token}"}
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as http:
            while True:
                try:
                    work = await self._assignments(http)
                    if work is not None and work.key > self._done:
                        self._done = work.key
                        found = await self.work(work)
                        await self._post(http, work, found)
                except QnetError as error:
                    self._note(error)
                await asyncio.sleep(POLL_S)

    async def work(self, work: SlotWork) -> SlotFindings:
        """Do a slot's jobs at their moments."""
        found = SlotFindings()
        parameters = self.view.parameters
        window_s = work.ends_at - SLOT_MARGIN_S - self.wall()
        if window_s <= 0:
            return found
        plan = plan_slot(
            work,
            window_s=window_s,
            latency_max_ms=parameters.audit_latency_max_ms,
            random=secrets.token_bytes,
        )
        started = self.entries.now()
        async with asyncio.TaskGroup() as jobs:
            for job in plan.jobs:
                jobs.create_task(
                    self._do(job.task, plan, started + job.start_s, started, work, found)
                )
        return found

    async def _do(
        self,
        task: Target | Measure,
        plan: SlotPlan,
        at: float,
        started: float,
        work: SlotWork,
        found: SlotFindings,
    ) -> None:
        now = self.entries.now
        await asyncio.sleep(max(at - now(), 0))
        async with self._limit:
            if not plan.has_time(now() - started):
                return
            try:
                if isinstance(task, Measure):
                    left_s = plan.window_s - (now() - started)
                    burst = await self.measure(task.index, work.burst_bytes, left_s)
                    found.bursts[task.index] = burst
                else:
                    probe = await self.probe(task, plan.probe_s)
                    found.probes.setdefault(task.index, []).append(probe)
            except QnetError as error:
                self._note(error)

    async def probe(self, target: Target, deadline_s: float) -> Probe:
        """One probe, and its control where it fails.

        Raises:
            StageError: No path holds the target.
        """
        plan = plan_probe(target, self._surroundings(), random=secrets.token_bytes)
        self.probes += 1
        micros = await self._round_trip(plan.path.nodes, plan.path.phase, deadline_s)
        control_ok = None
        if micros is None:
            self.failures += 1
            if plan.control is not None:
                control = await self._round_trip(plan.control.nodes, plan.control.phase, deadline_s)
                control_ok = control is not None
        probe = Probe(micros, control_ok)
        self._suspects.learn(plan, probe, self.entries.now())
        return probe

    async def measure(self, index: int, size: int, deadline_s: float) -> Burst:
        """One burst of random bytes from a node.

        Raises:
            StageError: No circuit, or the bytes did not come in time.
            QnetError: The node refused.
        """
        plan = plan_burst(index, self._surroundings(), random=secrets.token_bytes)
        request = DirRequest(secrets.randbelow(2**16), Kind.MEASURE, size_bytes=size)
        return await self._fetch(plan.nodes, plan.phase, request, deadline_s)

    # inside

    async def _round_trip(
        self, nodes: Sequence[ConsensusNode], phase: int, deadline_s: float
    ) -> int | None:
        """Microseconds for one byte from the last hop, None when it did not come in time."""
        request = DirRequest(secrets.randbelow(2**16), Kind.MEASURE, size_bytes=PROBE_BYTES)
        try:
            burst = await self._fetch(nodes, phase, request, deadline_s)
        except QnetError as error:
            _log.info("probe failed", cause=f"{error.message}: {error.why}")
            return None
        return in_time(burst.micros, self.view.parameters.audit_latency_max_ms)

    async def _fetch(
        self,
        nodes: Sequence[ConsensusNode],
        phase: int,
        request: DirRequest,
        deadline_s: float,
    ) -> Burst:
        """Build a circuit, get the answer of its last hop, and say how long that took.

        Raises:
            StageError: No circuit or no answer in time.
            QnetError: The hop refused.
        """
        circuit: Circuit | None = None
        try:
            async with asyncio.timeout(deadline_s):
                link = await self.entries.link_to(nodes[0])
                circuit = link.open_circuit(hops_of(nodes, phase), phase)
                await circuit.built
                started = time.perf_counter()
                stream = DirectoryStream(circuit, request, hop=len(nodes) - 1)
                await stream.answer(deadline_s)
                micros = round((time.perf_counter() - started) * 1e6)
        except TimeoutError as error:
            raise CircuitError(
                Stage.TRANSFER, "no answer from the probed node", why=f"within {deadline_s:.1f} s"
            ) from error
        finally:
            if circuit is not None:
                circuit.destroy()
        return Burst(stream.received_bytes, max(micros, 1))

    def _surroundings(self) -> Surroundings:
        consensus = self.view.for_circuits()
        return Surroundings(
            consensus=consensus,
            guards=[node.index for node in self.entries.guards(consensus)],
            avoided=self._suspects.current(self.entries.now()),
            phase=phase_at(self.wall(), consensus.parameters.key_phase_s),
        )

    async def _assignments(self, http: aiohttp.ClientSession) -> SlotWork | None:
        """The slot's work; None while the member has none."""
        status, body = await self._request(http, "GET", "/v1/audit/assignments", None)
        if status == 200:
            return decode_work(body)
        if status == 401:
            raise LedgerUnavailableError("the member refuses this auditor's token")
        return None

    async def _post(self, http: aiohttp.ClientSession, work: SlotWork, found: SlotFindings) -> None:
        if not found.probes and not found.bursts:
            return
        data = encode_results(work, found.probes, found.bursts)
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
                return response.status, await response.content.read(MAX_WORK_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise LedgerUnavailableError(
                "the member does not answer", why=str(error) or type(error).__name__
            ) from error

    def _note(self, error: QnetError) -> None:
        cause = f"{error.message}: {error.why}" if error.why else error.message
        if cause != self.problem:
            _log.warning("audit", cause=cause)
        self.problem = cause
