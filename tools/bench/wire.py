"""A delay wire in user space: hosts in network namespaces, one process that passes packets on.

Each host is a namespace with one TUN device and a default route into it, so nothing a host sends
can leave this machine. One process reads the devices and hands every packet to the lane between
its two hosts, which adds delay, jitter, loss and rate. Without loss, devices carry TCP segments of
up to 64 KiB (segmentation offload): the wire stays cheap, and latency is what is measured.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from qnet.errors import NetworkError
from tools.bench.lane import Lane, Shape
from tools.bench.place import NAMESPACES, Place

TUN_DEVICE = Path("/dev/net/tun")
DEVICE = "wire"
MTU_BYTES = 9000
TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
OFFLOAD_CHECKSUM, OFFLOAD_TSO4 = 0x01, 0x02

VNET_BYTES = 10
"""Header in front of each packet that says how it is to be segmented."""

DESTINATION = slice(VNET_BYTES + 16, VNET_BYTES + 20)
READ_BYTES = VNET_BYTES + 2**16
BATCH = 32
"""Packets read from one device before the others have their turn."""

NETWORKS = ("198.18.0", "198.19.0", "192.0.2", "198.51.100", "203.0.113")
"""Ranges reserved for benchmarks and documentation; neighbours never share a /16."""

PREFIX = "qbench"
STOP_S = 5.0

Lanes = Mapping[tuple[str, str], Shape]


def star(hosts: Sequence[str], shape: Shape, *, hub: str = "hub") -> dict[tuple[str, str], Shape]:
    """Every two hosts are one such wire apart; the hub is next to everybody."""
    names = [*dict.fromkeys((hub, *hosts))]
    return {(a, b): Shape() if hub in {a, b} else shape for a in names for b in names if a != b}


def chain(hosts: Sequence[str], shape: Shape) -> dict[tuple[str, str], Shape]:
    """Each host reaches its neighbours only."""
    pairs = list(pairwise(hosts))
    return dict.fromkeys([*pairs, *((b, a) for a, b in pairs)], shape)


def unusable() -> str:
    """Why wires cannot be laid here; empty when they can."""
    if sys.platform != "linux":
        return "needs Linux"
    if os.geteuid() != 0:
        return "needs root"
    if not TUN_DEVICE.exists():
        return f"needs {TUN_DEVICE}"
    if not any(Path(folder, "ip").exists() for folder in os.environ["PATH"].split(":")):
        return "needs the command ip (iproute2)"
    return ""


@dataclass(slots=True)
class Wire:
    """A laid wire.

    Attributes:
        places: Hosts by name.
        process: The process that passes packets on.
    """

    places: dict[str, Place]
    process: subprocess.Popen[bytes]

    def counts(self) -> dict[str, dict[str, int]]:
        """Counters of every lane by `from>to`, and `none` for packets to nowhere.

        Raises:
            NetworkError: The process that passes packets on is dead.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise NetworkError("the wire is broken", why="its process ended")
        counts: dict[str, dict[str, int]] = json.loads(line)
        return counts


@contextmanager
def wire(lanes: Lanes) -> Iterator[Wire]:
    """Lay wires between hosts until the context ends, however it ends.

    Raises:
        NetworkError: They cannot be laid here; says why.
    """
    if why := unusable():
        raise NetworkError("no wires here", why=why)
    _sweep()
    names = [*dict.fromkeys(name for pair in lanes for name in pair)]
    offload = not any(shape.loss for shape in lanes.values())
    places: dict[str, Place] = {}
    devices: dict[str, int] = {}
    process = None
    try:
        for number, name in enumerate(names):
            place = Place(address_of(number), f"{PREFIX}{os.getpid()}-{name}")
            places[name] = place
            _ip("netns", "add", place.namespace)
            devices[name] = _open_device(place, offload=offload)
            _configure(place)
        process = _start(places, devices, lanes)
        for descriptor in devices.values():
            os.close(descriptor)
        devices.clear()
        laid = Wire(places, process)
        laid.counts()
        yield laid
    finally:
        if process is not None:
            _stop(process)
        for descriptor in devices.values():
            os.close(descriptor)
        for place in places.values():
            _ip("netns", "delete", place.namespace, check=False)


