"""Hostile nodes: c², c³ and what guards change."""

import itertools

import numpy as np
import pytest

from tools.bench.anonymity.corrupt import (
    CIRCUITS_PER_DAY,
    all_hostile,
    free_entries,
    hostile_mixes,
    kept_guards,
    traced,
)


def test_without_guards_first_and_last_are_independent():
    year = free_entries(np.random.default_rng(1), 20_000, 0.1, days=2)
    assert year.circuits == pytest.approx(0.01, rel=0.05)
    assert year.users == pytest.approx(1 - 0.99 ** (2 * CIRCUITS_PER_DAY), rel=0.02)


def test_guards_gather_the_same_circuits_on_fewer_users():
    year = kept_guards(np.random.default_rng(2), 50_000, 0.1, days=30)
    assert year.circuits == pytest.approx(0.01, rel=0.05)
    assert year.users == pytest.approx(1 - 0.9**2, rel=0.05)  # no guard expires in a month


def test_no_hostile_node_learns_nothing():
    assert kept_guards(np.random.default_rng(3), 100, 0.0).users == 0
    assert traced(np.random.default_rng(3), 10, 0.0, 1000) == 0
    assert traced(np.random.default_rng(3), 10, 1.0, 1000) == 1


def test_layers_by_brute_force():
    """Every way to deal two hostile of six mixes... and three, to three layers of two."""
    for hostile in (2, 3, 4):
        share = hostile / 6
        deals = list(itertools.combinations(range(6), hostile))
        paths = list(itertools.product((0, 1), (2, 3), (4, 5)))
        caught = sum(set(path) <= set(deal) for deal in deals for path in paths)
        assert all_hostile(2, share) == pytest.approx(caught / len(deals) / len(paths))


def test_many_mixes_are_traced_like_share_cubed():
    random = np.random.default_rng(4)
    assert hostile_mixes(random, 100, 0.2).sum() == 60
    found = np.mean([traced(random, 100, 0.2, 20_000) for _ in range(30)])
    assert found == pytest.approx(0.2**3, rel=0.06)
    assert all_hostile(10_000, 0.2) == pytest.approx(0.2**3, rel=1e-3)
