"""Network states by report hash: what rewards and weights build on."""

import asyncio
from collections.abc import Sequence
from typing import Final

import aiohttp

from ledger.domain.blob import MAX_BLOB_BYTES
from ledger.domain.report import EpochResult, recompute
from ledger.domain.state import NetworkState
from ledger.errors import NotReadyError
from ledger.service.member import Member
from ledger.storage.results import ReportRow
from qnet.errors import RemoteProtocolError
from qnet.messages.report import NO_REPORT

FETCH_TIMEOUT_S: Final = 8.0
KEPT_STATES: Final = 16


class States:
    """Finds the state after a report, in our database or with other members.

    Args:
        member: ours.
        urls: base URLs of all members.
    """

    def __init__(self, member: Member, urls: Sequence[str]) -> None:
        self._member = member
        self._urls = tuple(urls)
        self._kept: dict[bytes, NetworkState] = {NO_REPORT: NetworkState()}

    def keep(self, result: EpochResult) -> None:
        """Remember the state after a report."""
        if len(self._kept) >= KEPT_STATES:
            self._kept = {NO_REPORT: NetworkState()}
        self._kept[result.digest] = result.after

    async def after(self, report_hash: bytes) -> NetworkState:
        """State after the report of this hash.

        Raises:
            NotReadyError: neither we nor any member that answers has it.
        """
        found = self._kept.get(report_hash)
        if found is not None:
            return found
        result = await asyncio.to_thread(recompute, await self.data(report_hash))
        self.keep(result)
        return result.after

    async def data(self, report_hash: bytes) -> bytes:
        """Data blob of the report of this hash.

        Raises:
            NotReadyError: neither we nor any member that answers has it.
        """
        async with self._member.work() as rows:
            row = await rows.reports.get(report_hash)
        return row.data if row is not None else await self._catch_up(report_hash)

    async def _catch_up(self, report_hash: bytes) -> bytes:
        """Fetch the data of a report that the chain has taken and we have missed."""
        oracle = self._member.reader.contracts.oracle
        for epoch in range(await oracle.next_epoch() - 1, -1, -1):
            on_chain = await oracle.report(epoch)
            if on_chain.hash != report_hash:
                continue
            data = await self._fetch(epoch, report_hash)
            result = recompute(data)
            attempt = result.report.attempt
            row = ReportRow(report_hash, epoch, attempt, data, bitmap=0, signatures=b"")
            async with self._member.work() as rows:
                await rows.reports.add(result, row)
            return data
        raise NotReadyError("the chain does not know the report")

    async def _fetch(self, epoch: int, report_hash: bytes) -> bytes:
        """Data blob whose report has the hash, from the first member that has it."""
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            for place, url in enumerate(self._urls):
                if place == self._member.index:
                    continue
                try:
                    async with session.get(f"{url}/v1/epochs/{epoch}/data") as response:
                        data = await _bounded(response)
                    if recompute(data).digest == report_hash:
                        return data
                except (aiohttp.ClientError, TimeoutError, OSError, RemoteProtocolError):
                    continue
        raise NotReadyError(f"no member has the data of epoch {epoch}")


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    if response.status != 200:
        raise RemoteProtocolError(f"HTTP {response.status}")
    parts: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(1 << 16):
        size += len(chunk)
        if size > MAX_BLOB_BYTES:
            raise RemoteProtocolError("the data blob is too long")
        parts.append(chunk)
    return b"".join(parts)
