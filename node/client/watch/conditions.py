"""What a client can know about its machine: suspended, clock set; and the verdict on each stage.

Pure functions of clocks and facts; `node.client.watch.care` gathers them and acts.

Source: docs/spec/exits-and-clients.md, section "Recovery".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from node.client.watch.portal import Finding, Obstacle, Skew, in_words
from node.client.watch.stages import StageState, Verdict, in_order
from node.errors import Stage

SUSPEND_S: Final = 3
"""A machine that slept for longer was suspended."""
STALL_S: Final = 10
"""A process that did not run for longer is treated as if the machine had been suspended."""
CLOCK_STEP_S: Final = 2
"""A clock that moved by more against the others was set."""


class JumpKind(Enum):
    """What clocks tell when they disagree."""

    SUSPENDED = "this machine was suspended"
    STALLED = "this program did not run"
    CLOCK_SET = "the clock was set"


@dataclass(frozen=True, slots=True)
class Jump:
    """Clocks moved apart.

    Attributes:
        kind: How.
        seconds: By how much; negative for a clock that was set back.
    """

    kind: JumpKind
    seconds: float

    @property
    def words(self) -> str:
        """For people."""
        if self.kind is JumpKind.CLOCK_SET:
            side = "forward" if self.seconds > 0 else "back"
            return f"{self.kind.value} {side} by {in_words(abs(self.seconds))}"
        return f"{self.kind.value} for {in_words(self.seconds)}"


def boot_clock() -> float:
    """Seconds since the machine started, those it slept included; Unix time where there is none."""
    number = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() if number is None else time.clock_gettime(number)


@dataclass(slots=True)
class Clocks:
    """Three clocks, compared at every tick.

    Attributes:
        now: Monotonic clock; stands still while the machine sleeps.
        boot: Monotonic clock that goes on.
        wall: Unix clock.
        tick_s: Usual time between two looks.
    """

    now: Callable[[], float]
    boot: Callable[[], float]
    wall: Callable[[], float]
    tick_s: float
    _last: tuple[float, float, float] | None = None

    def look(self) -> list[Jump]:
        """What happened since the last look."""
        read = (self.now(), self.boot(), self.wall())
        last, self._last = self._last, read
        if last is None:
            return []
        ran, passed, told = (new - old for new, old in zip(read, last, strict=True))
        jumps = []
        if passed - ran > SUSPEND_S:
            jumps.append(Jump(JumpKind.SUSPENDED, passed - ran))
        elif ran - self.tick_s > STALL_S:
            jumps.append(Jump(JumpKind.STALLED, ran - self.tick_s))
        if abs(told - passed) > CLOCK_STEP_S:
            jumps.append(Jump(JumpKind.CLOCK_SET, told - passed))
        return jumps


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at one moment.

    Attributes:
        has_route: Whether this machine has an address from which it would reach a node.
        was_reached: Whether a node was reached lately, or a link stands.
        finding: What keeps us from the nodes.
        skew: How far the clock is from the nodes'.
        is_fit: Whether circuits may be built with the consensus held.
        consensus_problem: Why there is no fit one.
        links: Open links to entries.
        link_problem: Why there is none.
        circuits: Open circuits.
        circuit_problem: Why there is none.
    """

    has_route: bool = True
    was_reached: bool = False
    finding: Finding | None = None
    skew: Skew | None = None
    is_fit: bool = False
    consensus_problem: str = ""
    links: int = 0
    link_problem: str = ""
    circuits: int = 0
    circuit_problem: str = ""


def judge(facts: Facts) -> list[Verdict]:
    """The verdict on every stage, in order."""
    return in_order(
        [
            _address(facts),
            _portal(facts),
            _clock(facts),
            _stands(Stage.CONSENSUS, facts.is_fit, facts.consensus_problem),
            _stands(Stage.LINK, facts.links > 0, facts.link_problem),
            _stands(Stage.CIRCUIT, facts.circuits > 0, facts.circuit_problem),
        ]
    )


def _address(facts: Facts) -> Verdict:
    finding = facts.finding
    cut_off = finding is not None and finding.obstacle is Obstacle.NO_ROUTE
    if facts.has_route and not cut_off:
        return Verdict(Stage.ADDRESS, StageState.PASSED)
    told = finding if finding is not None and cut_off else None
    cause = told.cause if told is not None else Obstacle.NO_ROUTE.value
    steps = ("connect this machine to a network",)
    return Verdict(Stage.ADDRESS, StageState.FAILED, cause, steps)


def _portal(facts: Facts) -> Verdict:
    finding = facts.finding
    if finding is None or finding.obstacle is Obstacle.NO_ROUTE:
        return _stands(Stage.PORTAL, facts.was_reached, "")
    if finding.obstacle is Obstacle.PORTS:
        return Verdict(Stage.PORTAL, StageState.PASSED, finding.cause, finding.try_)
    return Verdict(Stage.PORTAL, StageState.FAILED, finding.cause, finding.try_)


def _clock(facts: Facts) -> Verdict:
    cause = facts.skew.cause if facts.skew is not None else ""
    steps = ("set the clock of this machine",) if cause else ()
    state = StageState.PASSED if facts.is_fit else StageState.TRYING
    if cause and not facts.is_fit:
        state = StageState.FAILED
    return Verdict(Stage.CLOCK, state, cause, steps)


def _stands(stage: Stage, stands: bool, problem: str) -> Verdict:  # noqa: FBT001 - the fact itself
    if stands:
        return Verdict(stage, StageState.PASSED)
    return Verdict(stage, StageState.FAILED if problem else StageState.TRYING, problem)
