"""A DNS server on loopback for tests: answers from a table, counts questions."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class DnsServer(asyncio.DatagramProtocol):
    """Answers A and AAAA; unknown names get NXDOMAIN, the name `silent.test.` gets nothing."""

    def __init__(self, records: Mapping[str, tuple[str, ...]], ttl_s: int) -> None:
        self.records = dict(records)
        self.questions = 0
        self.port = 0
        self._ttl_s = ttl_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name = question.name.to_text()
        self.questions += 1
        if name == "silent.test.":
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        addresses = self.records.get(name)
        if addresses is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        wanted = ":" if question.rdtype == dns.rdatatype.AAAA else "."
        matching = [address for address in addresses or () if wanted in address]
        if matching:
            kind = dns.rdatatype.to_text(question.rdtype)
            response.answer.append(
                dns.rrset.from_text(question.name, self._ttl_s, "IN", kind, *matching)
            )
        self._transport.sendto(response.to_wire(), addr)


@asynccontextmanager
async def dns_server(
    records: Mapping[str, tuple[str, ...]], *, ttl_s: int = 300
) -> AsyncIterator[DnsServer]:
    """Run a server on a free port of 127.0.0.1."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: DnsServer(records, ttl_s), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()
