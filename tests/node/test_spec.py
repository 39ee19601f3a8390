"""The table of docs/spec/exits-and-clients.md says what the code does."""

import importlib
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "spec" / "exits-and-clients.md"
ROW = re.compile(r"^\| `([\w.]+)\.([A-Z_]+)` \| ([\d,]+) \|", re.MULTILINE)
ROWS = ROW.findall(PAGE.read_text("utf-8"))


@pytest.mark.parametrize(("module", "name", "value"), ROWS)
def test_constants(module, name, value):
    found = getattr(importlib.import_module(f"node.{module}"), name)
    assert found == int(value.replace(",", ""))


def test_the_table_was_read():
    assert len(ROWS) >= 33


def test_requirements_are_numbered_once():
    numbers = re.findall(r"\*\*(QN-[A-Z]+-\d{3})\*\*", PAGE.read_text("utf-8"))
    assert len(numbers) == len(set(numbers)) >= 28
