"""The auditor's side of its member's HTTP interface.

Source: docs/spec/ledger-api.md, section Audits.
"""

from __future__ import annotations

from typing import Any, Self

import aiohttp
from pydantic_core import from_json

from node.accounting.assignments import MAX_WORK_BYTES, SlotWork, decode_work
from node.errors import LedgerUnavailableError
from qnet.errors import KeyAccessError, RejectedError

TIMEOUT_S = 5.0
WORK_PATH = "/v1/audit/assignments"
RESULTS_PATH = "/v1/audit/results"
MAX_CAUSE_LETTERS = 200

_NOT_YET = frozenset({404, 409, 503})
"""Before genesis, before the first consensus, or before the slot's beacon is known."""


class MemberClient:
    """HTTP client of one member; use as an async context manager.

    Args:
        url: base URL of the member.
        token: secret shared with it.
        timeout_s: deadline of one request.
    """

    def __init__(self, url: str, token: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=self._timeout, headers=self._headers, trust_env=False
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def work(self) -> SlotWork | None:
        """Work of the current slot; None while the member has none.

        Raises:
            KeyAccessError: the member refuses the token.
            LedgerUnavailableError: no answer in time, or an error.
            DecodeError: the answer is malformed.
        """
        status, body = await self._request("GET", WORK_PATH, None)
        if status in _NOT_YET:
            return None
        self._check(status, body, 200)
        return decode_work(body)

    async def post(self, results: bytes) -> None:
        """Hand in the results of a slot.

        Raises:
            KeyAccessError: the member refuses the token.
            RejectedError: the member refuses the results; trying again cannot help.
            LedgerUnavailableError: no answer in time, or an error.
        """
        status, body = await self._request("POST", RESULTS_PATH, results)
        if status in {400, 409, 413}:
            raise RejectedError("the member refuses the results", why=_cause(body))
        self._check(status, body, 202)

    @staticmethod
    def _check(status: int, body: bytes, expected: int) -> None:
        if status == 401:
            raise KeyAccessError(
                "the member refuses this auditor's token",
                why="the token file differs from the member's",
                try_=("give auditor and member the same token file",),
            )
        if status != expected:
            raise LedgerUnavailableError(f"the member answers {status}", why=_cause(body))

    async def _request(self, method: str, path: str, data: bytes | None) -> tuple[int, bytes]:
        assert self._session is not None
        try:
            async with self._session.request(
                method, self._url + path, data=data, allow_redirects=False
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MAX_WORK_BYTES:
                        raise LedgerUnavailableError("the member's answer is too long")
                return response.status, bytes(body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise LedgerUnavailableError(
                "the member does not answer", why=str(error) or type(error).__name__
            ) from error


def _cause(body: bytes) -> str:
    """What an error body says, for people."""
    try:
        fields: dict[str, Any] = from_json(body)["error"]
        text = f"{fields['message']}: {fields.get('why', '')}".rstrip(": ")
    except (ValueError, KeyError, TypeError):
        text = body[:MAX_CAUSE_LETTERS].decode("utf-8", "replace")
    return "".join(letter for letter in text[:MAX_CAUSE_LETTERS] if letter.isprintable())
