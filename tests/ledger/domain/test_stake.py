"""Shares, streams, buckets and slashes, one at a time."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.stake import (
    POOL_SLASH_DIVISOR,
    VIRTUAL_SHARES,
    Bucket,
    Pool,
    Slash,
    Stream,
    lien_loss,
    reachable,
    slash_parts,
)
from ledger.domain.state import M, counted_stake

wei = st.integers(0, 10**27)
some_wei = st.integers(1, 10**27)
shares = st.integers(0, 10**30)
ppm = st.integers(0, M)
buckets = st.dictionaries(st.integers(0, 9), st.builds(lambda a: Bucket(a, a), wei), max_size=4)


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    assets = draw(wei)
    stream = Stream(draw(st.integers(0, assets)), 100, 100 + draw(st.integers(1, 1000)))
    return Pool(assets, draw(shares), stream)


def price(pool: Pool, now: int) -> Fraction:
    return Fraction(pool.available(now) + 1, pool.shares + VIRTUAL_SHARES)


@given(pools(), some_wei, st.integers(100, 1200))
def test_a_round_trip_gains_nothing_and_costs_others_nothing(pool, amount, now):
    entered, minted = pool.deposited(amount, now)
    assert price(entered, now) >= price(pool, now)
    left, back = entered.withdrawn(minted, now)
    assert back <= amount
    assert price(left, now) >= price(entered, now)
    assert (left.shares, left.assets_wei) == (pool.shares, pool.assets_wei + amount - back)


@given(pools(), st.integers(100, 1200))
def test_all_shares_together_are_never_worth_more_than_is_available(pool, now):
    assert pool.worth(pool.shares, now) <= pool.available(now)


@given(pools(), some_wei, st.integers(100, 1200), st.integers(1, 1000))
def test_a_reward_streams_from_nothing_to_all(pool, amount, now, stream_s):
    after = pool.rewarded(amount, now, stream_s)
    assert after.available(now) == pool.available(now)
    assert after.available(now + stream_s) == after.assets_wei
    middle = [after.available(now + step) for step in range(0, stream_s + 1, max(1, stream_s // 7))]
    assert middle == sorted(middle)


def test_the_first_to_come_cannot_be_robbed():
    """An attacker with one wei of shares gives the pool much, a victim then delegates."""
    pool, mine = Pool().deposited(1, 0)
    given_away = 10**21
    pool = Pool(pool.assets_wei + given_away, pool.shares)
    victim = 10**21
    pool, theirs = pool.deposited(victim, 0)
    assert pool.worth(theirs, 0) > victim * 999 // 1000
    assert pool.worth(mine, 0) < given_away * 6 // 10


@given(st.lists(some_wei, min_size=1, max_size=6), ppm)
def test_a_bucket_shares_a_slash_among_its_tickets(amounts, rate):
    bucket = Bucket()
    for amount in amounts:
        bucket, minted = bucket.deposited(amount)
        assert minted == amount
    after = bucket.slashed(bucket.assets_wei * rate // M)
    for amount in amounts:
        expected = Fraction(amount * after.assets_wei, bucket.assets_wei)
        assert after.worth(amount) == int(expected)
    paid = 0
    for amount in amounts:
        after, got = after.withdrawn(amount)
        paid += got
    assert paid + after.assets_wei == bucket.assets_wei - bucket.assets_wei * rate // M
    assert after.shares == 0


@given(some_wei, some_wei, st.integers(0, M - 1))
def test_a_ticket_that_comes_after_a_slash_loses_nothing_to_it(first, second, rate):
    bucket, _ = Bucket().deposited(first)
    bucket = bucket.slashed(first * rate // M)
    bucket, minted = bucket.deposited(second)
    assert second - 1 <= bucket.worth(minted) <= second
    assert Bucket().worth(7) == 0
    assert Bucket(2, 0).deposited(5)[1] == Bucket(0, 2).deposited(5)[1] == 5


@given(wei, wei, buckets, buckets, ppm, wei)
def test_a_slash_takes_its_rate_and_no_more_than_it_may(bond, pool, own, others, rate, most):
    parts = slash_parts(bond, pool, own, others, ppm=rate, max_wei=most)
    assert parts.total <= most
    assert parts.ppm <= rate
    tenth = M * POOL_SLASH_DIVISOR
    exact = (
        [(parts.bond, bond, M)]
        + [(parts.bond_buckets[e], b.assets_wei, M) for e, b in own.items()]
        + [(parts.pool, pool, tenth)]
        + [(parts.pool_buckets[e], b.assets_wei, tenth) for e, b in others.items()]
    )
    for part, base, one in exact:
        assert base * parts.ppm // one - len(exact) <= part <= base * parts.ppm // one
    if most >= sum(base * rate // one for _, base, one in exact):
        assert parts.ppm == rate
        assert parts.total == sum(base * rate // one for _, base, one in exact)


def test_a_capped_slash_never_takes_a_wei_more():
    parts = slash_parts(5, 0, {3: Bucket(5, 5)}, {}, ppm=M // 2, max_wei=3)
    assert (parts.ppm, parts.bond, parts.bond_buckets) == (375_000, 1, {3: 1})
    parts = slash_parts(1, 0, {3: Bucket(3, 3)}, {}, ppm=600_000, max_wei=0)
    assert (parts.ppm, parts.total) == (0, 0)


def test_a_slash_reaches_tickets_of_its_epoch_and_later():
    waiting = {3: Bucket(3, 3), 5: Bucket(5, 5), 4: Bucket(4, 4)}
    assert list(reachable(waiting, 4)) == [5, 4]


@pytest.mark.parametrize(
    ("bond", "pool", "counted"), [(10, 0, 10), (10, 90, 100), (10, 91, 100), (0, 50, 0)]
)
def test_delegation_counts_up_to_a_multiple_of_the_bond(bond, pool, counted):
    assert counted_stake(bond, pool, 9) == counted


@given(shares, ppm)
def test_a_lien_loses_a_tenth_of_the_rate(held, rate):
    assert lien_loss(held, Slash(3, rate)) == held * rate // (10 * M)
