"""Measures of circuits, and that choosing by them helps, in a simulated network."""

import random
from dataclasses import dataclass, field
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.client.paths import measure as module
from node.client.paths.measure import (
    ACTIVE_BYTES,
    HALF_LIFE_S,
    LEAST_DAMPING_PPM,
    LEAST_ECHOES,
    MAX_NODES,
    RETIRE_GAP_S,
    Measure,
    NodeSpeeds,
    Retirement,
    better_of_two,
    is_slow,
    usual_rate,
)
from node.directory.path import Chooser
from node.directory.wishes import Wishes
from qnet.messages.descriptor import Role
from qnet.units import PPM
from tests.support.signed_network import make_network, seeded


@dataclass(eq=False)
class Fake:
    measure: Measure


def measured(seconds: float, *, echoes: int = LEAST_ECHOES) -> Measure:
    found = Measure.of_built(2 * seconds)
    for _ in range(echoes):
        found.echoed(seconds)
    return found


def test_building_tells_the_first_estimate():
    assert Measure.of_built(0.2).round_trip_s == pytest.approx(0.1)


def test_echoes_replace_what_building_told_and_smooth_what_follows():
    found = Measure.of_built(1.0)
    found.echoed(0.1)
    assert found.round_trip_s == pytest.approx(0.1)
    found.echoed(0.3)
    assert 0.1 < found.round_trip_s < 0.3


def test_a_connect_lowers_the_estimate_but_never_raises_it():
    found = measured(0.2)
    found.connected(5.0)
    assert found.round_trip_s == pytest.approx(0.2)
    found.connected(0.1)
    assert 0.1 <= found.round_trip_s < 0.2


def test_an_overdue_echo_counts_while_it_is_awaited():
    found = measured(0.1)
    found.asked(10.0)
    assert found.delay_s(10.05) == pytest.approx(0.1)
    assert found.delay_s(14.0) == pytest.approx(4.0)
    found.echoed(0.1)
    assert found.delay_s(20.0) == pytest.approx(0.1)


def test_goodput_is_seen_in_active_times_only_and_fades_slowly():
    found = measured(0.1)
    found.looked(0, 0.0)
    found.looked(ACTIVE_BYTES - 1, 1.0)
    assert found.goodput_bytes_s == 0
    found.looked(11 * ACTIVE_BYTES, 2.0)
    fast = found.goodput_bytes_s
    assert fast >= 10 * ACTIVE_BYTES
    for second in range(3, 60):
        found.looked(11 * ACTIVE_BYTES, float(second))
    assert found.goodput_bytes_s == fast
    found.looked(12 * ACTIVE_BYTES, 60.0)
    assert ACTIVE_BYTES <= found.goodput_bytes_s < fast


def test_a_busy_circuit_is_expected_to_take_longer():
    idle = measured(0.1)
    idle.goodput_bytes_s = 1e6
    assert idle.expected_s(0.0, 5, 1e6) > idle.expected_s(0.0, 0, 1e6)
    assert measured(0.1).expected_s(0.0, 5, 0.0) == measured(0.1).expected_s(0.0, 0, 0.0)


def test_the_usual_rate_is_the_median_of_those_seen():
    circuits = [Fake(measured(0.1)) for _ in range(4)]
    assert usual_rate(circuits) == 0
    for fake, rate in zip(circuits, (0.0, 1.0, 2.0, 30.0), strict=True):
        fake.measure.goodput_bytes_s = rate
    assert usual_rate(circuits) == 2.0


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=8), st.integers(0, 2**32))
def test_of_two_the_better_is_taken_and_the_worst_only_when_alone(values, seed):
    places = range(len(values))
    chosen = better_of_two(places, lambda place: values[place], seeded(seed))
    assert chosen in places
    if len(set(values)) > 1 and values.count(max(values)) == 1:
        assert values[chosen] < max(values)


def test_every_candidate_but_the_worst_is_taken_sometimes():
    values, source = [4.0, 1.0, 3.0, 2.0], seeded(3)
    taken = {better_of_two(range(4), lambda place: values[place], source) for _ in range(200)}
    assert taken == {1, 2, 3}


def test_the_slowest_is_retired_after_two_looks_and_one_in_ten_seconds():
    fast = [Fake(measured(0.05)) for _ in range(3)]
    slow = [Fake(measured(1.0)), Fake(measured(0.9))]
    retirement = Retirement()
    assert retirement.slowest([*fast, *slow], 0.0) is None
    assert retirement.slowest([*fast, *slow], 1.0) is slow[0]
    left = [*fast, slow[1]]
    found = [retirement.slowest(left, 1.0 + second) for second in range(1, 10)]
    assert found == [None] * 9
    assert retirement.slowest(left, 1.0 + RETIRE_GAP_S) is slow[1]


def test_like_circuits_are_left_alone():
    retirement = Retirement()
    alike = [Fake(measured(0.10 + 0.01 * number)) for number in range(4)]
    assert all(retirement.slowest(alike, float(second)) is None for second in range(30))
    assert retirement.slowest([Fake(measured(9.0))], 31.0) is None
    assert retirement.slowest([], 32.0) is None


def test_a_circuit_is_not_judged_by_its_first_echo():
    assert not is_slow(measured(1.0, echoes=1), 0.05, 0.0)
    assert is_slow(measured(1.0), 0.05, 0.0)


