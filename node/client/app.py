"""The client process: opens the home, comes up stage by stage, prints READY, stops on SIGTERM."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from node.client.session import BOOTSTRAP_S, Session
from node.config import ClientConfig, Endpoint, load_bundle
from node.io.control import ControlServer, Handler
from node.process import announce, run_until_stopped
from qnet import logging
from qnet.config import load_toml

_log = structlog.get_logger(__name__)


def run_client(home: Path, *, timeout_s: float = BOOTSTRAP_S, log_level: str = "info") -> None:
    """Run the client of a home until it is told to stop.

    Raises:
        StageError: It cannot come up; names the stage and the cause.
        QnetError: A part of it failed.
    """
    config = load_toml(home / "client.toml", ClientConfig)
    (home / "state").mkdir(parents=True, exist_ok=True, mode=0o700)
    log = logging.setup(level=log_level, json=True, file=home / "logs" / "client.log")
    try:
        run_until_stopped(lambda stop: _serve(home, config, stop, timeout_s))
    finally:
        if log is not None:
            log.close()


async def _serve(home: Path, config: ClientConfig, stop: asyncio.Event, timeout_s: float) -> None:
    session = Session(
        load_bundle(config.network.bundle),
        home / "state",
        refuses_raw_addresses=config.socks.raw_address == "refuse",
    )
    control = ControlServer(_handlers(session, stop))
    async with asyncio.TaskGroup() as group, control.serve(home / "control.sock"):
        await session.start(group, timeout_s=timeout_s)
        server = await session.listen(Endpoint.parse(config.socks.listen))
        announce(
            {
                "socks": session.listening[0],
                "control": str(home / "control.sock"),
                "consensus": session.view.valid_after,
                "first_circuit_s": session.first_circuit_s,
                **session.anonymity(),
            }
        )
        await stop.wait()
        _log.info("stopping")
        server.close()
        await session.stop()


def _handlers(session: Session, stop: asyncio.Event) -> dict[str, Handler]:
    async def status(_arguments: Mapping[str, Any]) -> Any:
        return session.status()

    async def circuits(_arguments: Mapping[str, Any]) -> Any:
        return session.circuits.rows()

    async def rekey(_arguments: Mapping[str, Any]) -> Any:
        for entry in session.circuits.open:
            entry.circuit.rekey()
        return {"circuits": len(session.circuits.open)}

    async def down(_arguments: Mapping[str, Any]) -> Any:
        stop.set()
        return {"stopping": True}

    handlers: dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]] = {
        "status": status,
        "circuits": circuits,
        "rekey": rekey,
        "down": down,
    }
    return handlers
