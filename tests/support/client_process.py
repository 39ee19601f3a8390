"""`qnet client up` as a process of its own, on this machine or on another one."""

import asyncio
import json
import signal
import sys
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.io.control import call
from tools.bench.place import HERE


@dataclass
class ClientProcess:
    """A running client.

    Attributes:
        home: Its folder.
        process: The process.
        facts: What it said when it was up.
    """

    home: Path
    process: asyncio.subprocess.Process
    facts: dict[str, Any]

    async def ask(self, command, **arguments):
        """Ask it over its control socket."""
        return await call(self.home / "control.sock", command, **arguments)

    async def stages(self):
        """State of each stage by name."""
        return {row["stage"]: row for row in (await self.ask("status"))["stages"]}

    async def until(self, condition, timeout_s=10.0):
        """Wait for a status; returns it."""
        async with asyncio.timeout(timeout_s):
            while not condition(status := await self.ask("status")):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return status

    async def until_up(self, timeout_s=10.0):
        """Wait until every stage holds."""
        return await self.until(is_up, timeout_s)

    async def down(self):
        """Tell it to stop; returns how long that took."""
        began = time.monotonic()
        await self.ask("down")
        assert await self.process.wait() == 0
        return time.monotonic() - began


def is_up(status):
    """Whether every stage holds."""
    return {row["state"] for row in status["stages"]} == {"passed"}


@asynccontextmanager
async def client_process(bundle, home, *, place=HERE, timeout_s=30.0, words=()):
    """Run a client until the context ends."""
    home.mkdir(exist_ok=True)
    path = home / "network.json"
    path.write_text(json.dumps(bundle.to_json()))
    process = await asyncio.create_subprocess_exec(
        *place.command(sys.executable, "-m", "node.client", "--home", str(home)),
        *("--bundle", str(path), "--listen", "127.0.0.1:0", "--announce"),
        *("--timeout", str(timeout_s), *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(timeout_s):
            while not (line := await process.stdout.readline()).startswith(b"READY "):
                assert line, (await process.stderr.read()).decode()
        yield ClientProcess(home, process, json.loads(line.removeprefix(b"READY ")))
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.kill()
        await process.communicate()
