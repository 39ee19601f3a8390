"""Cover after traffic."""

import secrets

import pytest

from node.htx.cover import DEFAULT, PROFILES, Cover
from node.htx.record import SIZES


def taken(cover, start, seconds, step=0.01):
    found = []
    for at in range(int(seconds / step)):
        size = cover.take(start + at * step)
        if size:
            found.append((at * step, size))
    return found


def test_one_record_within_the_window_then_silence():
    for _ in range(200):
        cover = Cover(DEFAULT, (0.2, 1.2), secrets.token_bytes)
        assert cover.take(100) == 0
        cover.traffic_sent(100)
        ((at, size),) = taken(cover, 100, 5)
        assert 0.2 <= at <= 1.22
        assert size in SIZES
        assert cover.due is None


def test_more_traffic_puts_it_off():
    cover = Cover(DEFAULT, (0.2, 1.2), secrets.token_bytes)
    for at in range(100):
        cover.traffic_sent(100 + at * 0.1)
        assert cover.take(100 + at * 0.1 + 0.1) == 0


@pytest.mark.parametrize("name", [name for name in PROFILES if name != "constant"])
def test_profiles_end(name):
    profile = PROFILES[name]
    cover = Cover(profile, (0.2, 1.2), secrets.token_bytes)
    cover.traffic_sent(0)
    found = taken(cover, 0, 60)
    assert profile.least <= len(found) <= profile.most
    assert {size for _, size in found} <= set(profile.sizes)


def test_constant_does_not_end():
    cover = Cover(PROFILES["constant"], (0.2, 1.2), secrets.token_bytes)
    cover.traffic_sent(0)
    assert len(taken(cover, 0, 60)) > 500
