"""A name server for `*.devnet`: small, bounded, UDP only.

Node names answer with the node's address, every other name below the zone with 127.0.0.1.
Names outside the zone are refused, so nothing of a devnet ever asks the outside world.

Source: RFC 1035 §4, RFC 2308 (empty answers), RFC 6761 (special-use names, the idea).
"""

import asyncio
import ipaddress
import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import click

from qnet.codec import Reader, Writer
from qnet.errors import DecodeError

ZONE = "devnet"
MAX_QUERY_BYTES = 512
MAX_NAME_BYTES = 255
MAX_LABEL_BYTES = 63
TTL_S = 60

TYPE_A = 1
TYPE_ANY = 255
CLASS_IN = 1

NOERROR = 0
FORMERR = 1
NOTIMP = 4
REFUSED = 5

_RESPONSE = 0x8000
_AUTHORITATIVE = 0x0400
_OPCODE = 0x7800
_RECURSION_DESIRED = 0x0100


@dataclass(frozen=True, slots=True)
class Question:
    """One decoded query.

    Attributes:
        ident: the asker's 16-bit number, echoed.
        flags: header flags as received.
        name: lower-case labels joined by dots, without the last dot.
        wire: the question section as received, echoed.
        qtype: type asked for.
        qclass: class asked for.
    """

    ident: int
    flags: int
    name: str
    wire: bytes
    qtype: int
    qclass: int


def decode_query(data: bytes) -> Question:
    """Decode a query of one question; what follows the question (EDNS) is ignored.

    Args:
        data: the datagram, at most 512 bytes.

    Raises:
        DecodeError: not a query, more or less than one question, or a name out of bounds.
    """
    if len(data) > MAX_QUERY_BYTES:
        raise DecodeError(f"DNS query of {len(data)} bytes")
    reader = Reader(data)
    ident, flags, questions = reader.u16(), reader.u16(), reader.u16()
    reader.take(6)
    if flags & _RESPONSE:
        raise DecodeError("DNS response where a query is due")
    if questions != 1:
        raise DecodeError(f"DNS query with {questions} questions")
    labels, wire = _decode_name(reader)
    qtype, qclass = reader.u16(), reader.u16()
    wire += Writer().u16(qtype).u16(qclass).bytes()
    return Question(ident, flags, ".".join(labels), wire, qtype, qclass)


def _decode_name(reader: Reader) -> tuple[list[str], bytes]:
    labels: list[str] = []
    wire = b""
    while True:
        size = reader.u8()
        wire += bytes([size])
        if size == 0:
            return labels, wire
        if size > MAX_LABEL_BYTES:
            raise DecodeError("DNS label over 63 bytes or a pointer in a question")
        raw = reader.take(size)
        wire += raw
        if len(wire) >= MAX_NAME_BYTES:
            raise DecodeError("DNS name over 255 bytes")
        try:
            labels.append(raw.decode("ascii").lower())
        except UnicodeDecodeError as error:
            raise DecodeError("DNS label is not ASCII") from error


def answer(data: bytes, hosts: Mapping[str, str]) -> bytes | None:
    """Answer one datagram.

    Args:
        data: the query as received.
        hosts: full lower-case name to IPv4 address; other names of the zone are 127.0.0.1.

    Returns:
        The response, or None when not even a number to echo could be read.
    """
    try:
        question = decode_query(data)
    except DecodeError:
        return _refuse_unreadable(data)
    if question.flags & _OPCODE:
        return _encode(question, NOTIMP, None)
    inside = question.name == ZONE or question.name.endswith(f".{ZONE}")
    if not inside or question.qclass != CLASS_IN:
        return _encode(question, REFUSED, None)
    if question.qtype not in {TYPE_A, TYPE_ANY}:
        return _encode(question, NOERROR, None)
    return _encode(question, NOERROR, hosts.get(question.name, "127.0.0.1"))


def _refuse_unreadable(data: bytes) -> bytes | None:
    if len(data) < 12 or data[2] & 0x80:
        return None
    return data[:2] + Writer().u16(_RESPONSE | FORMERR).u64(0).bytes()


def _encode(question: Question, rcode: int, address: str | None) -> bytes:
    flags = _RESPONSE | _AUTHORITATIVE | (question.flags & _RECURSION_DESIRED) | rcode
    writer = Writer().u16(question.ident).u16(flags).u16(1).u16(1 if address else 0).u32(0)
    head = writer.bytes() + question.wire
    if address is None:
        return head
    record = Writer().u16(0xC00C).u16(TYPE_A).u16(CLASS_IN).u32(TTL_S).u16(4).bytes()
    return head + record + ipaddress.IPv4Address(address).packed


class NameServer(asyncio.DatagramProtocol):
    """Answers each datagram at once; keeps nothing."""

    def __init__(self, hosts: Mapping[str, str]) -> None:
        self._hosts = hosts
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Send the answer to whoever asked."""
        response = answer(data, self._hosts)
        if response is not None and self._transport is not None:
            self._transport.sendto(response, addr)


async def serve(host: str, port: int, hosts: Mapping[str, str]) -> None:
    """Answer until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    transport, _ = await loop.create_datagram_endpoint(
        lambda: NameServer(hosts), local_addr=(host, port)
    )
    sys.stdout.write("READY " + json.dumps({"dns": f"{host}:{port}", "zone": ZONE}) + "\n")
    sys.stdout.flush()
    try:
        await stop.wait()
    finally:
        transport.close()


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), required=True)
@click.option("--hosts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(host: str, port: int, hosts: Path | None) -> None:
    """Serve `*.devnet` names; HOSTS is a JSON map of name to IPv4 address."""
    names = json.loads(hosts.read_text("utf-8")) if hosts else {}
    asyncio.run(serve(host, port, {str(k): str(v) for k, v in names.items()}))


if __name__ == "__main__":
    main()
