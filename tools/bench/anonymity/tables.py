"""Tables of docs/explanation/anonymity.md, made from a result: no figure is copied by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tools.bench.anonymity.rows import Row

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "message": (
        "mode",
        "users",
        "adversary sees",
        "mixes in a layer",
        "effective set",
        "ci95",
        "entropy bits",
        "min-entropy bits",
        "best guess %",
    ),
    "layer": (
        "load per s",
        "mixes in a layer",
        "packets in a mix",
        "effective set",
        "ci95",
        "best guess %",
    ),
    "inside": ("hostile %", "effective set", "ci95", "best guess %"),
    "talk": (
        "case",
        "users",
        "packets per s",
        "delay ms",
        "messages until 90% sure",
        "fewest",
        "most",
        "closed form",
    ),
    "circuits": (
        "hostile %",
        "circuits %",
        "ci95",
        "c² %",
        "users hit, no guards %",
        "users hit, guards %",
        "users ci95",
    ),
    "paths": ("hostile %", "mixes in a layer", "packets %", "ci95", "c³ %", "one of 100 packets %"),
    "cost": (),
    "presence": (
        "users",
        "online %",
        "left after 7 days",
        "ci95",
        "closed form",
        "days until alone",
    ),
    "contacts": (),
    "flow": (),
}
"""Columns shown of each table; none for all."""


def tables(data: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by name of the table."""
    found = {
        name: _table(data[name], columns or tuple(data[name][0]))
        for name, columns in COLUMNS.items()
    }
    return found | {"delay": _delays(data["delay"])}


def _table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(row[name]) for name in columns) + " |" for row in rows]
    return "\n".join(lines)


def _delays(rows: Sequence[Row]) -> str:
    """One line for each delay, one column for each load; what is expected in brackets."""
    loads = list(dict.fromkeys(row["load per s"] for row in rows))
    cells = {(row["delay ms"], row["load per s"]): row for row in rows}
    heads = ["mean delay of one mix", *(f"{load:,} packets/s" for load in loads)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for delay in dict.fromkeys(row["delay ms"] for row in rows):
        found = [cells[delay, load] for load in loads]
        shown = [
            f"({_cell(row['expected'])})"
            if row["effective set"] is None
            else f"{_cell(row['effective set'])} ± {_cell(row['ci95'])}"
            for row in found
        ]
        lines.append("| " + " | ".join([f"{delay} ms", *shown]) + " |")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, int | float):
        return f"{value:,}"
    return str(value)
