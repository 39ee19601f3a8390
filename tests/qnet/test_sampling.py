from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnet.sampling import shuffle, uniform_below, weighted_place
from tests.support.signed_network import seeded


@given(st.integers(1, 1 << 80), st.integers(0, 1 << 16))
def test_draws_stay_below_the_bound(bound: int, seed: int) -> None:
    assert 0 <= uniform_below(bound, seeded(seed)) < bound


def test_a_single_choice_needs_no_randomness() -> None:
    assert uniform_below(1, bytes) == 0


def test_draws_are_uniform() -> None:
    source, n, draws = seeded(), 7, 14_000
    counts = Counter(uniform_below(n, source) for _ in range(draws))
    statistic = sum((counts[i] - draws / n) ** 2 / (draws / n) for i in range(n))
    assert statistic < 22.5  # chi-square, 6 degrees of freedom, p = 0.001


def test_places_follow_the_weights() -> None:
    source, weights, draws = seeded(), [5, 0, 1, 10], 16_000
    counts = Counter(weighted_place(weights, source) for _ in range(draws))
    assert counts[1] == 0
    statistic = sum(
        (counts[i] - draws * w / 16) ** 2 / (draws * w / 16) for i, w in enumerate(weights) if w
    )
    assert statistic < 13.8  # 2 degrees of freedom, p = 0.001


@pytest.mark.parametrize("weights", [[], [0, 0], [3, -1]])
def test_nothing_to_draw_from(weights: list[int]) -> None:
    with pytest.raises(ValueError, match=r"nothing|negative"):
        weighted_place(weights, seeded())


def test_bounds_must_be_positive() -> None:
    with pytest.raises(ValueError, match="nothing"):
        uniform_below(0, seeded())


def test_all_orders_are_equally_likely() -> None:
    source, draws = seeded(), 12_000
    counts: Counter[tuple[int, ...]] = Counter()
    for _ in range(draws):
        items = [1, 2, 3]
        shuffle(items, source)
        counts[tuple(items)] += 1
    statistic = sum((count - draws / 6) ** 2 / (draws / 6) for count in counts.values())
    assert len(counts) == 6
    assert statistic < 20.5  # 5 degrees of freedom, p = 0.001
