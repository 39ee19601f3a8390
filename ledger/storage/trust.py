"""Certified changes of the committee, and proofs that it contradicted itself."""

from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.storage import tables
from ledger.storage.repositories import insert_new
from qnet.messages.evidence import DoubleConsensus
from qnet.messages.succession import SignedChange

MAX_EVIDENCE_ROWS: Final = 1_024
"""Proofs kept; by then everything is known about the committee."""
EVIDENCE_PAGE: Final = 64


class Changes:
    """Certified changes of the committee."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, signed: SignedChange) -> bool:
        """Store a certified change; False if there is one of that time."""
        table = tables.committee_changes
        row = {"valid_from": signed.change.valid_from, "wire": signed.encode()}
        done = await self._connection.execute(insert_new(self._connection, table), row)
        return bool(done.rowcount)

    async def all(self) -> list[SignedChange]:
        """Every change in order."""
        table = tables.committee_changes
        query = select(table.c.wire).order_by(table.c.valid_from)
        rows = await self._connection.execute(query)
        return [SignedChange.decode(bytes(row.wire)) for row in rows]


class Evidence:
    """Proofs of double consensuses."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, proof: DoubleConsensus, now: float) -> bool:
        """Store a verified proof; False if it is known, or there are too many."""
        table = tables.consensus_evidence
        count = (await self._connection.execute(select(func.count()).select_from(table))).scalar()
        if (count or 0) >= MAX_EVIDENCE_ROWS:
            return False
        row = {
            "digest": proof.digest,
            "period": proof.period,
            "wire": proof.encode(),
            "received_at": now,
        }
        done = await self._connection.execute(insert_new(self._connection, table), row)
        return bool(done.rowcount)

    async def newest(self) -> list[bytes]:
        """Wire forms of the last proofs, newest first."""
        table = tables.consensus_evidence
        query = select(table.c.wire).order_by(table.c.received_at.desc()).limit(EVIDENCE_PAGE)
        return [bytes(row.wire) for row in await self._connection.execute(query)]
