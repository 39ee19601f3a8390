"""Links over real sockets on loopback."""

import asyncio
import errno
import secrets
import ssl
import time

import pytest
import uvloop

from node.errors import Heard, LinkError
from node.htx.clienthello import decode_client_hello
from node.htx.events import CLIENT, CloseReason, Role
from node.htx.keys import LocalIdentity
from node.htx.record import CELL_BYTES, RecordType
from node.io.endpoint import dial
from node.io.tls import default_template
from qnet.crypto.kdf import node_id_of
from qnet.crypto.keys import DhKey
from qnet.errors import LocalProtocolError
from tests.node.io.endpoint_rig import (
    PARAMETERS,
    RawServer,
    Recorder,
    address_of,
    close_all,
    condition,
    fresh_keys,
    start_server,
)


@pytest.fixture(autouse=True)
async def no_leftovers():
    yield
    await close_all()


def cells(count):
    return [secrets.token_bytes(CELL_BYTES) for _ in range(count)]


async def connect(server, keys, handler=None, **options):
    changes = options.pop("changes", {})
    options = {"identity": None, "parameters": PARAMETERS} | options
    address = address_of(keys, server.port, **changes)
    return await dial(address, handler=handler or Recorder(), **options)


async def exchange():
    server, keys, accepted = await start_server()
    dialled = Recorder()
    link = await connect(server, keys, dialled)
    assert dialled.links == [link]
    assert link.outgoing
    assert link.peer.node_id == node_id_of(bytes(32))
    up = cells(300)
    link.send_cells(up)
    assert link.queued_bytes >= 300 * CELL_BYTES
    link.send_record(RecordType.CREDIT, b"12345678")
    await accepted.until(lambda: accepted.records)
    assert accepted.cells == up
    assert accepted.records == [(RecordType.CREDIT, b"12345678")]
    (peer,) = accepted.links
    assert peer.peer == CLIENT
    assert not peer.outgoing
    peer.send_cells(up[:5])
    await dialled.until(lambda: len(dialled.cells) == 5)
    assert (link.stats.cells_sent, link.stats.cells_received) == (300, 5)
    link.close()
    link.close()
    await accepted.until(lambda: accepted.closed)
    assert accepted.closed == dialled.closed == [CloseReason.DONE]
    assert link.is_closed
    with pytest.raises(LocalProtocolError):
        link.send_cells(up)
    link.flush()
    await server.close()
    await close_all()
    assert not server.links
    assert not server.visitors


async def test_cells_and_records_both_ways():
    await exchange()


def test_the_same_on_uvloop():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(exchange())


async def test_a_node_dials_with_its_link_key():
    identity = LocalIdentity(Role.EXIT, secrets.token_bytes(32), DhKey(secrets.token_bytes(32)))
    known = {identity.node_id: [identity.link_key.public]}
    server, keys, accepted = await start_server(link_keys_of=lambda node: known.get(node, ()))
    await connect(server, keys, identity=identity, role=Role.ENTRY)
    await accepted.until(lambda: accepted.links)
    assert accepted.links[0].peer.node_id == identity.node_id
    known.clear()
    await rejected(server, keys, identity=identity, after_opening=True)
    await server.close()


async def rejected(server, keys, *, after_opening=False, **options):
    """Dial and expect that no link comes about; return the reason the dialler saw."""
    handler = Recorder()
    before = server.stats.opened
    reason = None
    try:
        await connect(server, keys, handler, **options)
    except LinkError as error:
        reason = error.reason
        assert not handler.links
    else:
        # XK's third message carries who we are: its refusal comes after we are open
        assert after_opening
        await handler.until(lambda: handler.closed)
    assert server.stats.opened == before
    return reason


async def test_wrong_keys_open_nothing():
    server, keys, accepted = await start_server()
    other = DhKey(secrets.token_bytes(32)).public
    assert await rejected(server, keys, changes={"spki": bytes(32)}) is CloseReason.PIN
    for changes in ({"ticket_key": other}, {"ticket_id": bytes(8)}):
        assert await rejected(server, keys, changes=changes) is CloseReason.NOT_ADMITTED
    assert await rejected(server, keys, changes={"link_key": other}) is CloseReason.LOST
    assert not accepted.links
    await connect(server, keys)
    await server.close()


async def test_a_wrong_certificate_key_gets_no_ticket():
    seen = bytearray()
    server, _, _ = await start_server()

    async def copy(source, sink, kept):
        while data := await source.read(65_536):
            kept.extend(data)
            sink.write(data)
        sink.close()

    async def watch(reader, writer):
        # pass everything on to a node with another certificate, and keep what the client sent
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", server.port)
        async with asyncio.TaskGroup() as group:
            group.create_task(copy(reader, up_writer, seen))
            group.create_task(copy(up_reader, writer, bytearray()))
        await up_writer.wait_closed()

    async with RawServer(watch) as relay:
        assert await refused(relay.port) is CloseReason.PIN
    hello = 5 + int.from_bytes(seen[3:5], "big")
    assert len(seen) - hello < 200  # change cipher spec, Finished, close_notify: no request
    await server.close()


