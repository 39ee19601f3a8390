"""Delegators who chase yield."""

import pytest

from tools.bench.economy.delegation import DAY_S, Market, chase


@pytest.fixture(scope="module")
def market():
    made = Market(seed=3, epochs=40, circuits=200)
    for epoch in range(40):
        made.day(epoch)
    return made


def test_no_wei_appears_or_vanishes(market):
    now = 40 * DAY_S
    put = sum(holder.put_wei for holder in market.holders)
    earned = sum(agent.pool_wei for agent in market.agents)
    assert sum(agent.pool.assets_wei for agent in market.agents) == put + earned
    worth = sum(market.agents[h.node].pool.worth(h.shares, now) for h in market.holders)
    assert worth <= put + earned


def test_chasers_leave_nodes_that_serve_badly(market):
    _, last = market.found.samples[-1]
    assert last < market.found.samples[0][1]
    bad = [agent for agent in market.agents if agent.behaviour.drops]
    assert len(bad) == 6


def test_who_stays_stays(market):
    assert all(holder.free_from == 0 for holder in market.holders if not holder.chases)
    assert any(holder.free_from > 0 for holder in market.holders if holder.chases)


def test_the_report_of_a_market():
    found = chase(seed=4, epochs=10, circuits=100)
    assert found.slots_kept
    assert found.visitor_gain_wei <= 0
    assert 0 < found.staying_yield < 1
    assert 0.5 < found.largest < 3
