"""The whole bench on a small network, and its command."""

import json
import xml.etree.ElementTree as ET
from functools import partial

import pytest
from click.testing import CliRunner

from tools.bench.anonymity import flows, many_messages, one_message, run
from tools.bench.anonymity.charts import charts
from tools.bench.anonymity.checks import Check, checks
from tools.bench.anonymity.delays import entropy_width_s
from tools.bench.anonymity.hostile_nodes import cost
from tools.bench.anonymity.one_message import delay, expected_set, message
from tools.bench.anonymity.rows import generator, percent, rounded
from tools.bench.anonymity.setting import MIXES_MAX, MIXES_MIN, Crowd, Mode, crowd_of, mixes_for
from tools.bench.cli import bench


@pytest.fixture
def small(monkeypatch):
    """Less of what takes long; in one process, which sees it."""
    monkeypatch.setattr(run, "DELAYS_S", (0.01, 0.03))
    monkeypatch.setattr(run, "LOADS", (100, 1_000))
    monkeypatch.setattr(run, "MIXES", (1, 10))
    monkeypatch.setattr(run, "DAYS_ONLINE", 50)
    monkeypatch.setattr(run, "EPOCHS", 20)
    monkeypatch.setattr(one_message, "DRAWS", 20_000)
    monkeypatch.setattr(run, "TRACED_PACKETS", 5_000)
    monkeypatch.setattr(run, "YEAR_USERS", 300)
    monkeypatch.setattr(run, "WATCHED_S", (10.0, 60.0))
    monkeypatch.setattr(run, "FLOW_DELAYS_S", (0.3,))
    monkeypatch.setattr(many_messages, "match", partial(flows.match, targets=20, strangers=200))
    monkeypatch.setattr(many_messages, "MESSAGES_MOST", 300)
    monkeypatch.setattr(run, "on_processors", lambda task, items, _: [task(one) for one in items])


@pytest.mark.timeout(300)
def test_the_command_measures_draws_and_checks(small, tmp_path):
    args = ["anonymity", "--users", "300", "--worlds", "2", "--plots", str(tmp_path)]
    result = CliRunner().invoke(bench, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    names = {path.name for path in tmp_path.iterdir()}
    assert {"anonymity-modes.svg", "anonymity-delay.svg"} <= names
    assert "holds" in result.output


@pytest.mark.timeout(300)
def test_a_run_fills_every_table(small):
    plan = run.Plan((300, 1_000), worlds=2, days=3)
    found = run.gather(plan)
    assert json.loads(json.dumps(found)) == found
    for rows in found.values():
        assert all(set(row) == set(rows[0]) for row in rows)
    assert all(check.holds for check in checks(found))
    summary = list(run.summary(found))
    assert [(row["mode"], row["users"]) for row in summary[:2]] == [
        ("fast circuits", 300),
        ("fast circuits", 1_000),
    ]
    assert len(summary) == 6
    for content in charts(found).values():
        ET.fromstring(content)


def test_rows_repeat():
    crowd = crowd_of(Mode.COVERED, 300)
    assert message(Mode.MIX, 300, 2, links=True) == message(Mode.MIX, 300, 2, links=True)
    assert many_messages.talk("x", 300, crowd, 3) == many_messages.talk("x", 300, crowd, 3)


def test_a_wrong_closed_form_is_told():
    assert Check("right", 1.01, 0.0, 1.0).holds
    assert Check("within the interval", 1.5, 0.2, 1.0).holds
    assert not Check("wrong", 1.5, 0.01, 1.0).holds


def test_mixes_follow_the_load():
    assert mixes_for(10) == MIXES_MIN
    assert mixes_for(100_000) == 16
    assert mixes_for(10**9) == MIXES_MAX


def test_circuits_are_seen_while_active():
    assert crowd_of(Mode.CIRCUITS, 1_000).users == 100
    assert crowd_of(Mode.MIX, 1_000).load == pytest.approx(50)


def test_loads_too_large_to_simulate_keep_the_closed_form():
    row = delay(1_000_000, 1.0, 2)
    assert row["effective set"] is None
    assert 900_000 < row["expected"] < 1_000_000


def test_the_expected_set_of_users_with_one_packet_is_the_closed_form():
    crowd = Crowd(10**6, 0.001, 0.03)
    assert expected_set(crowd) == pytest.approx(crowd.load * entropy_width_s(0.03), rel=0.02)


def test_covers_hide_better_than_none():
    mix, covered = (message(mode, 1_000, 3, links=True) for mode in (Mode.MIX, Mode.COVERED))
    assert covered["effective set"] > 5 * mix["effective set"]


def test_what_covers_cost():
    row = cost("one a second", 1.0)
    assert row["MB per day"] == pytest.approx(2336 * 86400 / 1e6, rel=1e-3)


def test_figures_are_short_and_chance_repeats():
    assert rounded(1234.567) == 1235
    assert percent(0.123456) == 12.35
    assert generator("a", 1).random() == generator("a", 1).random()
    assert generator("a", 1).random() != generator("a", 2).random()
