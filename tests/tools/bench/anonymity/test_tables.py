"""The page shows the committed result and nothing else."""

import json
from pathlib import Path

import pytest

from tools.bench.anonymity.charts import charts
from tools.bench.anonymity.tables import COLUMNS, tables

DOCS = Path(__file__).parents[4] / "docs"


@pytest.fixture(scope="module")
def data():
    newest = max((DOCS / "reference" / "benchmarks").glob("*-anonymity.json"))
    return json.loads(newest.read_text())["data"]


@pytest.mark.parametrize("name", [*COLUMNS, "delay"])
def test_the_page_shows_the_table(data, name):
    page = (DOCS / "explanation" / "anonymity.md").read_text()
    assert tables(data)[name] in page


def test_the_charts_are_of_the_result(data):
    for name, content in charts(data).items():
        assert (DOCS / "assets" / name).read_text() == content


def test_the_result_passed_its_checks(data):
    assert data["passed"]
    assert len(data["checks"]) > 20
    assert max(data["users"]) == 1_000_000
