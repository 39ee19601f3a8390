"""Charts are well-formed and show what they are given."""

import xml.etree.ElementTree as ET

import pytest

from tools.bench.plot import LEFT, Axis, Line, chart

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 50, [0, 10, 20, 30, 40, 50]),
        (-100, 100, [-100, -50, 0, 50, 100]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ],
)
def test_ticks_are_round(low, high, ticks):
    assert Axis("x", low, high).ticks() == pytest.approx(ticks)


def test_a_scale_of_factors():
    axis = Axis("users", 100, 1_000_000, log=True)
    assert axis.ticks() == pytest.approx([100, 1000, 10_000, 100_000, 1_000_000])
    assert axis.place(10_000) == pytest.approx(0.5)
    assert axis.place(1) == 0


def test_a_chart_draws_every_line():
    lines = [Line("one & two", [(0, 0), (5, 1)], [0.1, 0.2]), Line("flat", [(0, 0.5)])]
    root = ET.fromstring(chart("T <1>", Axis("a", 0, 5), Axis("b", 0, 1), lines))
    assert root.find(f"{SVG}title").text == "T <1>"
    assert len(root.findall(f"{SVG}polyline")) == 2
    assert len(root.findall(f"{SVG}circle")) == 3
    assert "one & two" in [text.text for text in root.findall(f"{SVG}text")]
    first = root.find(f"{SVG}circle")
    assert float(first.get("cx")) == LEFT


def test_points_outside_stay_inside():
    far = [Line("far", [(99, -99)])]
    root = ET.fromstring(chart("T", Axis("a", 0, 5), Axis("b", 0, 1), far))
    circle = root.find(f"{SVG}circle")
    assert 0 < float(circle.get("cx")) < 860
    assert 0 < float(circle.get("cy")) < 420
