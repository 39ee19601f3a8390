"""`python -m tools.bench.paid_node --home HOME`: a node whose chain is a file beside its home.

The node program itself asks a real chain which keys sign tokens; benches on one machine have none.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from node.config import NodeConfig
from node.keys import NodeKeys, load_keys
from node.process import announce, run_until_stopped
from node.registration import find_registration
from node.runtime import NodeRuntime
from qnet import logging
from qnet.config import load_toml
from qnet.wallet.passphrase import read_file
from tools.bench.issuer import LocalChain, LocalIssuer


async def _serve(home: Path, config: NodeConfig, keys: NodeKeys, stop: asyncio.Event) -> None:
    registration = await find_registration(config, keys.node_id)
    chain = LocalChain(LocalIssuer.load(home.parent))
    await NodeRuntime(home, config, keys, registration, chain).run(announce, stop)


def main() -> None:
    """Run the node of a home until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    home: Path = parser.parse_args().home
    config = load_toml(home / "node.toml", NodeConfig)
    keys = load_keys(home, read_file(config.keys.passphrase_file))
    log = logging.setup(json=True, file=home / "logs" / "node.log")
    try:
        run_until_stopped(lambda stop: _serve(home, config, keys, stop))
    finally:
        if log is not None:
            log.close()


if __name__ == "__main__":
    main()
