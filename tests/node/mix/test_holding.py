from hypothesis import given
from hypothesis import strategies as st

from node.mix.holding import LONG_MS, Holding, Refusal
from node.mix.poisson import MAX_DELAY_MS


@given(st.lists(st.tuples(st.floats(0, 1e4), st.integers(0, MAX_DELAY_MS)), max_size=60))
def test_packets_leave_when_they_are_due_in_that_order(arrivals):
    pool, expected = Holding(), []
    for number, (now, delay_ms) in enumerate(arrivals):
        assert pool.insert(now, delay_ms, number)
        expected.append((now + delay_ms / 1000, number))
    expected.sort()
    assert len(pool) == len(expected)
    found = []
    while pool.next_at is not None:
        at = pool.next_at
        assert pool.due(at - 1e-3) == []
        found += [(at, number) for number in pool.due(at)]
    assert found == expected
    assert len(pool) == 0


def test_long_delays_cannot_fill_the_pool():
    pool = Holding(10)
    taken = [pool.insert(0.0, MAX_DELAY_MS, "long") for _ in range(9)]
    assert taken == [True] * 5 + [False] * 4
    assert [pool.insert(0.0, 30, "short") for _ in range(6)] == [True] * 5 + [False]
    assert pool.refused == {Refusal.LONG: 4, Refusal.FULL: 1}
    assert pool.due(1.0) == ["short"] * 5
    assert pool.due(100.0) == ["long"] * 5
    assert pool.insert(100.0, LONG_MS + 1, "long")


def test_it_holds_until_it_is_asked():
    pool = Holding()
    pool.insert(0.0, 5, "first")
    pool.insert(0.0, 3, "second")
    assert pool.due(0.001) == []
    assert pool.due(9.0) == ["second", "first"]
    assert pool.next_at is None
