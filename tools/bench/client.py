"""`python -m tools.bench.client HOME`: a client that builds nothing ahead and does as it is told.

The same session as `qnet client up`, in a process of its own. Over its control socket a bench
builds circuits, lets them idle and closes them. A home with the keys of a `LocalIssuer` pays.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from node.circuit.budget import CLIENT_PER_S
from node.client.session import Session
from node.config import Endpoint
from node.directory.wishes import Wishes
from node.io.control import ControlServer, Handler
from node.manifests import load_bundle
from node.process import announce, run_until_stopped
from qnet import logging
from tools.bench.issuer import FILE_NAME, LocalIssuer, LocalPurse

START_S = 30.0
PAUSE_S = 1.25 / CLIENT_PER_S
"""Between circuits: an entry lets a client set up only so many a second."""


def handlers(session: Session) -> dict[str, Handler]:
    """What the control socket answers."""

    async def build(_arguments: Mapping[str, Any]) -> Any:
        made = await session.circuits.build(Wishes())
        made.circuit.destroy("no longer needed")
        return {"built_s": made.built_s}

    async def hold(arguments: Mapping[str, Any]) -> Any:
        for _ in range(int(arguments["count"])):
            await session.circuits.build(Wishes())
            await asyncio.sleep(PAUSE_S)
        return {"open": len(session.circuits.open)}

    async def forget(_arguments: Mapping[str, Any]) -> Any:
        for entry in list(session.circuits.open):
            entry.circuit.destroy("no longer needed")
        return {"open": len(session.circuits.open)}

    return {"build": build, "hold": hold, "forget": forget}


async def serve(home: Path, stop: asyncio.Event) -> None:
    """Run until told to stop."""
    session = Session(load_bundle(home / "network.json"), None, ready=0)
    if (home / FILE_NAME).exists():
        session.purse = LocalPurse(LocalIssuer.load(home))
    control = ControlServer(handlers(session))
    async with asyncio.TaskGroup() as group, control.serve(home / "control.sock"):
        await session.start(group, timeout_s=START_S)
        server = await session.listen(Endpoint("127.0.0.1", 0))
        announce({"socks": session.listening[0]})
        await stop.wait()
        server.close()
        await session.stop()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    log = logging.setup(json=True, file=folder / "client.log")
    run_until_stopped(lambda stop: serve(folder, stop))
    if log is not None:
        log.close()
