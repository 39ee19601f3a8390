"""A whole network of real processes, one for all tests here that share it."""

import contextlib
import json
import secrets
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

QNET = Path(sys.executable).with_name("qnet")


@dataclass(frozen=True)
class Net:
    home: Path
    ports: dict[str, int]

    def qnet(self, *words, check=True, timeout=60):
        """Run a command on this network; returns the finished process."""
        argv = [str(QNET), *map(str, words), "--home", str(self.home)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def data(self, *words, **options):
        """The data of a command's JSON result."""
        return json.loads(self.qnet(*words, "--json", **options).stdout)["data"]

    @property
    def socks(self):
        return f"127.0.0.1:{self.ports['socks']}"


def up_words(ports):
    return [
        *("--chain-port", ports["chain"], "--dns-port", ports["dns"]),
        *("--socks", f"127.0.0.1:{ports['socks']}", "--web-port", ports["web"]),
        *("--node-port", ports["node"], "--ledger-port", ports["ledger"]),
    ]


RUNS = {"chain": 1, "dns": 1, "socks": 3, "web": 1, "node": 2, "ledger": 4}
"""How many ports in a row each part takes: the client's HTTP and DNS follow SOCKS."""
PORTS = range(12_000, 32_000)
"""Below those that connections leave from: one of these would be taken a moment later."""


def pick_ports():
    found = {}
    for name, count in RUNS.items():
        taken = {found[other] + place for other in found for place in range(RUNS[other])}
        found[name] = free_run(count, taken)
    return found


def free_run(count, taken=frozenset()):
    """First of `count` consecutive free ports, none of them in `taken`."""
    while True:
        start = PORTS.start + secrets.randbelow(len(PORTS) - count)
        run = range(start, start + count)
        if taken.intersection(run):
            continue
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in run:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    made = stack.enter_context(socket.socket(type=kind))
                    made.bind(("0.0.0.0", port))
            return start


@pytest.fixture(scope="package")
def net(tmp_path_factory):
    """A network of 6 nodes and 4 members, taken down afterwards."""
    network = Net(tmp_path_factory.mktemp("e2e") / "net", pick_ports())
    network.qnet("devnet", "up", "--nodes", 6, *up_words(network.ports), timeout=200)
    yield network
    network.qnet("devnet", "down")
