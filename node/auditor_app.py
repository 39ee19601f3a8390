"""The auditor process: bootstraps like a client, then works for its member."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import structlog

from node.auditor import Auditor
from node.client.session import Session
from node.config import load_bundle
from node.errors import StageError
from node.io.control import ControlServer
from node.process import announce, run_until_stopped
from qnet import logging
from qnet.wallet.passphrase import read_file

BOOTSTRAP_S = 30.0

_log = structlog.get_logger(__name__)


def run_auditor(home: Path, *, bundle: Path, url: str, token_file: Path, log_level: str) -> None:
    """Run the auditor of a member until it is told to stop.

    Raises:
        QnetError: It cannot start, or a part of it failed.
    """
    (home / "state").mkdir(parents=True, exist_ok=True, mode=0o700)
    log = logging.setup(level=log_level, json=True, file=home / "logs" / "auditor.log")
    try:

        async def main(stop: asyncio.Event) -> None:
            session = Session(load_bundle(bundle), home / "state", ready=0, uses_guards=False)
            auditor = Auditor(session.view, session.entries, url, read_file(token_file))
            await _serve(home, session, auditor, stop)

        run_until_stopped(main)
    finally:
        if log is not None:
            log.close()


async def _serve(home: Path, session: Session, auditor: Auditor, stop: asyncio.Event) -> None:
    async def status(_arguments: Any) -> Any:
        return {
            "probes": auditor.probes,
            "failures": auditor.failures,
            "slots": auditor.posted,
            "problem": auditor.problem or session.bootstrap.problem,
            "consensus": session.view.valid_after,
        }

    control = ControlServer({"status": status})
    async with asyncio.TaskGroup() as group, control.serve(home / "control.sock"):
        announce({"control": str(home / "control.sock")})
        working = group.create_task(_work(session, auditor, group))
        await stop.wait()
        working.cancel()
        await session.stop()


async def _work(session: Session, auditor: Auditor, group: asyncio.TaskGroup) -> None:
    while True:
        try:
            await session.start(group, timeout_s=BOOTSTRAP_S)
        except StageError as error:
            _log.info("no consensus yet", cause=error.why)
        else:
            break
    await auditor.run()
