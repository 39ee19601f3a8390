"""The two networks a comparison measures, behind one small interface."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from node.io.control import call_blocking
from qnet.errors import NetworkError
from tools.bench.network import LINE_BYTES, START_S, LocalNetwork
from tools.bench.place import HERE, Place
from tools.bench.tor import TorNetwork

HOLD_S = 240.0
RELAYS = ("entry", "relay", "exit")


class Subject(Protocol):
    """A running network with one client and three relays."""

    @property
    def socks(self) -> tuple[str, int]:
        """Where the client listens."""

    @property
    def pids(self) -> Mapping[str, int]:
        """Process ids of client, entry, relay and exit."""

    def build(self) -> float:
        """Build a circuit and close it; seconds until it stood."""

    def hold(self, count: int) -> None:
        """Build circuits that stay open and idle."""

    def forget(self) -> None:
        """Close every circuit."""


@dataclass(frozen=True, slots=True)
class TorSubject:
    """C-Tor; circuits are built over its control port."""

    network: TorNetwork

    @property
    def socks(self) -> tuple[str, int]:
        """Where the client listens."""
        return self.network.socks

    @property
    def pids(self) -> Mapping[str, int]:
        """Process ids of client, entry, relay and exit."""
        return self.network.pids

    def build(self) -> float:
        """Build a circuit and close it; seconds until it stood."""
        circuit, took_s = self.network.control.build(self.network.path)
        self.network.control.close_circuit(circuit)
        return took_s

    def hold(self, count: int) -> None:
        """Build circuits that stay open and idle."""
        self.network.control.hold(self.network.path, count)

    def forget(self) -> None:
        """Close every circuit."""
        self.network.control.close_paths()


@dataclass(frozen=True, slots=True)
class QnetSubject:
    """QNet; circuits are built over the bench client's control socket."""

    home: Path
    socks: tuple[str, int]
    pids: Mapping[str, int]

    def build(self) -> float:
        """Build a circuit and close it; seconds until it stood."""
        return float(call_blocking(self.home / "control.sock", "build")["built_s"])

    def hold(self, count: int) -> None:
        """Build circuits that stay open and idle."""
        call_blocking(self.home / "control.sock", "hold", timeout_s=HOLD_S, count=count)

    def forget(self) -> None:
        """Close every circuit."""
        call_blocking(self.home / "control.sock", "forget")


@asynccontextmanager
async def qnet_subject(network: LocalNetwork, place: Place = HERE) -> AsyncIterator[QnetSubject]:
    """A client process in front of a network.

    Raises:
        NetworkError: It did not come up; carries its last words.
    """
    home = network.home / "bench-client"
    home.mkdir(mode=0o700)
    (home / "network.json").write_text(json.dumps(network.bundle().to_json()))
    process = await asyncio.create_subprocess_exec(
        *place.command(sys.executable, "-m", "tools.bench.client", str(home)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_S):
            line = (await process.stdout.readline()).decode()
        if not line.startswith("READY "):
            _, errors = await process.communicate()
            raise NetworkError("the bench's client did not start", why=errors.decode()[-400:])
        host, _, port = json.loads(line.removeprefix("READY "))["socks"].rpartition(":")
        pids = {"client": process.pid} | {
            node.role: node.process.pid for node in network.nodes if node.process is not None
        }
        yield QnetSubject(home, (host, int(port)), pids)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
