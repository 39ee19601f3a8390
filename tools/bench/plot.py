"""Line charts as SVG, without a library: axes, lines with error bars, a legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 860
HEIGHT: Final = 420
LEFT, RIGHT, TOP, BOTTOM = 64, 300, 40, 52
COLOURS: Final = (
    "#0b6e99", "#d9480f", "#2b8a3e", "#862e9c", "#c2255c", "#5f3dc4",
    "#e8a200", "#087f5b", "#495057", "#1864ab", "#a61e4d",
)  # fmt: skip
_STEPS: Final = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Line:
    """One series.

    Attributes:
        name: For the legend.
        points: (x, y), ascending.
        halves: Half the height of each point's error bar, empty for none.
    """

    name: str
    points: Sequence[tuple[float, float]]
    halves: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis.

    Attributes:
        title: With its unit.
        low: Least value shown; above 0 where `log` is set.
        high: Greatest value shown.
        log: Whether equal distances are equal factors.
    """

    title: str
    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value lies between both ends, 0 to 1."""
        inside = min(max(value, self.low), self.high)
        if self.log:
            return math.log(inside / self.low) / math.log(self.high / self.low)
        return (inside - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """About six round values, or the powers of ten."""
        if self.log:
            first = math.ceil(math.log10(self.low) - 1e-9)
            last = math.floor(math.log10(self.high) + 1e-9)
            return [10.0**power for power in range(first, last + 1)]
        rough = (self.high - self.low) / 6
        unit = 10 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in _STEPS if unit * factor >= rough)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [place * step for place in range(first, last + 1)]


def chart(title: str, across: Axis, up: Axis, lines: Sequence[Line]) -> str:
    """A chart; points outside the axes are drawn at their border."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12" role="img">'
    )
    parts = [
        head,
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="22" font-size="15" fill="#222">{escape(title)}</text>',
        *_grid(across, up),
    ]
    for place, line in enumerate(lines):
        parts += _line(line, COLOURS[place % len(COLOURS)], place, across, up)
    return "\n".join([*parts, "</svg>", ""])


def _x(value: float, axis: Axis) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * axis.place(value), 1)


def _y(value: float, axis: Axis) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * axis.place(value), 1)


def _grid(across: Axis, up: Axis) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for value in up.ticks():
        y = _y(value, up)
        colour = "#888" if abs(value) < 1e-9 else "#e4e4e4"
        parts.append(f'<path d="M{LEFT} {y}H{right}" stroke="{colour}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{value:g}</text>')
    for value in across.ticks():
        x = _x(value, across)
        parts.append(f'<path d="M{x} {bottom}v5" stroke="#888"/>')
        parts.append(f'<text x="{x}" y="{bottom + 20}" text-anchor="middle">{value:g}</text>')
    middle = (LEFT + right) / 2
    parts.append(f'<path d="M{LEFT} {TOP}V{bottom}H{right}" stroke="#888" fill="none"/>')
    parts.append(
        f'<text x="{middle:g}" y="{HEIGHT - 12}" text-anchor="middle">{escape(across.title)}</text>'
    )
    height = (TOP + bottom) / 2
    parts.append(
        f'<text transform="translate(16 {height:g}) rotate(-90)" text-anchor="middle">'
        f"{escape(up.title)}</text>"
    )
    return parts


def _line(line: Line, colour: str, place: int, across: Axis, up: Axis) -> list[str]:
    places = [(_x(x, across), _y(y, up)) for x, y in line.points]
    path = " ".join(f"{x},{y}" for x, y in places)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places]
    for (x, y), half in zip(line.points, line.halves, strict=False):
        low, high = _y(y - half, up), _y(y + half, up)
        parts.append(f'<path d="M{_x(x, across)} {low}V{high}" stroke="{colour}"/>')
    row, column = TOP + 8 + 20 * place, WIDTH - RIGHT + 14
    parts.append(f'<path d="M{column} {row}h18" stroke="{colour}" stroke-width="3"/>')
    parts.append(f'<text x="{column + 24}" y="{row + 4}">{escape(line.name)}</text>')
    return parts
