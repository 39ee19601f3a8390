"""Calls between members: signed bodies over HTTP, bounded queues for what is repeated anyway."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import aiohttp
import structlog

from ledger.errors import PeerError
from ledger.service.member import Member
from qnet.errors import RemoteProtocolError
from qnet.messages.peer import NONCE_BYTES, NonceWindow, SignedBody

CALL_TIMEOUT_S: Final = 8.0
MAX_ANSWER_BYTES: Final = 16 << 20
QUEUE_CALLS: Final = 256
CALL_AGE_S: Final = 60
CBOR: Final = "application/cbor"

_log = structlog.get_logger(__name__)


class Peers:
    """Client side: use as an async context manager.

    Args:
        member: ours.
        urls: base URL of every member, in member order.
    """

    def __init__(self, member: Member, urls: Sequence[str]) -> None:
        self._member = member
        self._urls = tuple(urls)
        self._queues = [asyncio.Queue[tuple[str, bytes]](QUEUE_CALLS) for _ in range(member.size)]
        self._session: aiohttp.ClientSession | None = None
        self.dropped = 0

    async def __aenter__(self) -> Self:
        """Open the connections."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S, connect=2.0), trust_env=False
        )
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    @property
    def others(self) -> list[int]:
        """Numbers of the other members."""
        return [member for member in range(self._member.size) if member != self._member.index]

    def post(self, to: int | None, path: str, body: bytes) -> None:
        """Queue a call to one member or (None) to all others; a full queue drops it."""
        for member in self.others if to is None else (to,):
            try:
                self._queues[member].put_nowait((path, body))
            except asyncio.QueueFull:
                self.dropped += 1

    async def run(self) -> None:
        """Send what is queued, to each member in order."""
        async with asyncio.TaskGroup() as group:
            for member in self.others:
                group.create_task(self._drain(member))

    async def call(self, to: int, path: str, body: bytes) -> bytes:
        """Call a member and return its answer.

        Raises:
            PeerError: no answer, not in time, too long, or a refusal.
        """
        if self._session is None:
            raise PeerError(to, "the program is stopping")
        signed = SignedBody.sign(
            self._member.key,
            domain=self._member.committee_domain,
            path=path,
            recipient=self._member.trust.signers[to],
            timestamp=int(self._member.now()),
            nonce=self._member.random(NONCE_BYTES),
            body=body,
        )
        try:
            async with self._session.post(
                self._urls[to] + path, data=signed.encode(), headers={"Content-Type": CBOR}
            ) as response:
                answer = await _read_bounded(response.content, to)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise PeerError(to, str(error) or type(error).__name__) from error
        if response.status >= 300:
            raise PeerError(to, f"HTTP {response.status}")
        return answer

    async def _drain(self, member: int) -> None:
        while True:
            path, body = await self._queues[member].get()
            try:
                await self.call(member, path, body)
            except PeerError as error:
                _log.debug("call failed", member=member, path=path, why=error.why)


async def _read_bounded(content: aiohttp.StreamReader, member: int) -> bytes:
    parts = []
    size = 0
    async for chunk in content.iter_chunked(1 << 16):
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise PeerError(member, "the answer is too long")
        parts.append(chunk)
    return b"".join(parts)


class PeerGate:
    """Server side: who calls, and that each call is taken once.

    Args:
        member: ours.
    """

    def __init__(self, member: Member) -> None:
        self._member = member
        self._window = NonceWindow(max_age_s=CALL_AGE_S)

    def admit(self, path: str, data: bytes) -> tuple[int, bytes]:
        """Check a signed body; return (number of the caller, what it says).

        Raises:
            RemoteProtocolError: malformed, badly signed, of a stranger, too old or repeated.
        """
        call = SignedBody.decode(data)
        signers = self._member.trust.signers
        if call.signer not in signers:
            raise RemoteProtocolError("the caller is not a member")
        call.verify(
            domain=self._member.committee_domain, path=path, recipient=self._member.key.address
        )
        self._window.admit(call, self._member.now())
        return signers.index(call.signer), call.body
