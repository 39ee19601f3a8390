"""What the demo has shown so far, and the table it ends with."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from qnet.errors import QnetError


class CheckFailedError(QnetError):
    """Something the demo promised turned out not to hold."""

    code = "Q0132"
    exit_code = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the table."""

    step: str
    verified: str
    figure: str
    ok: bool


@dataclass(slots=True)
class Journal:
    """Collects checks in order; a step that raised is recorded and ends the run.

    Attributes:
        console: where progress goes (stderr).
        entries: lines so far.
    """

    console: Console
    entries: list[Entry] = field(default_factory=list)
    _step: str = ""
    _began: float = field(default_factory=time.monotonic)

    @property
    def ok(self) -> bool:
        """Whether there are checks and all of them held."""
        return bool(self.entries) and all(entry.ok for entry in self.entries)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the journal was opened."""
        return time.monotonic() - self._began

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce a step; an error inside becomes its failing line and goes on up."""
        self._step = name
        self.console.print(f"[dim]{self.elapsed_s:6.1f} s[/dim]  [bold]{name}[/bold]")
        try:
            yield
        except QnetError as error:
            self.entries.append(Entry(name, error.message, "", ok=False))
            raise
        except OSError as error:
            self.entries.append(Entry(name, str(error), "", ok=False))
            raise

    def verified(self, what: str, figure: str = "") -> None:
        """Record a check of the current step that held."""
        self.entries.append(Entry(self._step, what, figure, ok=True))
        shown = f": {figure}" if figure else ""
        self.console.print(f"          [green]ok[/green] {what}{shown}", highlight=False)

    def require(self, condition: object, what: str, figure: str = "", *, why: str = "") -> None:
        """Record a check, or fail the step.

        Raises:
            CheckFailedError: the condition does not hold.
        """
        if not condition:
            raise CheckFailedError(f"not so: {what}", why=why or figure)
        self.verified(what, figure)

    def table(self) -> Table:
        """All checks as a table."""
        table = Table(title="What was verified", title_justify="left", show_lines=False)
        table.add_column("step", style="bold", overflow="fold")
        table.add_column("verified", overflow="fold")
        table.add_column("figure", overflow="fold")
        table.add_column("", no_wrap=True)
        before = ""
        for entry in self.entries:
            mark = "[green]ok[/green]" if entry.ok else "[red]NO[/red]"
            step = "" if entry.step == before else entry.step
            table.add_row(step, entry.verified, entry.figure, mark)
            before = entry.step
        return table
