"""Figures about the network: shares, diversity, totals."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.directory.analytics import (
    Share,
    Spread,
    diversity,
    network_name,
    node_details,
    node_rows,
    overview,
    spread,
    totals,
)
from qnet.messages.consensus_node import ConsensusNode
from tests.support.signed_network import PARAMETERS, PERIOD, make_network

CONSENSUS = make_network().consensus
INTERVAL = PARAMETERS.consensus_interval_s


def spread_of(*weights: float) -> Spread:
    whole = sum(weights)
    shares = [Share(str(place), 1, weight / whole) for place, weight in enumerate(weights)]
    return Spread("test", tuple(sorted(shares, key=lambda one: -one.share)))


@given(st.integers(1, 50))
def test_equal_shares_are_worth_their_number(count: int) -> None:
    found = spread_of(*([1.0] * count))
    assert found.effective == pytest.approx(count)
    assert found.evenness == pytest.approx(1)
    assert found.majority in {count // 2 + 1, (count + 1) // 2}


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=20))
def test_no_spread_is_worth_more_than_its_holders(weights: list[float]) -> None:
    found = spread_of(*weights)
    assert 0.999 <= found.effective <= len(weights) + 1e-6
    assert 0 <= found.evenness <= 1 + 1e-9
    together = sum(one.share for one in found.shares[: found.majority])
    assert together > 0.5 or found.majority == len(weights)


def test_one_holder_of_nearly_everything_shows() -> None:
    found = spread_of(97, 1, 1, 1)
    assert found.majority == 1
    assert found.effective < 1.3
    assert found.to_json(2)["top"][0]["share"] == 0.97
    assert spread_of(1).evenness == 1
    assert Spread("nothing", ()).effective == 0


def moved(**changes: object) -> tuple[ConsensusNode, ...]:
    return tuple(replace(node, **changes) for node in CONSENSUS.nodes)


def test_shares_are_of_weight_or_without_any_of_nodes() -> None:
    by_index = spread(CONSENSUS.nodes, "node", lambda node: str(node.index))
    assert [one.name for one in by_index.shares] == list("87654321")
    assert by_index.shares[0].share == pytest.approx(8 / 36)
    unweighted = spread(moved(weight=0), "node", lambda node: str(node.index))
    assert {one.share for one in unweighted.shares} == {1 / 8}


def test_one_owner_one_family_one_network_are_seen() -> None:
    same = replace(CONSENSUS, nodes=moved(owner=b"\1" * 20, family="we", host="10.7.1.2"))
    found = {one.by: one for one in diversity(same)}
    for by in ("owner", "family", "network", "owner of exit"):
        assert len(found[by].shares) == 1
    assert found["network"].shares[0].name == "10.7.0.0/16"
    apart = {one.by: one for one in diversity(CONSENSUS)}
    assert len(apart["owner"].shares) == len(apart["family"].shares) == 8
    assert {one.name for one in apart["role"].shares} == {"entry", "relay", "exit"}


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("192.0.2.77", "192.0.0.0/16"),
        ("2001:db8:1::5", "2001:db8::/32"),
        ("::ffff:192.0.2.1", "192.0.0.0/16"),
        ("Node.Example", "node.example"),
    ],
)
def test_networks_have_names(host: str, name: str) -> None:
    assert network_name(host) == name


def test_totals_and_overview() -> None:
    assert totals(CONSENSUS.nodes)["entry"] == {"nodes": 3, "usable": 3, "mbps": 240}
    assert totals(moved(weight=0))["entry"]["usable"] == 0
    shown = overview(CONSENSUS, PERIOD + 5)
    assert (shown["age_s"], shown["nodes"], shown["mbps"]) == (5, 8, 640)
    assert shown["measured_nodes"] == 8


@pytest.mark.parametrize(
    ("offset", "state"),
    [
        (-INTERVAL, "from the future: check this machine's clock"),
        (0, "fresh"),
        (2 * INTERVAL + 1, "too old for circuits"),
        (3 * INTERVAL + 1, "too old for anything"),
    ],
)
def test_the_state_names_the_bound(offset: int, state: str) -> None:
    assert overview(CONSENSUS, PERIOD + offset)["state"] == state


def test_rows_are_ordered_by_role_and_weight() -> None:
    rows = node_rows(CONSENSUS)
    assert [row["index"] for row in rows] == [7, 4, 1, 8, 5, 2, 6, 3]
    assert sum(row["share_percent"] for row in rows[:3]) == pytest.approx(100, abs=0.05)
    details = node_details(CONSENSUS.by_index[6], CONSENSUS)
    assert details["policy"] == "accept *:*"
    assert details["share_percent"] == rows[6]["share_percent"]
