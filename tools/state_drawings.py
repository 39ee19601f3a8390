"""Drawings of the state machines, made from their tables: `python -m tools.state_drawings`.

States stand below each other in the order of their enumeration. What leads down passes on the
right, what leads back up on the left; a step to the next state is a straight arrow. With `--check`
nothing is written, and a drawing that differs from its table is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from html import escape
from pathlib import Path
from typing import Any, Final

from node.circuit import states

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "assets" / "states"

Table = Mapping[tuple[Any, Any], Any]

MACHINES: Final[dict[str, tuple[str, Table]]] = {
    "relay-circuit": ("A circuit at a relay", states.RELAY_TABLE),
    "origin-circuit": ("A circuit at its client", states.ORIGIN_TABLE),
    "stream": ("A stream at either end", states.STREAM_TABLE),
    "rekey": ("The rekey of one hop", states.REKEY_TABLE),
}
"""Title and table of every drawing, by file name."""

_STEP: Final = 18
_LANE: Final = 16
_GAP: Final = 46
_MARGIN: Final = 24
_LETTER: Final = 7.2
_SMALL_LETTER: Final = 6.2
_STYLE: Final = (
    ".b{fill:#e0f2fe;stroke:#0369a1;stroke-width:1.5}.f{fill:#fef3c7;stroke:#0369a1;stroke-width:3}"
    ".e{fill:#f1f5f9;stroke:#334155;stroke-width:1.5;stroke-dasharray:5 4}"
    ".l{stroke:#334155;stroke-width:1.3;fill:none;marker-end:url(#a)}"
    ".h{fill:#0f172a;font-weight:600}.t{fill:#0f172a;text-anchor:middle;font-weight:600}.s{fill:#475569;font-size:12px;"
    "text-anchor:middle}.c{fill:#b45309;font-size:11px}"
)
_SVG: Final = (
    'xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="t d" '
    'font-family="ui-sans-serif, system-ui, sans-serif" font-size="14"'
)
_MARKER: Final = (
    '<defs><marker id="a" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" '
    'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 10 5 0 10z" fill="#334155"/>'
    "</marker></defs>"
)


@dataclass(frozen=True, slots=True)
class Arrow:
    """One way from a state to another.

    Attributes:
        start: number of the state it leaves.
        end: number of the state it leads to.
        label: the changes that take it.
    """

    start: int
    end: int
    label: str

    @property
    def is_straight(self) -> bool:
        """Whether it leads to the state right below."""
        return self.end == self.start + 1


def arrows_of(table: Table, order: list[Enum]) -> list[Arrow]:
    """Return one arrow for each pair of states that the table joins."""
    joined: dict[tuple[int, int], list[str]] = {}
    for (before, change), after in table.items():
        joined.setdefault((order.index(before), order.index(after)), []).append(change.name)
    return [Arrow(start, end, ", ".join(names)) for (start, end), names in joined.items()]


def draw(title: str, table: Table) -> str:
    """Return the drawing of a table as SVG; the same table gives the same text."""
    first, _ = next(iter(table))
    states_of: type[Enum] = type(first)
    order = list(states_of)
    return _Drawing(title, order, arrows_of(table, order)).svg()


class _Drawing:
    """Lays one table out."""

    def __init__(self, title: str, order: list[Enum], arrows: list[Arrow]) -> None:
        self._title = title
        self._order = order
        self._straight = [arrow for arrow in arrows if arrow.is_straight]
        bent = [arrow for arrow in arrows if not arrow.is_straight]
        bent.sort(key=lambda arrow: (abs(arrow.end - arrow.start), arrow.start, arrow.end))
        self._right = [arrow for arrow in bent if arrow.end > arrow.start]
        self._left = [arrow for arrow in bent if arrow.end < arrow.start]
        most = max(self._ports(number) for number in range(len(order)))
        self._height = 40 + _STEP * max(1, most - 1)
        words = max(max(len(state.value) * _SMALL_LETTER, len(state.name) * 9) for state in order)
        self._width = round(words) + 28
        self._box_x = _MARGIN + self._side(self._left)
        self._total = self._box_x + self._width + self._side(self._right) + _MARGIN

    def _ports(self, number: int) -> int:
        sides = (self._right, self._left)
        return max(sum(number in {arrow.start, arrow.end} for arrow in side) for side in sides)

    @staticmethod
    def _side(arrows: list[Arrow]) -> int:
        """Room beside the boxes: the longest label, then one lane for each arrow."""
        if not arrows:
            return 0
        return _label_room(arrows) + _LANE * len(arrows)

    def _top(self, number: int) -> int:
        return _MARGIN + 30 + number * (self._height + _GAP)

    def svg(self) -> str:
        """Return the whole picture."""
        bottom = self._top(len(self._order) - 1) + self._height + _MARGIN
        parts = [
            f'<svg {_SVG} viewBox="0 0 {self._total} {bottom}">',
            f'<title id="t">{escape(self._title)}</title>',
            f'<desc id="d">{escape(self._told())}</desc>',
            f"<style>{_STYLE}</style>",
            _MARKER,
            f'<rect width="{self._total}" height="{bottom}" fill="#fff"/>',
            f'<text class="h" x="{_MARGIN}" y="{_MARGIN + 8}">{escape(self._title)}</text>',
            *(self._box(number) for number in range(len(self._order))),
            *(self._arrow_down(arrow) for arrow in self._straight),
            *(self._arrow_round(arrow, self._right, 1) for arrow in self._right),
            *(self._arrow_round(arrow, self._left, -1) for arrow in self._left),
        ]
        return "\n".join([*parts, "</svg>", ""])

    def _told(self) -> str:
        everything = sorted(
            self._straight + self._right + self._left, key=lambda arrow: (arrow.start, arrow.end)
        )
        names = [state.name for state in self._order]
        steps = (f"{names[a.start]} becomes {names[a.end]} by {a.label}" for a in everything)
        return "; ".join(steps) + "."

    def _box(self, number: int) -> str:
        state = self._order[number]
        leaves = any(arrow.start == number for arrow in self._straight + self._right + self._left)
        kind = "f" if number == 0 else "b" if leaves else "e"
        x, y = self._box_x, self._top(number)
        middle = x + self._width // 2
        return (
            f'<rect class="{kind}" x="{x}" y="{y}" width="{self._width}" '
            f'height="{self._height}" rx="8"/>'
            f'<text class="t" x="{middle}" y="{y + self._height // 2 - 3}">{state.name}</text>'
            f'<text class="s" x="{middle}" y="{y + self._height // 2 + 14}">'
            f"{escape(state.value)}</text>"
        )

    def _arrow_down(self, arrow: Arrow) -> str:
        x = self._box_x + self._width // 2
        y = self._top(arrow.start) + self._height
        return (
            f'<path class="l" d="M{x} {y}V{y + _GAP - 1}"/>'
            f'<text class="c" x="{x + 8}" y="{y + _GAP // 2 + 4}">{arrow.label}</text>'
        )

    def _arrow_round(self, arrow: Arrow, side: list[Arrow], sign: int) -> str:
        """Leave a box sideways, run along a lane of its own, and come back."""
        edge = self._box_x + (self._width if sign > 0 else 0)
        lane = edge + sign * (_label_room(side) + _LANE * side.index(arrow))
        start, end = self._port(arrow.start, arrow, side), self._port(arrow.end, arrow, side)
        anchor = "start" if sign > 0 else "end"
        return (
            f'<path class="l" d="M{edge} {start}H{lane}V{end}H{edge + sign}"/>'
            f'<text class="c" x="{edge + sign * 6}" y="{start - 4}" text-anchor="{anchor}">'
            f"{arrow.label}</text>"
        )

    def _port(self, number: int, arrow: Arrow, side: list[Arrow]) -> int:
        """Height at which an arrow touches a box: those that leave above those that come."""
        leaving = [other for other in side if other.start == number]
        coming = [other for other in side if other.end == number]
        return self._top(number) + 22 + _STEP * (leaving + coming).index(arrow)


def _label_room(arrows: list[Arrow]) -> int:
    return round(max(len(arrow.label) for arrow in arrows) * _LETTER) + 20


def main(arguments: list[str]) -> int:
    """Write the drawings, or with `--check` compare them."""
    check = arguments == ["--check"]
    stale = []
    for name, (title, table) in MACHINES.items():
        path, drawing = FOLDER / f"{name}.svg", draw(title, table)
        if not path.is_file() or path.read_text(encoding="utf-8") != drawing:
            stale.append(path.name)
            if not check:
                FOLDER.mkdir(parents=True, exist_ok=True)
                path.write_text(drawing, encoding="utf-8")
    if check and stale:
        sys.stderr.write(f"differ from their tables: {', '.join(stale)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
