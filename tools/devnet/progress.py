"""Telling on stderr how far a start-up has come."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Progress:
    """One line per stage with its duration; a spinner while it works, if there is a terminal.

    Args:
        quiet: say nothing.
        color: False for plain text.
    """

    def __init__(self, *, quiet: bool = False, color: bool = True) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, no_color=not color, highlight=False)
        self._note = ""

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Show a stage while the block runs; `note` inside adds what it found."""
        began = time.monotonic()
        self._note = ""
        if self._quiet:
            yield
            return
        if sys.stderr.isatty():
            with self._console.status(title):
                yield
        else:
            yield
        took = time.monotonic() - began
        note = f"  [dim]{self._note}[/dim]" if self._note else ""
        self._console.print(f"[green]ok[/green] {title:<18} {took:5.1f} s{note}")

    def note(self, text: str) -> None:
        """Add a remark to the stage that runs now."""
        self._note = text
