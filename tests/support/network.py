"""Networks for integration tests: nodes in this process or in processes of their own."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from python_socks import ProxyError
from python_socks.async_.asyncio import Proxy

from node.client.session import Session
from node.config import Endpoint, NodeConfig
from node.keys import load_keys
from node.manifests import Bundle
from node.registration import find_registration
from node.runtime import NodeRuntime
from qnet.config import load_toml
from qnet.wallet.passphrase import read_file
from tools.bench.committee import LocalCommittee
from tools.bench.issuer import LocalChain, LocalIssuer
from tools.bench.network import FAST_CALENDAR, LocalNode, make_homes

T = TypeVar("T")

__all__ = ["ProxyError"]


async def eventually(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait for something that has no event of its own."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@asynccontextmanager
async def held(context: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Run a context in a task of its own, so that a fixture may span tasks."""
    loop = asyncio.get_running_loop()
    entered: asyncio.Future[T] = loop.create_future()
    leave = asyncio.Event()

    async def stay():
        try:
            async with context as value:
                entered.set_result(value)
                await leave.wait()
        except BaseException as error:
            if not entered.done():
                entered.set_exception(error)
                return
            raise

    task = loop.create_task(stay())
    try:
        yield await entered
    finally:
        leave.set()
        await task


class InnerNetwork:
    """Nodes of this process."""

    def __init__(
        self, committee: LocalCommittee, homes: list[LocalNode], nodes: list[NodeRuntime]
    ) -> None:
        self.committee = committee
        self.homes = homes
        self.nodes = nodes

    def bundle(self) -> Bundle:
        return self.committee.bundle([home.seed for home in self.homes if home.role == "entry"])


@asynccontextmanager
async def inner_network(
    folder,
    roles: Sequence[str],
    *,
    policy: str = "accept *:*",
    dns: str = "",
    allow_private: bool = True,
    overrides: dict[str, int] | None = None,
    limits_kbps: dict[int, int] | None = None,
    price: int = 0,
) -> AsyncIterator[InnerNetwork]:
    """Run nodes in this process until the context ends."""
    committee = LocalCommittee(FAST_CALENDAR | (overrides or {}))
    if price:
        committee.issuer = LocalIssuer.draw()
    chain = LocalChain(committee.issuer) if committee.issuer is not None else None
    stop = asyncio.Event()
    async with committee.serve(), asyncio.TaskGroup() as group:
        homes = make_homes(
            folder,
            committee,
            roles,
            policy=policy,
            dns=dns,
            allow_private=allow_private,
            limits_kbps=limits_kbps,
            price=price,
        )
        nodes = []
        for home in homes:
            config = load_toml(home.home / "node.toml", NodeConfig)
            keys = load_keys(home.home, read_file(config.keys.passphrase_file))
            registration = await find_registration(config, keys.node_id)
            node = NodeRuntime(home.home, config, keys, registration, chain)
            ready = asyncio.Event()
            group.create_task(node.run(lambda _facts, ready=ready: ready.set(), stop))
            await ready.wait()
            nodes.append(node)
        try:
            async with asyncio.timeout(30):
                await committee.wait_for(len(nodes))
                await eventually(lambda: all(node.view.held is not None for node in nodes))
            yield InnerNetwork(committee, homes, nodes)
        finally:
            stop.set()


@asynccontextmanager
async def client(bundle: Bundle, state=None, **options) -> AsyncIterator[Session]:
    """A running client with a SOCKS port."""
    async with asyncio.TaskGroup() as group:
        session = Session(bundle, state, **options)
        try:
            await session.start(group, timeout_s=20)
            server = await session.listen(Endpoint("127.0.0.1", 0))
            try:
                yield session
            finally:
                server.close()
        finally:
            await session.stop()


def socks_url(session: Session, label: str = "") -> str:
    where = session.listening[0]
    return f"socks5://{label}:x@{where}" if label else f"socks5://{where}"


@asynccontextmanager
async def through(
    session: Session, host: str, port: int, *, label: str = "", timeout_s: float = 15
):
    """A connection through the client's SOCKS port."""
    proxy = Proxy.from_url(socks_url(session, label), rdns=True)
    sock = await proxy.connect(host, port, timeout=timeout_s)
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class FileServer:
    """Sends the same random bytes to everybody who says GET; echoes after ECHO."""

    def __init__(self, size: int) -> None:
        self.body = os.urandom(size)
        self.digest = hashlib.sha256(self.body).digest()
        self.port = 0
        self.half_sent = asyncio.Event()
        self.go_on = asyncio.Event()

    async def talk(self, reader, writer):
        with contextlib.suppress(OSError):
            command = await reader.readexactly(4)
            if command == b"GET ":
                writer.write(self.body)
            elif command == b"ECHO":
                while data := await reader.read(65_536):
                    writer.write(data)
                    await writer.drain()
            elif command == b"HALF":
                writer.write(self.body[: len(self.body) // 2])
                await writer.drain()
                self.half_sent.set()
                await self.go_on.wait()
                writer.write(self.body[len(self.body) // 2 :])
            await writer.drain()
            writer.close()


@asynccontextmanager
async def file_server(size: int = 4 << 20) -> AsyncIterator[FileServer]:
    files = FileServer(size)
    server = await asyncio.start_server(files.talk, "127.0.0.1", 0)
    files.port = server.sockets[0].getsockname()[1]
    try:
        yield files
    finally:
        files.go_on.set()
        server.close()
