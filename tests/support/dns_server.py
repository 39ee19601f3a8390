"""A DNS server on loopback for tests, over UDP and TCP: answers from a table, counts questions."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@dataclass(frozen=True)
class Asked:
    """One question as it arrived."""

    query: dns.message.Message
    tcp: bool
    source: tuple[str, int]

    @property
    def name(self) -> str:
        return self.query.question[0].name.to_text()

    @property
    def kind(self) -> dns.rdatatype.RdataType:
        return self.query.question[0].rdtype


Answering = Callable[[Asked], Awaitable[list[bytes]]]
"""Makes the packets that go back; none for silence."""


class DnsServer(asyncio.DatagramProtocol):
    """Answers A and AAAA.

    A record that is no address is an alias (CNAME). Unknown names get NXDOMAIN, the name
    `silent.test.` gets nothing. `answer` may be replaced to misbehave.
    """

    def __init__(self, records: Mapping[str, tuple[str, ...]], ttl_s: int) -> None:
        self.records = dict(records)
        self.asked: list[Asked] = []
        self.answer: Answering = self.honest
        self.ttl_s = ttl_s
        self.port = 0
        self._work: set[asyncio.Task[None]] = set()

    @property
    def questions(self) -> int:
        return len(self.asked)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        async def work() -> None:
            for packet in await self._packets(data, addr, tcp=False):
                self._transport.sendto(packet, addr)

        task = asyncio.get_running_loop().create_task(work())
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            (length,) = struct.unpack(">H", await reader.readexactly(2))
            data = await reader.readexactly(length)
            for packet in await self._packets(data, writer.get_extra_info("peername"), tcp=True):
                writer.write(struct.pack(">H", len(packet)) + packet)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    async def _packets(self, data: bytes, source: tuple[str, int], *, tcp: bool) -> list[bytes]:
        asked = Asked(dns.message.from_wire(data), tcp, source)
        self.asked.append(asked)
        return await self.answer(asked)

    async def honest(self, asked: Asked) -> list[bytes]:
        """What an ordinary server sends."""
        return [] if asked.name == "silent.test." else [self.response(asked).to_wire()]

    def response(self, asked: Asked) -> dns.message.Message:
        """The table's answer, following aliases."""
        response = dns.message.make_response(asked.query)
        response.flags |= dns.flags.AA
        name, six = asked.name, asked.kind == dns.rdatatype.AAAA
        kind = dns.rdatatype.to_text(asked.kind)
        while True:
            records = self.records.get(name)
            if records is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                return response
            if len(records) == 1 and records[0].endswith("."):
                alias = dns.rrset.from_text(name, self.ttl_s, "IN", "CNAME", records[0])
                response.answer.append(alias)
                name = records[0]
                continue
            matching = [record for record in records if (":" in record) == six]
            if matching:
                found = dns.rrset.from_text(name, self.ttl_s, "IN", kind, *matching)
                response.answer.append(found)
            return response

    async def close(self) -> None:
        """Give up answers still being made."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)


@asynccontextmanager
async def dns_server(
    records: Mapping[str, tuple[str, ...]], *, ttl_s: int = 300
) -> AsyncIterator[DnsServer]:
    """Run a server on a free port of 127.0.0.1."""
    server = DnsServer(records, ttl_s)
    listener, transport = await _bound(server)
    try:
        yield server
    finally:
        listener.close()
        transport.close()
        await server.close()


async def _bound(server: DnsServer) -> tuple[asyncio.Server, asyncio.DatagramTransport]:
    """One port for TCP and UDP."""
    loop = asyncio.get_running_loop()
    while True:
        listener = await asyncio.start_server(server.talk, "127.0.0.1", 0)
        where = listener.sockets[0].getsockname()
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=where)
        except OSError:  # somebody has that port of UDP
            listener.close()
            await listener.wait_closed()
        else:
            return listener, transport
