from math import exp, log, sqrt

from hypothesis import given
from hypothesis import strategies as st

from node.mix.poisson import MAX_DELAY_MS, MEAN_DELAY_MS, draw_delay_ms, exponential
from tests.node.mix.seeded import seeded

COUNT = 40_000


def test_delays_are_exponential():
    """Kolmogorov and Smirnov: the greatest distance is below 1.95/sqrt(n) in 999 of 1,000 runs."""
    random = seeded(1)
    samples = sorted(exponential(30.0, random) for _ in range(COUNT))
    distance = max(
        abs((place + 0.5) / COUNT - (1 - exp(-value / 30.0))) for place, value in enumerate(samples)
    )
    assert distance < 1.95 / sqrt(COUNT)


def test_mean_and_tail_of_a_mix():
    random = seeded(2)
    delays = [draw_delay_ms(random) for _ in range(COUNT)]
    assert abs(sum(delays) / COUNT - MEAN_DELAY_MS) < 5 * MEAN_DELAY_MS / sqrt(COUNT)
    late = sum(delay > MEAN_DELAY_MS * log(100) for delay in delays)
    assert abs(late - COUNT / 100) < 5 * sqrt(COUNT / 100) + COUNT / 100 * 0.05


def test_three_mixes_stay_below_half_a_second_in_99_of_100():
    random = seeded(3)
    sums = sorted(sum(draw_delay_ms(random) for _ in range(3)) for _ in range(COUNT))
    assert sums[COUNT * 99 // 100] < 270


@given(st.binary(min_size=7, max_size=7), st.floats(0, 1e9))
def test_every_draw_fits_the_header(data, mean_ms):
    assert 0 <= draw_delay_ms(lambda _: data, mean_ms) <= MAX_DELAY_MS


def test_the_extremes_of_the_source():
    assert exponential(1.0, lambda size: b"\xff" * size) == 0
    assert 36 < exponential(1.0, bytes) < 37
