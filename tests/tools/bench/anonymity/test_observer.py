"""Likelihoods are exact: against brute force, closed forms and themselves."""

import itertools

import numpy as np
import pytest

from node.mix.packet import LAYERS
from tools.bench.anonymity.delays import entropy_width_s, peak
from tools.bench.anonymity.measures import Summary, sight
from tools.bench.anonymity.observer import LinkObserver, by_sender, seen_from_ends
from tools.bench.anonymity.setting import Crowd
from tools.bench.anonymity.world import Window, simulate


def paths_by_brute_force(window, target):
    """Count every way to match what left each mix with what had entered it before.

    Delays are exponential, so all ways are equally likely. A way gives each packet seen entering a
    layer one that left it; followed back through three layers they lead the target to its origin.
    """
    counts = np.zeros(window.count)
    ways_of_layers = []
    for layer in range(LAYERS):
        entered, left = window.times[layer], window.times[layer + 1]
        mixes = window.through[layer]
        ways_of_layers.append(
            [
                way
                for way in itertools.permutations(range(window.count))
                if all(
                    entered[way[out]] < left[out] and mixes[way[out]] == mixes[out]
                    for out in range(window.count)
                )
            ]
        )
    for ways in itertools.product(*ways_of_layers):
        packet = target
        for way in reversed(ways):
            packet = way[packet]
        counts[packet] += 1
    return counts / counts.sum()


def small_world(seed, count=5, mixes=2):
    random = np.random.default_rng(seed)
    times = np.cumsum(
        np.vstack([random.random((1, count)), random.exponential(1, (3, count))]), axis=0
    )
    return Window(
        Crowd(count, 1.0, 1.0),
        mixes,
        np.arange(count, dtype=np.int32),
        times,
        random.integers(0, mixes, (3, count), dtype=np.int32),
    )


@pytest.mark.parametrize("seed", range(12))
def test_likelihoods_match_counting_all_ways(seed):
    window = small_world(seed)
    observer = LinkObserver(window)
    for target in range(window.count):
        expected = paths_by_brute_force(window, target)
        assert observer.weigh(target) == pytest.approx(expected, abs=1e-12)


def test_hostile_mixes_leave_nothing_to_guess():
    window = small_world(1)
    hostile = np.ones((LAYERS, window.mixes), np.bool_)
    for target in range(window.count):
        assert LinkObserver(window, hostile).weigh(target)[target] == 1


def test_one_honest_layer_mixes():
    window = small_world(3, mixes=1)
    hostile = np.ones((LAYERS, 1), np.bool_)
    hostile[1] = False
    observer = LinkObserver(window, hostile)
    entered, left = window.times[1], window.times[2]
    last = int(np.argmax(left))
    weights = observer.weigh(last)
    assert weights.sum() == pytest.approx(1)
    first = int(np.argmin(left))
    assert set(np.flatnonzero(observer.weigh(first))) <= set(np.flatnonzero(entered < left[first]))


def looks(crowd, mixes, view, worlds=6, targets=40):
    found = []
    for seed in range(worlds):
        random = np.random.default_rng([7, seed])
        window = simulate(random, crowd, mixes)
        weigh = view(window)
        found.append(
            [
                sight(by_sender(window, weigh(target)), int(window.senders[target]))
                for target in window.targets(random, targets)
            ]
        )
    return Summary.of(found)


def ends(window):
    return lambda target: seen_from_ends(window, target)


def links(window):
    return LinkObserver(window).weigh


def test_both_ends_give_the_closed_form():
    crowd = Crowd(200_000, 0.01, 0.03)
    found = looks(crowd, 4, ends, targets=20)
    assert found.effective.mean == pytest.approx(crowd.load * entropy_width_s(0.03), rel=0.03)


def test_the_best_guess_is_the_peak_of_the_delay():
    random = np.random.default_rng(13)
    window = simulate(random, Crowd(1_000, 5.0, 0.03), 4)
    best = [
        sight(seen_from_ends(window, target), target).best for target in window.targets(random, 40)
    ]
    assert np.mean(best) == pytest.approx(peak(0.03) / window.crowd.load, rel=0.05)


def test_one_mix_in_each_layer_hides_what_is_between_the_ends():
    """A pool of many packets tells nothing of the way through it, so both views agree."""
    crowd = Crowd(50_000, 0.05, 0.03)
    seen, known = looks(crowd, 1, links, targets=10), looks(crowd, 1, ends, targets=10)
    assert seen.effective.mean == pytest.approx(known.effective.mean, rel=0.08)


@pytest.mark.parametrize("view", [ends, links])
def test_the_adversary_is_as_often_right_as_it_believes(view):
    """Only exact likelihoods are as surprised by the truth as their entropy says."""
    found = looks(Crowd(200, 2.0, 0.03), 3, view, worlds=20, targets=50)
    slack = found.surprise_bits.half + found.entropy_bits.half
    if view is links:  # the ends know of no mix, but are not wrong about it
        assert found.surprise_bits.mean == pytest.approx(found.entropy_bits.mean, abs=slack)
    assert found.hit.mean == pytest.approx(found.best.mean, abs=found.hit.half + 0.02)


def test_seeing_more_links_never_hides_better():
    crowd = Crowd(1_000, 1.0, 0.03)
    assert looks(crowd, 10, links).entropy_bits.mean < looks(crowd, 10, ends).entropy_bits.mean


def test_a_world_repeats():
    one, other = (simulate(np.random.default_rng(5), Crowd(50, 1.0), 3) for _ in range(2))
    assert np.array_equal(one.times, other.times)
    assert np.array_equal(one.senders, other.senders)
