"""Entropies and rates of known cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tools.bench.anonymity.measures import Summary, advantage, sight, top_rate, true_rate


def test_equal_users_hide_each_other():
    seen = sight(np.ones(8), 3)
    assert seen.entropy_bits == pytest.approx(3)
    assert seen.min_entropy_bits == pytest.approx(3)
    assert seen.surprise_bits == pytest.approx(3)
    assert seen.hit == pytest.approx(1 / 8)
    assert seen.best == pytest.approx(1 / 8)


def test_one_user_hides_nothing():
    seen = sight(np.array([0.0, 5.0, 0.0]), 1)
    assert (seen.entropy_bits, seen.min_entropy_bits, seen.hit) == (0, 0, 1)


def test_a_wrong_guess_is_no_hit():
    assert sight(np.array([0.9, 0.1]), 1).hit == 0


@given(arrays(np.float64, st.integers(1, 30), elements=st.floats(1e-6, 1e6)))
def test_entropies_are_in_order(weights):
    seen = sight(weights, 0)
    assert -1e-9 <= seen.min_entropy_bits <= seen.entropy_bits + 1e-9
    assert seen.entropy_bits <= np.log2(len(weights)) + 1e-9


def test_every_world_counts_once():
    sure, even = sight(np.array([1.0]), 0), sight(np.ones(4), 0)
    found = Summary.of([[sure] * 100, [even]])
    assert found.entropy_bits.mean == pytest.approx(1)
    assert found.effective.mean == pytest.approx(2)
    assert found.worlds == 2


def test_rates_of_scores():
    right, wrong = np.array([1.0, 2.0, 3.2, 4.0]), np.arange(0.0, 4.0, 0.5)
    assert true_rate(right, wrong, 1 / 8) == pytest.approx(0.5)  # above 3.0
    assert true_rate(right, wrong, 0.0) == pytest.approx(0.25)  # above 3.5
    assert advantage(right, wrong) == pytest.approx(0.5 - 1 / 8)
    assert advantage(right + 10, wrong) == 1
    assert advantage(wrong, np.sort(np.concatenate([wrong] * 50))) < 0.15


def test_the_best_of_many():
    wrong = np.arange(1000.0)
    assert top_rate(np.array([2000.0]), wrong, 10**6) == 1
    assert top_rate(np.array([500.0]), wrong, 2) == pytest.approx(0.5)
    assert top_rate(np.array([500.0]), wrong, 11) == pytest.approx(0.5**10)
