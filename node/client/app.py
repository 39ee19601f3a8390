"""The client process: opens the home, comes up stage by stage, prints READY, stops on SIGTERM."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from node.client.command.commands import Commands
from node.client.command.payments import PaymentCommands
from node.client.command.reporting import print_stage, telling_stages
from node.client.doors.listener import DoorKind
from node.client.mix.commands import MessageCommands
from node.client.mix.service import mix_service
from node.client.session import BOOTSTRAP_S, Session
from node.config import ClientConfig, Endpoint, PathsSection, ProxySection, Tier
from node.directory.atlas import MAX_TABLE_BYTES, Atlas
from node.errors import NodeConfigError, NodeOffError
from node.io.control import ControlServer, call
from node.manifests import load_bundle
from node.payments.user.service import premium
from node.process import announce, run_until_stopped
from qnet import logging
from qnet.config import load_toml
from qnet.errors import DecodeError, RejectedError

ANSWER_S = 2.0
"""A client that runs in the home answers by then."""

_log = structlog.get_logger(__name__)


def run_client(
    home: Path,
    *,
    tier: Tier | None = None,
    timeout_s: float = BOOTSTRAP_S,
    log_level: str = "info",
    tell: Callable[[dict[str, Any]], None] = print_stage,
) -> None:
    """Run the client of a home until it is told to stop.

    Args:
        home: Its folder.
        tier: What streams take; as client.toml says by default.
        timeout_s: How long coming up may take.
        log_level: Of its log.
        tell: Called with each stage on the way up as it changes.

    Raises:
        StageError: It cannot come up; names the stage and the cause.
        QnetError: A part of it failed.
    """
    config = load_toml(home / "client.toml", ClientConfig)
    if tier is not None:
        config = config.model_copy(update={"tier": tier})
    (home / "state").mkdir(parents=True, exist_ok=True, mode=0o700)
    log = logging.setup(level=log_level, json=True, file=home / "logs" / "client.log")
    try:
        run_until_stopped(lambda stop: _serve(home, config, stop, timeout_s, tell))
    finally:
        if log is not None:
            log.close()


async def _serve(
    home: Path,
    config: ClientConfig,
    stop: asyncio.Event,
    timeout_s: float,
    tell: Callable[[dict[str, Any]], None],
) -> None:
    await refuse_a_second(home)
    session = Session(
        load_bundle(config.network.bundle),
        home / "state",
        bridges=config.bridges,
        rpc=config.chain.rpc if config.chain is not None else "",
    )
    limit_paths(session, config.paths)
    async with (
        premium(session, home, config) as payments,
        mix_service(session, home, config) as mix,
        asyncio.TaskGroup() as group,
        ControlServer(
            Commands(session, stop).handlers()
            | PaymentCommands(payments).handlers()
            | MessageCommands(mix).handlers()
        ).serve(home / "control.sock"),
    ):
        async with telling_stages(session, tell):
            await session.start(group, timeout_s=timeout_s)
            if mix is not None:
                session.spawn(mix.run())
                if config.tier == "mix":
                    session.take_mixnet(mix)
            await open_doors(session, config)
        session.spawn(payments.run())
        doors = session.doors
        announce(
            {
                **{kind: doors.addresses(kind) for kind in ("http", "dns")},
                "socks": next(iter(doors.addresses("socks")), ""),
                "control": str(home / "control.sock"),
                "consensus": session.view.valid_after,
                "first_circuit_s": session.first_circuit_s,
                "warnings": doors.warnings() + session.bootstrap.warnings(),
                **session.anonymity(),
            }
        )
        await stop.wait()
        _log.info("stopping")
        await session.stop()


async def refuse_a_second(home: Path) -> None:
    """Let one client run in a home: a second one would take over its control socket and guards.

    Raises:
        RejectedError: One answers there.
    """
    try:
        await call(home / "control.sock", "doors", timeout_s=ANSWER_S)
    except NodeOffError:
        return
    raise RejectedError(f"a client runs in {home} already", try_=("qnet client down",))


def limit_paths(session: Session, paths: PathsSection) -> None:
    """Tell autonomous systems and countries by the configured tables, and obey its countries.

    Raises:
        NodeConfigError: A table cannot be read.
    """
    if paths.as_table is not None or paths.country_table is not None:
        try:
            atlas = Atlas.parse(_table(paths.as_table), _table(paths.country_table))
        except (OSError, DecodeError) as error:
            raise NodeConfigError("a table of [paths] cannot be read", why=str(error)) from error
        session.circuits.use_atlas(atlas)
    session.circuits.wish_countries(paths.exit_countries, paths.no_exit_countries)


def _table(path: Path | None) -> bytes:
    """Content of a table, cut where no table may be longer; the parser says so."""
    if path is None:
        return b""
    with path.open("rb") as file:
        return file.read(MAX_TABLE_BYTES + 1)


async def open_doors(session: Session, config: ClientConfig) -> None:
    """Open every port of the configuration.

    Raises:
        StageError: One cannot be listened on; the cause.
    """
    proxies: tuple[tuple[DoorKind, tuple[ProxySection, ...]], ...]
    proxies = (("socks", config.socks), ("http", config.http))
    for kind, sections in proxies:
        for proxy in sections:
            await session.doors.add(
                kind,
                Endpoint.parse(proxy.listen),
                isolate=proxy.isolate,
                raw_address=proxy.raw_address,
                max_connections=proxy.max_connections,
            )
    for section in config.dns:
        await session.doors.add(
            "dns",
            Endpoint.parse(section.listen),
            isolate=section.isolate,
            max_connections=section.max_connections,
        )
