"""Tells the stages of a client that is coming up, as they change."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from node.client.command.screens import stage_words
from node.client.command.starting import STAGE_MARK
from node.client.session import Session
from node.errors import Stage

LOOK_S = 0.1
"""Pause between two looks at the stages, which are judged by what is there."""

PATIENCE_S = 1.0
"""A failure is told once it has stood for so long: at first nothing holds yet."""


@asynccontextmanager
async def telling_stages(
    session: Session, tell: Callable[[dict[str, Any]], None]
) -> AsyncIterator[None]:
    """Look at the stages again and again while the context lasts, and once at its end."""
    shown: dict[str, tuple[str, str]] = {}
    started = time.monotonic()

    def look() -> None:
        told = {"passed"} if time.monotonic() - started < PATIENCE_S else {"passed", "failed"}
        for row in session.stages():
            now = (row["state"], row["cause"])
            if row["state"] in told and shown.get(row["stage"]) != now:
                shown[row["stage"]] = now
                tell(row)

    async def watch() -> None:
        while True:
            look()
            await asyncio.sleep(LOOK_S)

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        try:
            yield
            look()
            tell({"stage": Stage.PORTS.value, "state": "passed", "cause": _ports(session)})
        finally:
            watching.cancel()


def announce_stage(row: dict[str, Any]) -> None:
    """One line on stdout for the program that started this one."""
    print(STAGE_MARK + json.dumps(row), flush=True)  # noqa: T201


def print_stage(row: dict[str, Any]) -> None:
    """One line on stderr for a person."""
    print(stage_words(row), file=sys.stderr, flush=True)  # noqa: T201


def _ports(session: Session) -> str:
    return ", ".join(f"{row['kind']} {row['listen']}" for row in session.doors.rows())
