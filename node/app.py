"""The node process: opens the home, runs the node, prints READY, stops on SIGTERM."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from node.config import NodeConfig
from node.keys import load_keys
from node.process import announce, run_until_stopped
from node.registration import find_registration
from node.runtime import NodeRuntime
from qnet import logging
from qnet.config import load_toml
from qnet.wallet.passphrase import read_file


def run_node(home: Path, *, log_level: str = "info") -> None:
    """Run the node of a home until it is told to stop.

    Raises:
        QnetError: It cannot start, or a part of it failed.
    """
    config = load_toml(home / "node.toml", NodeConfig)
    keys = load_keys(home, read_file(config.keys.passphrase_file))
    log = logging.setup(level=log_level, json=True, file=home / "logs" / "node.log")
    try:
        run_until_stopped(lambda stop: _serve(home, config, keys, stop))
    finally:
        if log is not None:
            log.close()


async def _serve(home: Path, config: NodeConfig, keys: Any, stop: asyncio.Event) -> None:
    registration = await find_registration(config, keys.node_id)
    await NodeRuntime(home, config, keys, registration).run(announce, stop)
