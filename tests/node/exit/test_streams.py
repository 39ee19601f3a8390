"""Streams of the exit that end before their connection stands, or that nobody reads."""

import asyncio
import socket
import struct
from collections import Counter
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from types import SimpleNamespace

import pytest

from node.circuit.actions import DeliverData, EndStream, OpenStream, ResolveName
from node.circuit.messages import EndReason
from node.errors import ConnectError, ExitLimitError, ExitRefusedError, ResolveError
from node.exit import limits as limits_module
from node.exit import streams
from node.exit.limits import ExitLimits
from node.exit.streams import ExitStreams, end_reason
from tests.node.exit.rig import connector
from tests.support.dns_server import dns_server


class Silent:
    """Destinations and name servers that never answer."""

    def __init__(self):
        self.waiting = 0
        self.limits = ExitLimits()

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
    silent = Silent()
    async with asyncio.TaskGroup() as group:
        exits = ExitStreams(
            core=None,
            connector=silent,
            spawn=group.create_task,
            wake=lambda: None,
            carry_out=lambda _actions: None,
            now=lambda: 0.0,
        )
        getattr(exits, "open" if isinstance(action, OpenStream) else "resolve")(action)
        await asyncio.sleep(0)
        assert silent.waiting == 1
        exits.end(EndStream(1, 1, EndReason.DONE))
        await asyncio.sleep(0)
        assert silent.waiting == 1
        exits.end(EndStream(1, 1, EndReason.RESET))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert silent.waiting == 0
        assert not exits._work
    assert len(exits) == 0
    assert silent.limits.held() == {"connections": 0, "destinations": 0, "opening": 0}


class Core:
    """The node's end of streams, as far as an exit's connection asks for it.

    A stream takes as much data as it has credit: all of it, unless a test says how much.
    """

    def __init__(self):
        self.ended = []
        self.connected = []
        self.answers = []
        self.taken = Counter()
        self.credit = {}

    def stream_connected(self, _circuit, stream, *_arguments):
        self.connected.append(stream)
        return []

    def stream_data(self, _circuit, stream, data):
        left = self.credit.get(stream, len(data))
        taken = min(left, len(data))
        if stream in self.credit:
            self.credit[stream] = left - taken
        self.taken[stream] += taken
        return taken

    def resolved(self, _circuit, stream, answers):
        self.answers.append((stream, answers))

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
async def exit_streams(*ports, **options):
    """An exit and the core its streams end in."""
    core = Core()
    async with connector(*ports, **options) as connections, asyncio.TaskGroup() as group:
        exits = ExitStreams(
            core=core,
            connector=connections,
            spawn=group.create_task,
            wake=lambda: None,
            carry_out=lambda _actions: None,
            now=lambda: 0.0,
        )
        yield exits, core
        exits.close()


@asynccontextmanager
async def ending_streams(count):
    """An exit whose client and destinations said DONE, with SIZE each that nobody reads."""
    async with Deaf() as deaf, exit_streams() as (exits, core):
        for number in range(1, count + 1):
            exits.open(OpenStream(1, number, *deaf.address))
            await settled(lambda said=(number, EndReason.DONE): said in core.ended)
            exits.deliver(DeliverData(1, number, (bytes(SIZE),)))
            exits.end(EndStream(1, number, EndReason.DONE))
        yield exits, deaf


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


# hostile destinations


def nothing_held(exits):
    return exits.limits.held() == {"connections": 0, "destinations": 0, "opening": 0}


