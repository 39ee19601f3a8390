"""Clocks that disagree, and the verdict on every stage."""

from dataclasses import replace

import pytest

from node.client.watch.conditions import Clocks, Facts, Jump, JumpKind, boot_clock, judge
from node.client.watch.portal import Finding, Obstacle, Skew
from node.client.watch.stages import StageState
from node.errors import Stage

GOOD = Facts(was_reached=True, is_fit=True, links=2, circuits=2)
FAILED, PASSED, TRYING, WAITING = (
    StageState.FAILED,
    StageState.PASSED,
    StageState.TRYING,
    StageState.WAITING,
)


class Hands:
    """Three clocks that a test moves."""

    def __init__(self):
        self.now, self.boot, self.wall = 100.0, 5000.0, 1e9
        self.clocks = Clocks(lambda: self.now, lambda: self.boot, lambda: self.wall, 1.0)
        assert self.clocks.look() == []

    def pass_(self, *, ran=0.0, slept=0.0, told=0.0):
        self.now += ran
        self.boot += ran + slept
        self.wall += ran + slept + told
        return self.clocks.look()


@pytest.mark.parametrize(
    ("moves", "kinds"),
    [
        ({"ran": 1.0}, []),
        ({"ran": 9.0}, []),
        ({"ran": 1.0, "slept": 600.0}, [(JumpKind.SUSPENDED, 600)]),
        ({"ran": 61.0}, [(JumpKind.STALLED, 60)]),
        ({"ran": 1.0, "told": 3600.0}, [(JumpKind.CLOCK_SET, 3600)]),
        ({"ran": 1.0, "told": -3600.0}, [(JumpKind.CLOCK_SET, -3600)]),
        ({"ran": 1.0, "told": 1.0}, []),
        (
            {"ran": 1.0, "slept": 60.0, "told": 30.0},
            [(JumpKind.SUSPENDED, 60), (JumpKind.CLOCK_SET, 30)],
        ),
    ],
)
def test_jumps(moves, kinds):
    assert Hands().pass_(**moves) == [Jump(*kind) for kind in kinds]


def test_a_jump_is_told_once():
    hands = Hands()
    assert hands.pass_(ran=1.0, slept=60.0)
    assert hands.pass_(ran=1.0) == []


def test_jumps_in_words():
    assert Jump(JumpKind.SUSPENDED, 600).words == "this machine was suspended for about 10 min"
    assert Jump(JumpKind.CLOCK_SET, -600).words == "the clock was set back by about 10 min"


def test_the_boot_clock_runs():
    assert boot_clock() <= boot_clock()


def states(facts):
    return [verdict.state for verdict in judge(facts)]


def test_all_is_well():
    assert states(GOOD) == [PASSED] * 6


def test_before_anything_is_known():
    assert states(Facts()) == [PASSED, TRYING, WAITING, WAITING, WAITING, WAITING]


@pytest.mark.parametrize(
    ("changes", "stage", "words"),
    [
        ({"has_route": False, "links": 0, "circuits": 0}, Stage.ADDRESS, "no route"),
        ({"finding": Finding(Obstacle.NO_ROUTE, 2, 2)}, Stage.ADDRESS, "no route"),
        ({"finding": Finding(Obstacle.INTERCEPTED, 2, 2)}, Stage.PORTAL, "something answers"),
        ({"finding": Finding(Obstacle.SILENT, 3, 3)}, Stage.PORTAL, "nothing answers"),
        ({"is_fit": False, "skew": Skew(7200, 2)}, Stage.CLOCK, "about 2 h 0 min behind"),
        ({"is_fit": False, "consensus_problem": "too old"}, Stage.CONSENSUS, "too old"),
        ({"links": 0, "link_problem": "refused", "circuits": 0}, Stage.LINK, "refused"),
        ({"circuits": 0, "circuit_problem": "not built"}, Stage.CIRCUIT, "not built"),
    ],
)
def test_the_first_failure_is_named_with_its_cause(changes, stage, words):
    found = judge(replace(GOOD, **changes))
    failed = [verdict for verdict in found if verdict.state is FAILED]
    assert [verdict.stage for verdict in failed] == [stage]
    assert words in failed[0].cause


def test_a_clock_that_is_off_but_good_enough_is_mentioned_only():
    clock = judge(replace(GOOD, skew=Skew(40, 1)))[2]
    assert clock.state is PASSED
    assert "behind" in clock.cause


def test_closed_ports_are_mentioned_only():
    found = judge(replace(GOOD, finding=Finding(Obstacle.PORTS, 2, 2, "443 passes")))
    assert found[1].state is PASSED
    assert "443 passes" in found[1].cause
