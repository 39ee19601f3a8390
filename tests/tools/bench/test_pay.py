"""The bench of payments measures what it says."""

from tools.bench.pay import ANCHORS, run


def test_every_figure_is_measured_and_every_anchor_stands_beside_one():
    data = run(10)
    rows = {row["name"]: row for row in data["results"]}
    assert len(rows) == len(data["results"])
    assert all(row["qnet"] > 0 and row["n"] >= 1 for row in rows.values())
    assert {anchor.figure for anchor in ANCHORS} <= rows.keys()
    assert all(beside["QNet"] for beside in data["anchors"])
    assert rows["bytes a unit"]["qnet"] <= 64
