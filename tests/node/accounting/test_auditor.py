from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.audits import Probe as CountedProbe
from ledger.domain.audits import summarise
from node.accounting.assignments import SlotWork, Target
from node.accounting.auditor import (
    POSITIONS,
    SUSPECT_S,
    Measure,
    Probe,
    Surroundings,
    Suspects,
    Verdict,
    in_time,
    plan_burst,
    plan_probe,
    plan_slot,
)
from node.directory.diversity import are_distinct
from node.directory.hops import hops_of
from node.directory.wishes import Position
from node.errors import StageError
from qnet.messages.descriptor import Role
from tests.support.signed_network import make_network, seeded

ROLES = (Role.ENTRY,) * 3 + (Role.RELAY,) * 3 + (Role.EXIT,) * 3 + (Role.MIX,)
ENTRIES, RELAYS, EXITS, MIX = (1, 2, 3), (4, 5, 6), (7, 8, 9), 10
CONSENSUS = make_network(ROLES, weights=dict.fromkeys(range(1, 11), 1000)).consensus
PHASE = CONSENSUS.nodes[0].first_phase + 1
WORK = SlotWork(0, 0, 5, tuple(Target(i, None) for i in range(1, 10)), (1, 7), 1 << 20)


def around(consensus=CONSENSUS, *, guards=(1, 2), avoided=(), phase=PHASE):
    return Surroundings(consensus, guards, frozenset(avoided), phase)


def change(changes):
    nodes = (replace(node, **changes.get(node.index, {})) for node in CONSENSUS.nodes)
    return replace(CONSENSUS, nodes=tuple(nodes))


def indexes(path):
    return [node.index for node in path.nodes]


# slots


@given(
    window_s=st.floats(0.1, 4000),
    latency_ms=st.integers(10, 60_000),
    seed=st.integers(0, 1 << 32),
    probes=st.integers(1, 12),
)
def test_every_job_is_planned_and_its_control_fits(window_s, latency_ms, seed, probes):
    plan = plan_slot(
        WORK, probes=probes, window_s=window_s, latency_max_ms=latency_ms, random=seeded(seed)
    )
    wanted = Counter([*WORK.targets * probes, *map(Measure, WORK.capacity)])
    assert Counter(job.task for job in plan.jobs) == wanted
    starts = [job.start_s for job in plan.jobs]
    assert starts == sorted(starts)
    assert 0 < plan.probe_s <= latency_ms / 1000
    assert all(start >= 0 and plan.has_time(start + 0.1 * window_s) for start in starts)
    assert not plan.has_time(window_s)


def test_starts_fill_the_slot_evenly():
    work = replace(WORK, targets=tuple(Target(i, None) for i in range(1, 2001)), capacity=())
    plan = plan_slot(work, probes=1, window_s=3600, latency_max_ms=5000, random=seeded())
    for quarter in range(4):
        low = quarter * 3140 / 4
        inside = [job for job in plan.jobs if low <= job.start_s < low + 3140 / 4]
        assert 420 < len(inside) < 580
    assert [job.task.index for job in plan.jobs] != sorted(job.task.index for job in plan.jobs)


def test_a_short_slot_shortens_the_deadline():
    plan = plan_slot(WORK, probes=1, window_s=4.8, latency_max_ms=5000, random=seeded())
    assert plan.probe_s == pytest.approx(1.44)
    assert (
        plan_slot(WORK, probes=1, window_s=0.3, latency_max_ms=20, random=seeded()).probe_s == 0.02
    )


# verdicts


@pytest.mark.parametrize(
    ("probe", "verdict", "counts"),
    [
        (Probe(41_000), Verdict.RETURNED, (1, 1)),
        (Probe(None, control_ok=True), Verdict.FAILED, (1, 0)),
        (Probe(None, control_ok=False), Verdict.UNDECIDED, None),
        (Probe(None), Verdict.UNDECIDED, None),
    ],
    ids=str,
)
def test_verdicts_are_what_the_member_counts(probe, verdict, counts):
    assert probe.verdict is verdict
    result = summarise(0, 0, 1, 2, [CountedProbe(probe.micros, probe.control_ok)])
    assert (None if result is None else (result.sent, result.returned)) == counts


def test_a_slow_answer_is_none():
    assert in_time(5_000_000, 5000) == 5_000_000
    assert in_time(5_000_001, 5000) is None
    assert in_time(None, 5000) is None


# paths


@given(index=st.integers(1, 9), place=st.integers(0, 1), seed=st.integers(0, 1 << 32))
def test_probe_and_control_differ_in_the_target_alone(index, place, seed):
    role = CONSENSUS.by_index[index].role
    peers = [n.index for n in CONSENSUS.nodes if n.role is role and n.index != index]
    target = Target(index, peers[place])
    plan = plan_probe(target, around(), random=seeded(seed))
    position = list(Position).index(POSITIONS[role])
    assert indexes(plan.path)[position] == index
    assert plan.control is not None
    assert indexes(plan.control)[position] == target.control
    assert plan.others == set(indexes(plan.path)) - {index}
    assert plan.others == set(indexes(plan.control)) - {target.control}
    for path in (plan.path, plan.control):
        assert path.phase == PHASE
        assert all(are_distinct(a, b) for a, b in combinations(path.nodes, 2))
    if role is not Role.ENTRY:
        assert plan.path.entry.index in {1, 2}