def address_of(number: int) -> str:
    """IPv4 address of a host by its number, 0 to 1,269."""
    return f"{NETWORKS[number % len(NETWORKS)]}.{1 + number // len(NETWORKS)}"


def _open_device(place: Place, *, offload: bool) -> int:
    with place.inside():
        descriptor = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), flags))
    features = OFFLOAD_CHECKSUM | OFFLOAD_TSO4 if offload else 0
    fcntl.ioctl(descriptor, TUNSETOFFLOAD, features)
    return descriptor


def _configure(place: Place) -> None:
    inside = ("-n", place.namespace)
    _ip(*inside, "address", "add", f"{place.address}/32", "dev", DEVICE)
    _ip(*inside, "link", "set", DEVICE, "mtu", str(MTU_BYTES), "txqueuelen", "1000", "up")
    _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "route", "add", "default", "dev", DEVICE)


def _start(
    places: Mapping[str, Place], devices: Mapping[str, int], lanes: Lanes
) -> subprocess.Popen[bytes]:
    plan = {
        "hosts": [[name, place.address, devices[name]] for name, place in places.items()],
        "lanes": [[a, b, asdict(shape)] for (a, b), shape in lanes.items()],
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tools.bench.wire", json.dumps(plan)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=tuple(devices.values()),
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Close its input, which ends it."""
    try:
        process.communicate(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _sweep() -> None:
    """Delete namespaces of benches that were killed."""
    for path in NAMESPACES.glob(f"{PREFIX}*-*"):
        pid = path.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            _ip("netns", "delete", path.name, check=False)


def _ip(*words: str, check: bool = True) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise NetworkError(f"ip {' '.join(words)} failed", why=done.stderr.strip())


class Switch:
    """The process that passes packets on.

    Args:
        plan: Hosts with addresses and devices, lanes with shapes.
    """

    def __init__(self, plan: Mapping[str, Any]) -> None:
        chance = random.SystemRandom().random
        hosts = {name: (address, device) for name, address, device in plan["hosts"]}
        self.lanes = {(a, b): Lane(Shape(**shape), chance) for a, b, shape in plan["lanes"]}
        self.routes: dict[int, dict[bytes, Lane]] = {
            device: {
                bytes(map(int, hosts[b][0].split("."))): lane
                for (a, b), lane in self.lanes.items()
                if a == name
            }
            for name, (_, device) in hosts.items()
        }
        self.exits = [(lane, hosts[b][1]) for (_, b), lane in self.lanes.items()]
        self.nowhere = 0
        self.refused = 0

    def run(self, control: int) -> None:
        """Pass packets on until the control input ends; each line on it asks for the counters."""
        while True:
            waiting = [due for lane, _ in self.exits if (due := lane.next_due) is not None]
            timeout = max(0.0, min(waiting) - time.monotonic()) if waiting else None
            readable, _, _ = select.select([control, *self.routes], [], [], timeout)
            if control in readable:
                if not os.read(control, 1024):
                    return
                print(json.dumps(self.counts()), flush=True)
                readable.remove(control)
            for device in readable:
                self._read(device)
            self._write()

    def counts(self) -> dict[str, dict[str, int]]:
        """Counters of every lane."""
        told = {f"{a}>{b}": lane.counts() for (a, b), lane in self.lanes.items()}
        return told | {"none": {"unroutable": self.nowhere, "refused": self.refused}}

    def _read(self, device: int) -> None:
        routes = self.routes[device]
        now = time.monotonic()
        for _ in range(BATCH):
            try:
                packet = os.read(device, READ_BYTES)
            except BlockingIOError:
                return
            lane = routes.get(packet[DESTINATION])
            if lane is None or packet[VNET_BYTES] >> 4 != 4:
                self.nowhere += 1
            else:
                lane.offer(packet, now)

    def _write(self) -> None:
        now = time.monotonic()
        for lane, device in self.exits:
            for packet in lane.due(now):
                try:
                    os.write(device, packet)
                except OSError:
                    self.refused += 1


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Switch(json.loads(sys.argv[1])).run(sys.stdin.fileno())
