"""The bench of balance: its arithmetic, and a short run with real nodes."""

from collections import Counter

import pytest

from tools.bench.balance import CAPACITIES, NETWORK_ROLES, Plan, Tally, report, run

SHARES = dict(enumerate(CAPACITIES * 3, start=1))


def told(circuits, cells, transfers=15_000):
    tally = Tally(0, Counter(circuits), transfers)
    return report(Plan(15_000), tally, cells, 1.0)


def test_loads_like_capacities_do_not_deviate():
    even = {index: 1000 * share for index, share in SHARES.items()}
    data = told(even, even)
    assert data["max_deviation_percent"] == data["max_bytes_deviation_percent"] == 0
    assert data["passed"]
    assert [row["position"] for row in data["results"]] == ["entry"] * 4 + ["middle"] * 4 + [
        "exit"
    ] * 4
    smallest = data["results"][0]
    assert smallest["capacity_share"] == pytest.approx(1 / 15, abs=1e-4)
    # (p (1 - p) / n) ** 0.5 / p of a binomial distribution
    assert smallest["binomial_error_percent"] == pytest.approx(100 * (14 / 15_000) ** 0.5, abs=0.01)


@pytest.mark.parametrize("what", ["circuits", "transfers"])
def test_a_node_that_carries_a_quarter_more_fails(what):
    loads = {index: 1000 * share for index, share in SHARES.items()}
    uneven = {**loads, 5: 1250}
    if what == "circuits":
        data = told(uneven, loads)
        assert 20 < data["max_deviation_percent"] < 25
        assert data["max_bytes_deviation_percent"] == 0
    else:
        data = told(loads, loads, transfers=14_000)
    assert not data["passed"]


def test_bytes_are_the_nodes_own_count():
    loads = {index: 1000 * share for index, share in SHARES.items()}
    data = told(loads, {**loads, 12: 4000})
    assert data["max_deviation_percent"] == 0
    assert data["max_bytes_deviation_percent"] > 30


@pytest.mark.long
@pytest.mark.timeout(600)
def test_load_follows_capacity():
    data = run(Plan(1_500, 8_192))
    assert len(data["results"]) == len(NETWORK_ROLES)
    assert data["transfers"] == 1_500, data["failures"]
    for row in data["results"]:
        # four times the error of a count, which a fair choice exceeds once in 16,000
        allowed = 4 * row["binomial_error_percent"]
        assert abs(row["deviation_percent"]) < allowed
        assert abs(row["bytes_deviation_percent"]) < allowed + 3
