"""The engine behind the doors, with a transport and circuits that only remember."""

import asyncio
from types import SimpleNamespace

import pytest
import pytest_asyncio

from node.circuit.messages import Answer, EndReason
from node.client.doors import streams
from node.client.doors.http_connect import HttpDoor
from node.client.doors.listener import Listener
from node.client.doors.socks import Reply, SocksDoor, encode_reply
from node.client.doors.streams import STREAM_TRIES, AppStream, StreamCounts
from node.errors import CircuitError, Stage

ASK = b"\x05\x01\x00" + b"\x05\x01\x00\x03\x06a.test\x00\x50"
RESOLVE = b"\x05\x01\x00" + b"\x05\xf0\x00\x03\x06a.test\x00\x00"
WELCOME = b"\x05\x00"


class Wire:
    """A transport."""

    def __init__(self):
        self.written = b""
        self.is_reading = True
        self.is_closed = self.is_aborted = False

    def write(self, data):
        self.written += data

    def writelines(self, chunks):
        self.written += b"".join(chunks)

    def pause_reading(self):
        self.is_reading = False

    def resume_reading(self):
        self.is_reading = True

    def get_write_buffer_size(self):
        return 0

    def get_extra_info(self, name):
        return None

    def close(self):
        self.is_closed = True

    def abort(self):
        self.is_aborted = True


class FakeCircuit:
    """A circuit whose exit does as the script says: a reason, "connect", "wait" or addresses."""

    def __init__(self, does, takes=1 << 20):
        self.does = does
        self.takes = takes
        self.sent = b""
        self.ended = []
        self.released_numbers = []

    def open_stream(self, host, port, sink):
        return self._asked(sink)

    def resolve(self, host, sink):
        return self._asked(sink)

    def _asked(self, sink):
        loop = asyncio.get_running_loop()
        if isinstance(self.does, EndReason):
            loop.call_soon(sink.stream_ended, self.does)
        elif self.does == "connect":
            loop.call_soon(sink.stream_connected, b"")
        elif isinstance(self.does, tuple):
            loop.call_soon(sink.name_resolved, self.does)
        return 7

    def send(self, number, data):
        taken = min(len(data), self.takes - len(self.sent))
        self.sent += data[:taken]
        return taken

    def consumed(self, number, count):
        pass

    def end(self, number, reason):
        self.ended.append(reason)

    def released(self, number):
        self.released_numbers.append(number)


class Host:
    """A session with scripted circuits."""

    connect_timeout_s = 5.0

    def __init__(self, group):
        self.group = group
        self.circuits = []
        self.failures = []
        self.keys = []

    async def circuit_for(self, key, host, port):
        self.keys.append(key)
        found = self.circuits.pop(0)
        if isinstance(found, Exception):
            raise found
        return SimpleNamespace(circuit=found)

    def spawn(self, work):
        self.group.create_task(work)

    def stream_failed(self, error):
        self.failures.append(error)


class World:
    """A host, a listener and the connections to it."""

    def __init__(self, group):
        self.host = Host(group)
        self.counts = StreamCounts()
        self.listener = Listener("socks", "127.0.0.1:1")

    def connect(self, *circuits, door=None):
        self.host.circuits = list(circuits)
        stream = AppStream(self.host, self.counts, self.listener, door or SocksDoor())
        stream.connection_made(Wire())
        return stream, stream._transport


async def settled():
    for _ in range(10):
        await asyncio.sleep(0)


@pytest_asyncio.fixture
async def world():
    async with asyncio.TaskGroup() as group:
        yield World(group)


async def test_early_bytes_go_along_and_the_rest_waits_for_the_connection(world):
    circuit = FakeCircuit("connect")
    stream, wire = world.connect(circuit)
    stream.data_received(ASK + b"early")
    assert not wire.is_reading
    await settled()
    assert circuit.sent == b"early"
    assert wire.written == WELCOME + encode_reply(Reply.SUCCEEDED)
    assert wire.is_reading
    stream.data_received(b" later")
    assert circuit.sent == b"early later"
    assert world.counts.connected == 1


async def test_a_broken_circuit_is_replaced_and_gets_the_early_bytes_whole(world):
    broken = FakeCircuit(EndReason.LINK_LOST, takes=3)
    good = FakeCircuit("connect")
    stream, wire = world.connect(broken, good)
    stream.data_received(ASK + b"0123456789")
    await settled()
    assert broken.sent == b"012"
    assert good.sent == b"0123456789"
    assert wire.written == WELCOME + encode_reply(Reply.SUCCEEDED)


async def test_credit_that_comes_before_the_connection_reads_nothing_more(world):
    circuit = FakeCircuit("wait", takes=4)
    stream, wire = world.connect(circuit)
    stream.data_received(ASK + b"01234567")
    await settled()
    circuit.takes = 100
    stream.stream_writable()
    assert not wire.is_reading
    stream.stream_connected(b"")
    assert circuit.sent == b"01234567"
    assert wire.is_reading