async def refused(port, **options):
    """Dial something that is no node; return the reason."""
    address = address_of(fresh_keys(), port)
    with pytest.raises(LinkError) as caught:
        await dial(address, identity=None, handler=Recorder(), parameters=PARAMETERS, **options)
    return caught.value.reason


async def test_the_hello_on_the_wire_is_the_templates():
    hellos = []

    async def catch(reader, writer):
        data = await reader.readexactly(5)
        hellos.append(data + await reader.readexactly(int.from_bytes(data[3:5], "big")))

    async with RawServer(catch) as listener:
        for _ in range(5):
            assert await refused(listener.port) is CloseReason.LOST
    decoded = [decode_client_hello(hello) for hello in hellos]
    assert len(set(hellos)) == 5
    assert {hello.ja4() for hello in decoded} == {default_template().ja4}
    assert all(hello.has_server_name for hello in decoded)
    assert {hello.alpn for hello in decoded} == {(b"h2", b"http/1.1")}


async def test_dialling_has_a_deadline():
    async def silent(reader, writer):
        await reader.read()

    async with RawServer(silent) as listener:
        assert await refused(listener.port, timeout_s=0.2) is CloseReason.TIMEOUT
    assert await refused(listener.port) is CloseReason.LOST


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(500)])
async def test_what_does_not_speak_tls_is_refused(answer):
    async def talk(reader, writer):
        await reader.read(100)
        writer.write(answer)
        await writer.drain()

    async with RawServer(talk) as listener:
        assert await refused(listener.port) is CloseReason.LOST


@pytest.mark.parametrize("alpn", [["http/1.1"], []])
async def test_a_server_without_h2_gets_no_ticket(tmp_path, alpn):
    keys = fresh_keys()
    (tmp_path / "chain").write_bytes(keys.certificate_pem)
    (tmp_path / "key").write_bytes(keys.certificate_key_pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "chain", tmp_path / "key")
    if alpn:
        context.set_alpn_protocols(alpn)
    seen = []

    async def web_site(reader, writer):
        seen.append(await reader.read())

    async with RawServer(web_site, ssl=context) as listener:
        with pytest.raises(LinkError) as caught:
            await connect(listener, keys)
        await condition(lambda: seen)
    assert caught.value.reason is CloseReason.NOT_ADMITTED
    assert seen == [b""]


async def test_a_cancelled_dial_leaves_nothing():
    greeted = asyncio.Event()

    async def silent(reader, writer):
        await reader.read(1)
        greeted.set()
        await reader.read()

    async with RawServer(silent) as listener:
        task = asyncio.create_task(refused(listener.port))
        await greeted.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_lost_connection_is_told():
    server, keys, accepted = await start_server()
    handler = Recorder()
    link = await connect(server, keys, handler)
    await accepted.until(lambda: accepted.links)
    link._transport.abort()
    await accepted.until(lambda: accepted.closed)
    await handler.until(lambda: handler.closed)
    assert accepted.closed == handler.closed == [CloseReason.LOST]
    await server.close()


async def test_links_replace_their_keys_during_traffic():
    parameters = PARAMETERS.with_value("link_rekey_records", 1 << 10)
    server, keys, accepted = await start_server(parameters=parameters)
    handler = Recorder()
    link = await connect(server, keys, handler, parameters=parameters)
    await accepted.until(lambda: accepted.links)
    peer = accepted.links[0]
    batch = cells(70)
    for _ in range(150):
        link.send_cells(batch)
        peer.send_cells(batch)
        await asyncio.sleep(0)
    await accepted.until(lambda: len(accepted.cells) == 150 * 70)
    await handler.until(lambda: len(handler.cells) == 150 * 70)
    assert accepted.cells == handler.cells == batch * 150
    assert link.stats.rekeys == peer.stats.rekeys >= 1
    await server.close()


async def test_cover_follows_traffic():
    parameters = PARAMETERS.with_value("cover_min_ms", 10).with_value("cover_max_ms", 20)
    server, keys, accepted = await start_server(parameters=parameters)
    link = await connect(server, keys, parameters=parameters)
    link.send_cells(cells(1))
    await condition(lambda: accepted.links and accepted.links[0].stats.records_received == 2)
    assert link.stats.padding_sent == 1
    await server.close()


