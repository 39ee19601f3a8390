"""The table of docs/spec/mixnet.md says what the code does, and its attacks have tests."""

import importlib
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "spec" / "mixnet.md").read_text(encoding="utf-8")
CONSTANTS = re.findall(r"^\| `([\w.]+)\.([A-Z_]+)` \| ([\d.e-]+) \|", PAGE, re.MULTILINE)
NUMBERS = re.findall(r"\*\*(QN-MIX-\d{3})\*\*", PAGE)


@pytest.mark.parametrize(("module", "name", "value"), CONSTANTS)
def test_constants(module, name, value):
    path = module if module.startswith("node.") else f"node.mix.{module}"
    assert getattr(importlib.import_module(path), name) == float(value)


def test_there_are_constants_and_rules():
    assert len(CONSTANTS) > 35
    assert len(NUMBERS) == len(set(NUMBERS)) > 40


def test_frame_kinds():
    kinds = importlib.import_module("node.mix.frame").FrameKind
    table = re.findall(r"^\| ([A-Z]+) \| (\d) \|", PAGE, re.MULTILINE)
    assert {name: int(code) for name, code in table} == {kind.name: kind.value for kind in kinds}


def test_every_attack_of_the_table_is_a_test():
    named = set(re.findall(r"`(test_\w+)`", PAGE.split("## Attacks")[1]))
    folder = Path(__file__).parent
    tests = folder.parents[1]
    paths = [*folder.rglob("test_*.py"), tests / "integration" / "test_mix.py"]
    paths.append(tests / "node" / "io" / "test_mix_role.py")
    written = {
        name
        for path in paths
        for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 14
    assert named <= written
