"""Stages of a client: the table, the ways through it, and one cause at a time."""

import re
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.client.watch.stages import (
    ORDER,
    STAGE_TABLE,
    Progress,
    StageInput,
    StageState,
    Verdict,
    in_order,
    path,
)
from node.errors import Stage

PAGE = Path(__file__).parents[4] / "docs" / "spec" / "exits-and-clients.md"

verdicts = st.tuples(*(st.sampled_from(StageState) for _ in ORDER)).map(
    lambda states: [
        Verdict(stage, state, "why" if state is StageState.FAILED else "")
        for stage, state in zip(ORDER, states, strict=True)
    ]
)


def test_the_table_is_the_specifications():
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\w+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    found = {
        (StageState[before], StageInput[change]): StageState[after]
        for before, change, after in rows
        if before in StageState.__members__
    }
    assert found == STAGE_TABLE


@pytest.mark.parametrize(
    ("before", "after"), [pair for pair in product(StageState, StageState) if pair[0] != pair[1]]
)
def test_every_state_is_reached_by_the_table(before, after):
    state = before
    for change in path(before, after):
        state = STAGE_TABLE[state, change]
    assert state is after


def test_nothing_passes_that_did_not_begin():
    ends = {after for (before, _), after in STAGE_TABLE.items() if before is StageState.WAITING}
    assert ends == {StageState.TRYING}


@given(verdicts)
def test_behind_a_failed_stage_there_is_no_second_cause(found):
    ordered = in_order(found)
    states = [verdict.state for verdict in ordered]
    assert states.count(StageState.FAILED) <= 1
    if StageState.FAILED in states:
        rest = states[states.index(StageState.FAILED) + 1 :]
        assert StageState.TRYING not in rest
    for before, after in zip(found, ordered, strict=True):
        assert (before.state is StageState.PASSED) == (after.state is StageState.PASSED)


@given(st.lists(verdicts, max_size=8))
def test_progress_follows_whatever_is_found(history):
    clock = iter(range(1000))
    progress = Progress(lambda: float(next(clock)))
    for found in history:
        ordered = in_order(found)
        before = {row["stage"]: row for row in progress.rows()}
        changed = {verdict.stage for verdict in progress.apply(ordered)}
        for row, verdict in zip(progress.rows(), ordered, strict=True):
            assert row["state"] == verdict.state.name.lower()
            assert row["cause"] == verdict.cause
            moved = row["since"] != before[row["stage"]]["since"]
            assert moved == (verdict.stage in changed)


def test_rows_name_stage_state_time_and_cause():
    progress = Progress(lambda: 7.0)
    progress.apply([Verdict(Stage.ADDRESS, StageState.FAILED, "no route", ("connect it",))])
    row = progress.rows()[0]
    assert row == {
        "stage": "address",
        "state": "failed",
        "since": 7.0,
        "cause": "no route",
        "try": ["connect it"],
    }
    assert [row["stage"] for row in progress.rows()] == [stage.value for stage in ORDER]
    assert progress.failed == Verdict(Stage.ADDRESS, StageState.FAILED, "no route", ("connect it",))
