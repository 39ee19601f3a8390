"""`client check`: does anything leave but links? Each row has a verdict and its evidence.

The client judges itself here and says on what grounds; what it cannot see is `not tested`. Whether
an application goes past the doors only the machine's packets tell (tests/e2e/test_leaks.py).

Source: docs/spec/exits-and-clients.md, QN-REC-008.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from node.circuit.messages import Answer, EndReason
from node.client.doors.isolation import isolation_key
from node.client.paths.path_circuit import PathCircuit
from node.client.watch.sockets import OwnSocket, own_sockets
from node.client.watch.stages import StageState
from node.config import Endpoint
from node.errors import Stage, StageError, StreamError
from qnet.errors import QnetError

if TYPE_CHECKING:
    from node.client.session import Session

ANSWER_S: Final = 20
"""Time for each test that waits for somebody."""
MAX_PAGE_BYTES: Final = 8_192
"""Most bytes of a page that tells the exit's address."""
DNS_PORTS: Final = frozenset({53, 853, 5353})
_GREETING, _WELCOME = b"\x05\x01\x00", b"\x05\x00"
_WHO: Final = "leak check"


class CheckVerdict(StrEnum):
    """Verdict of one row."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    WARNING = "warning"
    NOT_TESTED = "not tested"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing looked at.

    Attributes:
        name: What.
        verdict: How it is.
        evidence: Why we say so.
    """

    name: str
    verdict: CheckVerdict
    evidence: str


class Question:
    """The stream of one question; also its sink.

    Args:
        made: An open circuit.
    """

    def __init__(self, made: PathCircuit) -> None:
        self._circuit = made.circuit
        self._number = 0
        self._received = bytearray()
        self._request = b""
        self._done: asyncio.Future[bytes | tuple[Answer, ...] | EndReason]
        self._done = asyncio.get_running_loop().create_future()

    async def resolve(self, name: str) -> tuple[Answer, ...] | EndReason:
        """Ask the exit for a name."""
        self._number = self._circuit.resolve(name, self)
        found = await self._wait()
        return EndReason.PROTOCOL if isinstance(found, bytes) else found

    async def fetch(self, host: str, port: int, request: bytes) -> bytes:
        """Send bytes to a destination and return what it answers until it closes.

        Raises:
            StreamError: It could not be reached.
        """
        self._request = request
        self._number = self._circuit.open_stream(host, port, self)
        found = await self._wait()
        if isinstance(found, bytes):
            return found
        why = found.name.lower() if isinstance(found, EndReason) else "no answer"
        raise StreamError(Stage.CONNECT, "the page cannot be fetched", why=why)

    async def _wait(self) -> bytes | tuple[Answer, ...] | EndReason:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._done
        finally:
            self._circuit.end(self._number, EndReason.RESET)

    # StreamSink

    def stream_connected(self, address: bytes) -> None:
        """The exit is connected: ask."""
        del address
        self._circuit.send(self._number, self._request)

    def stream_data(self, chunks: tuple[bytes, ...]) -> None:
        """A piece of the page."""
        self._received += b"".join(chunks)
        self._circuit.consumed(self._number, sum(map(len, chunks)))
        if len(self._received) > MAX_PAGE_BYTES:
            self._settle(bytes(self._received[:MAX_PAGE_BYTES]))

    def stream_ended(self, reason: EndReason) -> None:
        """The end of the page, or why there is none."""
        self._settle(bytes(self._received) if reason is EndReason.DONE else reason)

    def stream_writable(self) -> None:
        """The question fits into the first credit."""

    def name_resolved(self, answers: tuple[Answer, ...]) -> None:
        """The exit answered."""
        self._settle(answers)

    def _settle(self, found: bytes | tuple[Answer, ...] | EndReason) -> None:
        if not self._done.done():
            self._done.set_result(found)


