"""Slot after slot: fetch the work, probe at random moments, tell the member what was found."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import structlog

from node.accounting.assignments import Burst, SlotWork, Target, encode_results
from node.accounting.auditor import (
    Job,
    Planned,
    Probe,
    SlotPlan,
    Surroundings,
    Suspects,
    Verdict,
    in_time,
    plan_burst,
    plan_probe,
    plan_slot,
)
from node.accounting.mix_probes import plan_mix_probe
from node.client.paths.entries import Entries
from node.prober.client import MemberClient
from node.prober.mix_probe import MixProber
from node.prober.probe import Prober
from node.view import NetworkView
from qnet.epochs import phase_at
from qnet.errors import DecodeError, NetworkError, QnetError, RejectedError
from qnet.messages.descriptor import Role

PROBES_AT_ONCE = 32
"""Probes running at the same time: a member of sixteen begins 14 a second in a network of 6,000
nodes, and one that fails takes as long as two deadlines."""
BURSTS_AT_ONCE = 2
"""Bursts running at the same time, few, so that they measure the target and not us."""
TRIES = 2
"""Attempts at a probe that decides nothing, and at a burst."""
POLL_S = 0.25
BURST_S = 60.0
"""Longest burst; what came by then is what counts."""

LEAST_WINDOW = 0.5
"""Share of a slot that must be left when its work is begun."""

Trip: TypeAlias = Callable[[], Awaitable[int | None]]
"""Goes there and back: microseconds, None if it did not return in time."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Findings:
    """What was found in one slot, by registry index."""

    probes: dict[int, list[Probe]] = field(default_factory=dict)
    bursts: dict[int, Burst] = field(default_factory=dict)


