"""A whole network of real processes, one for all tests here that share it."""

import contextlib
import json
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


def free_ports(count):
    """Ports that are free on all of loopback now."""
    holders = [socket.socket() for _ in range(count)]
    for holder in holders:
        holder.bind(("0.0.0.0", 0))
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


def up_words(ports):
    return [
        *("--chain-port", ports["chain"], "--dns-port", ports["dns"]),
        *("--socks", f"127.0.0.1:{ports['socks']}", "--web-port", ports["web"]),
        *("--node-port", ports["node"], "--ledger-port", ports["ledger"]),
    ]


def pick_ports():
    names = ("chain", "dns", "socks", "web", "node")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    return ports | {"ledger": free_run(4)}


def free_run(count):
    """First of `count` consecutive free ports: the members' own."""
    while True:
        (start,) = free_ports(1)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, OverflowError):
            for port in range(start, start + count):
                stack.enter_context(socket.socket()).bind(("0.0.0.0", port))
            return start


@pytest.fixture(scope="package")
def net(tmp_path_factory):
    """A network of 6 nodes and 4 members, taken down afterwards."""
    network = Net(tmp_path_factory.mktemp("e2e") / "net", pick_ports())
    network.qnet("devnet", "up", "--nodes", 6, *up_words(network.ports), timeout=200)
    yield network
    network.qnet("devnet", "down")