@pytest.mark.parametrize("dialler_is_slow", [False, True])
async def test_a_slow_reader_is_dropped_at_the_cap(dialler_is_slow):
    parameters = PARAMETERS.with_value("link_queue_bytes", 1 << 20)
    server, keys, accepted = await start_server(parameters=parameters)
    handler = Recorder()
    dialled = await connect(server, keys, handler, parameters=parameters)
    await accepted.until(lambda: accepted.links)
    reader, writer = dialled, accepted.links[0]
    told = accepted
    if not dialler_is_slow:
        reader, writer, told = writer, reader, handler
    reader._transport.pause_reading()
    batch = cells(70)
    while not writer.is_closed:
        assert writer.queued_bytes < 32 << 20
        writer.send_cells(batch)
        writer.flush()
    assert told.closed == [CloseReason.SLOW_READER]
    assert not writer.is_writable
    assert server.stats.slow_readers == dialler_is_slow
    await server.close()


async def test_a_peer_that_closes_only_its_side_is_gone():
    server, keys, accepted = await start_server()
    link = await connect(server, keys)
    await accepted.until(lambda: accepted.links)
    link._transport.write_eof()
    await accepted.until(lambda: accepted.closed)
    assert accepted.closed == [CloseReason.LOST]
    await server.close()


async def test_what_is_sent_in_a_callback_leaves_without_a_flush():
    class Echo(Recorder):
        def cells_received(self, link, cells):
            link.send_cells(cells)

    server, keys, _ = await start_server(handler=Echo())
    handler = Recorder()
    link = await connect(server, keys, handler)
    sent = cells(20)
    link.send_cells(sent[:3])
    link.send_cells(sent[3:])
    await handler.until(lambda: len(handler.cells) == 20)
    assert handler.cells == sent
    await server.close()


async def test_a_handler_may_close_inside_a_callback():
    class Closer(Recorder):
        def cells_received(self, link, cells):
            super().cells_received(link, cells)
            link.close(CloseReason.RESOURCES)

    server, keys, accepted = await start_server(handler=Closer())
    handler = Recorder()
    link = await connect(server, keys, handler)
    link.send_cells(cells(3))
    link.send_record(RecordType.CREDIT, bytes(8))
    await handler.until(lambda: handler.closed)
    assert accepted.closed == handler.closed == [CloseReason.RESOURCES]
    assert not accepted.records
    await server.close()


async def test_writability_comes_back():
    server, keys, accepted = await start_server()
    handler = Recorder()
    link = await connect(server, keys, handler)
    await accepted.until(lambda: accepted.links)
    accepted.links[0]._transport.pause_reading()
    batch = cells(70)
    while link.is_writable:
        link.send_cells(batch)
        link.flush()
    accepted.links[0]._transport.resume_reading()
    await handler.until(lambda: handler.writable)
    assert link.is_writable
    await server.close()


async def test_an_altered_byte_under_tls_ends_the_link():
    server, keys, accepted = await start_server()
    link = await connect(server, keys)
    await accepted.until(lambda: accepted.links)
    link._tls.write(b"\x00\x00\xfc\x06" + bytes(252))
    link._transport.write(link._tls.output())
    await accepted.until(lambda: accepted.closed)
    assert accepted.closed == [CloseReason.CRYPTO]
    await server.close()


async def test_broken_tls_ends_the_link():
    server, keys, accepted = await start_server()
    link = await connect(server, keys)
    await accepted.until(lambda: accepted.links)
    link._transport.write(b"\x17\x03\x03\x00\x20" + bytes(32))
    await accepted.until(lambda: accepted.closed)
    assert accepted.closed == [CloseReason.LOST]
    await server.close()


async def failure(port, keys=None, **options):
    address = address_of(keys or fresh_keys(), port)
    with pytest.raises(LinkError) as caught:
        await dial(address, identity=None, handler=Recorder(), parameters=PARAMETERS, **options)
    return caught.value


async def test_a_failed_dial_tells_what_it_heard():
    async def silent(reader, writer):
        await reader.read()

    async def redirect(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with RawServer(silent) as listener:
        error = await failure(listener.port, timeout_s=0.2)
        assert (error.reason, error.heard) == (CloseReason.TIMEOUT, Heard.SILENCE)
    async with RawServer(redirect) as listener:
        error = await failure(listener.port)
        assert (error.reason, error.heard) == (CloseReason.LOST, Heard.GARBLED)
    error = await failure(listener.port)
    assert (error.heard, error.number) == (Heard.NOTHING, errno.ECONNREFUSED)
    server, _keys, _ = await start_server()
    error = await failure(server.port)
    assert (error.reason, error.heard) == (CloseReason.PIN, Heard.TLS)
    await server.close()


async def test_a_wrong_clock_is_not_admitted_and_learns_the_time_of_the_pinned_site():
    server, keys, _ = await start_server()
    error = await failure(server.port, keys, wall=lambda: time.time() - 5 * 3600)
    assert (error.reason, error.heard) == (CloseReason.NOT_ADMITTED, Heard.TLS)
    assert error.told_s == pytest.approx(time.time(), abs=5)
    link = await connect(server, keys)
    assert link.told_s == pytest.approx(time.time(), abs=5)
    assert (link.own_address, link.peer_address) == ("127.0.0.1", "127.0.0.1")
    link.close()
    await server.close()
