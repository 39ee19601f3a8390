import asyncio
import contextlib

import pytest

from node.circuit.messages import EndReason
from node.io.pipe import Pipe, reset_on_close


class Stream(Pipe):
    """A pipe into a list, with credit set by the test."""

    def __init__(self, credit=10**9):
        super().__init__()
        self.credit = credit
        self.sent = bytearray()
        self.consumed = 0
        self.ended = []
        self.gone = 0
        self.connected = asyncio.Event()
        self.over = asyncio.Event()

    def connection_made(self, transport):
        super().connection_made(transport)
        self.connected.set()

    def _send(self, data):
        taken = min(len(data), self.credit)
        self.credit -= taken
        self.sent += data[:taken]
        return taken

    def _consumed(self, count):
        self.consumed += count

    def _ended(self, reason):
        self.ended.append(reason)

    def _gone(self):
        self.gone += 1
        self.over.set()


@pytest.fixture
async def joined():
    """A pipe and the (reader, writer) at the other end of its connection."""
    accepted = asyncio.get_running_loop().create_future()

    async def accept(reader, writer):
        accepted.set_result((reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    stream = Stream()
    port = server.sockets[0].getsockname()[1]
    await asyncio.get_running_loop().create_connection(lambda: stream, "127.0.0.1", port)
    reader, writer = await accepted
    yield stream, reader, writer
    stream.abort()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    server.close()
    await server.wait_closed()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_data_goes_both_ways_and_credit_returns(joined):
    stream, reader, writer = joined
    writer.write(b"up")
    stream.write((b"do", b"wn"))
    assert await reader.readexactly(4) == b"down"
    await until(lambda: stream.sent == b"up")
    assert stream.consumed == 4


async def test_without_credit_reading_pauses_and_goes_on(joined):
    stream, _, writer = joined
    stream.credit = 3
    writer.write(b"abcdef")
    await until(lambda: stream.sent == b"abc")
    assert not stream._transport.is_reading()
    stream.credit = 100
    stream.resume()
    assert stream.sent == b"abcdef"
    writer.write(b"g")
    await until(lambda: stream.sent == b"abcdefg")


async def test_a_slow_reader_holds_back_the_credit(joined):
    stream, reader, _ = joined
    chunk = bytes(1 << 20)
    total = 0
    while stream._unconsumed is None:
        stream.write((chunk,))
        total += len(chunk)
        assert total < 64 << 20
    assert stream.consumed < total
    while total:
        total -= len(await reader.read(1 << 20))
    await until(lambda: stream._unconsumed is None)
    assert stream.consumed % len(chunk) == 0


async def test_orderly_ends_in_both_directions(joined):
    stream, reader, writer = joined
    writer.write_eof()
    await until(lambda: stream.ended == [EndReason.DONE])
    stream.write((b"last",))
    stream.end(EndReason.DONE)
    assert await reader.read(-1) == b"last"
    await stream.over.wait()
    assert stream.ended == [EndReason.DONE]


async def test_the_other_order_of_orderly_ends(joined):
    stream, reader, writer = joined
    stream.end(EndReason.DONE)
    assert await reader.read(-1) == b""
    writer.write(b"rest")
    writer.close()
    await stream.over.wait()
    assert stream.sent == b"rest"
    assert stream.ended == [EndReason.DONE]


async def test_an_error_becomes_a_reset(joined):
    stream, reader, _ = joined
    stream.end(EndReason.CIRCUIT_DESTROYED)
    with pytest.raises(ConnectionResetError):
        await reader.read(-1)
    assert stream.gone == 1
    assert stream.ended == []


async def test_a_reset_is_told_to_the_stream(joined):
    stream, _, writer = joined
    reset_on_close(writer.transport)
    writer.transport.abort()
    await stream.over.wait()
    assert stream.ended == [EndReason.RESET]


async def test_a_peer_gone_while_the_stream_goes_on_is_a_reset(joined):
    stream, _, writer = joined
    writer.close()
    await until(lambda: stream.ended == [EndReason.DONE])
    async with asyncio.timeout(5):
        while not stream.gone:
            stream.write((bytes(1000),))
            await asyncio.sleep(0.005)
    assert stream.ended == [EndReason.DONE, EndReason.RESET]
    before = stream.consumed
    stream.write((b"late",))
    assert stream.consumed == before + 4


async def test_an_end_waits_for_what_has_no_credit(joined):
    stream, _, writer = joined
    stream.credit = 1
    writer.write(b"ab")
    writer.write_eof()
    await until(lambda: stream.sent == b"a")
    stream.credit = 10
    stream.resume()
    await until(lambda: stream.ended == [EndReason.DONE])
    assert stream.sent == b"ab"


async def test_early_data_waits_for_the_connection():
    stream = Stream()
    stream.write((b"ea", b"rly"))
    stream.end(EndReason.DONE)
    got = asyncio.get_running_loop().create_future()

    async def accept(reader, writer):
        got.set_result(await reader.read(-1))
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await asyncio.get_running_loop().create_connection(lambda: stream, "127.0.0.1", port)
    assert await got == b"early"
    assert stream.consumed == 5
    await stream.over.wait()
    stream.abort()
    server.close()


async def test_an_unwanted_connection_is_dropped_at_once():
    stream = Stream()
    stream.abort()
    got = asyncio.get_running_loop().create_future()

    async def accept(reader, writer):
        try:
            got.set_result(await reader.read(-1))
        except ConnectionResetError:
            got.set_result(b"")
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await asyncio.get_running_loop().create_connection(lambda: stream, "127.0.0.1", port)
    assert await got == b""
    server.close()
