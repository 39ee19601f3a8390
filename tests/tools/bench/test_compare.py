import json
import os

import pytest
from click.testing import CliRunner

from qnet.cli.root import root
from qnet.errors import NetworkError
from tools.bench import tor, wire
from tools.bench.circuit import Plan
from tools.bench.compare import Comparison, Course, Pair, courses_of, pooled, whole
from tools.bench.place import HERE
from tools.bench.subject import resident_bytes

needs_tor = pytest.mark.skipif(bool(tor.missing()), reason=f"{tor.missing()}: scripts/bench-peers")
needs_wires = pytest.mark.skipif(bool(wire.unusable()), reason=f"wires: {wire.unusable()}")


def bench(*words):
    return CliRunner().invoke(root, ["bench", "circuit", *words])


def test_the_ratio_says_how_many_times_better_we_are():
    rate = Pair(
        "throughput",
        "MB/s",
        more_is_better=True,
        samples={"qnet": [60.0, 90.0, 61.0], "tor": [20.0, 20.0]},
    )
    row = rate.row()
    assert (row["qnet"], row["peer"], row["ratio"], row["n"]) == (61.0, 20.0, 3.05, 2)
    assert (row["spread"], row["peer_spread"]) == (7.5, 0.0)
    assert Pair("build", "ms", samples={"qnet": [5.0], "tor": [40.0]}).row()["ratio"] == 8.0
    for ours, theirs in ((0.0, 4.0), (4.0, 0.0)):
        pair = Pair("memory", "KiB", samples={"qnet": [ours], "tor": [theirs]})
        assert pair.row()["ratio"] is None


def test_networks_are_pooled_and_told_apart():
    def pair(*rates):
        return Pair("rate", "MB/s", more_is_better=True, samples={"qnet": [100.0], "tor": [*rates]})

    memory = Pair("memory", "KiB", samples={"qnet": [1.0], "tor": [1.0]})
    rate, once = pooled([{"memory": memory, "rate": pair(10.0, 12.0)}, {"rate": pair(40.0)}])
    assert (rate["peer"], rate["ratio"]) == (12.0, 8.33)
    assert rate["networks"] == {"qnet": [100.0, 100.0], "peer": [11.0, 40.0]}
    assert (once["name"], "networks" in once) == ("memory", False)


def test_a_failure_is_tried_again_and_says_whose_it_is(monkeypatch):
    told = []
    monkeypatch.setattr("tools.bench.compare.say", told.append)
    comparison = Comparison({"qnet": None, "tor": None}, None, HERE, Plan())
    calls = []

    def fail(who, _subject):
        calls.append(who)
        if who == "tor":
            raise NetworkError("short", why="closed")

    with pytest.raises(NetworkError, match="tor failed") as caught:
        comparison._each(fail)
    assert caught.value.why == "closed"
    assert calls == ["qnet", "tor", "tor", "tor"]
    assert told == ["tor failed: closed; once more"] * 2


def test_both_are_measured_in_turn():
    order = []
    comparison = Comparison({"qnet": None, "tor": None}, None, HERE, Plan())
    for _ in range(2):
        comparison._each(lambda who, _subject: order.append(who))
    assert order == ["qnet", "tor", "qnet", "tor"]


def test_memory_of_a_process():
    assert resident_bytes(os.getpid()) > 2**20


def test_one_call_takes_loopback_and_both_wires():
    plan = Plan(64, (1, 4), 5, 20)
    loopback, near, far = whole(plan, None, 3)
    assert loopback == Course(Plan(64, (1, 4), 5, 7), 0.0, 1000, networks=3)
    assert near.plan == far.plan == Plan(32, (1, 4), 3, 10)
    assert (near.words, far.words) == (" at 3 x 50 ms", " at 3 x 100 ms")
    assert whole(plan, 0, 1)[0] == Course(plan)


def test_chosen_wires_all_get_the_whole_plan():
    plan = Plan()
    assert courses_of(plan, (), 10) == [Course(plan, 0.0, 10)]
    assert courses_of(plan, (0.0, 300.0), None) == [Course(plan, 0.0), Course(plan, 300.0)]


def test_without_a_peer_there_is_no_ratio():
    row = Pair("build", "ms", samples={"qnet": [5.0, 7.0], "tor": []}).row()
    assert (row["qnet"], row["n"]) == (6.0, 2)
    assert row["peer"] is row["ratio"] is None


@pytest.mark.parametrize("duration", ["fast", "-1ms", "2001ms", "nan"])
def test_a_round_trip_is_checked(duration):
    result = bench("--peer", "tor", "--wire", duration)
    assert result.exit_code == 2
    assert "not a round trip" in result.output


@needs_tor
@pytest.mark.long
@pytest.mark.timeout(300)
def test_side_by_side_on_loopback():
    small = ("--size-mib", "1", "--repeats", "2", "--builds", "2", "--idle", "20", "--json")
    result = bench("--peer", "tor", "--wire", "0ms", *small)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["schema"] == "qnet.bench.circuit/1"
    data = told["data"]
    assert data["peer"]["version"] == tor.version()
    assert data["results"][0]["name"] == "throughput, 1 stream"
    rows = {row["name"]: row for row in data["results"]}
    assert {"throughput, 4 streams", "circuit build", "first byte, ready circuit"} <= set(rows)
    assert "memory of 1,000 idle circuits, relay" in rows
    assert all(row["n"] >= 1 for row in rows.values())
    assert all(row["ratio"] > 0 for row in rows.values() if row["unit"] in {"MB/s", "ms"})


@needs_tor
@needs_wires
@pytest.mark.long
@pytest.mark.timeout(300)
def test_side_by_side_over_wires():
    small = ("--size-mib", "1", "--repeats", "1", "--builds", "2", "--streams", "1", "--json")
    result = bench("--peer", "tor", "--wire", "50ms", *small)
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)["data"]
    assert data["courses"] == [{"link_round_trip_ms": 50, "size_mib": 1}]
    build = next(row for row in data["results"] if row["name"] == "circuit build at 3 x 50 ms")
    assert build["qnet"] >= 150
    assert build["peer"] >= 300
