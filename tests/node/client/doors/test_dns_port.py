"""The DNS port over real sockets, with circuits that answer from a table."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import dns.asyncquery
import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import pytest
import pytest_asyncio

from node.circuit.messages import Answer, EndReason
from node.client.doors import dns_port
from node.client.doors.doors import Doors
from node.client.doors.streams import StreamCounts
from node.config import Endpoint
from node.errors import CircuitError, Stage

FILES = (Answer(bytes((192, 0, 2, 7)), 120), Answer(bytes(15) + b"\x07", 90))


class Exit:
    """A circuit that answers names at once, later, or never."""

    def __init__(self):
        self.streams = {}
        self.asked = []
        self.ended = []
        self.held = asyncio.Event()

    def resolve(self, name, sink):
        number = len(self.asked)
        self.asked.append(name)
        self.streams[number] = sink
        if name == "held.test":
            return number
        loop = asyncio.get_running_loop()
        if name == "files.test":
            loop.call_soon(sink.name_resolved, FILES)
        elif name == "empty.test":
            loop.call_soon(sink.name_resolved, ())
        else:
            loop.call_soon(sink.stream_ended, EndReason.NAME_NOT_FOUND)
        return number

    def end(self, number, reason):
        self.streams.pop(number)
        self.ended.append(reason)


class Host:
    """A session with one exit."""

    connect_timeout_s = 1.0

    def __init__(self, group):
        self.exit = Exit()
        self.failure = None
        self.failed = []
        self.keys = []
        self._group = group

    async def circuit_for(self, key, host, port):
        self.keys.append((key, host, port))
        if self.failure is not None:
            raise self.failure
        return SimpleNamespace(circuit=self.exit)

    def spawn(self, work):
        self._group.create_task(work)

    def stream_failed(self, error):
        self.failed.append(error)


@asynccontextmanager
async def dns_door(**options):
    async with asyncio.TaskGroup() as group:
        host = Host(group)
        doors = Doors(host, StreamCounts())
        door = await doors.add("dns", Endpoint("127.0.0.1", 0), **options)
        try:
            yield host, door
        finally:
            doors.close()
            host.failure = CircuitError(Stage.CIRCUIT, "no circuit", why="the test is over")
            for sink in list(host.exit.streams.values()):
                sink.stream_ended(EndReason.SHUTDOWN)


@pytest_asyncio.fixture
async def world():
    async with dns_door() as made:
        yield made


def where(door):
    return Endpoint.parse(door.listener.address)


async def ask(door, name, kind="A", *, tcp=False):
    send = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    at = where(door)
    return await send(dns.message.make_query(name, kind), at.host, port=at.port, timeout=5)


@pytest.mark.parametrize("tcp", [False, True])
async def test_names_are_answered_with_their_life(world, tcp):
    host, door = world
    v4 = await ask(door, "files.test", tcp=tcp)
    v6 = await ask(door, "FILES.test", "AAAA", tcp=tcp)
    assert v4.answer[0].to_text() == "files.test. 120 IN A 192.0.2.7"
    assert v6.answer[0].to_text() == "FILES.test. 90 IN AAAA ::7"
    assert host.exit.asked == ["files.test"] * 2
    assert door.questions.answered == 2


async def test_a_resolver_library_is_content(world):
    _, door = world
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [where(door).host], where(door).port
    answer = await resolver.resolve("files.test", "A")
    assert [record.address for record in answer] == ["192.0.2.7"]
    with pytest.raises(dns.resolver.NXDOMAIN):
        await resolver.resolve("none.test", "A")
    with pytest.raises(dns.resolver.NoAnswer):
        await resolver.resolve("empty.test", "A")


async def test_what_stays_here_never_reaches_an_exit(world):
    host, door = world
    assert (await ask(door, "printer.local")).rcode() == dns.rcode.NXDOMAIN
    assert (await ask(door, "a.test", "ANY", tcp=True)).rcode() == dns.rcode.REFUSED
    assert host.exit.asked == []
    assert door.listener.accepted == 0


async def test_no_circuit_is_a_failure_of_the_server(world):
    host, door = world
    host.failure = CircuitError(Stage.CIRCUIT, "no circuit", why="a test")
    assert (await ask(door, "files.test")).rcode() == dns.rcode.SERVFAIL
    assert host.failed == [host.failure]
    assert door.questions.failed == 1


async def test_an_exit_that_stays_silent_is_given_up(world, monkeypatch):
    host, door = world
    monkeypatch.setattr("node.client.doors.names.CONNECT_MARGIN_S", -0.9)
    assert (await ask(door, "held.test")).rcode() == dns.rcode.SERVFAIL
    assert host.exit.ended == [EndReason.RESET]
    assert door.listener.active == 0


async def test_questions_beyond_the_cap_are_dropped_and_counted():
    async with dns_door(max_connections=2) as (host, door):
        at = where(door)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=(at.host, at.port)
        )
        query = dns.message.make_query("held.test", "A").to_wire()
        for _ in range(5):
            transport.sendto(query)
        async with asyncio.timeout(5):
            while door.listener.dropped < 3:  # noqa: ASYNC110 - datagrams have no event of their own
                await asyncio.sleep(0.01)
        assert (door.listener.active, door.listener.dropped) == (2, 3)
        assert len(host.exit.asked) == 2
        transport.close()


async def test_each_listener_has_its_own_key_and_may_part_names():
    async with dns_door(isolate={"listener", "destination"}) as (host, door):
        await ask(door, "files.test")
        await ask(door, "none.test")
        (first, *_), (second, *_) = host.keys
        assert first != second
        assert first.listener == door.listener.address


async def test_tcp_carries_many_questions_and_answers_after_the_half_close(world):
    _, door = world
    at = where(door)
    reader, writer = await asyncio.open_connection(at.host, at.port)
    names = ["files.test", "none.test", "x.local"] * 10
    for name in names:
        query = dns.message.make_query(name, "A").to_wire()
        writer.write(len(query).to_bytes(2) + query)
    writer.write_eof()
    data = await reader.read(-1)
    writer.close()
    codes = []
    while data:
        size = int.from_bytes(data[:2])
        codes.append(dns.message.from_wire(data[2 : 2 + size]).rcode())
        data = data[2 + size :]
    assert sorted(codes) == sorted([dns.rcode.NOERROR, dns.rcode.NXDOMAIN, dns.rcode.NXDOMAIN] * 10)


@pytest.mark.parametrize("junk", [b"\x00\x00", b"\xff\xff", b"\x00\x0b" + bytes(11)])
async def test_junk_over_tcp_closes_the_connection(world, junk):
    _, door = world
    at = where(door)
    reader, writer = await asyncio.open_connection(at.host, at.port)
    writer.write(junk)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()


async def test_idle_connections_are_closed(monkeypatch):
    monkeypatch.setattr(dns_port, "IDLE_S", 0.05)
    async with dns_door() as (_, door):
        at = where(door)
        reader, writer = await asyncio.open_connection(at.host, at.port)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()


async def test_connections_beyond_the_cap_are_turned_away(monkeypatch):
    monkeypatch.setattr(dns_port, "MAX_TCP_CONNECTIONS", 1)
    async with dns_door() as (_, door):
        at = where(door)
        _, first = await asyncio.open_connection(at.host, at.port)
        assert (await ask(door, "none.test")).rcode() == dns.rcode.NXDOMAIN
        reader, second = await asyncio.open_connection(at.host, at.port)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        assert door.listener.dropped == 1
        first.close()
        second.close()
