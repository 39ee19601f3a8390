"""Guessers find what leaks, and nothing where nothing does."""

import numpy as np
import pytest

from qnet.crypto.scalars import random_scalar
from qnet.messages.instruments import TOKEN_CLASS
from tools.bench.privacy.guessers import PointGuesser, match_ends
from tools.bench.privacy.run import DEVIATIONS_MAX, drawn_ends, raised_ends
from tools.bench.privacy.world import CREDIT_CLASS, POINT_BYTES, Views, purchases

COUNT = 1_500


@pytest.fixture(scope="module")
def credits_():
    return purchases(COUNT, CREDIT_CLASS)


@pytest.mark.timeout(120)
def test_no_guesser_links_credits_to_purchases(credits_):
    assert credits_.count == COUNT
    for result in PointGuesser(credits_).results():
        assert result.trials == COUNT // 2
        assert result.deviations < DEVIATIONS_MAX, result.name


@pytest.mark.timeout(120)
def test_no_guesser_links_tokens_to_purchases():
    for result in PointGuesser(purchases(COUNT, TOKEN_CLASS)).results():
        assert result.deviations < DEVIATIONS_MAX, result.name


def halves(views):
    shape = (views.count, 2, POINT_BYTES)
    return (
        np.frombuffer(views.issued, np.uint8).reshape(shape).copy(),
        np.frombuffer(views.shown, np.uint8).reshape(shape).copy(),
    )


def test_some_bytes_in_common_are_found(credits_):
    issued, shown = halves(credits_)
    shown[:, 0, 20:36] = issued[:, 1, 20:36]
    results = PointGuesser(Views(issued.tobytes(), shown.tobytes())).results()
    assert all(result.deviations > 2 * DEVIATIONS_MAX for result in results)


def test_a_point_that_was_not_blinded_is_found(credits_):
    issued, shown = halves(credits_)
    issued[:] = shown
    assert PointGuesser(Views(issued.tobytes(), shown.tobytes())).results()[0].share > 0.99


def test_every_purchase_fits_every_credit():
    """For each pair there is a blinding factor that would have led to it: nothing to find."""
    key = random_scalar(np.random.bytes)
    base = [random_scalar(np.random.bytes) for _ in range(4)]  # logarithms of H(m)
    factors = [random_scalar(np.random.bytes) for _ in range(4)]
    for h, r in zip(base, factors, strict=True):
        for other in base:
            fitting = r * h * other.inverse()
            assert other * fitting == h * r  # B
            assert other * key * fitting == h * r * key  # S


def test_tokens_of_a_path_end_independently():
    first, other = drawn_ends(20_000), drawn_ends(20_000)
    assert set(np.unique(first)) == set(range(48, 65))
    assert match_ends("k", first, other).deviations < DEVIATIONS_MAX


def test_raising_k_by_a_little_is_found_out():
    """The rule of the first design: what was used shows through (ADR 0010)."""
    assert match_ends("k", *raised_ends(20_000)).share > 0.1
