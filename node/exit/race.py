"""Attempts to connect to several addresses of one name, staggered; the first that stands wins.

Source: RFC 8305, section 5.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Mapping, Sequence
from typing import Final

from node.errors import ConnectError, ExitLimitError
from node.exit.address import Address
from node.exit.limits import ExitLimits

ATTEMPT_DELAY_S: Final = 0.25
"""An attempt that has neither succeeded nor failed by then is raced by the next one."""

_OWN_FAULTS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What says nothing about the destination: this machine is short of something."""

Connected = tuple[Address, socket.socket]


async def race(
    addresses: Sequence[Address], port: int, limits: ExitLimits, sources: Mapping[int, Address]
) -> Connected:
    """Connect to the first address that answers.

    Args:
        addresses: In the order in which they are tried; at least one.
        port: TCP port.
        limits: Where every attempt is counted; the winner stays counted.
        sources: Address to connect from, by IP version; the system chooses where none is given.

    Returns:
        The address and a connected, non-blocking socket.

    Raises:
        ExitLimitError: The last destination tried has too many connections from here.
        ConnectError: No attempt succeeded.
    """
    waiting = list(addresses)
    standing: list[Connected] = []
    failures: list[OSError | ExitLimitError] = []
    won: list[Connected] = []
    try:
        async with asyncio.TaskGroup() as group:
            running: set[asyncio.Task[None]] = set()
            while not standing and (waiting or running):
                if waiting:
                    address = waiting.pop(0)
                    source = sources.get(address.version)
                    work = _attempt(address, port, source, limits, standing, failures)
                    running.add(group.create_task(work))
                _, running = await asyncio.wait(
                    running,
                    timeout=ATTEMPT_DELAY_S if waiting else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            for task in running:
                task.cancel()
        won = standing[:1]
    finally:
        for loser, sock in standing[len(won) :]:
            sock.close()
            limits.leave(loser, port)
    if won:
        return won[0]
    raise _told(failures[-1], port)


async def _attempt(
    address: Address,
    port: int,
    source: Address | None,
    limits: ExitLimits,
    standing: list[Connected],
    failures: list[OSError | ExitLimitError],
) -> None:
    try:
        limits.reach(address, port)
    except ExitLimitError as error:
        failures.append(error)
        return
    try:
        sock = await _connected(address, port, source)
    except OSError as error:
        limits.leave(address, port)
        failures.append(error)
    except BaseException:
        limits.leave(address, port)
        raise
    else:
        standing.append((address, sock))


async def _connected(address: Address, port: int, source: Address | None) -> socket.socket:
    sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6)
    try:
        sock.settimeout(0)
        if source is not None:
            sock.bind((str(source), 0))
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock


def _told(failure: OSError | ExitLimitError, port: int) -> ConnectError | ExitLimitError:
    if isinstance(failure, ExitLimitError):
        return failure
    message = f"no connection to port {port}"
    if isinstance(failure, ConnectionRefusedError):
        return ConnectError("refused", message, why="connection refused")
    if isinstance(failure, TimeoutError):
        return ConnectError("timeout", message, why="no answer")
    if failure.errno in _OWN_FAULTS:
        return ConnectError("internal", message, why=failure.strerror or "no resources")
    return ConnectError("unreachable", message, why=failure.strerror or "unreachable")
