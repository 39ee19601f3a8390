"""Closed forms against numbers."""

import numpy as np
import pytest

from tools.bench.anonymity.delays import collision, density, draw, entropy_width_s, peak

GRID = np.linspace(0, 40, 400_001)


def integral(values):
    return float(np.trapezoid(values, GRID))


def test_the_density_is_one():
    assert integral(density(GRID, 1.0)) == pytest.approx(1, abs=1e-6)
    assert integral(GRID * density(GRID, 1.0)) == pytest.approx(3, abs=1e-5)
    assert density(np.array([-1.0, 0.0]), 1.0).tolist() == [0, 0]


@pytest.mark.parametrize("mean", [0.5, 1.0])
def test_closed_forms(mean):
    values = density(GRID, mean)
    seen = values[values > 0]
    nats = -float(np.trapezoid(seen * np.log(seen), GRID[values > 0]))
    assert entropy_width_s(mean) == pytest.approx(np.exp(nats), rel=1e-4)
    assert peak(mean) == pytest.approx(values.max(), rel=1e-6)
    assert collision(mean) == pytest.approx(integral(values**2), rel=1e-5)


def test_one_hop_is_worth_e_delays():
    assert entropy_width_s(1.0, shape=1) == pytest.approx(np.e)
    assert entropy_width_s(0.03) / 0.03 == pytest.approx(6.345, abs=0.001)


def test_delays_have_the_mean_of_three_hops():
    assert draw(np.random.default_rng(1), 0.03, 100_000).mean() == pytest.approx(0.09, rel=0.01)
