"""The matched filter finds what is there and nothing else."""

import numpy as np
import pytest

from tools.bench.anonymity import flows
from tools.bench.anonymity.setting import Mode


@pytest.fixture
def random():
    return np.random.default_rng(11)


def test_circuits_are_matched_at_both_ends(random):
    found = flows.match(random, Mode.CIRCUITS, 30, 300, seconds=120)
    assert found.advantage > 0.95
    assert found.true_rate > 0.9
    assert found.right.mean() > found.wrong.mean() + 0.5


def test_a_long_delay_with_covers_blurs_the_filter(random):
    short = flows.match(random, Mode.COVERED, 30, 300, seconds=60)
    far = flows.match(random, Mode.COVERED, 30, 300, seconds=60, mean_delay_s=2.0)
    assert short.advantage > 0.7 > far.advantage


def test_wrong_pairs_do_not_correlate_on_average(random):
    found = flows.match(random, Mode.COVERED, 30, 500)
    assert found.wrong.mean() == pytest.approx(0, abs=0.01)
    assert np.all(np.diff(found.wrong) >= 0)


def test_packets_are_neither_lost_nor_made(random):
    sent = np.zeros((2, 400), np.float32)
    sent[0, 5], sent[1, 7] = 50, 3
    left = flows._delayed(random, sent, 0.03)
    assert left.sum(axis=1).tolist() == [50, 3]
    assert left[0, :5].sum() == 0


def test_smear_is_the_delay_in_bins(random):
    kernel = flows.smear(random, 0.03)
    assert kernel.sum() == pytest.approx(1, rel=1e-5)
    mean = float((np.arange(len(kernel)) * kernel).sum()) * flows.BIN_S
    assert mean == pytest.approx(0.09, abs=0.002)


def test_smearing_is_a_convolution(random):
    counts = random.random((3, 40), dtype=np.float32)
    kernel = np.array([0.5, 0.3, 0.2], np.float32)
    expected = [np.convolve(row, kernel)[:40] for row in counts]
    assert flows._smeared(counts, kernel) == pytest.approx(np.array(expected), abs=1e-5)


def test_queues_drain_in_order():
    wanted = np.array([[5, 0, 0, 1]], np.float32)
    most = np.array([[2, 2, 2, 2]], np.float32)
    assert flows._drained(wanted, most).tolist() == [[2, 2, 1, 1]]


def test_own_delays():
    assert flows.own_delay_s(Mode.CIRCUITS) < flows.own_delay_s(Mode.MIX)
