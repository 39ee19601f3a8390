"""Watching keys change while everything else happens: phases, links, circuits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.io.control import call
from qnet.errors import QnetError
from tools.devnet.demo.context import Demo
from tools.devnet.demo.journal import CheckFailedError

PERIOD_S = 2.0
PATIENCE_S = 90.0
ASK_S = 3.0


@dataclass(slots=True)
class Watch:
    """What nodes and client have told so far.

    Attributes:
        phases: key phases seen, over all nodes.
        link_rekeys: most rekeys each node has told of its links.
        circuit_rekeys: most rekeys seen on one circuit of the client.
        built_ms: durations of circuit builds.
        last: latest status of each node.
        all_changed: set when every kind of key has changed at least once.
    """

    phases: set[int] = field(default_factory=set)
    link_rekeys: dict[str, int] = field(default_factory=dict)
    circuit_rekeys: int = 0
    built_ms: set[float] = field(default_factory=set)
    last: dict[str, Any] = field(default_factory=dict)
    all_changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def look(self, demo: Demo) -> None:
        """Ask everybody once; who does not answer is skipped."""
        for node in demo.state.nodes:
            status = await ask(Path(node.home), "status")
            if status is None:
                continue
            self.last[node.name] = status
            self.phases.add(int(status["phase"]))
            rekeys = int(status["links"]["rekeys"])
            self.link_rekeys[node.name] = max(rekeys, self.link_rekeys.get(node.name, 0))
        circuits = await ask(demo.config.home / "client", "circuits")
        for row in circuits or []:
            self.circuit_rekeys = max(self.circuit_rekeys, int(row["rekeys"]))
            self.built_ms.add(float(row["built_ms"]))
        links = sum(self.link_rekeys.values())
        if links and self.circuit_rekeys and len(self.phases) > 1:
            self.all_changed.set()


async def ask(home: Path, command: str) -> Any:
    """Ask a program through its control socket; None when it does not answer."""
    with contextlib.suppress(QnetError, OSError, TimeoutError):
        return await call(home / "control.sock", command, timeout_s=ASK_S)
    return None


@contextlib.asynccontextmanager
async def watching(demo: Demo) -> AsyncIterator[Watch]:
    """Look every two seconds for as long as the block runs."""
    watch = Watch()

    async def work() -> None:
        while True:
            await watch.look(demo)
            await asyncio.sleep(PERIOD_S)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(work())
        try:
            yield watch
        finally:
            task.cancel()


async def show_keys(demo: Demo, watch: Watch) -> None:
    """Wait until every kind of key has been seen to change."""
    journal = demo.journal
    with journal.step("forward secrecy"):
        try:
            async with asyncio.timeout(PATIENCE_S):
                await watch.all_changed.wait()
        except TimeoutError as error:
            raise CheckFailedError(
                "not every kind of key changed in time",
                why=f"phases {len(watch.phases)}, link rekeys {watch.link_rekeys}, "
                f"circuit rekeys {watch.circuit_rekeys}",
            ) from error
        phases = sorted(watch.phases)
        journal.verified("onion keys moved on", f"{len(phases)} key phases seen")
        total = sum(watch.link_rekeys.values())
        journal.verified("links replaced their keys", f"{total} rekeys, counted at both ends")
        journal.verified(
            "a circuit in use replaced its keys", f"{watch.circuit_rekeys} rekeys on one circuit"
        )
