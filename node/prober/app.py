"""The auditor process: comes up like a client without a SOCKS port, then works for its member."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import structlog

from node.client.session import Session
from node.errors import StageError
from node.io.control import ControlServer
from node.manifests import Bundle, load_bundle
from node.prober.client import MemberClient
from node.prober.worker import Worker
from node.process import announce, run_until_stopped
from qnet import logging
from qnet.wallet.passphrase import read_file

BOOTSTRAP_S = 30.0

_log = structlog.get_logger(__name__)


def run_auditor(home: Path, *, bundle: Path, url: str, token_file: Path, log_level: str) -> None:
    """Run the auditor of a member until it is told to stop.

    Args:
        home: Its folder: guards, consensus, log, control socket.
        bundle: `network.json`.
        url: Base URL of the member.
        token_file: File of mode 0600 with the token shared with the member.
        log_level: debug, info, warning or error.

    Raises:
        QnetError: It cannot start, or a part of it failed.
    """
    network, token = load_bundle(bundle), read_file(token_file)
    (home / "state").mkdir(parents=True, exist_ok=True, mode=0o700)
    log = logging.setup(level=log_level, json=True, file=home / "logs" / "auditor.log")
    try:
        run_until_stopped(lambda stop: serve(home, network, MemberClient(url, token), stop))
    finally:
        if log is not None:
            log.close()


async def serve(home: Path, bundle: Bundle, member: MemberClient, stop: asyncio.Event) -> None:
    """Run until `stop` is set; a refused token ends it with an error.

    Raises:
        KeyAccessError: The member refuses the token.
    """
    session = Session(bundle, home / "state", ready=0)
    worker = Worker(session.view, session.entries, member)

    async def status(_arguments: Any) -> Any:
        return {**worker.status(), "bootstrap": session.bootstrap.problem}

    async def stopping(_arguments: Any) -> Any:
        stop.set()
        return {"stopping": True}

    control = ControlServer({"status": status, "stop": stopping})
    async with member, control.serve(home / "control.sock"), asyncio.TaskGroup() as group:
        working = group.create_task(_work(session, worker, group))
        await stop.wait()
        _log.info("stopping")
        working.cancel()
        await session.stop()


async def _work(session: Session, worker: Worker, group: asyncio.TaskGroup) -> None:
    while True:
        try:
            await session.start(group, timeout_s=BOOTSTRAP_S)
        except StageError as error:
            _log.info("no consensus yet", cause=error.why)
        else:
            break
    announce({"consensus": session.view.valid_after})
    await worker.run()
