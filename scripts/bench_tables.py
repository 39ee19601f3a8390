"""The committed bench results as one page: docs/reference/benchmarks.md.

`scripts/bench_tables.py` writes it, `--check` compares it with the results. Figures elsewhere in
the documentation point here.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "reference" / "benchmarks"
PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
WHOLE_FROM = 1000
HEAD = """# Benchmarks

Results of `qnet bench` as they were measured, newest first; made by `scripts/bench_tables.py` from
the files in [benchmarks/](benchmarks/). *n* is the number of measurements, the figure their
median, ± half the range between the quartiles; in parentheses the medians of the peer's networks
where several were begun. A ratio says how many times better QNet is; below 1 it is worse. Machines
differ and are shared: quote ratios. [How to measure](../how-to/benchmark.md).
"""


def main() -> int:
    """Write the page, or say that it is out of date."""
    page = HEAD + "".join(section(path) for path in newest_first())
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page)
        return 0
    if PAGE.exists() and PAGE.read_text() == page:
        return 0
    sys.stderr.write(f"{PAGE.relative_to(ROOT)} is out of date: run scripts/bench_tables.py\n")
    return 1


def newest_first() -> list[Path]:
    """Result files; their names begin with the date."""
    return sorted(RESULTS.glob("*.json"), reverse=True)


def section(path: Path) -> str:
    """One result as a heading, the machine and a table."""
    result = json.loads(path.read_text())
    data = result["data"]
    machine = data["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    told = [f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}", versions]
    if data.get("peer"):
        told.append(f"beside {data['peer']['name']} {data['peer']['version']}")
    lines = ["", f"## {path.stem}", "", f"`{result['schema']}`; {'; '.join(told)}.", ""]
    rows = data["results"]
    lines += table(rows) if "name" in rows[0] else plain(rows)
    if data.get("anchors"):
        lines += ["", "Beside them what others publish, not measured in this run:", ""]
        lines += plain(data["anchors"])
    if "limit" in data:
        lines += ["", f"Limit: {data['limit']}."]
    return "\n".join(lines) + "\n"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Rows of a result as Markdown."""
    compared = any(row.get("peer") is not None for row in rows)
    heads = ["figure", "unit", "n", "QNet", *(["peer", "ratio"] if compared else [])]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        cells = [row["name"], row["unit"], str(row["n"]), figure(row, "qnet", "spread")]
        if compared:
            ratio = row.get("ratio")
            peer = figure(row, "peer", "peer_spread") + networks(row)
            cells += [peer, "" if ratio is None else f"{ratio:g}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def networks(row: dict[str, Any]) -> str:
    """Medians of the peer's networks where there were several."""
    found = row.get("networks", {}).get("peer", [])
    return f" ({', '.join(f'{value:.4g}' for value in found)})" if found else ""


def plain(rows: list[dict[str, Any]]) -> list[str]:
    """Rows of another shape, as they are."""
    heads = list(rows[0])
    lines = ["| " + " | ".join(head.replace("_", " ") for head in heads) + " |"]
    lines.append("|" + "---|" * len(heads))
    return lines + ["| " + " | ".join(str(row[head]) for head in heads) + " |" for row in rows]


def figure(row: dict[str, Any], who: str, spread: str) -> str:
    """A median and its spread."""
    value = row.get(who)
    if value is None:
        return ""
    beside = row.get(spread)
    shown = f"{value:,.0f}" if value >= WHOLE_FROM else f"{value:.4g}"
    return shown + (f" ± {beside:.2g}" if beside else "")


if __name__ == "__main__":
    sys.exit(main())
