"""Proofs on their way to the court."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.storage import tables
from ledger.storage.repositories import insert_new
from ledger.storage.results import NOTE_CHARS

OPEN_STATES: Final = ("noted", "opened")


@dataclass(frozen=True, slots=True)
class ChallengeRow:
    """A proof and how far it has come.

    Args:
        row_id: number in the database.
        kind: receipts (against a node) or consensuses (against a member).
        subject: number of the node or member.
        noted_at: unix time.
        evidence: evidence file.
        salt: of the commitment, 32 bytes.
        state: noted, opened, proven or dropped.
        challenge: its number at the court, once it is opened.
        note: what came of it.
    """

    row_id: int
    kind: str
    subject: int
    noted_at: float
    evidence: bytes
    salt: bytes
    state: str
    challenge: int | None
    note: str


class Challenges:
    """Challenges of this member, one for each culprit."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(
        self, kind: str, subject: int, *, evidence: bytes, salt: bytes, now: float
    ) -> bool:
        """Note a proof with a fresh salt; False if there is one against this culprit."""
        row = {
            "kind": kind,
            "subject": subject,
            "noted_at": now,
            "evidence": evidence,
            "salt": salt,
            "state": "noted",
            "challenge": None,
            "note": "",
        }
        done = await self._connection.execute(insert_new(self._connection, tables.challenges), row)
        return bool(done.rowcount)

    async def open_rows(self) -> list[ChallengeRow]:
        """Everything not finished, in order."""
        table = tables.challenges
        query = select(table).where(table.c.state.in_(OPEN_STATES)).order_by(table.c.id)
        return [_row(row) for row in await self._connection.execute(query)]

    async def all(self) -> list[ChallengeRow]:
        """Every challenge, in order."""
        query = select(tables.challenges).order_by(tables.challenges.c.id)
        return [_row(row) for row in await self._connection.execute(query)]

    async def opened(self, row_id: int, challenge: int) -> None:
        """The court has given it a number."""
        await self._set(row_id, state="opened", challenge=challenge)

    async def finished(self, row_id: int, *, proven: bool, note: str) -> None:
        """Close a row."""
        await self._set(row_id, state="proven" if proven else "dropped", note=note[:NOTE_CHARS])

    async def _set(self, row_id: int, **values: Any) -> None:
        table = tables.challenges
        await self._connection.execute(update(table).where(table.c.id == row_id).values(**values))


def _row(row: Any) -> ChallengeRow:
    return ChallengeRow(
        row_id=row.id,
        kind=row.kind,
        subject=row.subject,
        noted_at=row.noted_at,
        evidence=bytes(row.evidence),
        salt=bytes(row.salt),
        state=row.state,
        challenge=row.challenge,
        note=row.note,
    )
