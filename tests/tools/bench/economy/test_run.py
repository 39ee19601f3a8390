"""The command and its charts."""

import json
import xml.etree.ElementTree as ET

import pytest
from click.testing import CliRunner

from qnet.cli.root import root
from tools.bench.economy import run as bench
from tools.bench.economy.run import charts, row
from tools.bench.economy.sweep import Plan

SMALL = Plan(epochs=3, runs=2, circuits=60, shares=(0.1,), processes=1)


@pytest.fixture(scope="module")
def result():
    return bench.run(SMALL)


@pytest.mark.timeout(300)
def test_a_result_is_json_and_says_on_what(result):
    data = json.loads(json.dumps(result, allow_nan=False))
    assert data["machine"]["cores"] > 0
    assert (data["epochs"], data["runs"], data["probes_per_result"]) == (3, 2, 12)
    assert {claim["claim"] for claim in data["claims"]} >= set(data["failures"])
    assert data["passed"] == (not data["failures"])
    assert {found["verdict"] for found in data["results"]} <= {"loses", "gains", "even"}
    heads = list(data["results"][0])
    assert all(list(found) == heads for found in data["results"])


@pytest.mark.timeout(300)
def test_charts_are_drawn_from_rows(result, tmp_path):
    written = bench.save_charts(result["results"], tmp_path / "new")
    assert [path.name for path in written] == list(charts(result["results"]))
    for path in written:
        assert ET.parse(path).getroot().tag.endswith("svg")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("passed", "code"), [(True, 0), (False, 1)])
def test_the_command_ends_as_the_claims_do(result, monkeypatch, tmp_path, passed, code):
    asked = []

    def run(plan):
        asked.append(plan)
        return {**result, "passed": passed}

    monkeypatch.setattr(bench, "run", run)
    words = ["bench", "economy", "--epochs", "3", "--runs", "2", "--plots", str(tmp_path), "--json"]
    ended = CliRunner().invoke(root, words)
    assert ended.exit_code == code, ended.output
    assert (asked[0].epochs, asked[0].runs) == (3, 2)
    assert '"schema": "qnet.bench.economy/1"' in ended.output
    assert len(list(tmp_path.glob("*.svg"))) == 2


def test_one_seed_has_no_interval(result):
    assert row.__doc__
    assert all(found["ci95_percent"] is not None for found in result["results"])
