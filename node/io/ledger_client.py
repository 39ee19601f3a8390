"""Talks to the committee's HTTP interface: descriptors and receipts out, consensus and beacon in.

Bodies are CBOR, at most 4 MiB (a consensus: 32 MiB), at most 10 s. Every member is asked on its
own; one that is down never holds up the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
import structlog

from node.errors import LedgerUnavailableError
from qnet import cbor
from qnet.errors import DecodeError
from qnet.messages.consensus import MAX_CONSENSUS_BYTES

MAX_BODY_BYTES = 4 * 2**20
MAX_PAYMENTS_BYTES = 2**20
"""Answers about premium payments."""
TIMEOUT_S = 10.0
MAX_RECEIPTS = 512
"""Receipts in one request."""

_CBOR = "application/cbor"
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class MemberState:
    """What is known of one member.

    Attributes:
        reachable: Whether the last request was answered.
        failures: Failed requests so far.
        last_error: Cause of the last failure.
    """

    reachable: bool = False
    failures: int = 0
    last_error: str = ""


@dataclass(slots=True)
class LedgerClient:
    """HTTP client of all committee members; use as an async context manager.

    Attributes:
        members: Base URLs.
        states: Health of each, by URL.
    """

    members: tuple[str, ...]
    states: dict[str, MemberState] = field(default_factory=dict)
    _session: aiohttp.ClientSession | None = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        self.states = {member: MemberState() for member in self.members}
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), trust_env=False, auto_decompress=False
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def publish_descriptor(self, signed: bytes) -> int:
        """Send a signed descriptor to every member.

        Returns:
            How many accepted it.

        Raises:
            LedgerUnavailableError: None did.
        """
        answers = await asyncio.gather(
            *(self._request(member, "POST", "/v1/descriptors", signed) for member in self.members)
        )
        accepted = sum(1 for status, _ in answers if status == 202)
        if accepted == 0:
            refusals = sorted({text(body) for status, body in answers if status >= 400} - {""})
            raise LedgerUnavailableError(
                "no committee member took the descriptor", why="; ".join(refusals) or self.causes()
            )
        return accepted

    async def consensus(self, valid_after: int | None = None) -> bytes | None:
        """The newest signed consensus (or that of one period) from the first member that has it.

        Raises:
            LedgerUnavailableError: No member answered.
        """
        name = "latest" if valid_after is None else str(valid_after)
        answered = False
        for member in self._by_health():
            status, body = await self._request(
                member, "GET", f"/v1/consensus/{name}", limit=MAX_CONSENSUS_BYTES
            )
            answered = answered or status != 0
            if status == 200:
                return body
        if not answered:
            raise LedgerUnavailableError("no committee member answers", why=self.causes())
        return None

    async def consensus_of_each(self, valid_after: int) -> AsyncIterator[bytes]:
        """The consensus of a period as every member that answers has it."""
        for member in self.members:
            status, body = await self._request(
                member, "GET", f"/v1/consensus/{valid_after}", limit=MAX_CONSENSUS_BYTES
            )
            if status == 200:
                yield body

    async def descriptors(self, after: int) -> list[bytes]:
        """A page of the newest descriptors, by index above `after`; empty at the end."""
        for member in self._by_health():
            status, body = await self._request(member, "GET", f"/v1/descriptors?after={after}")
            if status != 200:
                continue
            found = self._list(member, body, MAX_BODY_BYTES)
            if found is not None:
                return found
        return []

    async def committee_changes(self) -> bytes | None:
        """The chain of certified changes of the committee; None if there is none."""
        for member in self._by_health():
            status, body = await self._request(member, "GET", "/v1/committee/changes")
            if status == 200:
                return body
        return None

    async def statistics(self) -> bytes | None:
        """JSON of what the newest report says about each node; None if no member has one."""
        for member in self._by_health():
            status, body = await self._request(
                member, "GET", "/v1/nodes", limit=MAX_CONSENSUS_BYTES
            )
            if status == 200:
                return body
        return None

    async def submit_evidence(self, evidence: bytes) -> int:
        """Send a proof of a double consensus to every member; returns how many took it."""
        answers = await asyncio.gather(
            *(self._request(member, "POST", "/v1/evidence", evidence) for member in self.members)
        )
        return sum(1 for status, _ in answers if status == 202)

    async def submit_receipts(self, member: str, receipts: Sequence[bytes]) -> list[int] | None:
        """Send encoded receipts to one member.

        Args:
            member: Its base URL.
            receipts: At most `MAX_RECEIPTS`.

        Returns:
            Its answer code for each, or None when it did not answer properly.
        """
        status, body = await self._request(
            member, "POST", "/v1/receipts", cbor.dumps(list(receipts))
        )
        if status != 200:
            return None
        try:
            codes = cbor.loads(body, max_bytes=MAX_BODY_BYTES, max_depth=2)
        except DecodeError as error:
            self._failed(member, error.message)
            return None
        if not isinstance(codes, list) or len(codes) != len(receipts):
            self._failed(member, "answer does not match the receipts")
            return None
        return [int(code) for code in codes]

    async def beacon(self, slot_number: int) -> bytes | None:
        """The revealed beacon value of a slot, 32 bytes; None while no member has it."""
        for member in self._by_health():
            status, body = await self._request(member, "GET", f"/v1/beacon/{slot_number}")
            if status == 200 and len(body) == 32:
                return body
        return None

    async def issuance_keys(self, epoch: int) -> list[bytes]:
        """Keys of an issuance epoch as each member shows them; to be checked against the chain."""
        path = f"/v1/payments/keys/{epoch}"
        answers = await asyncio.gather(
            *(
                self._request(member, "GET", path, limit=MAX_PAYMENTS_BYTES)
                for member in self.members
            )
        )
        return [body for status, body in answers if status == 200]

    async def submit_claims(self, member: str, claims: bytes) -> bool:
        """Hand a relay's claims to one member; whether it took them."""
        status, _ = await self._request(member, "POST", "/v1/payments/claims", claims)
        return status == 200

    async def leaves(self, epoch: int, relay: int) -> list[bytes]:
        """JSON of what is attested to a relay, as each member shows it; to be checked."""
        path = f"/v1/payments/leaf/{epoch}/{relay}"
        answers = await asyncio.gather(
            *(
                self._request(member, "GET", path, limit=MAX_PAYMENTS_BYTES)
                for member in self.members
            )
        )
        return [body for status, body in answers if status == 200]

    def _list(self, member: str, body: bytes, limit: int) -> list[bytes] | None:
        """A CBOR array of byte strings; None, and a note, for anything else."""
        try:
            items = cbor.loads(body, max_bytes=limit, max_depth=1)
        except DecodeError as error:
            self._failed(member, error.message)
            return None
        if not isinstance(items, list) or not all(isinstance(item, bytes) for item in items):
            self._failed(member, "answer is not a list")
            return None
        return items

    def causes(self) -> str:
        """Why members did not answer, for an error message."""
        return "; ".join(sorted({s.last_error for s in self.states.values() if s.last_error}))

    def summary(self) -> list[dict[str, Any]]:
        """Health of every member, for `status`."""
        return [
            {"member": index, "reachable": state.reachable, "last_error": state.last_error}
            for index, state in enumerate(self.states.values())
        ]

    def _by_health(self) -> list[str]:
        return sorted(self.members, key=lambda member: self.states[member].failures)

    async def _request(
        self,
        member: str,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        limit: int = MAX_BODY_BYTES,
    ) -> tuple[int, bytes]:
        """One request; (0, b"") when there was no answer."""
        if self._session is None:
            return 0, b""
        try:
            async with self._session.request(
                method, member.rstrip("/") + path, data=body, headers={"Content-Type": _CBOR}
            ) as response:
                content = await response.content.read(limit + 1)
                while not response.content.at_eof() and len(content) <= limit:
                    content += await response.content.read(limit + 1 - len(content))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._failed(member, str(error) or type(error).__name__)
            return 0, b""
        if len(content) > limit:
            self._failed(member, "answer is too long")
            return 0, b""
        state = self.states[member]
        state.reachable, state.failures, state.last_error = True, 0, ""
        return response.status, content

    def _failed(self, member: str, cause: str) -> None:
        state = self.states[member]
        state.reachable = False
        state.failures += 1
        state.last_error = cause
        _log.debug("committee member failed", cause=cause)


def text(body: bytes) -> str:
    """A short printable excerpt of an error body."""
    shown = body[:200].decode("utf-8", "replace")
    return "".join(letter for letter in shown if letter.isprintable())
