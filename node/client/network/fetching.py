"""Asking one node for a directory document, over its link or a circuit, within bounds of time.

A node may be slow, but not for ever: an answer that stalls, drips or never ends is given up, so
that another source is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from node.client.network.directory import DirectoryStream
from node.client.paths.circuit import Circuit
from node.client.paths.entry import EntryLink
from node.directory.exchange import DirRequest, Download, Piece
from node.errors import BootstrapError, Stage
from node.htx.record import RecordType
from qnet.errors import QnetError

STALL_S = 5.0
"""An answer of which nothing comes for so long is given up."""
GRACE_S = 10.0
"""From then on an answer must have come at `LEAST_BYTES_S` on average."""
LEAST_BYTES_S = 16_384
TOTAL_S = 120.0
"""Deadline of a whole answer."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How slow an answer may be.

    Attributes:
        stall_s: Longest time without any byte.
        grace_s: When the average begins to count.
        least_bytes_s: Least average rate.
        total_s: Deadline of the whole answer.
    """

    stall_s: float = STALL_S
    grace_s: float = GRACE_S
    least_bytes_s: int = LEAST_BYTES_S
    total_s: float = TOTAL_S


Ask = Callable[[DirRequest, bytes], Awaitable[bytes]]
"""Asks one node: the request, and the payload a difference may refer to."""


class _Answering(Protocol):
    """What an answer comes over."""

    @property
    def is_open(self) -> bool:
        """Whether more can come."""


def over_link(link: EntryLink, pace: Pace) -> Ask:
    """Ask the node at the other end of a link."""

    async def ask(request: DirRequest, base: bytes) -> bytes:
        return await fetch_document(link, request, base=base, pace=pace)

    return ask


def over_circuit(circuit: Circuit, hop: int, pace: Pace) -> Ask:
    """Ask a hop of a circuit: it does not learn who asks."""

    async def ask(request: DirRequest, base: bytes) -> bytes:
        stream = DirectoryStream(circuit, request, hop=hop, base=base)
        try:
            return await answer_in_time(stream.done, lambda: stream.received_bytes, circuit, pace)
        finally:
            stream.close()

    return ask


async def fetch_document(
    link: EntryLink, request: DirRequest, *, base: bytes = b"", pace: Pace | None = None
) -> bytes:
    """Ask one node for a document over its link.

    Args:
        link: An open link.
        request: What to ask.
        base: Payload of the consensus that the request says is held.
        pace: How slow the answer may be.

    Raises:
        NotFoundError: It has none.
        RejectedError: It has nothing newer, or is busy.
        DecodeError: Its answer is malformed.
        BootstrapError: It does not answer, or too slowly.
    """
    download = Download(request, base=base)
    done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def receive(kind: RecordType, content: bytes) -> None:
        if kind is not RecordType.DIR_DATA or done.done():
            return
        try:
            answer = download.receive(Piece.decode(content))
        except QnetError as error:
            done.set_exception(error)
            done.exception()  # who asked may have given up by now
            return
        if answer is not None:
            done.set_result(answer)

    with link.reading(receive):
        link.send_record(RecordType.DIR_GET, request.encode())
        return await answer_in_time(done, lambda: download.received_bytes, link, pace or Pace())


async def answer_in_time(
    done: asyncio.Future[bytes], received: Callable[[], int], over: _Answering, pace: Pace
) -> bytes:
    """Wait for an answer as long as it comes fast enough.

    Raises:
        BootstrapError: It does not.
    """
    clock = asyncio.get_running_loop().time
    begun = moved = clock()
    seen = 0
    while True:
        await asyncio.wait({done}, timeout=min(pace.stall_s, pace.grace_s) / 8)
        if done.done():
            return done.result()
        now, got = clock(), received()
        if got > seen:
            seen, moved = got, now
        elapsed = now - begun
        if not over.is_open:
            raise _too_slow("the connection ended before the answer did", got)
        if now - moved >= pace.stall_s:
            raise _too_slow(f"nothing came for {pace.stall_s:g} s", got)
        if elapsed >= pace.grace_s and got < pace.least_bytes_s * elapsed:
            raise _too_slow(f"slower than {pace.least_bytes_s} bytes/s for {elapsed:.0f} s", got)
        if elapsed >= pace.total_s:
            raise _too_slow(f"not complete after {pace.total_s:g} s", got)


def _too_slow(why: str, received: int) -> BootstrapError:
    return BootstrapError(Stage.CONSENSUS, "no answer", why=f"{why}; {received} bytes came")