@dataclass(slots=True)
class Worker:
    """Works for one member.

    Attributes:
        view: The network.
        entries: Links to first hops.
        member: Whom it works for.
        prober: Sends probes over circuits, and bursts.
        mixes: Sends probes through mixes.
        counts: Probes by verdict, bursts, slots posted and skipped.
        problem: Why something failed last, empty when all is well.
    """

    view: NetworkView
    entries: Entries
    member: MemberClient
    prober: Prober = field(init=False)
    mixes: MixProber = field(init=False)
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys((*Verdict, "bursts", "posted", "skipped"), 0)
    )
    problem: str = ""
    _done: tuple[int, int] = (-1, -1)
    _suspects: Suspects = field(default_factory=Suspects)

    def __post_init__(self) -> None:
        """Give the probers the same links."""
        self.prober = Prober(self.view, self.entries)
        self.mixes = MixProber(self.view, self.entries)

    async def run(self) -> None:
        """Work for ever.

        Raises:
            KeyAccessError: The member refuses the token.
        """
        while True:
            work = await self._next_work()
            plan = self._plan(work)
            if plan is None:
                self.counts["skipped"] += 1
            else:
                findings = await self.work(work, plan)
                await self._report(work, findings)
            self.prober.prune_links()
            await asyncio.sleep(max(work.ends_at - time.time(), POLL_S))

    async def work(self, work: SlotWork, plan: SlotPlan) -> Findings:
        """Do a slot's jobs at their moments, not too many together; late ones are left out."""
        began = time.monotonic()
        findings = Findings()
        probes, bursts = (asyncio.Semaphore(n) for n in (PROBES_AT_ONCE, BURSTS_AT_ONCE))

        async def do(job: Job) -> None:
            async with probes if isinstance(job.task, Target) else bursts:
                await self._do(job, work, plan, began, findings)

        async with asyncio.TaskGroup() as group:
            for job in plan.jobs:
                await asyncio.sleep(max(began + job.start_s - time.monotonic(), 0.0))
                group.create_task(do(job))
        return findings

    def status(self) -> dict[str, Any]:
        """What `qnet node status` shows."""
        return {
            "probes": {str(name): count for name, count in self.counts.items()},
            "slot": list(self._done),
            "consensus": self.view.valid_after,
            "links": len(self.entries.links),
            "suspects": sorted(self._suspects.current(time.monotonic())),
            "problem": self.problem,
        }

    # a slot

    async def _next_work(self) -> SlotWork:
        """Ask until there is work that was not done yet."""
        while True:
            try:
                work = await self.member.work()
            except (NetworkError, DecodeError) as error:
                self._note(error)
                work = None
            if work is not None and work.key > self._done:
                self._done = work.key
                return work
            await asyncio.sleep(POLL_S)

    def _plan(self, work: SlotWork) -> SlotPlan | None:
        """When to do what; None when the slot's rest is too short or its end out of reach."""
        parameters = self.view.parameters
        window_s = work.ends_at - time.time()
        if not LEAST_WINDOW * parameters.slot_s <= window_s <= 2 * parameters.slot_s:
            _log.info("slot skipped", epoch=work.epoch, slot=work.slot, left_s=round(window_s, 1))
            return None
        return plan_slot(
            work,
            probes=parameters.probes_per_slot,
            window_s=window_s,
            latency_max_ms=parameters.audit_latency_max_ms,
            random=secrets.token_bytes,
        )

    async def _do(
        self, job: Job, work: SlotWork, plan: SlotPlan, began: float, findings: Findings
    ) -> None:
        """One job, tried again while there is time."""
        for _ in range(TRIES):
            elapsed_s = time.monotonic() - began
            if not plan.has_time(elapsed_s):
                return
            try:
                if isinstance(job.task, Target):
                    probe = await self._probe(job.task, plan.probe_s)
                    findings.probes.setdefault(job.task.index, []).append(probe)
                    if probe.verdict is not Verdict.UNDECIDED:
                        return
                else:
                    left_s = min(plan.window_s - elapsed_s, BURST_S)
                    burst = await self._burst(job.task.index, work.burst_bytes, left_s)
                    if burst is not None:
                        findings.bursts[job.task.index] = burst
                        return
            except QnetError as error:
                self._note(error)
                return

    async def _probe(self, target: Target, probe_s: float) -> Probe:
        """A probe and, if it fails, its control.

        Raises:
            QnetError: There is no consensus to use, or no path.
        """
        around = self._surroundings()
        node = around.consensus.by_index.get(target.index)
        if node is not None and node.role is Role.MIX:
            return await self._probe_mix(target, around, probe_s)
        plan = plan_probe(target, around, random=secrets.token_bytes)
        prober, control = self.prober, plan.control
        return await self._judge(
            plan,
            lambda: prober.round_trip(plan.path, within_s=probe_s),
            (lambda: prober.round_trip(control, within_s=probe_s)) if control else None,
        )

    async def _probe_mix(self, target: Target, around: Surroundings, probe_s: float) -> Probe:
        """The same through mixes.

        Raises:
            QnetError: No way leads through the target.
        """
        mixes = self.mixes
        plan = plan_mix_probe(target, around, mixes.live, random=secrets.token_bytes)
        control = plan.control
        return await self._judge(
            plan,
            lambda: mixes.round_trip(plan.entry, plan.mixes, plan.phase, within_s=probe_s),
            (lambda: mixes.round_trip(plan.entry, control, plan.phase, within_s=probe_s))
            if control
            else None,
        )

    async def _judge(self, plan: Planned, probe: Trip, control: Trip | None) -> Probe:
        """Run a probe and, if it fails, its control."""
        latency_ms = self.view.parameters.audit_latency_max_ms
        found = Probe(in_time(await probe(), latency_ms))
        if found.micros is None and control is not None:
            found = Probe(None, in_time(await control(), latency_ms) is not None)
        self._learn(plan, found)
        return found

    async def _burst(self, index: int, size: int, within_s: float) -> Burst | None:
        """One burst.

        Raises:
            QnetError: There is no consensus to use, or no first hop.
        """
        plan = plan_burst(index, self._surroundings(), random=secrets.token_bytes)
        burst = await self.prober.burst(plan, size, within_s=within_s)
        self.counts["bursts"] += burst is not None
        return burst

    def _surroundings(self) -> Surroundings:
        consensus = self.view.for_circuits()
        return Surroundings(
            consensus,
            [guard.index for guard in self.entries.guards(consensus)],
            self._suspects.current(time.monotonic()),
            phase_at(time.time(), consensus.parameters.key_phase_s),
        )

    def _learn(self, plan: Planned, probe: Probe) -> None:
        self.counts[probe.verdict] += 1
        self._suspects.learn(plan, probe, time.monotonic())
        if probe.verdict is not Verdict.RETURNED:
            _log.info("probe", node=plan.target, path=list(plan.hops), verdict=str(probe.verdict))

    async def _report(self, work: SlotWork, findings: Findings) -> None:
        """Post until the member has taken it, refuses it, or it is too late."""
        if not findings.probes and not findings.bursts:
            return
        body = encode_results(work, findings.probes, findings.bursts)
        until = work.ends_at + self.view.parameters.audit_commit_s / 2
        while time.time() < until:
            try:
                await self.member.post(body)
            except NetworkError as error:
                self._note(error)
                await asyncio.sleep(POLL_S)
            except RejectedError as error:
                self._note(error)
                return
            else:
                self.counts["posted"] += 1
                self.problem = ""
                return

    def _note(self, error: QnetError) -> None:
        cause = f"{error.message}: {error.why}" if error.why else error.message
        if cause != self.problem:
            _log.warning("audit", cause=cause)
        self.problem = cause
