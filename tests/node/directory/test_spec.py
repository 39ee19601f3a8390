"""The rows of docs/spec/directory.md about paths and guards say what the code does."""

import re
from pathlib import Path

import pytest

from node.directory import atlas, guard, path

PAGE = (Path(__file__).parents[3] / "docs" / "spec" / "directory.md").read_text("utf-8")
ROW = re.compile(r"^\| (`[A-Z_`, ]+`) \| ([^|]+) \|", re.MULTILINE)
VALUES = {
    name: int(value.replace(",", ""))
    for names, values in ROW.findall(PAGE)
    for name, value in zip(re.findall(r"`([A-Z_]+)`", names), values.split("; "), strict=True)
    if value.strip().replace(",", "").isdigit()
}


@pytest.mark.parametrize(
    ("module", "name"),
    [
        *((guard, name) for name in ("PRIMARY_GUARDS", "MAX_GUARDS", "MIN_CIRCUITS")),
        *((guard, name) for name in ("LIFETIME_MIN_S", "LIFETIME_MAX_S", "WINDOW_CIRCUITS")),
        *((guard, name) for name in ("MAX_FAILED_PERCENT", "MAX_BROKEN_PERCENT")),
        *((guard, name) for name in ("REPLACEMENT_GAP_S", "MAX_NEW_PER_DAY")),
        (path, "MAX_ATTEMPTS"),
        (atlas, "MAX_TABLE_BYTES"),
        (atlas, "MAX_PREFIXES"),
    ],
)
def test_constants(module, name):
    assert VALUES[name] == getattr(module, name)


def test_requirements_are_numbered_once():
    numbers = re.findall(r"\*\*(QN-DIR-\d{3})\*\*", PAGE)
    assert len(numbers) == len(set(numbers)) > 40
