"""Streams of the exit that end before their connection stands, or that nobody reads."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from node.circuit.actions import DeliverData, EndStream, OpenStream, ResolveName
from node.circuit.messages import EndReason
from node.exit import streams
from node.exit.connector import Connector
from node.exit.policy import ExitPolicy
from node.exit.resolver import Resolver
from node.exit.streams import ExitStreams


class Silent:
    """Destinations and name servers that never answer."""

    def __init__(self):
        self.waiting = 0

    async def connect(self, _host, _port, _protocol):
        await self.resolve("")

    async def resolve(self, _host):
        self.waiting += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.waiting -= 1


@pytest.mark.parametrize(
    "action", [OpenStream(1, 1, "a.example", 80), ResolveName(1, 1, "a.example")]
)
async def test_what_is_no_longer_wanted_is_given_up_at_once(action):
    """Else BEGIN and END in turn would hold any number of sockets until they time out."""
    connector = Silent()
    async with asyncio.TaskGroup() as group:
        exits = ExitStreams(
            core=None,
            connector=connector,
            spawn=group.create_task,
            wake=lambda: None,
            carry_out=lambda _actions: None,
            now=lambda: 0.0,
        )
        getattr(exits, "open" if isinstance(action, OpenStream) else "resolve")(action)
        await asyncio.sleep(0)
        assert connector.waiting == 1
        exits.end(EndStream(1, 1, EndReason.DONE))
        await asyncio.sleep(0)
        assert connector.waiting == 1
        exits.end(EndStream(1, 1, EndReason.RESET))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert connector.waiting == 0
        assert not exits._work
    assert len(exits) == 0


class Core:
    """The node's end of streams, as far as an exit's connection asks for it."""

    def __init__(self):
        self.ended = []

    def stream_connected(self, *_arguments):
        return []

    def stream_data(self, _circuit, _stream, data):
        return len(data)

    def stream_consumed(self, *_arguments):
        pass

    def stream_ended(self, _circuit, stream, reason):
        self.ended.append((stream, reason))


SIZE = 24_000_000
"""Bytes, more than the kernel keeps for a connection twice."""


class Deaf:
    """A destination that says it is done, and reads only when told."""

    def __init__(self):
        self.connections = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=1)
        self.address = self.server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *_failure):
        for _, writer in self.connections:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
        self.server.close()

    async def _accept(self, reader, writer):
        writer.transport.pause_reading()
        writer.write_eof()
        self.connections.append((reader, writer))

    async def read(self, size):
        reader, writer = self.connections[0]
        writer.transport.resume_reading()
        return len(await reader.readexactly(size)) == size


@asynccontextmanager
async def ending_streams(count):
    """An exit whose client and destinations said DONE, with SIZE each that nobody reads."""
    async with Deaf() as deaf, asyncio.TaskGroup() as group:
        core = Core()
        exits = ExitStreams(
            core=core,
            connector=Connector(
                ExitPolicy.parse("open", allow_private=True), Resolver("", now=lambda: 0.0), 5.0
            ),
            spawn=group.create_task,
            wake=lambda: None,
            carry_out=lambda _actions: None,
            now=lambda: 0.0,
        )
        for number in range(1, count + 1):
            exits.open(OpenStream(1, number, *deaf.address))
            await settled(lambda said=(number, EndReason.DONE): said in core.ended)
            exits.deliver(DeliverData(1, number, (bytes(SIZE),)))
            exits.end(EndStream(1, number, EndReason.DONE))
        yield exits, deaf
        exits.close()


async def settled(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_destination_that_never_reads_loses_its_connection(monkeypatch):
    monkeypatch.setattr(streams, "LINGER_S", 0.3)
    async with ending_streams(1) as (exits, _):
        assert len(exits) == 1
        assert exits.lingering_bytes > 1_000_000
        await settled(lambda: not len(exits))
        assert exits.lingering_dropped == 1
        assert exits.lingering_bytes == 0


async def test_what_destinations_leave_unread_is_bounded_together(monkeypatch):
    monkeypatch.setattr(streams, "LINGER_BYTES", SIZE)
    async with ending_streams(3) as (exits, _):
        await settled(lambda: len(exits) == 1)
        assert exits.lingering_dropped == 2
        assert (1, 3) in exits._streams
        assert exits.lingering_bytes <= SIZE
        exits.close()
        assert exits.lingering_bytes == 0


async def test_a_destination_that_reads_in_the_end_gets_everything():
    async with ending_streams(1) as (exits, deaf):
        assert exits.lingering_bytes > 0
        assert await deaf.read(SIZE)
        await settled(lambda: not len(exits))
        assert exits.lingering_bytes == exits.lingering_dropped == 0
