"""What the chain asks of a member: read and written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.storage import payment_tables as tables
from ledger.storage.repositories import insert_new


@dataclass(frozen=True, slots=True)
class Matter:
    """Something the chain asks of us.

    Args:
        kind: exit, dispute, demand or close.
        subject: its number (32 bytes), or the channel padded with zeros.
        epoch: issuance epoch, as far as it has one.
        noted_at: unix time.
    """

    kind: str
    subject: bytes
    epoch: int
    noted_at: float


class PaymentMatters:
    """What the chain asks of us, and how far we have read it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def note(self, matter: Matter) -> None:
        """Remember a matter until it is settled."""
        row = {
            "kind": matter.kind,
            "subject": matter.subject,
            "epoch": matter.epoch,
            "noted_at": matter.noted_at,
        }
        await self._connection.execute(insert_new(self._connection, tables.matters), row)

    async def all(self) -> list[Matter]:
        """Everything that is open, oldest first."""
        table = tables.matters
        query = select(table).order_by(table.c.noted_at, table.c.kind, table.c.subject)
        return [
            Matter(row.kind, bytes(row.subject), int(row.epoch), float(row.noted_at))
            for row in await self._connection.execute(query)
        ]

    async def settle(self, matter: Matter) -> None:
        """Forget a matter."""
        table = tables.matters
        where = (table.c.kind == matter.kind, table.c.subject == matter.subject)
        await self._connection.execute(delete(table).where(*where))

    async def cursor(self, name: str) -> bytes | None:
        """How far a reader has come."""
        table = tables.cursors
        found = (await self._connection.execute(select(table).where(table.c.name == name))).first()
        return None if found is None else bytes(found.cursor)

    async def advance(self, name: str, cursor: bytes) -> None:
        """Write how far a reader has come."""
        table = tables.cursors
        done = await self._connection.execute(
            update(table).where(table.c.name == name).values(cursor=cursor)
        )
        if not done.rowcount:
            values: Mapping[str, Any] = {"name": name, "cursor": cursor}
            await self._connection.execute(insert(table), values)
