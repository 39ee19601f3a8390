"""A server on loopback, a recording handler and a client's address for it."""

import asyncio
import contextlib
import datetime as dt
import secrets
from typing import ClassVar

from node.htx.address import HtxAddress
from node.htx.keys import ServerKeys
from node.io.decoy import load_site
from node.io.endpoint import serve
from node.io.tls import generate_certificate
from qnet.crypto.keys import DhKey
from qnet.parameters import NetworkParameters

SNI = "notes.example"
PARAMETERS = NetworkParameters.profile("devnet")


def fresh_keys(certificate=None):
    certificate = certificate or generate_certificate(SNI, dt.datetime.now(dt.UTC))
    return ServerKeys(
        certificate_pem=certificate.chain_pem,
        certificate_key_pem=certificate.key_pem,
        spki_hash=certificate.spki_hash,
        link_keys=(DhKey(secrets.token_bytes(32)),),
        ticket_keys={secrets.token_bytes(8): DhKey(secrets.token_bytes(32))},
    )


def address_of(keys, port, **changes):
    ((ticket_id, ticket_key),) = keys.ticket_keys.items()
    values = {
        "host": "127.0.0.1",
        "port": port,
        "sni": SNI,
        "identity": bytes(32),
        "spki": keys.spki_hash,
        "link_key": keys.link_keys[0].public,
        "ticket_key": ticket_key.public,
        "ticket_id": ticket_id,
    }
    return HtxAddress(**(values | changes))


class Recorder:
    """A handler that keeps everything and wakes whoever waits for it."""

    everyone: ClassVar[list] = []

    def __init__(self):
        self.everyone.append(self)
        self.links = []
        self.cells = []
        self.records = []
        self.closed = []
        self.writable = 0
        self._changed = asyncio.Event()

    def link_opened(self, link):
        self.links.append(link)
        self._changed.set()

    def cells_received(self, link, cells):
        self.cells += cells
        self._changed.set()

    def record_received(self, link, kind, content):
        self.records.append((kind, content))
        self._changed.set()

    def link_writable(self, link):
        self.writable += 1
        self._changed.set()

    def link_closed(self, link, reason):
        self.closed.append(reason)
        self._changed.set()

    async def until(self, condition, seconds=20):
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


async def start_server(handler=None, keys=None, parameters=PARAMETERS, **options):
    """Return (server, its keys, its handler)."""
    keys = keys or fresh_keys()
    handler = handler or Recorder()
    server = await serve(
        "127.0.0.1",
        0,
        keys=keys,
        decoy=options.pop("decoy", load_site(None)),
        handler=handler,
        parameters=parameters,
        **options,
    )
    return server, keys, handler


async def close_all():
    """Close every link of every recorder and wait until the sockets are gone."""
    for recorder in Recorder.everyone:
        for link in recorder.links:
            link.close()
            await link.wait_gone()
    Recorder.everyone.clear()


async def condition(check, seconds=10):
    """Wait for what no handler is told about."""
    async with asyncio.timeout(seconds):
        while not check():  # noqa: ASYNC110 -- there is no event for it
            await asyncio.sleep(0.005)


class RawServer:
    """A TCP server of the test's own, which waits for its connections when it is closed."""

    def __init__(self, talk, **options):
        self._talk = talk
        self._options = options
        self._running = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, **self._options)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._running.add(task)
        try:
            await self._talk(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self._running.discard(task)

    async def __aexit__(self, *_exc):
        self._server.close()
        await condition(lambda: not self._running)
