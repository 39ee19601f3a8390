"""A node of a bench as a process: one that does more, or other things, than `qnet node run`."""

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias

from node.config import NodeConfig
from node.keys import NodeKeys, load_keys
from node.process import run_until_stopped
from qnet import logging
from qnet.config import load_toml
from qnet.wallet.passphrase import read_file

Serve: TypeAlias = Callable[[Path, NodeConfig, NodeKeys, asyncio.Event], Coroutine[Any, Any, None]]


def run_node(serve: Serve, what: str | None) -> None:
    """Serve the node of the home that `--home` names until SIGTERM.

    Args:
        serve: runs it, from home, configuration and opened keys, until the event is set.
        what: said by `--help`.
    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--home", type=Path, required=True)
    home: Path = parser.parse_args().home
    config = load_toml(home / "node.toml", NodeConfig)
    keys = load_keys(home, read_file(config.keys.passphrase_file))
    log = logging.setup(json=True, file=home / "logs" / "node.log")
    try:
        run_until_stopped(lambda stop: serve(home, config, keys, stop))
    finally:
        if log is not None:
            log.close()
