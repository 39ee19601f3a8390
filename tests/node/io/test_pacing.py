"""The limit of an operator, on a virtual clock."""

import asyncio
from collections import Counter
from itertools import pairwise

import pytest

from node.io.pacing import BURST_S, CELL_BITS, LEAST_BURST_CELLS, Pacer

MOST = 256


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_without_a_limit_nothing_is_held_back():
    pacer = Pacer(0, Clock(), MOST)
    links = [1, 2, 3]
    for _ in range(100):
        assert pacer.in_turn(links) is links
        assert pacer.room(lambda: None) == MOST
        pacer.spent(MOST)


@pytest.mark.parametrize("rate_kbps", [500, 10_000, 1_000_000])
async def test_the_rate_is_kept_and_used(rate_kbps):
    clock = Clock()
    pacer = Pacer(rate_kbps, clock, MOST)
    sent = 0
    step_s = BURST_S / 4
    for _ in range(2000):
        while room := pacer.room(lambda: None):
            pacer.spent(room)
            sent += room
        clock.now += step_s
    allowed = clock.now * rate_kbps * 1000 / CELL_BITS
    burst = max(allowed / clock.now * BURST_S, LEAST_BURST_CELLS)
    assert 0.99 * allowed <= sent <= allowed + burst


async def test_the_driver_is_woken_once_there_is_room():
    loop = asyncio.get_running_loop()
    pacer = Pacer(10_000, loop.time, MOST)
    woken = asyncio.Event()
    while room := pacer.room(woken.set):
        pacer.spent(room)
    timer = pacer._timer
    assert pacer.room(woken.set) == 0
    assert pacer._timer is timer
    async with asyncio.timeout(5):
        await woken.wait()
    assert pacer.room(woken.set) > 0


async def test_links_take_turns():
    clock = Clock()
    pacer = Pacer(10_000, clock, MOST)
    firsts = [pacer.in_turn([1, 2, 3])[0] for _ in range(9)]
    assert Counter(firsts) == {1: 3, 2: 3, 3: 3}
    assert all(left != right for left, right in pairwise(firsts))
    assert pacer.in_turn([7]) == [7]
    assert sorted(pacer.in_turn([5, 6, 7])) == [5, 6, 7]
