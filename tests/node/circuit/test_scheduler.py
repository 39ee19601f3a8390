from collections import Counter

from node.circuit.scheduler import QUANTUM_CELLS, Lane, LinkScheduler


class Source(Lane):
    def __init__(self, name, cells, weight=1, credit=10**6):
        super().__init__(credit, weight)
        self.name, self.cells = name, cells

    @property
    def is_ready(self):
        return self.cells > 0 and self.credit > 0

    def take(self, count):
        count = min(count, self.cells, self.credit)
        self.cells -= count
        self.credit -= count
        return [self.name] * count


def started(*lanes):
    scheduler = LinkScheduler()
    for lane in lanes:
        scheduler.activate(lane)
    return scheduler


def test_busy_circuits_share_equally():
    lanes = [Source(name, 10**6) for name in "abcd"]
    scheduler = started(*lanes)
    count = Counter(scheduler.pull(40 * QUANTUM_CELLS))
    assert set(count.values()) == {10 * QUANTUM_CELLS}


def test_small_pulls_are_as_fair_as_large_ones():
    lanes = [Source(name, 10**6) for name in "abc"]
    scheduler = started(*lanes)
    count = Counter(cell for _ in range(300 * QUANTUM_CELLS) for cell in scheduler.pull(1))
    assert set(count.values()) == {100 * QUANTUM_CELLS}


def test_premium_weighs_four_times():
    scheduler = started(Source("free", 10**6), Source("paid", 10**6, weight=4))
    count = Counter(scheduler.pull(100 * QUANTUM_CELLS))
    assert count["paid"] == 4 * count["free"]


def test_a_new_circuit_goes_first_once():
    old = Source("old", 10**6)
    scheduler = started(old)
    scheduler.pull(3 * QUANTUM_CELLS)
    new = Source("new", 10**6)
    scheduler.activate(new)
    assert set(scheduler.pull(QUANTUM_CELLS)) == {"new"}
    count = Counter(scheduler.pull(4 * QUANTUM_CELLS))
    assert count == {"old": 2 * QUANTUM_CELLS, "new": 2 * QUANTUM_CELLS}
    new.cells = 0
    scheduler.pull(3 * QUANTUM_CELLS)
    new.cells = 5
    scheduler.activate(new)
    assert scheduler.pull(1) == ["old"]


def test_control_cells_go_before_all():
    scheduler = started(Source("a", 5))
    scheduler.push_control("destroy")
    scheduler.push_control("create")
    assert scheduler.pull(1) == ["destroy"]
    assert scheduler.pull(10) == ["create"] + ["a"] * 5
    assert not scheduler.is_ready
    assert scheduler.pull(10) == []


def test_a_circuit_without_credit_waits_until_it_is_activated_again():
    lane = Source("a", 10, credit=4)
    scheduler = started(lane)
    assert len(scheduler.pull(10)) == 4
    assert not scheduler.is_ready
    scheduler.activate(lane)
    assert not scheduler.is_ready
    lane.credit = 3
    scheduler.activate(lane)
    scheduler.activate(lane)
    assert len(scheduler.pull(10)) == 3


def test_a_lane_that_went_quiet_in_the_queue_is_passed_over():
    quiet, busy = Source("quiet", 5), Source("busy", 5)
    scheduler = started(quiet, busy)
    quiet.cells = 0
    assert scheduler.pull(10) == ["busy"] * 5
