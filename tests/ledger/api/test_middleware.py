"""The rate limit."""

from ledger.api.middleware import RateLimit


def test_a_burst_is_allowed_and_then_the_rate():
    now = [0.0]
    limit = RateLimit(lambda: now[0], rate_per_s=2.0, burst=3.0)
    assert [limit.admit("a") for _ in range(4)] == [True, True, True, False]
    assert limit.admit("b")
    now[0] = 0.5
    assert [limit.admit("a"), limit.admit("a")] == [True, False]
    now[0] = 100.0
    assert [limit.admit("a") for _ in range(4)] == [True, True, True, False]
    assert limit.refused == 3
