"""Charts of a result, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.bench.anonymity.rows import Row
from tools.bench.plot import Axis, Line, chart


def charts(data: Mapping[str, Any]) -> dict[str, str]:
    """SVG by file name, from a result."""
    return {
        "anonymity-modes.svg": _modes(data["message"]),
        "anonymity-delay.svg": _delay(data["delay"]),
        "anonymity-conversation.svg": _conversation(data["shrinking"]),
        "anonymity-mixes.svg": _mixes(data["layer"]),
    }


def save_charts(data: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write all charts."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in charts(data).items():
        path = folder / name
        path.write_text(content, "utf-8")
        paths.append(path)
    return paths


def _modes(rows: Sequence[Row]) -> str:
    lines = []
    for mode, seen in dict.fromkeys((row["mode"], row["adversary sees"]) for row in rows):
        some = [row for row in rows if (row["mode"], row["adversary sees"]) == (mode, seen)]
        points = [(row["users"], row["effective set"]) for row in some]
        lines.append(Line(f"{mode}, {seen} seen", points, [row["ci95"] for row in some]))
    return chart(
        "Senders of one message; of one second of a circuit",
        _users(rows),
        Axis("effective anonymity set", 1, 1_000_000, log=True),
        lines,
    )


def _delay(rows: Sequence[Row]) -> str:
    lines = []
    for load in dict.fromkeys(row["load per s"] for row in rows):
        some = [row for row in rows if row["load per s"] == load]
        points = [(row["delay ms"], row["effective set"] or row["expected"]) for row in some]
        lines.append(Line(f"{load:,} packets per second", points))
    return chart(
        "Which delay gives which anonymity set at which load",
        Axis("mean delay of one mix, ms", 10, 1_000, log=True),
        Axis("effective anonymity set", 1, 10_000_000, log=True),
        lines,
    )


def _conversation(rows: Sequence[Row]) -> str:
    most = len(rows[0]["sizes"])
    return chart(
        f"Senders left after messages of one conversation, {rows[0]['users']:,} users",
        Axis("messages, or cells of a circuit", 0, most),
        Axis("effective anonymity set", 1, 1_000_000, log=True),
        [Line(row["mode"], [(0, row["users"]), *enumerate(row["sizes"], start=1)]) for row in rows],
    )


def _mixes(rows: Sequence[Row]) -> str:
    lines = []
    for load in dict.fromkeys(row["load per s"] for row in rows):
        some = [row for row in rows if row["load per s"] == load]
        points = [(row["mixes in a layer"], row["effective set"]) for row in some]
        lines.append(Line(f"{load:,} packets per second", points, [row["ci95"] for row in some]))
    return chart(
        "More mixes for the same load hide less from who sees all links",
        Axis("mixes in a layer", 1, 1_000, log=True),
        Axis("effective anonymity set", 1, 100_000, log=True),
        lines,
    )


def _users(rows: Sequence[Row]) -> Axis:
    low, high = min(row["users"] for row in rows), max(row["users"] for row in rows)
    return Axis("users", low, high if high > low else 10 * low, log=True)
