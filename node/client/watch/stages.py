"""The stages between an application and an open circuit, and how each of them stands.

Each stage needs those before it. A stage that fails says why; those behind it wait, so that a
person reads one cause and not six consequences.

Source: docs/spec/exits-and-clients.md, section "Recovery", whose table a test compares with this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from node.errors import Stage
from qnet.errors import LocalProtocolError


class StageState(Enum):
    """How one stage stands."""

    WAITING = "an earlier stage has not passed"
    TRYING = "under way"
    PASSED = "holds"
    FAILED = "does not hold; the cause says why"


class StageInput(Enum):
    """What happens to a stage."""

    BEGIN = "the stages before it passed, or it is tried again"
    SUCCEED = "it holds"
    FAIL = "it does not hold"
    HOLD = "an earlier stage failed"


STAGE_TABLE: Final = {
    (StageState.WAITING, StageInput.BEGIN): StageState.TRYING,
    (StageState.TRYING, StageInput.SUCCEED): StageState.PASSED,
    (StageState.TRYING, StageInput.FAIL): StageState.FAILED,
    (StageState.TRYING, StageInput.HOLD): StageState.WAITING,
    (StageState.PASSED, StageInput.BEGIN): StageState.TRYING,
    (StageState.PASSED, StageInput.FAIL): StageState.FAILED,
    (StageState.PASSED, StageInput.HOLD): StageState.WAITING,
    (StageState.FAILED, StageInput.BEGIN): StageState.TRYING,
    (StageState.FAILED, StageInput.HOLD): StageState.WAITING,
}

ORDER: Final = (
    Stage.ADDRESS,
    Stage.PORTAL,
    Stage.CLOCK,
    Stage.CONSENSUS,
    Stage.LINK,
    Stage.CIRCUIT,
)

_INPUTS: Final = {
    StageState.WAITING: (StageInput.HOLD,),
    StageState.TRYING: (StageInput.BEGIN,),
    StageState.PASSED: (StageInput.BEGIN, StageInput.SUCCEED),
    StageState.FAILED: (StageInput.BEGIN, StageInput.FAIL),
}
"""What leads to a state from the ones that are not next to it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a stage was found.

    Attributes:
        stage: Which one.
        state: How it stands.
        cause: Why, in words; empty when there is nothing to say.
        try_: What a person can do.
    """

    stage: Stage
    state: StageState
    cause: str = ""
    try_: tuple[str, ...] = ()


@dataclass(slots=True)
class _Row:
    verdict: Verdict
    since: float


class Progress:
    """All stages of one client.

    Args:
        wall: Unix clock in seconds.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        started = wall()
        self._rows = {stage: _Row(Verdict(stage, StageState.WAITING), started) for stage in ORDER}

    def apply(self, verdicts: Iterable[Verdict]) -> list[Verdict]:
        """Move every stage to where it was found; returns those that changed their state."""
        changed = []
        for verdict in verdicts:
            row = self._rows[verdict.stage]
            before = row.verdict.state
            row.verdict = verdict
            if before is not verdict.state:
                self._walk(before, verdict.state)
                row.since = self._wall()
                changed.append(verdict)
        return changed

    @property
    def failed(self) -> Verdict | None:
        """The first stage that failed."""
        found = (row.verdict for row in self._rows.values())
        return next((verdict for verdict in found if verdict.state is StageState.FAILED), None)

    def state(self, stage: Stage) -> StageState:
        """How a stage stands."""
        return self._rows[stage].verdict.state

    def rows(self) -> list[dict[str, Any]]:
        """All stages in order: stage, state, since (unix seconds), cause, try."""
        return [
            {
                "stage": stage.value,
                "state": row.verdict.state.name.lower(),
                "since": row.since,
                "cause": row.verdict.cause,
                "try": list(row.verdict.try_),
            }
            for stage, row in self._rows.items()
        ]

    @staticmethod
    def _walk(before: StageState, after: StageState) -> None:
        state = before
        for change in path(before, after):
            state = STAGE_TABLE[state, change]


def path(before: StageState, after: StageState) -> tuple[StageInput, ...]:
    """Inputs that lead from one state to another by the table.

    Raises:
        LocalProtocolError: None do.
    """
    for inputs in (_INPUTS[after], _INPUTS[after][-1:]):
        state: StageState | None = before
        for change in inputs:
            state = STAGE_TABLE.get((state, change)) if state is not None else None
        if state is after:
            return inputs
    raise LocalProtocolError(f"no way from {before.name} to {after.name}")


def in_order(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Let stages behind a failed one wait, and those that have not begun; what holds stays."""
    ordered: list[Verdict] = []
    is_failed = is_open = False
    for verdict in verdicts:
        state = verdict.state
        waits = is_failed and state is not StageState.PASSED
        waits = waits or (is_open and state is StageState.TRYING)
        ordered.append(Verdict(verdict.stage, StageState.WAITING) if waits else verdict)
        is_failed = is_failed or state is StageState.FAILED
        is_open = is_open or state is StageState.TRYING
    return ordered