def test_other_hops_are_independent_of_the_control():
    owner = CONSENSUS.by_index[5].owner
    consensus = change({1: {"owner": owner}, 7: {"owner": owner}})
    for seed in range(20):
        plan = plan_probe(Target(4, 5), around(consensus), random=seeded(seed))
        assert plan.control is not None
        assert not plan.others & {1, 7}


def test_target_and_control_may_belong_together():
    consensus = change({5: {"family": "one"}, 4: {"family": "one"}})
    plan = plan_probe(Target(4, 5), around(consensus), random=seeded())
    assert plan.control is not None
    assert indexes(plan.control)[1] == 5


def test_without_a_fitting_path_there_is_no_control():
    owner = CONSENSUS.by_index[5].owner
    consensus = change({index: {"owner": owner} for index in EXITS})
    plan = plan_probe(Target(4, 5), around(consensus), random=seeded())
    assert plan.control is None
    assert indexes(plan.path)[1] == 4


@pytest.mark.parametrize("control", [None, 4, 7, 99], ids=str)
def test_an_unfit_control_is_left_out(control):
    assert plan_probe(Target(4, control), around(), random=seeded()).control is None


def test_a_control_without_a_key_of_the_phase_is_left_out():
    consensus = change({5: {"first_phase": PHASE + 100}})
    assert plan_probe(Target(4, 5), around(consensus), random=seeded()).control is None


def test_a_target_without_weight_is_probed():
    plan = plan_probe(Target(4, 5), around(change({4: {"weight": 0}})), random=seeded())
    assert indexes(plan.path)[1] == 4


def test_suspects_are_avoided_while_others_fit():
    for seed in range(20):
        plan = plan_probe(Target(4, 5), around(avoided=(1, 4, 7, 8)), random=seeded(seed))
        assert indexes(plan.path) == [2, 4, 9]
    plan = plan_probe(Target(4, 5), around(avoided=(7, 8, 9)), random=seeded())
    assert plan.control is not None


def test_other_entries_serve_when_no_guard_does():
    owner = CONSENSUS.by_index[4].owner
    consensus = change({1: {"owner": owner}, 2: {"owner": owner}})
    plan = plan_probe(Target(4, 5), around(consensus), random=seeded())
    assert plan.path.entry.index == 3


def test_a_node_without_a_place_is_refused():
    for plan in (plan_probe, lambda target, *a, **k: plan_burst(target.index, *a, **k)):
        with pytest.raises(StageError):
            plan(Target(99, None), around(), random=seeded())
    with pytest.raises(StageError, match="no place"):
        plan_probe(Target(MIX, None), around(), random=seeded())


def test_no_path_is_told():
    owner = CONSENSUS.by_index[4].owner
    consensus = change({index: {"owner": owner} for index in EXITS})
    with pytest.raises(StageError, match="no path holds node 4"):
        plan_probe(Target(4, 5), around(consensus), random=seeded())


@given(index=st.integers(1, MIX), seed=st.integers(0, 1 << 32))
def test_a_burst_ends_at_the_target_behind_an_independent_entry(index, seed):
    plan = plan_burst(index, around(), random=seeded(seed))
    first, last = plan.nodes
    assert last.index == index
    assert first.role is Role.ENTRY
    assert are_distinct(first, last)
    assert first.index in {1, 2}


def test_a_burst_falls_back_to_any_entry():
    assert plan_burst(1, around(guards=(1,)), random=seeded()).nodes[0].index in {2, 3}
    assert plan_burst(7, around(guards=(1,), avoided=(1,)), random=seeded()).nodes[0].index == 1
    owner = CONSENSUS.by_index[7].owner
    consensus = change({index: {"owner": owner} for index in ENTRIES})
    with pytest.raises(StageError, match="no entry"):
        plan_burst(7, around(consensus), random=seeded())


def test_hops_carry_the_keys_of_the_phase():
    nodes = [CONSENSUS.by_index[index] for index in (1, 4)]
    hops = hops_of(nodes, PHASE)
    assert [hop.node_id for hop in hops] == [node.node_id for node in nodes]
    with pytest.raises(StageError, match="no key"):
        hops_of(nodes, PHASE + 1000)


# suspects


def test_who_is_suspected_follows_from_the_verdict():
    plan = plan_probe(Target(4, 5), around(), random=seeded())
    suspects = Suspects()
    suspects.learn(plan, Probe(None, control_ok=False), 10.0)
    assert suspects.current(11.0) == plan.others
    suspects.learn(plan, Probe(None, control_ok=True), 20.0)
    assert suspects.current(21.0) == {4}
    suspects.learn(plan, Probe(1000), 30.0)
    assert not suspects.current(31.0)


def test_suspicion_ends():
    plan = plan_probe(Target(4, None), around(), random=seeded())
    suspects = Suspects()
    suspects.learn(plan, Probe(None), 10.0)
    assert suspects.current(10.0 + SUSPECT_S - 1)
    assert not suspects.current(10.0 + SUSPECT_S)
    assert not suspects.until
