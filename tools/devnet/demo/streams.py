"""Step: nodes and client obey the parameter that holders changed."""

import asyncio
import struct
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

from tools.devnet.demo.context import Demo
from tools.devnet.demo.journal import CheckFailedError
from tools.devnet.demo.vote import NEW_VALUE, PARAMETER
from tools.devnet.demo.watch import ask

PATIENCE_S = 90.0
POLL_S = 1.0
HELLO = b"ready\n"
LABEL = b"streams"
EXTRA = 2
SOCKS_S = 30.0


async def show_obedience(demo: Demo) -> None:
    """Wait for the consensus with the new value, then open more streams than a circuit may hold."""
    journal = demo.journal
    with journal.step("new rule obeyed"):
        async with demo.contracts() as contracts:
            wanted = (await contracts.parameters.hash()).hex()
        await _await_hash(demo, wanted)
        told = [await _node_status(demo, node.home) for node in demo.state.nodes]
        values = {status[PARAMETER] for status in told}
        journal.require(
            values == {NEW_VALUE},
            f"every node's status says {PARAMETER} = {NEW_VALUE}",
            f"{len(told)} nodes, hash {wanted[:16]}",
        )
        await _fill_circuits(demo)


async def _node_status(demo: Demo, home: str) -> Any:
    return (await asyncio.to_thread(demo.qnet, "node", "status", "--home", home))[0]


async def _await_hash(demo: Demo, wanted: str) -> None:
    """Wait until every node and the client follow the parameters on the chain."""
    homes = {node.name: demo.config.home / node.name for node in demo.state.nodes}
    homes["client"] = demo.config.home / "client"
    deadline, behind = time.monotonic() + PATIENCE_S, list(homes)
    while time.monotonic() < deadline:
        told = {name: await ask(home, "status") for name, home in homes.items()}
        behind = [
            name
            for name, status in told.items()
            if status is None or status["parameters_hash"] != wanted
        ]
        if not behind:
            return
        await asyncio.sleep(POLL_S)
    raise CheckFailedError(
        f"not everybody follows the new parameters after {PATIENCE_S:.0f} s",
        why=f"still behind: {', '.join(behind)}",
    )


async def _fill_circuits(demo: Demo) -> None:
    """Hold more streams of one isolation group open than one circuit may carry."""
    count = NEW_VALUE + EXTRA
    async with _greeter() as port, AsyncExitStack() as stack:
        for _ in range(count):
            await stack.enter_async_context(_stream(demo, port))
        circuits = await ask(demo.config.home / "client", "circuits") or []
        carried = sorted((row["streams"] for row in circuits if row["streams"]), reverse=True)
    demo.journal.require(
        carried and max(carried) <= NEW_VALUE and sum(carried) >= count and len(carried) > 1,
        f"{count} streams of one application spread over circuits",
        f"{' + '.join(map(str, carried))} streams, at most {NEW_VALUE} each",
    )


@asynccontextmanager
async def _greeter() -> AsyncIterator[int]:
    """A server that greets and then holds the connection open; yields its port."""
    server = await asyncio.get_running_loop().create_server(_Greeter, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


class _Greeter(asyncio.Protocol):
    """Speaks first, as SSH and SMTP do, and hangs up when the other side does."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet at once."""
        cast("asyncio.Transport", transport).write(HELLO)


@asynccontextmanager
async def _stream(demo: Demo, port: int) -> AsyncIterator[None]:
    """One stream through the client to web.devnet, held open.

    Source: RFC 1928 (SOCKS5), RFC 1929 (the user name is the isolation label).
    """
    host = b"web.devnet"
    reader, writer = await asyncio.open_connection("127.0.0.1", demo.config.socks_port)
    try:
        async with asyncio.timeout(SOCKS_S):
            writer.write(b"\x05\x01\x02")
            await _expect(reader, b"\x05\x02")
            writer.write(b"\x01" + bytes([len(LABEL)]) + LABEL + b"\x01x")
            await _expect(reader, b"\x01\x00")
            name = bytes([len(host)]) + host
            writer.write(b"\x05\x01\x00\x03" + name + struct.pack(">H", port))
            answer = await reader.readexactly(10)
            if answer[1] != 0:
                raise CheckFailedError(f"the client refused a stream with SOCKS code {answer[1]}")
            await _expect(reader, HELLO)
        yield
    finally:
        writer.close()


async def _expect(reader: asyncio.StreamReader, wanted: bytes) -> None:
    if await reader.readexactly(len(wanted)) != wanted:
        raise CheckFailedError("the SOCKS port answered something else than RFC 1928 says")
