"""`qnet bench`: measured figures of this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from qnet.cli.output import emit, say


@click.group()
def bench() -> None:
    """Measure speed: crypto, circuits."""


@bench.command()
@click.option("--size-mib", type=click.IntRange(1, 4096), default=64, show_default=True)
@click.option("--repeats", type=click.IntRange(1, 1000), default=5, show_default=True)
@click.option("--builds", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option("--streams", type=click.IntRange(1, 64), multiple=True, help="At once; repeat.")
def circuit(size_mib: int, repeats: int, builds: int, streams: tuple[int, ...]) -> None:
    """A file through three hops on loopback, every byte compared."""
    from tools.bench.circuit import DEFAULT_STREAMS, Plan, run

    say("starting a committee, three nodes and a client on loopback")
    plan = Plan(size_mib, streams or DEFAULT_STREAMS, repeats, builds)
    _show("qnet.bench.circuit/1", run(plan))


@bench.command()
def crypto() -> None:
    """The building blocks: what one cell, one setup and one handshake cost."""
    from tools.bench.crypto import run

    _show("qnet.bench.crypto/1", run())


def _show(schema: str, data: Mapping[str, Any]) -> None:
    rows: Sequence[Mapping[str, Any]] = data["results"]
    emit(schema, data, rows=rows)
    machine = data["machine"]
    say(f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_1m']}")
    if "limit" in data:
        say(f"limit: {data['limit']}")
