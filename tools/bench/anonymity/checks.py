"""What is known in closed form, held against what was simulated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tools.bench.anonymity.rows import Row, rounded
from tools.bench.anonymity.setting import Mode

SLACK: Final = 0.04
"""Relative error allowed beside three times the confidence interval's half."""


@dataclass(frozen=True, slots=True)
class Check:
    """A figure that is known beforehand.

    Attributes:
        name: What is compared.
        found: By simulation.
        half: Half of its 95 % confidence interval.
        expected: In closed form.
    """

    name: str
    found: float
    half: float
    expected: float

    @property
    def holds(self) -> bool:
        """Whether it is met within the error."""
        return abs(self.found - self.expected) <= 3 * self.half + SLACK * abs(self.expected)

    def row(self) -> dict[str, Any]:
        """For the result."""
        return {
            "check": self.name,
            "found": rounded(self.found),
            "ci95": rounded(self.half),
            "expected": rounded(self.expected),
            "holds": self.holds,
        }


def checks(found: Mapping[str, Sequence[Row]]) -> Iterator[Check]:
    """All checks on the tables of a run."""
    yield from _messages(found["message"])
    for row in found["circuits"]:
        share = f"a share of {row['hostile %']} % of nodes"
        yield Check(
            f"circuits with both ends hostile are c², {share}, %",
            row["circuits %"],
            row["ci95"],
            row["c² %"],
        )
        yield Check(
            f"users hit in a year without guards, {share}, %",
            row["users hit, no guards %"],
            0.0,
            row["closed form %"],
        )
    for row in found["paths"]:
        yield Check(
            f"packets without an honest mix are about c³, {row['hostile %']} % of "
            f"{row['mixes in a layer']} mixes in a layer, %",
            row["packets %"],
            row["ci95"],
            row["closed form %"],
        )
    for row in found["presence"]:
        yield Check(
            f"users online on seven days, {row['users']:,} at {row['online %']} %",
            row["left after 7 days"],
            row["ci95"],
            row["closed form"],
        )


def _messages(rows: Sequence[Row]) -> Iterator[Check]:
    for row in rows:
        if row["mode"] == Mode.CIRCUITS:
            continue
        case = f"{row['mode']}, {row['users']:,} users"
        if row["adversary sees"] == "all links":
            yield Check(
                f"surprise is entropy, {case}, bits",
                row["surprise bits"],
                row["surprise ci95"] + row["entropy ci95"],
                row["entropy bits"],
            )
        else:
            yield Check(
                f"set seen from both ends, {case}",
                row["effective set"],
                row["ci95"],
                row["expected"],
            )
