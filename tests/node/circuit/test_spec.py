"""The tables of docs/spec/circuits.md say what the code does."""

import importlib
import re
from pathlib import Path

import pytest

from node.circuit import states
from node.circuit.cell import Command
from node.circuit.messages import FORMS, EndReason, MessageType
from qnet.parameters import BOUNDS

PAGE = (Path(__file__).parents[3] / "docs" / "spec" / "circuits.md").read_text(encoding="utf-8")


def rows(section, columns):
    """Table rows of a section, as lists of cells."""
    text = PAGE.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    found = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|") and not line.startswith("|---")
    ]
    return [row for row in found if len(row) == columns]


CONSTANTS = [row for row in rows("Constants", 4) if row[0].startswith("`")]


@pytest.mark.parametrize(("name", "value"), [(row[0].strip("`"), row[1]) for row in CONSTANTS])
def test_constants(name, value):
    module, _, constant = name.rpartition(".")
    assert getattr(importlib.import_module(f"node.circuit.{module}"), constant) == float(value)


def test_there_are_constants():
    assert len(CONSTANTS) > 30


def test_commands():
    assert {row[0]: int(row[1]) for row in rows("Cells", 4)[1:]} == {
        command.name: command.value for command in Command
    }


def test_messages():
    table = rows("Messages", 5)[1:]
    assert {row[0]: int(row[1]) for row in table} == {
        kind.name: kind.value for kind in MessageType if kind
    }
    for name, _, direction, stream, _ in table:
        form = FORMS.get(MessageType[name])
        if form is not None:
            assert ("f" in direction, "b" in direction) == (form.forward, form.backward)
            assert form.on_stream == (stream == "≠ 0")


def test_reasons():
    assert {row[0]: int(row[1]) for row in rows("Ends", 3)[1:]} == {
        reason.name: reason.value for reason in EndReason
    }


def test_states():
    listed = [tuple(row) for row in rows("States", 3) if row[0] != "from"]
    tables = (
        states.RELAY_TABLE,
        states.ORIGIN_TABLE,
        states.STREAM_TABLE,
        states.REKEY_TABLE,
    )
    assert listed == [
        (before.name, change.name, after.name)
        for table in tables
        for (before, change), after in table.items()
    ]


def test_parameters_exist():
    named = PAGE.split("Network parameters used:", 1)[1].split(".", 1)[0]
    assert set(re.findall(r"`(\w+)`", named)) <= set(BOUNDS)


def test_requirements_are_numbered_once():
    numbers = re.findall(r"\*\*(QN-CIR-\d{3})\*\*", PAGE)
    assert len(numbers) == len(set(numbers)) > 40
    assert numbers == sorted(numbers)
