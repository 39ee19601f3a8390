"""Where a program of a bench runs: this network namespace, or one the bench made itself."""

from __future__ import annotations

import ctypes
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

NAMESPACES = Path("/run/netns")
CLONE_NEWNET = 0x40000000
PORTS = range(20_000, 32_000)
"""Below the ports the kernel gives to outgoing connections."""

PORT_TRIES = 100


@dataclass(frozen=True, slots=True)
class Place:
    """A host of a bench.

    Attributes:
        address: IPv4 address that its programs listen on.
        namespace: Network namespace; empty for the one of this process.
    """

    address: str
    namespace: str = ""

    def command(self, *words: str) -> list[str]:
        """The command line that runs a program there."""
        return ["ip", "netns", "exec", self.namespace, *words] if self.namespace else [*words]

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets that this thread makes belong to the place while the context lasts.

        Raises:
            OSError: The namespace is gone, or this user may not enter it.
        """
        if not self.namespace:
            yield
            return
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            there = os.open(NAMESPACES / self.namespace, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _enter(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _enter(before)
        finally:
            os.close(before)

    def listener(self) -> socket.socket:
        """A TCP socket that listens on a free port of the place."""
        with self.inside():
            return socket.create_server((self.address, 0))

    def free_port(self) -> int:
        """A TCP port of the place that nothing listens on, and that no connection is given.

        Raises:
            OSError: None is free.
        """
        for _ in range(PORT_TRIES):
            port = PORTS.start + secrets.randbelow(len(PORTS))
            with self.inside(), socket.socket() as probe, suppress(OSError):
                probe.bind((self.address, port))
                return port
        raise OSError(f"no free port at {self.address}")


HERE = Place("127.0.0.1")
"""Loopback of this machine."""


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
