"""Runs a program through the client's ports: by its environment, or in a network of its own.

Source of the enclosure: `node.client.command.enclosure`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from node.client.command.surroundings import Ways
from node.config import Endpoint
from node.errors import EnclosureError
from node.io.pipe import reset_on_close
from qnet.errors import NotFoundError

MAX_MESSAGE_BYTES = 4_096
MAX_CONNECTIONS = 256
"""Connections of an enclosed program at once; more wait."""

ENTER_S = 20.0
_CHUNK_BYTES = 256 * 2**10
_FORWARDED = (signal.SIGTERM, signal.SIGHUP)


def become(command: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    """Replace this process by a program; its exit code and signals are its own.

    Raises:
        NotFoundError: There is no such program.
    """
    program = _program(command)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(program, list(command), {**os.environ, **variables})  # noqa: S606 - no shell


def run_enclosed(command: Sequence[str], variables: Mapping[str, str], ways: Ways) -> int:
    """Run a program where the client's ports are all it can reach; returns its exit code.

    Raises:
        NotFoundError: There is no such program.
        EnclosureError: This machine does not allow it; why, and what may help.
    """
    _program(command)
    if sys.platform != "linux":
        raise EnclosureError("--strict needs Linux", why=f"this is {sys.platform}")
    return asyncio.run(_run_enclosed(command, variables, ways))


async def _run_enclosed(command: Sequence[str], variables: Mapping[str, str], ways: Ways) -> int:
    outside = [Endpoint.parse(way) for way in (ways.socks, ways.http) if way]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "node.client.command.enclosure", str(theirs.fileno())),
            *(way for way in (ways.socks, ways.http) if way),
            *("--", *command),
            pass_fds=[theirs.fileno()],
            env={**os.environ, **variables},
        )
        theirs.close()
        try:
            listeners = await asyncio.to_thread(_listeners, ours, len(outside))
        except EnclosureError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
    try:
        return await _serve(process, listeners, outside)
    finally:
        for listener in listeners:
            listener.close()


async def _serve(
    process: asyncio.subprocess.Process,
    listeners: Sequence[socket.socket],
    outside: Sequence[Endpoint],
) -> int:
    """Carry connections from the enclosure to the client's ports until the program ends."""
    loop = asyncio.get_running_loop()
    for number in _FORWARDED:
        loop.add_signal_handler(number, _pass_on, process, number)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # the terminal tells the program itself
    async with asyncio.TaskGroup() as group:
        doors = group.create_task(_accept_all(listeners, outside))
        code = await process.wait()
        doors.cancel()
    return code if code >= 0 else 128 - code


async def _accept_all(listeners: Sequence[socket.socket], outside: Sequence[Endpoint]) -> None:
    room = asyncio.Semaphore(MAX_CONNECTIONS)
    async with asyncio.TaskGroup() as group:
        for listener, to in zip(listeners, outside, strict=True):
            listener.setblocking(False)  # noqa: FBT003 - the socket module's signature
            group.create_task(_accept(listener, to, room, group))


async def _accept(
    listener: socket.socket, to: Endpoint, room: asyncio.Semaphore, group: asyncio.TaskGroup
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await room.acquire()
        connection, _ = await loop.sock_accept(listener)
        task = group.create_task(_carry(connection, to))
        task.add_done_callback(lambda _task: room.release())


async def _carry(connection: socket.socket, to: Endpoint) -> None:
    """Join one connection of the program to one of the client's; a reset stays a reset."""
    inner_reader, inner = await asyncio.open_connection(sock=connection)
    try:
        outer_reader, outer = await asyncio.open_connection(to.host, to.port)
    except OSError:
        inner.transport.abort()
        return
    try:
        async with asyncio.TaskGroup() as ways:
            ways.create_task(_copy(inner_reader, outer))
            ways.create_task(_copy(outer_reader, inner))
    except* OSError:
        for writer in (inner, outer):
            if not writer.is_closing():
                reset_on_close(writer.transport)
                writer.transport.abort()
    finally:
        inner.close()
        outer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def _listeners(channel: socket.socket, count: int) -> list[socket.socket]:
    """The sockets that listen in the enclosure.

    Raises:
        EnclosureError: There is none; the step that was refused and why.
    """
    channel.settimeout(ENTER_S)
    try:
        data, numbers, _, _ = socket.recv_fds(channel, MAX_MESSAGE_BYTES, count)
        said = dict(json.loads(data or b'{"step": "start", "why": "it ended early"}'))
    except (OSError, ValueError, TypeError) as error:
        raise EnclosureError("--strict is not possible here", why=str(error)) from error
    if len(numbers) == count and not said:
        return [socket.socket(fileno=number) for number in numbers]
    raise EnclosureError(
        "--strict is not possible here",
        why=f"{said.get('step', 'listen')}: {said.get('why', 'no sockets')}",
        try_=(
            "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1",
            "on Ubuntu also: sysctl kernel.apparmor_restrict_unprivileged_userns=0",
            "run without --strict; the program is then trusted to use the proxy",
        ),
    )


def _pass_on(process: asyncio.subprocess.Process, number: int) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)


def _program(command: Sequence[str]) -> str:
    found = shutil.which(command[0])
    if found is None:
        raise NotFoundError(f"no program {command[0]!r}", why="it is not in PATH")
    return found
