import math
import secrets
from collections import Counter

import pytest

from node.directory.census import EPSILON, ClientCensus, noisy_count
from qnet.messages.descriptor import MAX_CLIENTS, MIN_CLIENTS
from tests.support.signed_network import seeded

MIDDLE = b"\x80" + bytes(7)
"""A draw of 1/2, which gives floor(ln 2 / EPSILON) = 1."""


def no_noise(size):
    return MIDDLE[:size]


def test_the_noise_is_two_sided_geometric():
    draws = 40_000
    random = seeded(3)
    found = Counter(noisy_count(100, random) - 100 for _ in range(draws))
    alpha = math.exp(-EPSILON)
    for noise in range(-6, 7):
        expected = (1 - alpha) / (1 + alpha) * alpha ** abs(noise)
        assert found[noise] / draws == pytest.approx(expected, abs=0.012)
    mean = sum(noise * count for noise, count in found.items()) / draws
    assert abs(mean) < 0.1


def test_neighbouring_counts_cannot_be_told_apart_beyond_epsilon():
    alpha = math.exp(-EPSILON)
    odds = {k: alpha ** abs(k - 10) / alpha ** abs(k - 11) for k in range(30)}
    assert max(max(odd, 1 / odd) for odd in odds.values()) <= math.exp(EPSILON) * (1 + 1e-9)


@pytest.mark.parametrize("draw", [bytes(8), b"\xff" * 8, MIDDLE])
def test_every_draw_gives_a_number_within_the_bounds(draw):
    for count in (0, 5, MAX_CLIENTS, 10 * MAX_CLIENTS):
        assert MIN_CLIENTS <= noisy_count(count, lambda _size: draw) <= MAX_CLIENTS
    extremes = iter([b"\xff" * 8, bytes(8)])
    assert noisy_count(0, lambda _size: next(extremes)) == -math.floor(64 * math.log(2) / EPSILON)


def test_links_seen_in_a_period_are_counted_once_each():
    census = ClientCensus(no_noise)
    for _ in range(3):
        census.opened()
    census.closed()
    census.opened()
    assert census.publish(30) == 4
    assert census.publish(30) == 4
    census.closed()
    assert census.publish(60) == 3
    assert census.publish(90) == 2


def test_the_noise_of_a_period_is_drawn_once():
    census = ClientCensus(secrets.token_bytes)
    assert len({census.publish(30) for _ in range(50)}) == 1
    assert len({census.publish(period) for period in range(200)}) > 3