@pytest.mark.parametrize(
    ("reason", "reply"),
    [
        (EndReason.CONNECT_REFUSED, Reply.REFUSED),
        (EndReason.NAME_NOT_FOUND, Reply.HOST_UNREACHABLE),
    ],
)
async def test_what_the_exit_says_of_the_destination_is_final(world, reason, reply):
    stream, wire = world.connect(FakeCircuit(reason), FakeCircuit("connect"))
    stream.data_received(ASK)
    await settled()
    assert wire.written == WELCOME + encode_reply(reply)
    assert wire.is_closed
    assert len(world.host.keys) == 1
    assert world.host.failures[0].stage is Stage.CONNECT


async def test_after_so_many_circuits_the_application_is_told(world):
    circuits = [FakeCircuit(EndReason.NEXT_DESTROYED) for _ in range(STREAM_TRIES)]
    stream, wire = world.connect(*circuits)
    stream.data_received(ASK)
    await settled()
    assert wire.written == WELCOME + encode_reply(Reply.FAILURE)
    assert world.counts.failed == 1
    assert world.host.circuits == []


async def test_no_circuit_is_a_failure_with_its_cause(world):
    error = CircuitError(Stage.CIRCUIT, "no circuit", why="a test")
    stream, wire = world.connect(error, door=HttpDoor())
    stream.data_received(b"CONNECT a.test:80 HTTP/1.1\r\n\r\n")
    await settled()
    assert wire.written.startswith(b"HTTP/1.1 503 ")
    assert b"a test" in wire.written
    assert world.host.failures == [error]


async def test_a_silent_exit_is_given_up(world, monkeypatch):
    monkeypatch.setattr(streams, "CONNECT_MARGIN_S", -4.99)
    circuit = FakeCircuit("wait")
    stream, wire = world.connect(circuit)
    stream.data_received(ASK)
    async with asyncio.timeout(5):
        while not wire.is_closed:  # noqa: ASYNC110 - a transport without events
            await asyncio.sleep(0.005)
    assert wire.written == WELCOME + encode_reply(Reply.TTL_EXPIRED)
    assert EndReason.CONNECT_TIMEOUT in circuit.ended


async def test_an_application_that_leaves_ends_its_stream_and_asks_no_other_circuit(world):
    circuit = FakeCircuit("wait")
    stream, _ = world.connect(circuit, FakeCircuit("connect"))
    stream.data_received(ASK)
    await settled()
    stream.connection_lost(None)
    await settled()
    assert circuit.ended[-1] is EndReason.RESET
    assert circuit.released_numbers == [7]
    assert len(world.host.keys) == 1
    assert not world.counts.active
    assert world.listener.active == 0


async def test_names_are_resolved(world):
    answers = (Answer(bytes((192, 0, 2, 9)), 60),)
    stream, wire = world.connect(FakeCircuit(answers))
    stream.data_received(RESOLVE)
    await settled()
    assert wire.written[-10:] == b"\x05\x00\x00\x01\xc0\x00\x02\x09\x00\x00"


async def test_local_names_and_refused_addresses_never_reach_a_circuit(world):
    stream, wire = world.connect()
    stream.data_received(ASK.replace(b"\x06a.test", b"\x07x.onion"))
    assert wire.written == WELCOME + encode_reply(Reply.NOT_ALLOWED)
    world.listener.raw_address = "refuse"
    stream, wire = world.connect()
    stream.data_received(b"\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x09\x00\x50")
    assert wire.written == WELCOME + encode_reply(Reply.NOT_ALLOWED)
    assert world.counts.raw_addresses == 1
    assert world.host.keys == []


async def test_a_plain_requests_body_ends_where_it_said(world):
    circuit = FakeCircuit("connect")
    stream, wire = world.connect(circuit, door=HttpDoor())
    stream.data_received(b"POST http://a.test/ HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc")
    await settled()
    stream.data_received(b"def")
    assert circuit.sent.endswith(b"\r\n\r\nabcdef")
    stream.stream_data((b"HTTP/1.1 200 OK\r\n\r\n",))
    assert wire.written == b"HTTP/1.1 200 OK\r\n\r\n"
    stream.data_received(b"GET http://b.test/ HTTP/1.1\r\n\r\n")
    assert circuit.sent.endswith(b"abcdef")
    assert wire.is_aborted
    assert circuit.ended == [EndReason.RESET]


async def test_a_negotiation_that_does_not_end_is_dropped(world, monkeypatch):
    monkeypatch.setattr(streams, "NEGOTIATION_S", 0.01)
    stream, wire = world.connect()
    stream.data_received(b"\x05")
    async with asyncio.timeout(5):
        while not wire.is_aborted:  # noqa: ASYNC110 - a transport without events
            await asyncio.sleep(0.005)
    assert world.listener.active == 0
