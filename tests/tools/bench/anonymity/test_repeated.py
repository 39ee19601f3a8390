"""Conversations, contacts and presence: against exact sums and closed forms."""

import math
from itertools import islice

import numpy as np
import pytest

from tools.bench.anonymity.delays import collision, density, entropy_width_s
from tools.bench.anonymity.repeated import (
    contacts_found,
    conversation,
    fits,
    messages_until_sure,
    still_present,
)
from tools.bench.anonymity.setting import Crowd


def test_what_others_send_fits_on_average_as_often_as_they_send():
    """Campbell: the mean of the fits is the rate, their variance the rate times the collision."""
    crowd = Crowd(400_000, 1.5, 0.03)
    found = fits(np.random.default_rng(1), crowd, crowd.users)
    assert found.mean() == pytest.approx(crowd.rate, rel=0.01)
    assert found.var() == pytest.approx(crowd.rate * collision(0.03), rel=0.02)


def test_the_first_message_gives_the_set_of_one_message():
    crowd = Crowd(200_000, 0.02, 0.03)
    random = np.random.default_rng(2)
    bits = [next(conversation(random, crowd, 1)).entropy_bits for _ in range(20)]
    expected = crowd.load * entropy_width_s(0.03)
    assert 2 ** np.mean(bits) == pytest.approx(expected, rel=0.03)


def test_the_observer_is_as_surprised_as_it_expects():
    random = np.random.default_rng(3)
    runs = [list(conversation(random, Crowd(50, 4.0, 0.1), 3)) for _ in range(1500)]
    for place in range(3):
        seen = [run[place] for run in runs if len(run) > place]
        surprise = np.array([one.surprise_bits - one.entropy_bits for one in seen])
        assert abs(surprise.mean()) < 4 * surprise.std() / math.sqrt(len(seen))


def test_two_users_by_hand():
    """One who sent alone within the delay is known at once."""
    seen = list(conversation(np.random.default_rng(4), Crowd(2, 1e-9, 0.03), 5))
    assert len(seen) == 1
    assert seen[0].entropy_bits == 0
    assert messages_until_sure(np.random.default_rng(4), Crowd(2, 1e-9, 0.03), 5) == 1


def test_sureness_takes_longer_where_everybody_sends_more():
    def needed(rate):
        random = np.random.default_rng(5)
        crowd = Crowd(300, rate, 0.03)
        return np.median([messages_until_sure(random, crowd, 500) for _ in range(15)])

    few, many = needed(1.0), needed(40.0)
    assert few < 10
    expected = 2 * math.log(9 * 300) / (collision(0.03) / 40.0)
    assert many == pytest.approx(expected, rel=0.35)


def test_never_sure():
    crowd = Crowd(1000, 50.0, 0.1)
    assert messages_until_sure(np.random.default_rng(6), crowd, 2) == 3


def test_contacts_show_as_messages_add_up():
    days = list(contacts_found(np.random.default_rng(7), Crowd(2_000, 1.0, 0.03), 10, 20, 40))
    assert len(days) == 40
    assert np.mean(days[:3]) < 0.6
    assert np.mean(days[-5:]) > 0.9


def test_presence_is_a_power():
    random = np.random.default_rng(8)
    days = np.array(list(islice(still_present(random, 10_001, 0.5, 200), 4)))
    expected = [1 + 10_000 * 0.5**day for day in range(1, 5)]
    assert days.mean(axis=1) == pytest.approx(expected, rel=0.02)
    assert np.all(np.diff(days, axis=0) <= 0)
    assert days.min() >= 1


def test_fits_are_deterministic_and_bounded_in_blocks(monkeypatch):
    crowd = Crowd(1_000, 1.0, 0.03)
    one, other = (fits(np.random.default_rng(9), crowd, 1_000) for _ in range(2))
    assert np.array_equal(one, other)
    monkeypatch.setattr("tools.bench.anonymity.repeated.BLOCK", 64)
    blocked = fits(np.random.default_rng(9), crowd, 1_000)
    assert blocked.mean() == pytest.approx(one.mean(), rel=0.4)
    assert float(density(np.array([0.06]), 0.03)[0]) > 0
