"""What a local network is doing now: the table of `qnet devnet status`."""

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.devnet.processes import Process, log_tail, start_ticks
from tools.devnet.state import State

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PROBE_S = 1.0


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One program as the kernel sees it.

    Attributes:
        name: name within the network.
        kind: chain, ledger, auditor, node, client or dns.
        pid: process id.
        alive: whether it runs.
        listening: whether its address accepts connections; None where it has none on TCP.
        address: that address, or "".
        uptime_s: seconds since it was started; 0 when it is gone.
        memory_bytes: resident memory.
        detail: last log line of a program that is gone.
    """

    name: str
    kind: str
    pid: int
    alive: bool
    listening: bool | None
    address: str
    uptime_s: int
    memory_bytes: int
    detail: str

    @property
    def healthy(self) -> bool:
        """Alive, and listening where it should."""
        return self.alive and self.listening is not False

    def row(self) -> dict[str, Any]:
        """As one row of the table."""
        state = "up" if self.healthy else ("not listening" if self.alive else "DEAD")
        return {
            "name": self.name,
            "state": state,
            "address": self.address,
            "pid": self.pid,
            "up_s": self.uptime_s,
            "memory_mb": self.memory_bytes // 2**20,
            "last_words": self.detail,
        }


def inspect(state: State) -> list[ProcessStatus]:
    """Look at every program of the network, in the order in which they were started."""
    return [_inspect_one(process, _address_of(process.name, state)) for process in state.processes]


def _address_of(name: str, state: State) -> str:
    config = state.config
    listed = {
        "chain": f"127.0.0.1:{config.chain_port}",
        "client": f"127.0.0.1:{config.socks_port}",
        "web": f"127.0.0.1:{config.web_port}",
    }
    listed |= {node.name: f"{node.host}:{config.node_port}" for node in state.nodes}
    listed |= {member.name: member.url.removeprefix("http://") for member in state.members}
    return listed.get(name, "")


def _inspect_one(process: Process, address: str) -> ProcessStatus:
    alive = process.alive
    tail = [] if alive else log_tail(Path(process.out), Path(process.err), lines=1)
    return ProcessStatus(
        name=process.name,
        kind=process.name.partition("-")[0],
        pid=process.pid,
        alive=alive,
        listening=_accepts(address) if alive and address else None,
        address=address,
        uptime_s=uptime_s(process.pid) if alive else 0,
        memory_bytes=memory_bytes(process.pid) if alive else 0,
        detail=tail[0][:200] if tail else "",
    )


def _accepts(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=PROBE_S):
            return True
    except OSError:
        return False


def uptime_s(pid: int) -> int:
    """Seconds since a program was started; 0 when it is gone."""
    ticks = start_ticks(pid)
    if ticks is None:
        return 0
    return max(0, int(time.clock_gettime(time.CLOCK_BOOTTIME)) - ticks // CLOCK_TICKS)


def memory_bytes(pid: int) -> int:
    """Resident memory of a program; 0 when it is gone.

    Source: proc_pid_status(5), VmRSS in KiB.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text("ascii", errors="replace")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