def test_a_slow_node_is_damped_and_forgiven_and_never_raised():
    speeds = NodeSpeeds()
    for number in range(10):
        speeds.observe([100 + number], measured(0.05), 0.0)
    for _ in range(6):
        speeds.observe([1, 2], measured(1.0), 0.0)
    damping = speeds.damping_ppm(0.0)
    assert LEAST_DAMPING_PPM <= damping[1] < PPM // 2
    assert set(damping) == {1, 2}
    for _ in range(3):
        speeds.observe([2, 3], measured(0.05), 0.0)
    assert 2 not in speeds.damping_ppm(0.0)
    assert speeds.damping_ppm(HALF_LIFE_S)[1] > damping[1]
    assert speeds.damping_ppm(10 * HALF_LIFE_S) == {}


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 40), max_size=3), st.floats(0.0, 100)), max_size=40),
    st.floats(0, 10 * HALF_LIFE_S),
)
def test_damping_never_exceeds_one(observations, later):
    speeds = NodeSpeeds()
    for indexes, seconds in observations:
        speeds.observe(indexes, measured(seconds), 0.0)
    assert all(LEAST_DAMPING_PPM <= ppm <= PPM for ppm in speeds.damping_ppm(later).values())


def test_nobody_is_judged_by_a_circuit_that_was_hardly_measured():
    speeds = NodeSpeeds()
    speeds.observe([1, 2], measured(9.0, echoes=LEAST_ECHOES - 1), 0.0)
    assert len(speeds) == 0


def test_memory_of_nodes_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_NODES", 16)
    speeds = NodeSpeeds()
    for number in range(100):
        speeds.observe([number], measured(0.1), 0.0)
    assert len(speeds) == 16
    assert MAX_NODES == 512


# a simulated network on a virtual clock

NODES = make_network((Role.ENTRY,) * 2 + (Role.RELAY,) * 12 + (Role.EXIT,) * 8).consensus
SECONDS = 3600
MAX_AGE_S = 600


@dataclass(eq=False)
class Circuit:
    path: tuple[int, ...]
    born: float
    measure: Measure
    due: float
    answers: list[tuple[float, float]] = field(default_factory=list)


@dataclass
class World:
    """A client with four circuits in a network in which a quarter of the nodes is slow."""

    is_adaptive: bool
    seed: int
    dice: random.Random = field(init=False)
    speeds: NodeSpeeds = field(default_factory=NodeSpeeds)
    retirement: Retirement = field(default_factory=Retirement)
    circuits: list[Circuit] = field(default_factory=list)
    retired: int = 0

    def __post_init__(self):
        self.dice = random.Random(self.seed)
        self.delays = {
            node.index: self.dice.uniform(0.2, 0.6)
            if self.dice.random() < 0.25
            else self.dice.uniform(0.01, 0.04)
            for node in NODES.nodes
        }
        self.chooser = Chooser(NODES, NODES.nodes[0].first_phase, exit_allows=lambda *_: True)

    def trip(self, circuit: Circuit) -> float:
        return sum(self.delays[index] for index in circuit.path) * self.dice.uniform(0.9, 1.3)

    def build(self, now: float) -> None:
        damping = self.speeds.damping_ppm(now) if self.is_adaptive else {}
        path = self.chooser.path(
            Wishes(damping_ppm=damping), guards=(1, 2), random=self.dice.randbytes
        )
        circuit = Circuit(tuple(n.index for n in path.nodes), now, Measure.of_built(0.0), 0.0)
        circuit.measure = Measure.of_built(2 * self.trip(circuit))
        circuit.due = now + self.dice.uniform(0.2, 1.5)
        self.circuits.append(circuit)

    def pick(self, now: float) -> Circuit:
        if not self.is_adaptive:
            return self.dice.choice(self.circuits)
        return better_of_two(
            self.circuits, lambda c: c.measure.expected_s(now, 0, 0.0), self.dice.randbytes
        )

    def look(self, now: float) -> None:
        for circuit in self.circuits:
            while circuit.answers and circuit.answers[0][0] <= now:
                circuit.measure.echoed(circuit.answers.pop(0)[1])
                if circuit.measure.echoes == LEAST_ECHOES:
                    self.speeds.observe(circuit.path[1:], circuit.measure, now)
            if circuit.due <= now and circuit.measure.asked_at is None:
                trip = self.trip(circuit)
                circuit.measure.asked(now)
                circuit.answers.append((now + trip, trip))
                circuit.due = now + self.dice.uniform(6.0, 18.0)
        self.circuits = [c for c in self.circuits if now - c.born < MAX_AGE_S]
        slowest = self.retirement.slowest(self.circuits, now) if self.is_adaptive else None
        if slowest is not None:
            self.circuits.remove(slowest)
            self.speeds.observe(slowest.path[1:], slowest.measure, now)
            self.retired += 1
        while len(self.circuits) < 4:
            self.build(now)

    def mean_delay_s(self) -> float:
        waits = []
        for second in range(SECONDS):
            self.look(float(second))
            waits.append(2 * self.trip(self.pick(float(second))))
        return fmean(waits)


def test_adaptive_choice_lowers_the_mean_delay():
    gains = []
    for seed in range(12):
        adaptive = World(is_adaptive=True, seed=seed)
        usual = World(is_adaptive=False, seed=seed)
        gains.append(adaptive.mean_delay_s() / usual.mean_delay_s())
        assert adaptive.retired <= SECONDS / RETIRE_GAP_S
    # where both guards are slow there is little to gain
    assert fmean(gains) < 0.75
    assert max(gains) < 1
