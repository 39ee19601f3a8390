"""Results, previews and errors of the command line.

Results go to stdout, everything else to stderr. JSON carries a schema name and version.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from qnet.cli.settings import Settings, settings
from qnet.errors import QnetError, RejectedError, UsageError


def use_color(stream: Any) -> bool:
    """Whether to colour what goes to `stream`."""
    choice = settings().color
    if choice != "auto":
        return choice == "always"
    return bool(stream.isatty()) and "NO_COLOR" not in os.environ


def emit(
    schema: str,
    data: Any,
    *,
    rows: Sequence[Mapping[str, Any]] | None = None,
    text: str | None = None,
) -> None:
    """Print a command's result in the form the user asked for.

    Args:
        schema: name and version, e.g. ``qnet.node.status/1``.
        data: JSON-ready value; amounts as decimal strings, times RFC 3339.
        rows: the same as a table (also used for csv and jsonl).
        text: the same as text, if a table would not serve.
    """
    chosen = settings().output
    if chosen == "json":
        click.echo(json.dumps({"schema": schema, "data": data}, indent=2, ensure_ascii=False))
    elif chosen == "jsonl":
        for row in rows if rows is not None else [data]:
            click.echo(json.dumps(row, ensure_ascii=False))
    elif chosen == "csv":
        _emit_csv(rows if rows is not None else [data])
    elif text is not None:
        click.echo(text)
    elif rows is not None:
        _emit_table(rows)
    else:
        width = max((len(str(key)) for key in data), default=0)
        for key, value in data.items():
            click.echo(f"{str(key).replace('_', ' '):<{width}}  {value}")


def _emit_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    import csv

    if not rows:
        return
    writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)


def _emit_table(rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        click.echo("nothing to show", err=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(str(name).upper().replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    console = Console(
        no_color=not use_color(sys.stdout),
        width=None if sys.stdout.isatty() else 200,
        highlight=False,
        markup=False,
    )
    console.print(table)


def say(message: str) -> None:
    """Print progress or a remark to stderr, unless --quiet."""
    if not settings().quiet:
        click.echo(message, err=True)


def warn(message: str) -> None:
    """Print a warning to stderr."""
    click.echo(f"warning: {message}", err=True)


def confirm(preview: Sequence[str], question: str = "Continue?") -> bool:
    """Show what is about to happen and ask.

    Returns:
        False when --dry-run stops here; True when the user agrees or --yes is given.

    Raises:
        UsageError: --no-input without --yes, or no terminal to ask on.
        RejectedError: the user said no.
    """
    chosen: Settings = settings()
    for line in preview:
        click.echo(line, err=True)
    if chosen.dry_run:
        click.echo("dry run: nothing was sent", err=True)
        return False
    if chosen.yes:
        return True
    if chosen.no_input or not sys.stdin.isatty():
        raise UsageError("a confirmation is needed", try_=("add --yes",))
    if not click.confirm(question, err=True):
        raise RejectedError("stopped: you said no")
    return True


def show_error(error: QnetError, *, as_json: bool) -> None:
    """Print an error in its fixed shape to stderr."""
    if as_json:
        body = {
            "code": error.code,
            "exit": error.exit_code,
            "message": error.message,
            "why": error.why,
            "try": list(error.try_),
        }
        click.echo(json.dumps({"error": body}, ensure_ascii=False), err=True)
        return
    click.echo(f"error[{error.code}]: {error.message}", err=True)
    if error.why:
        click.echo(f"  why   {error.why}", err=True)
    for step in error.try_:
        click.echo(f"  try   {step}", err=True)