@asynccontextmanager
async def destination(talk):
    """A server that treats every connection with `talk(reader, writer)`."""
    tasks, writers = [], []

    async def treat(reader, writer):
        with suppress(OSError):
            await talk(reader, writer)

    def accept(reader, writer):
        writers.append(writer)
        tasks.append(asyncio.get_running_loop().create_task(treat(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[:2]
        for task, writer in zip(tasks, writers, strict=True):
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)


async def open_stream(exits, core, number, address):
    exits.open(OpenStream(1, number, *address))
    await settled(lambda: number in core.connected)


async def test_an_endless_destination_sends_no_more_than_the_streams_credit():
    sent = Counter()

    async def endless(_reader, writer):
        while True:
            writer.write(bytes(65_536))
            sent["bytes"] += 65_536
            await writer.drain()

    async with exit_streams() as (exits, core), destination(endless) as address:
        core.credit[1] = 100_000
        await open_stream(exits, core, 1, address)
        await settled(lambda: core.taken[1] == 100_000)
        await settled(lambda: not exits._streams[1, 1]._transport.is_reading())
        stuck = -1
        while stuck != sent["bytes"]:  # until the kernel's buffers are full
            stuck = sent["bytes"]
            await asyncio.sleep(0.05)
        assert len(exits._streams[1, 1]._pending) < 2**20
        core.credit[1] = 50_000
        exits.resume(1, 1)
        await settled(lambda: core.taken[1] == 150_000)
        exits.end(EndStream(1, 1, EndReason.RESET))
        assert nothing_held(exits)


async def test_a_destination_that_drips_holds_up_no_other_stream():
    async def drip(_reader, writer):
        for _ in range(1000):
            writer.write(b"x")
            await asyncio.sleep(0.02)

    async def quick(_reader, writer):
        writer.write(bytes(1_000_000))
        writer.write_eof()
        await writer.drain()

    async with (
        exit_streams() as (exits, core),
        destination(drip) as slow,
        destination(quick) as fast,
    ):
        await open_stream(exits, core, 1, slow)
        await open_stream(exits, core, 2, fast)
        await settled(lambda: core.taken[2] == 1_000_000)
        assert 0 <= core.taken[1] < 1000
        await settled(lambda: core.taken[1] > 1)
        assert (1, EndReason.DONE) not in core.ended


async def test_a_destination_that_never_reads_holds_back_its_own_stream_only():
    returned = Counter()

    async def deaf(_reader, writer):
        writer.transport.pause_reading()
        await asyncio.Event().wait()

    async def eager(reader, _writer):
        while await reader.read(65_536):
            pass

    async with (
        exit_streams() as (exits, core),
        destination(deaf) as never,
        destination(eager) as always,
    ):
        core.stream_consumed = lambda _c, stream, count: returned.update({stream: count})
        await open_stream(exits, core, 1, never)
        await open_stream(exits, core, 2, always)
        for _ in range(12):
            exits.deliver(DeliverData(1, 1, (bytes(2**20),)))
            exits.deliver(DeliverData(1, 2, (bytes(2**18),)))
            await asyncio.sleep(0)
        await settled(lambda: returned[2] == 12 * 2**18)
        assert returned[1] < 12 * 2**20  # its credit stays out: the client can send no more
        exits.end(EndStream(1, 1, EndReason.RESET))
        await settled(lambda: (1, 1) not in exits._streams)


@pytest.mark.parametrize("when", ["at once", "after data", "after eof"])
async def test_a_destination_that_resets_is_a_reset_and_never_an_end(when):
    async def reset(_reader, writer):
        if when != "at once":
            writer.write(b"partial")
            await writer.drain()
        if when == "after eof":
            writer.write_eof()
            await asyncio.sleep(0.05)
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        writer.transport.abort()

    async with exit_streams() as (exits, core), destination(reset) as address:
        exits.open(OpenStream(1, 1, *address))
        if when == "after eof":  # what is half closed breaks when it is written to
            await settled(lambda: (1, EndReason.DONE) in core.ended)
            await asyncio.sleep(0.1)
            exits.deliver(DeliverData(1, 1, (b"x",)))
        await settled(lambda: (1, EndReason.RESET) in core.ended)
        await settled(lambda: nothing_held(exits))
        assert ((1, EndReason.DONE) in core.ended) == (when == "after eof")


@pytest.mark.parametrize(
    ("cap", "cause"),
    [
        ("CONNECTIONS_PER_CIRCUIT", "circuit_full"),
        ("CONNECTIONS_PER_DESTINATION", "destination_full"),
    ],
)
async def test_caps_on_connections_end_streams_and_come_free_again(monkeypatch, cap, cause):
    monkeypatch.setattr(limits_module, cap, 2)

    async def wait(reader, _writer):
        await reader.read()

    async with exit_streams() as (exits, core), destination(wait) as address:
        for number in (1, 2):
            await open_stream(exits, core, number, address)
        exits.open(OpenStream(1, 3, *address))
        await settled(lambda: (3, EndReason.RESOURCE_LIMIT) in core.ended)
        assert exits.limits.refusals()[cause] == 1
        exits.end(EndStream(1, 1, EndReason.RESET))
        await open_stream(exits, core, 4, address)
        assert len(exits) == exits.limits.held()["connections"] == 2
    assert nothing_held(exits)


async def test_openings_of_one_circuit_are_capped(monkeypatch):
    monkeypatch.setattr(limits_module, "OPENING_PER_CIRCUIT", 2)
    async with exit_streams() as (exits, core):
        exits._connector = Silent()
        for number in (1, 2, 3):
            exits.open(OpenStream(1, number, "a.example", 80))
        exits.resolve(ResolveName(1, 4, "a.example"))
        exits.open(OpenStream(2, 5, "a.example", 80))
        assert core.ended == [(3, EndReason.RESOURCE_LIMIT), (4, EndReason.RESOURCE_LIMIT)]
        assert exits.limits.held()["opening"] == len(exits) == 3
        for circuit, number in ((1, 1), (1, 2), (2, 5)):
            exits.end(EndStream(circuit, number, EndReason.RESET))
        await settled(lambda: nothing_held(exits))


async def test_a_connection_that_stands_when_nobody_wants_it_is_given_back():
    async def close(_reader, writer):
        writer.transport.abort()

    async with exit_streams() as (exits, _), destination(close) as address:
        for number in range(1, 20):
            exits.open(OpenStream(1, number, *address))
            for _ in range(number % 5):
                await asyncio.sleep(0)
            exits.end(EndStream(1, number, EndReason.RESET))
        await settled(lambda: nothing_held(exits))


@pytest.mark.parametrize("ends", [False, True], ids=["goes on", "ends"])
async def test_what_a_destination_says_at_once_follows_the_news_of_its_connection(ends):
    """A client that hears data first ends the circuit."""
    async with exit_streams() as (exits, core):

        async def connect(_host, _port, make):
            stream = make()
            stream.data_received(b"early")
            if ends:
                stream.eof_received()
            assert not core.taken
            assert not core.ended
            return ip_address("192.0.2.1")

        exits.limits.reach(ip_address("192.0.2.1"), 80)
        exits._connector = SimpleNamespace(connect=connect, limits=exits.limits)
        exits.open(OpenStream(1, 1, "a.example", 80))
        await settled(lambda: core.taken[1] == len(b"early"))
        assert core.connected == [1]
        assert core.ended == ([(1, EndReason.DONE)] if ends else [])
        exits.end(EndStream(1, 1, EndReason.RESET))


NAMES = {
    "both.test.": ("93.184.216.34", "2606:4700::1111"),
    "empty.test.": (),
    "inside.test.": ("127.0.0.1",),
}


async def test_names_are_answered_with_addresses_none_or_the_reason():
    async with (
        dns_server(NAMES) as server,
        exit_streams(server.port, allow_private=False) as (exits, core),
    ):
        hosts = ("both.test", "empty.test", "inside.test", "no.test", "127.1")
        for number, host in enumerate(hosts, start=1):
            exits.resolve(ResolveName(1, number, host))
        await settled(lambda: len(core.answers) + len(core.ended) == len(hosts))
        await settled(lambda: nothing_held(exits))
    answers = {number: {a.address for a in found} for number, found in core.answers}
    addresses = {ip_address(text).packed for text in NAMES["both.test."]}
    assert answers == {1: addresses, 2: set()}
    assert dict(core.ended) == {
        3: EndReason.POLICY,
        4: EndReason.NAME_NOT_FOUND,
        5: EndReason.NAME_NOT_FOUND,
    }


async def test_what_cannot_be_connected_ends_with_its_reason_and_is_forgotten():
    async with destination(None) as closed:
        pass
    async with exit_streams() as (exits, core):
        exits.open(OpenStream(1, 1, *closed))
        exits.open(OpenStream(1, 2, "no such host", 80))
        await settled(lambda: len(core.ended) == 2)
        assert dict(core.ended) == {
            1: EndReason.CONNECT_REFUSED,
            2: EndReason.NAME_NOT_FOUND,
        }
        assert len(exits) == 0
        await settled(lambda: nothing_held(exits))
        exits.deliver(DeliverData(1, 1, (b"late",)))
        exits.resume(1, 1)
        exits.end(EndStream(1, 1, EndReason.DONE))
        assert len(exits) == 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ExitRefusedError("x", rule="private"), EndReason.POLICY),
        (ExitLimitError("circuit_full"), EndReason.RESOURCE_LIMIT),
        (ResolveError("x", rcode="NXDOMAIN"), EndReason.NAME_NOT_FOUND),
        (ResolveError("x", rcode="FORMERR"), EndReason.NAME_NOT_FOUND),
        (ResolveError("x", rcode="SERVFAIL"), EndReason.RESOLVE_FAILED),
        (ResolveError("x", rcode="DROPPED"), EndReason.RESOLVE_FAILED),
        (ConnectError("refused", "x", why=""), EndReason.CONNECT_REFUSED),
        (ConnectError("timeout", "x", why=""), EndReason.CONNECT_TIMEOUT),
        (ConnectError("unreachable", "x", why=""), EndReason.UNREACHABLE),
    ],
)
def test_the_client_is_told_what_happened(error, reason):
    assert end_reason(error) is reason
