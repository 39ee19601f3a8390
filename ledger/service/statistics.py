"""What the committee's reports say about each node: rate, performance, reputation, latency."""

import asyncio
from typing import Any

from ledger.domain.statistics import node_rows
from ledger.errors import NoReportError
from ledger.service.member import Member


class Statistics:
    """Answers from the newest report; the last one computed is kept.

    Args:
        member: ours.
    """

    def __init__(self, member: Member) -> None:
        self._member = member
        self._kept: tuple[bytes, dict[str, Any]] | None = None
        self._turn = asyncio.Lock()

    async def nodes(self) -> dict[str, Any]:
        """JSON of every node in the newest report.

        Raises:
            NoReportError: there is none yet.
        """
        async with self._member.work() as rows:
            row = await rows.reports.newest()
        if row is None:
            raise NoReportError(0)
        async with self._turn:
            if self._kept is None or self._kept[0] != row.digest:
                nodes = await asyncio.to_thread(node_rows, row.data)
                self._kept = row.digest, {"epoch": row.epoch, "nodes": nodes}
            return self._kept[1]

    async def node(self, index: int) -> dict[str, Any]:
        """JSON of one node.

        Raises:
            NoReportError: no report, or the node is not in it.
        """
        found = await self.nodes()
        if not 1 <= index <= len(found["nodes"]):
            raise NoReportError(found["epoch"])
        return {"epoch": found["epoch"], **found["nodes"][index - 1]}
