"""Profits, confidence and the cost from which an attack pays."""

import math

import pytest

from tools.bench.economy.account import Books, Comparison, Interval, books_of, compare
from tools.bench.economy.agents import Attack, Behaviour
from tools.bench.economy.world import Setting, simulate

LAZY = Attack("lazy", behaviour=Behaviour(offers=0.05))


@pytest.fixture(scope="module")
def pairs():
    def year(attack, share, seed):
        return simulate(Setting(attack, share, seed, 40, circuits=200))

    return [(year(LAZY.counterpart, 0.0, s), year(LAZY, 0.2, s)) for s in (1, 2, 3)]


def test_an_interval_is_student_s():
    # mean 2, standard error 1 / sqrt(3), 4.303 of them for two degrees of freedom
    found = Interval.of([1.0, 2.0, 3.0])
    assert (found.low, found.high) == pytest.approx((-0.484, 4.484), abs=1e-3)
    assert Interval.of([5.0]).half == math.inf
    assert Interval.of([5.0] * 40) == Interval(5.0, 0.0)


def test_profit_is_income_less_costs():
    books = Books(income=10, reward=20, fixed=2, traffic=20, work=1, performance=1)
    assert books.profit(0.1) == pytest.approx(6)


def test_where_an_attack_begins_to_pay():
    def pays(lost, saved):
        one = Interval(0.0, 0.0)
        return Comparison(Setting(LAZY, 0.2, 1, 1), one, one, 1.0, lost, saved, 1.0, 1.0, 1.0).pays

    assert pays(lost=2, saved=4) == "above 50.0 %"
    assert pays(lost=-1, saved=-4) == "below 25.0 %"
    assert pays(lost=2, saved=-1) == pays(lost=2, saved=0) == "never"
    assert pays(lost=-1, saved=3) == "always"
    assert pays(lost=0, saved=0) == "no difference"


def test_the_honest_run_is_read_at_the_same_places(pairs):
    honest, attack = pairs[0]
    ours = [a for a in attack.agents if a.attacks]
    told = books_of(honest, 0.2)
    same = [a for a in honest.agents if (a.role, a.rank) in {(o.role, o.rank) for o in ours}]
    assert told.income == pytest.approx(sum(a.operator_wei for a in same) / 1e18)
    assert told.reward > told.income
    assert books_of(attack, 0.2).work < told.work


def test_a_lazy_coalition_loses(pairs):
    found = compare(pairs, 0.2)
    assert found.verdict == "loses"
    assert found.income.mean < found.profit.mean < 0  # it saved something
    assert 0 < found.traffic < 0.5
    assert found.pays.startswith("above")


def test_a_comparison_with_itself_is_even(pairs):
    honest = [(one, one) for one, _ in pairs]
    found = compare(honest, 0.2)
    assert (found.profit.mean, found.verdict) == (0, "even")
