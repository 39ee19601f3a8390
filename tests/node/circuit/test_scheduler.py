from collections import Counter
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

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


WEIGHTS = st.lists(st.sampled_from([1, 1, 1, 2, 4, 64]), min_size=2, max_size=8)
PULLS = st.lists(st.integers(1, 300), min_size=1, max_size=60)


@given(WEIGHTS, PULLS)
def test_busy_circuits_share_by_weight_whatever_is_pulled(weights, pulls):
    lanes = [Source(name, 10**9, weight) for name, weight in enumerate(weights)]
    scheduler = started(*lanes)
    count = Counter(cell for pull in pulls for cell in scheduler.pull(pull))
    assert sum(count.values()) == sum(pulls)
    turns = [count[lane.name] / lane.weight for lane in lanes]
    assert all(abs(one - other) <= QUANTUM_CELLS for one, other in combinations(turns, 2))


@given(
    WEIGHTS,
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 200), st.integers(1, 100)), max_size=60),
)
def test_no_circuit_starves_whatever_others_do(weights, steps):
    """Between two turns of a busy circuit every other one has at most one, and each new one one."""
    busy = Source("busy", 10**9)
    others = [Source(name, 0, weight) for name, weight in enumerate(weights)]
    scheduler = started(busy, *others)
    scheduler.pull(QUANTUM_CELLS)
    waited, bound = 0, QUANTUM_CELLS * (1 + 2 * sum(weights))
    for index, cells, pull in steps:
        lane = others[index % len(others)]
        lane.cells += cells
        scheduler.activate(lane)
        for cell in scheduler.pull(pull):
            waited = 0 if cell == "busy" else waited + 1
            assert waited <= bound


def test_a_weight_that_changes_counts_from_the_next_turn_on():
    free, paid = Source("free", 10**6), Source("paid", 10**6)
    scheduler = started(free, paid)
    scheduler.pull(2 * QUANTUM_CELLS)
    paid.weight = 4
    assert Counter(scheduler.pull(10 * QUANTUM_CELLS)) == {
        "free": 2 * QUANTUM_CELLS,
        "paid": 8 * QUANTUM_CELLS,
    }
    paid.weight = 1
    count = Counter(scheduler.pull(10 * QUANTUM_CELLS))
    assert count["free"] == count["paid"]
