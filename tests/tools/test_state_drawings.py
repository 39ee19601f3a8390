"""The committed drawings are those of the tables."""

import re
from enum import Enum
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tools import state_drawings
from tools.state_drawings import FOLDER, MACHINES, draw, main

SVG = "{http://www.w3.org/2000/svg}"
PAGE = Path(__file__).parents[2] / "docs" / "spec" / "circuits.md"


@pytest.mark.parametrize("name", MACHINES)
def test_a_committed_drawing_is_that_of_its_table(name):
    assert (FOLDER / f"{name}.svg").read_text(encoding="utf-8") == draw(*MACHINES[name])


def test_there_is_no_other_drawing_and_the_page_shows_all():
    assert {path.stem for path in FOLDER.iterdir()} == set(MACHINES)
    shown = re.findall(r"\(\.\./assets/states/([a-z-]+)\.svg\)", PAGE.read_text(encoding="utf-8"))
    assert shown == list(MACHINES)


@pytest.mark.parametrize("name", MACHINES)
def test_a_drawing_shows_every_state_and_every_change(name):
    title, table = MACHINES[name]
    root = ET.fromstring(draw(title, table))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    for (before, change), after in table.items():
        assert {before.name, after.name} <= set(texts)
        assert any(change.name in text.split(", ") for text in texts)
    pairs = {(before, after) for (before, _), after in table.items()}
    assert sum(path.get("class") == "l" for path in root.iter(f"{SVG}path")) == len(pairs)


def test_nothing_leaves_the_picture():
    for title, table in MACHINES.values():
        root = ET.fromstring(draw(title, table))
        _, _, width, height = map(int, root.get("viewBox").split())
        for box in root.iter(f"{SVG}rect"):
            assert int(box.get("x", 0)) + int(box.get("width")) <= width
            assert int(box.get("y", 0)) + int(box.get("height")) <= height
        for path in root.iter(f"{SVG}path"):
            if path.get("class") == "l":
                lanes = [int(x) for x in re.findall(r"[MH](\d+)", path.get("d"))]
                assert all(0 < x < width for x in lanes)


class Light(Enum):
    GREEN = "go <on>"
    RED = "stop"


class Press(Enum):
    BUTTON = "somebody wants to cross"
    TIME = "it is over"


def test_the_command_writes_checks_and_tells_what_is_stale(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(state_drawings, "FOLDER", tmp_path / "new")
    table = {(Light.GREEN, Press.BUTTON): Light.RED}
    monkeypatch.setattr(state_drawings, "MACHINES", {"light": ("A light", table)})
    assert main(["--check"]) == 1
    assert "light.svg" in capsys.readouterr().err
    assert main([]) == 0
    assert main(["--check"]) == 0
    assert main([]) == 0
    table[Light.RED, Press.TIME] = Light.GREEN
    assert main(["--check"]) == 1
    assert "go &lt;on&gt;" in (tmp_path / "new" / "light.svg").read_text(encoding="utf-8")