class LeakCheck:
    """All rows of one check.

    Args:
        session: A running client.
        url: An `http://` page that answers with the address of whoever asks; empty for none.
    """

    def __init__(self, session: Session, url: str = "") -> None:
        self._session = session
        self._url = url

    async def run(self) -> dict[str, Any]:
        """Look at everything; `verdict` is `fail` when a row failed."""
        before = _sockets()
        rows = [await self._door(), await self._name()]
        after = _sockets()
        sockets = None if before is None or after is None else before + after
        listed = self._session.listed
        rows += [
            dns_row(sockets),
            ipv6_row(sockets, listed),
            direct_row(sockets, listed),
            await self._exit_address(),
            self._clock(),
            self._consensus(),
            self._anonymity(),
        ]
        failed = any(row.verdict is CheckVerdict.FAIL for row in rows)
        return {
            "verdict": CheckVerdict.FAIL if failed else CheckVerdict.PASS,
            "rows": [asdict(row) for row in rows],
        }

    async def _door(self) -> Row:
        name = "SOCKS port answers"
        if not self._session.listening:
            return Row(name, CheckVerdict.NOT_TESTED, "no SOCKS port is open")
        door = Endpoint.parse(self._session.listening[0])
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_connection(door.host, door.port)
                try:
                    writer.write(_GREETING)
                    said = await reader.readexactly(len(_WELCOME))
                finally:
                    writer.close()
                    with suppress(OSError):
                        await writer.wait_closed()
        except (OSError, EOFError) as error:
            return Row(name, CheckVerdict.FAIL, f"{door.host}:{door.port}: {type(error).__name__}")
        verdict = CheckVerdict.PASS if said == _WELCOME else CheckVerdict.FAIL
        return Row(name, verdict, f"{door.host}:{door.port} answered {said.hex()}")

    async def _name(self) -> Row:
        name = "names are resolved by the exit"
        asked = f"{secrets.token_hex(8)}.invalid"
        try:
            made = await self._circuit(asked, 0)
            found = await Question(made).resolve(asked)
        except (QnetError, TimeoutError) as error:
            return Row(name, CheckVerdict.NOT_TESTED, f"no answer: {error}")
        told = found.name.lower() if isinstance(found, EndReason) else f"{len(found)} addresses"
        index = made.path.exit.index
        return Row(name, CheckVerdict.PASS, f"exit {index} answered for a random name: {told}")

    async def _exit_address(self) -> Row:
        name = "the destination sees the exit"
        if not self._url:
            return Row(
                name, CheckVerdict.NOT_TESTED, "no page that tells the address is configured"
            )
        parts = urlsplit(self._url)
        if parts.scheme != "http" or not parts.hostname:
            return Row(name, CheckVerdict.NOT_TESTED, "the page is not an http:// one")
        target = f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}"
        request = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        try:
            port = parts.port or 80
            made = await self._circuit(parts.hostname, port)
            page = await Question(made).fetch(parts.hostname, port, request.encode())
        except (QnetError, TimeoutError, ValueError) as error:
            return Row(name, CheckVerdict.NOT_TESTED, f"the page cannot be fetched: {error}")
        return exit_row(name, page.decode("latin-1"), made, self._own_addresses())

    async def _circuit(self, host: str, port: int) -> PathCircuit:
        key = isolation_key(_WHO, b"", host, port)
        return await self._session.circuits.circuit_for(key, host, port)

    def _own_addresses(self) -> set[str]:
        links = self._session.entries.links.values()
        return {link.link.own_address for link in links if link.link is not None} - {""}

    def _clock(self) -> Row:
        row = next(row for row in self._session.stages() if row["stage"] == Stage.CLOCK)
        fits = row["state"] == StageState.PASSED.name.lower()
        if row["cause"]:
            return Row("clock", CheckVerdict.WARNING if fits else CheckVerdict.FAIL, row["cause"])
        if not fits:
            return Row("clock", CheckVerdict.NOT_TESTED, "no node told its time yet")
        return Row(
            "clock", CheckVerdict.PASS, "agrees with the consensus and the nodes' own clocks"
        )

    def _consensus(self) -> Row:
        session = self._session
        try:
            consensus = session.view.for_circuits()
        except QnetError as error:
            return Row("consensus", CheckVerdict.FAIL, f"{error.message}: {error.why}")
        age = int(session.wall() - consensus.valid_after)
        return Row("consensus", CheckVerdict.PASS, f"signed by a quorum, {age} s old")

    def _anonymity(self) -> Row:
        facts = self._session.anonymity()
        if facts["warning"]:
            return Row("anonymity set", CheckVerdict.WARNING, facts["warning"])
        return Row("anonymity set", CheckVerdict.PASS, f"about {facts['users']} active users")


def dns_row(sockets: Collection[OwnSocket] | None) -> Row:
    """Whether this process could have asked a DNS server, or anybody by UDP."""
    name = "this machine's DNS is not used"
    found = [
        item
        for item in sockets or ()
        if not item.stays_inside and (not item.is_ours or item.peer_port in DNS_PORTS)
    ]
    if sockets is None:
        return Row(name, CheckVerdict.NOT_TESTED, "this system does not list a process's sockets")
    if found:
        return Row(name, CheckVerdict.FAIL, "; ".join(map(_words, found)))
    return Row(name, CheckVerdict.PASS, "no UDP, raw or DNS socket reaches beyond loopback")


def ipv6_row(sockets: Collection[OwnSocket] | None, listed: Collection[tuple[str, int]]) -> Row:
    """Whether IPv6 goes past the network."""
    name = "IPv6 does not go past the network"
    if sockets is None:
        return Row(name, CheckVerdict.NOT_TESTED, "this system does not list a process's sockets")
    found = [item for item in _strangers(sockets, listed) if item.peer.version == 6]
    if found:
        return Row(name, CheckVerdict.FAIL, "; ".join(map(_words, found)))
    return Row(name, CheckVerdict.PASS, "no IPv6 socket has a peer but nodes; the doors take IPv6")


def direct_row(sockets: Collection[OwnSocket] | None, listed: Collection[tuple[str, int]]) -> Row:
    """Whether every peer beyond loopback is a node, seed or bridge."""
    name = "connections go to nodes only"
    if sockets is None:
        return Row(name, CheckVerdict.NOT_TESTED, "this system does not list a process's sockets")
    found = list(_strangers(sockets, listed))
    if found:
        return Row(name, CheckVerdict.FAIL, "; ".join(map(_words, found)))
    links = {item for item in sockets if item.is_ours and item.where in listed}
    return Row(name, CheckVerdict.PASS, f"{len(links)} connections, each to a listed address")


def exit_row(name: str, page: str, made: PathCircuit, own: Collection[str]) -> Row:
    """Whom the page saw."""
    exit_host = made.path.exit.host
    if any(address in page for address in own if address != exit_host):
        return Row(name, CheckVerdict.FAIL, "the page saw an address of this machine")
    if exit_host in page:
        return Row(name, CheckVerdict.PASS, f"the page saw exit {made.path.exit.index}")
    return Row(name, CheckVerdict.WARNING, "the page saw neither this machine nor the listed exit")


def _strangers(
    sockets: Iterable[OwnSocket], listed: Collection[tuple[str, int]]
) -> Iterable[OwnSocket]:
    return (
        item
        for item in sockets
        if item.has_peer and not item.stays_inside and item.where not in listed
    )


def _sockets() -> list[OwnSocket] | None:
    try:
        return own_sockets()
    except StageError:
        return None


def _words(item: OwnSocket) -> str:
    host, port = item.where
    return f"{item.protocol} to {host}:{port}" if item.has_peer else f"{item.protocol} socket"
