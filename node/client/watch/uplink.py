"""The address from which this machine reaches a node, and when it changes.

The kernel is asked which address it would use: a UDP socket is connected and closed, and no packet
is sent. Linux also tells of every change at once (rtnetlink); elsewhere the client looks every few
seconds.

Source: docs/spec/exits-and-clients.md, section "Recovery".
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from ipaddress import IPv6Network, ip_address
from types import TracebackType
from typing import Final, Self

import structlog

_DISCARD_PORT: Final = 9
_HOST_BITS: Final = 64
_READ_BYTES: Final = 65_536
_MAX_READS: Final = 64
"""Messages taken in one wake-up; more of them mean the same."""

_RTMGRP_LINK: Final = 0x1
_RTMGRP_IPV4: Final = 0x10 | 0x40
"""Addresses and routes."""
_RTMGRP_IPV6: Final = 0x100 | 0x400

_log = structlog.get_logger(__name__)


def source_towards(address: str) -> str:
    """The local address from which the kernel would send to an address; empty for no route.

    Args:
        address: IPv4 or IPv6 address in text; a name has no answer and is never looked up.
    """
    if not is_address(address):
        return ""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address, _DISCARD_PORT))
        return str(probe.getsockname()[0])
    return ""


def is_same_place(own: str, other: str) -> bool:
    """Whether two local addresses stand for one place in the network.

    IPv6 machines take a new address in the same network every day (RFC 8981) and keep the old one.
    """
    if own == other:
        return True
    if ":" not in own or ":" not in other or not has_address(own):
        return False
    networks = (
        IPv6Network((name.partition("%")[0], _HOST_BITS), strict=False) for name in (own, other)
    )
    return len(set(networks)) == 1


def has_address(address: str) -> bool:
    """Whether this machine still has an address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return True
    return False


def is_address(host: str) -> bool:
    """Whether a host is written as an address."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class RouteNews:
    """Tells when links, addresses or routes of this machine change; a context manager."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._socket: socket.socket | None = None

    @property
    def is_live(self) -> bool:
        """Whether the kernel tells; else only time passes."""
        return self._socket is not None

    async def wait(self, timeout_s: float) -> bool:
        """Wait for a change; True when there was one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        told = self._changed.is_set()
        self._changed.clear()
        return told

    def __enter__(self) -> Self:
        try:
            self._socket = _netlink()
        except (OSError, AttributeError) as error:
            _log.debug("the kernel tells no changes of routes", cause=type(error).__name__)
        else:
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _read(self) -> None:
        self._changed.set()
        with suppress(OSError):  # nothing left, or too much came: all that counts is that it did
            for _ in range(_MAX_READS):
                if self._socket is None or not self._socket.recv(_READ_BYTES):
                    return


def _netlink() -> socket.socket:
    """A socket on which Linux tells of changes.

    Raises:
        OSError: Not allowed here.
        AttributeError: Not Linux.
    """
    news = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    )
    try:
        news.setblocking(False)  # noqa: FBT003
        news.bind((0, _RTMGRP_LINK | _RTMGRP_IPV4 | _RTMGRP_IPV6))
    except OSError:
        news.close()
        raise
    return news
