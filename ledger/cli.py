"""The `qnet ledger` group: run a committee member, and look at what it did."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import rich_click as click

from ledger.config import LedgerConfig, load_config
from qnet.cli.output import emit, say
from qnet.cli.settings import settings
from qnet.errors import UsageError

DEFAULT_HOME: Final = Path("~/.qnet/ledger")


@click.group()
def ledger() -> None:
    """Run and inspect a committee member."""


def _home() -> Path:
    home = (settings().home or DEFAULT_HOME).expanduser().absolute()
    if not home.is_dir():
        raise UsageError(f"there is no folder {home}", try_=("name one with --home",))
    return home


def _open() -> tuple[Path, LedgerConfig]:
    home = _home()
    return home, load_config(home)


@ledger.command()
def run() -> None:
    """Run the member of this home until it is stopped."""
    from ledger.app import serve
    from qnet.logging import setup

    home, config = _open()
    level = "debug" if settings().verbose else "info"
    file = setup(level=level, json=True, file=home / "logs" / "ledger.log")
    try:
        asyncio.run(serve(home, config))
    finally:
        if file is not None:
            file.close()


@ledger.command()
def status() -> None:
    """Show where the running member stands."""
    from ledger.client import get_json

    _, config = _open()
    found = asyncio.run(get_json(config, "/v1/status"))
    shown = {key: value for key, value in found.items() if key not in {"outbox", "payments"}}
    shown["waiting_transactions"] = len(found["outbox"])
    shown["issuance"] = _issuance(found.get("payments"))
    emit("qnet.ledger.status/1", found, text=_lines(shown))


def _issuance(told: dict[str, Any] | None) -> str:
    """Where premium payments stand, in one line."""
    if told is None:
        return "unknown"
    state = "open" if told["open"] else "closed"
    crowd = f"{told['buyers']} buyers, {told['swaps']} swaps"
    return f"epoch {told['running']} {state}, {told['left_units']} units left, {crowd}"


@ledger.command()
@click.argument("epoch", type=click.IntRange(min=0))
def report(epoch: int) -> None:
    """Show the report of EPOCH: what every node earned and why."""
    from ledger.client import get_json
    from qnet.messages.report import NodeLeaf, unpack_slot_p
    from qnet.units import format_qnet

    _, config = _open()
    found = asyncio.run(get_json(config, f"/v1/epochs/{epoch}/report"))
    rows = []
    for item in found["leaves"]:
        leaf = NodeLeaf.from_json(item)
        slots = unpack_slot_p(leaf.slot_p, found["slots_per_epoch"])
        rows.append(
            {
                "node": leaf.node,
                "bond": format_qnet(leaf.bond_wei),
                "stake": format_qnet(leaf.stake_wei),
                "slots": " ".join(map(str, slots)),
                "work": f"{leaf.w_ppm / 10_000:.2f} %",
                "reputation": f"{leaf.rho_ppm / 10_000:.2f} %",
                "reward": format_qnet(leaf.reward_wei),
                "operator": format_qnet(leaf.cum_operator_wei),
                "delegators": format_qnet(leaf.cum_pool_wei),
            }
        )
    attempt = int(found["report"]["attempt"])
    say(f"epoch {epoch}, attempt {attempt}, report {found['hash']}")
    emit("qnet.ledger.report/1", found, rows=rows)


@ledger.command()
@click.argument("epoch", type=click.IntRange(min=0))
def receipts(epoch: int) -> None:
    """List the receipts this member holds for EPOCH."""
    from qnet.messages.receipt import SignedReceipt

    async def read() -> list[bytes]:
        async with _database() as work, work() as rows:
            return [wire for _, wire in await rows.receipts.of_epoch(epoch)]

    rows = []
    for wire in asyncio.run(read()):
        body = SignedReceipt.decode(wire).receipt
        rows.append(
            {
                "epoch": body.epoch,
                "slot": body.slot,
                "from": body.node_from,
                "to": body.node_to,
                "signed_by": body.signer,
                "cells": body.packets,
            }
        )
    emit("qnet.ledger.receipts/1", rows, rows=rows)


@ledger.command()
@click.argument("epoch", type=click.IntRange(min=0))
def audits(epoch: int) -> None:
    """List the audit results this member holds for EPOCH."""
    from qnet.messages.audit import AuditReveal

    async def read() -> list[tuple[bytes, bool]]:
        async with _database() as work, work() as rows:
            return [(wire, ok) for _, wire, ok in await rows.audits.reveals(epoch)]

    rows: list[dict[str, Any]] = []
    for wire, accepted in asyncio.run(read()):
        reveal = AuditReveal.decode(wire)
        rows += [
            {
                "slot": reveal.slot,
                "auditor": reveal.auditor,
                "target": signed.result.target,
                "sent": signed.result.sent,
                "returned": signed.result.returned,
                "median_ms": signed.result.p50_ms,
                "in_time": accepted,
            }
            for signed in reveal.results
        ]
    emit("qnet.ledger.audits/1", rows, rows=rows)


@ledger.command()
@click.argument("epoch", type=click.IntRange(min=0))
@click.option("--from", "source", help="URL of the member to fetch the data from.")
def verify(epoch: int, source: str | None) -> None:
    """Recompute the report of EPOCH from its data and compare it with the chain."""
    from ledger.verification import verify_epoch

    home, config = _open()
    found = asyncio.run(verify_epoch(home, config, epoch, source=source))
    lines = [f"{check}: {what}" for check, what in found["checks"].items()]
    emit("qnet.ledger.verify/1", found, text="\n".join(lines))


@ledger.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--epoch", type=click.IntRange(min=0), help="Judge the report of this epoch, too.")
@click.option("--from", "source", help="URL of the member to fetch that report's data from.")
def evidence(folder: Path, epoch: int | None, source: str | None) -> None:
    """Write everything that can be proven to files in FOLDER, for `qnet court prove`."""
    from ledger.evidence import write_evidence

    home, config = _open()
    paths = asyncio.run(write_evidence(home, config, folder, epoch=epoch, source=source))
    found = {"files": [str(path) for path in paths]}
    lines = found["files"] or ["nothing can be proven"]
    emit("qnet.ledger.evidence/1", found, text="\n".join(lines))


@ledger.command()
def challenges() -> None:
    """List the proofs this member has taken to the court."""

    async def read() -> list[Any]:
        async with _database() as work, work() as rows:
            return list(await rows.challenges.all())

    rows = [
        {
            "evidence": row.kind,
            "against": row.subject,
            "state": row.state,
            "challenge": row.challenge,
            "note": row.note,
        }
        for row in asyncio.run(read())
    ]
    emit("qnet.ledger.challenges/1", rows, rows=rows)


@asynccontextmanager
async def _database() -> AsyncIterator[Any]:
    """The member's database, for reading beside the running member."""
    from ledger.config import database_url
    from ledger.service.unit_of_work import UnitOfWork
    from ledger.storage.database import open_database

    home, config = _open()
    async with open_database(database_url(home, config.storage.url)) as engine:
        yield UnitOfWork(engine)


def _lines(values: dict[str, Any]) -> str:
    width = max(len(key) for key in values)
    return "\n".join(f"{key.replace('_', ' '):<{width}}  {value}" for key, value in values.items())
