"""`qnet net`: the network as its consensus shows it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qnet.cli.output import emit, warn
from qnet.cli.settings import settings
from qnet.errors import NotFoundError

if TYPE_CHECKING:
    from node.survey import Survey

DEFAULT_HOME = Path.home() / ".qnet" / "client"
HISTORY_PERIODS = 24
_MEASURED = ("uptime_ppm", "latency_ms", "reputation_ppm", "performance_ppm", "slots_audited")
_ROLES = click.Choice(["entry", "relay", "mix", "exit"])


@click.group()
def net() -> None:
    """Look at the network: nodes, capacity, diversity, history."""


def _sources(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say where to look."""
    bundle = click.option(
        "--bundle", type=click.Path(path_type=Path), help="network.json [that of the client]."
    )
    ledger = click.option(
        "--ledger", "urls", multiple=True, help="Ask this committee member; repeat."
    )
    return bundle(ledger(command))


@net.command()
@_sources
def status(bundle: Path | None, urls: tuple[str, ...]) -> None:
    """Show how many nodes there are, of what kind, and how fresh the consensus is."""
    from node.directory.analytics import overview

    found = _survey(bundle, urls)
    data = {
        **overview(found.signed.consensus, time.time()),
        "signed_by": [member for member in range(256) if found.signed.bitmap >> member & 1],
        "committee": sum(any(signer) for signer in found.history.newest.signers),
        "quorum": found.history.newest.quorum,
        "double_consensuses": found.evidence,
        "source": found.source,
    }
    text = {**data, "roles": ", ".join(_role_text(*item) for item in data["roles"].items())}
    emit("qnet.net.status/1", data, text="\n".join(_lines(text)))
    if found.evidence:
        warn("the committee has signed contradicting consensuses; proofs are in state/evidence")


@net.command()
@_sources
@click.option("--role", type=_ROLES, help="Only nodes of this role.")
@click.option("--limit", type=click.IntRange(1), help="Show so many at most.")
def nodes(bundle: Path | None, urls: tuple[str, ...], role: str | None, limit: int | None) -> None:
    """List the nodes, the heaviest of each role first."""
    from node.directory.analytics import node_rows

    found = _survey(bundle, urls)
    rows = [row for row in node_rows(found.signed.consensus) if role in {None, row["role"]}]
    rows = [_with_statistics(row, found) for row in rows[:limit]]
    emit("qnet.net.nodes/1", rows, rows=rows)


@net.command()
@_sources
@click.argument("index", type=click.IntRange(1))
def node(bundle: Path | None, urls: tuple[str, ...], index: int) -> None:
    """Show everything about the node with a registry INDEX."""
    from node.directory.analytics import node_details

    found = _survey(bundle, urls)
    consensus = found.signed.consensus
    listed = consensus.by_index.get(index)
    if listed is None:
        raise NotFoundError(
            f"node {index} is not in the consensus of {consensus.valid_after}",
            try_=("qnet net nodes",),
        )
    data = node_details(listed, consensus) | found.statistics.get(index, {})
    emit("qnet.net.node/1", data)


@net.command()
@_sources
@click.option("--top", type=click.IntRange(1), default=10, show_default=True)
def diversity(bundle: Path | None, urls: tuple[str, ...], top: int) -> None:
    """Show how weight is spread over owners, families, networks and roles."""
    from node.directory import analytics

    found = _survey(bundle, urls)
    data = [spread.to_json(top) for spread in analytics.diversity(found.signed.consensus)]
    rows = [
        {**row, "top": ", ".join(f"{one['name']} {one['share']:.1%}" for one in row["top"][:3])}
        for row in data
    ]
    emit("qnet.net.diversity/1", data, rows=rows)


@net.command()
@_sources
@click.option("--periods", type=click.IntRange(1, 1000), default=HISTORY_PERIODS)
def history(bundle: Path | None, urls: tuple[str, ...], periods: int) -> None:
    """Show how the network has changed; without --ledger only the newest consensus is known."""
    from node.directory.analytics import overview
    from node.survey import history_of

    found = _survey(bundle, urls)
    documents = asyncio.run(history_of(found, urls, periods))
    rows: list[dict[str, Any]] = []
    before: set[int] = set()
    for signed in documents:
        shown = overview(signed.consensus, time.time())
        listed = set(signed.consensus.by_index)
        rows.append(
            {
                "valid_after": shown["valid_after"],
                "nodes": shown["nodes"],
                **{role: totals["nodes"] for role, totals in shown["roles"].items()},
                "mbps": shown["mbps"],
                "users": shown["users"],
                "joined": len(listed - before) if rows else None,
                "left": len(before - listed) if rows else None,
            }
        )
        before = listed
    names = {name: None for row in rows for name in row}
    rows = [{name: row.get(name) for name in names} for row in rows]
    emit("qnet.net.history/1", rows, rows=rows)


def _survey(bundle: Path | None, urls: tuple[str, ...]) -> Survey:
    from node.survey import survey

    return asyncio.run(survey(settings().home or DEFAULT_HOME, bundle, urls))


def _with_statistics(row: dict[str, Any], found: Survey) -> dict[str, Any]:
    """Add what the committee measured, where it was asked."""
    if not found.statistics:
        return row
    known = found.statistics.get(row["index"], {})
    return row | {name: known.get(name) for name in _MEASURED}


def _role_text(role: str, totals: dict[str, int]) -> str:
    return f"{totals['nodes']} {role} ({totals['mbps']} Mbit/s)"


def _lines(facts: dict[str, Any]) -> list[str]:
    width = max(map(len, facts))
    return [f"{name.replace('_', ' '):<{width}}  {value}" for name, value in facts.items()]
