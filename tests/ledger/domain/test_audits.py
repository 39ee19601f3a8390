"""Assignments, results, medians."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.audits import (
    Probe,
    assignments_of,
    audit_leaves,
    auditors_of,
    counted_results,
    epoch_performance,
    lower_median,
    measured_kbps,
    slot_performance,
    summarise,
)
from qnet.messages.audit import AuditResult, CapacityResult
from qnet.messages.report import AuditLeaf
from tests.ledger.domain.material import SIGNERS, beacons

BEACONS = beacons(6)
OK = Probe(8000, None)
LOST = Probe(None, control_ok=True)
EXCUSED = Probe(None, control_ok=False)


def result(auditor: int, target: int, sent: int, back: int, slot: int = 0, epoch: int = 3):
    return AuditResult(epoch, slot, auditor, target, sent, back, 5, bytes(32))


def burst(auditor: int, size: int, micros: int, target: int = 7) -> CapacityResult:
    return CapacityResult(3, auditor, target, size, micros)


@given(st.binary(min_size=32, max_size=32), st.integers(1, 1000))
def test_three_of_four_members_probe_every_target(beacon, target):
    drawn = auditors_of(target, beacon, SIGNERS, 3)
    assert len(set(drawn)) == 3
    assert drawn == tuple(sorted(drawn))
    assert auditors_of(target, beacon, SIGNERS, 11) == (0, 1, 2, 3)


@given(st.binary(min_size=32, max_size=32))
def test_assignments_cover_every_target_three_times(beacon):
    roles = {1: 1, 2: 2, 3: 4, 4: 1, 5: 2, 6: 4, 7: 2}
    found = [assignments_of(member, roles, beacon, SIGNERS, 3) for member in range(4)]
    targets = [item.target for work in found for item in work]
    assert sorted(targets) == sorted(list(roles) * 3)
    for work in found:
        for item in work:
            assert item.control is not None
            assert item.control != item.target
            assert roles[item.control] == roles[item.target]


def test_members_differ_in_what_they_probe():
    roles = dict.fromkeys(range(1, 40), 2)
    work = [
        [item.target for item in assignments_of(m, roles, BEACONS[0], SIGNERS, 3)] for m in (0, 1)
    ]
    assert work[0] != work[1]


def test_the_only_node_of_a_role_has_no_control():
    work = [assignments_of(member, {5: 4}, BEACONS[0], SIGNERS, 3) for member in range(4)]
    assert {item.control for items in work for item in items} == {None}


def test_a_failure_counts_only_if_the_control_succeeded():
    found = summarise(3, 1, 2, 7, [OK, LOST, EXCUSED, Probe(12_000, None), Probe(None, None)])
    assert found is not None
    assert (found.sent, found.returned, found.p50_ms) == (3, 2, 8)
    assert summarise(3, 1, 2, 7, [EXCUSED]) is None
    lost = summarise(3, 1, 2, 7, [LOST])
    assert lost is not None
    assert (lost.sent, lost.returned, lost.p50_ms) == (1, 0, 0)


def test_only_drawn_members_count_and_only_with_one_word():
    drawn = auditors_of(7, BEACONS[0], SIGNERS, 3)
    (stranger,) = set(range(4)) - set(drawn)
    good, doubled = result(drawn[0], 7, 4, 4), result(drawn[1], 7, 4, 4)
    results = [
        result(stranger, 7, 4, 4),
        good,
        good,
        doubled,
        result(drawn[1], 7, 4, 3),
        result(drawn[2], 7, 0, 0),
        result(drawn[2], 7, 4, 4, slot=6),
        result(drawn[2], 7, 4, 4, epoch=4),
    ]
    assert counted(results, targets=7) == [good]
    assert counted(results, targets=6) == []


def counted(results, *, targets):
    return counted_results(
        results, epoch=3, targets=targets, beacons=BEACONS, signers=SIGNERS, count=3
    )


def test_leaves_list_results_by_slot_and_target():
    rows = [
        result(1, 7, 4, 3, slot=0),
        result(2, 7, 4, 4, slot=0),
        result(0, 8, 2, 1, slot=0),
        result(0, 7, 4, 0, slot=1),
    ]
    assert audit_leaves(rows) == (
        AuditLeaf(3, 0, 7, (1, 2), (4, 4), (3, 4)),
        AuditLeaf(3, 0, 8, (0,), (2,), (1,)),
        AuditLeaf(3, 1, 7, (0,), (4,), (0,)),
    )
    assert audit_leaves([]) == ()


def test_slot_performance_carries_with_fewer_than_three_results():
    results = [result(a, 7, 4, b, slot=0) for a, b in ((0, 4), (1, 2), (2, 3))]
    results += [result(0, 7, 4, 0, slot=1), result(1, 7, 4, 0, slot=1)]
    results += [result(a, 7, 3, 3, slot=2) for a in range(3)]
    results += [result(0, 8, 4, 0, slot=3)]
    assert slot_performance(7, results, 5, 1000) == (750, 750, 1000, 900, 900)
    assert slot_performance(9, results, 2, 400) == (400, 400)


def test_two_liars_of_eleven_do_not_move_the_median():
    honest = [result(a, 7, 10, 9) for a in range(9)]
    liars = [result(a, 7, 10, 0) for a in (9, 10)]
    assert slot_performance(7, honest + liars, 1, 0) == (900,)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=24))
def test_epoch_performance_is_the_mean_of_the_best(slots):
    best = sorted(slots, reverse=True)[: len(slots) - len(slots) // 12]
    assert epoch_performance(slots) == sum(best) * 1000 // len(best)
    assert min(slots) * 1000 <= epoch_performance(slots) <= max(slots) * 1000


def test_the_two_worst_of_24_slots_are_forgiven():
    assert epoch_performance([0, 0] + [1000] * 22) == 10**6


@pytest.mark.parametrize(
    ("values", "median"), [([3], 3), ([4, 1], 1), ([5, 1, 3], 3), ([4, 1, 3, 2], 2)]
)
def test_lower_median(values, median):
    assert lower_median(values) == median


def test_capacity_needs_three_auditors_and_an_honest_size():
    three = [burst(0, 1000, 8000), burst(1, 1000, 4000), burst(2, 1000, 2000)]
    assert measured_kbps(7, three, 1 << 20, 55) == 2000
    assert measured_kbps(7, three[:2], 1 << 20, 55) == 55
    assert measured_kbps(7, [*three[:2], burst(2, 1001, 1)], 1000, 55) == 55
    assert measured_kbps(7, [*three[:2], burst(1, 1000, 10)], 1 << 20, 55) == 55
    assert measured_kbps(8, three, 1 << 20, 55) == 55
