"""`python -m tools.bench.paid_node --home HOME`: a node whose chain is a file beside its home.

The node program itself asks a real chain which keys sign tokens; benches on one machine have none.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from node.config import NodeConfig
from node.keys import NodeKeys
from node.process import announce
from node.registration import find_registration
from node.runtime import NodeRuntime
from tools.bench.issuer import LocalChain, LocalIssuer
from tools.bench.node_process import run_node


async def _serve(home: Path, config: NodeConfig, keys: NodeKeys, stop: asyncio.Event) -> None:
    registration = await find_registration(config, keys.node_id)
    chain = LocalChain(LocalIssuer.load(home.parent))
    await NodeRuntime(home, config, keys, registration, chain).run(announce, stop)


def main() -> None:
    """Run the node of a home until SIGTERM."""
    run_node(_serve, __doc__)


if __name__ == "__main__":
    main()
