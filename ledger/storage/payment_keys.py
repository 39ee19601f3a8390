"""Rows of the key generation: secrets, bundles, records and the keys of issuance epochs."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.domain.keygen_bundles import OF_AN_AUTHOR, Bundle, RoundId
from ledger.storage import key_tables as tables
from ledger.storage.repositories import insert_new


@dataclass(frozen=True, slots=True)
class KnownBundle:
    """A bundle, and when it came here (unix seconds)."""

    bundle: Bundle
    received_at: float


@dataclass(frozen=True, slots=True)
class KeysRow:
    """Agreed keys of an issuance epoch.

    Args:
        epoch: issuance epoch.
        keys_hash: 32 bytes.
        document: `EpochKeys.encode`.
        bitmap: who signed.
        signatures: 65 bytes each, in member order.
        registered: whether the hash stands on chain at a final block.
    """

    epoch: int
    keys_hash: bytes
    document: bytes
    bitmap: int
    signatures: bytes
    registered: bool


class PaymentKeys:
    """What the key generation keeps."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    # ---- secrets -----------------------------------------------------------------------------

    async def claim_secret(self, epoch: int, name: str, sealed: bytes) -> bytes:
        """Write a secret if there is none of that name; return the one that is written."""
        row = {"epoch": epoch, "name": name, "sealed": sealed}
        await self._connection.execute(insert_new(self._connection, tables.keygen_secrets), row)
        found = await self.secret(epoch, name)
        assert found is not None
        return found

    async def secret(self, epoch: int, name: str) -> bytes | None:
        """A sealed secret."""
        table = tables.keygen_secrets
        query = select(table.c.sealed).where(table.c.epoch == epoch, table.c.name == name)
        found = (await self._connection.execute(query)).first()
        return None if found is None else bytes(found.sealed)

    async def erase_secrets(self, epoch: int, *, keep: str | None = None) -> None:
        """Overwrite and delete the secrets of an epoch, but for the one named `keep`."""
        table = tables.keygen_secrets
        which = [table.c.epoch == epoch]
        if keep is not None:
            which.append(table.c.name != keep)
        query = select(table.c.name, func.length(table.c.sealed).label("size")).where(*which)
        for row in (await self._connection.execute(query)).all():
            place = table.c.epoch == epoch, table.c.name == row.name
            zeros = bytes(row.size)
            await self._connection.execute(update(table).where(*place).values(sealed=zeros))
        await self._connection.execute(delete(table).where(*which))

    # ---- rounds ------------------------------------------------------------------------------

    async def add_bundle(self, bundle: Bundle, now: float) -> bool:
        """Store a verified bundle; False if it is known, or its author said two things already."""
        table = tables.keygen_bundles
        where = *_of_round(table, bundle.id), table.c.author == bundle.author
        count = (await self._connection.execute(select(func.count()).where(*where))).scalar_one()
        if count >= OF_AN_AUTHOR:
            return False
        row = {
            "epoch": bundle.id.epoch,
            "attempt": bundle.id.attempt,
            "round": int(bundle.id.round),
            "author": bundle.author,
            "digest": bundle.name,
            "wire": bundle.encode(),
            "received_at": now,
        }
        done = await self._connection.execute(insert_new(self._connection, table), row)
        return bool(done.rowcount)

    async def bundles(self, id_: RoundId) -> list[KnownBundle]:
        """Bundles of a round, by author and name."""
        table = tables.keygen_bundles
        query = (
            select(table.c.wire, table.c.received_at)
            .where(*_of_round(table, id_))
            .order_by(table.c.author, table.c.digest)
        )
        rows = await self._connection.execute(query)
        return [KnownBundle(Bundle.decode(bytes(row.wire)), float(row.received_at)) for row in rows]

    async def add_record(self, id_: RoundId, document: bytes, now: float) -> bool:
        """Store what a round agreed on; False if it is known."""
        row = {
            "epoch": id_.epoch,
            "attempt": id_.attempt,
            "round": int(id_.round),
            "document": document,
            "decided_at": now,
        }
        done = await self._connection.execute(
            insert_new(self._connection, tables.keygen_records), row
        )
        return bool(done.rowcount)

    async def record(self, id_: RoundId) -> tuple[bytes, float] | None:
        """(document, time of the decision) of a round."""
        table = tables.keygen_records
        query = select(table.c.document, table.c.decided_at).where(*_of_round(table, id_))
        found = (await self._connection.execute(query)).first()
        return None if found is None else (bytes(found.document), float(found.decided_at))

    # ---- keys --------------------------------------------------------------------------------

    async def add(self, row: KeysRow) -> bool:
        """Store agreed keys; False if they are known."""
        values: dict[str, Any] = {
            "epoch": row.epoch,
            "keys_hash": row.keys_hash,
            "document": row.document,
            "bitmap": row.bitmap,
            "signatures": row.signatures,
            "registered": row.registered,
        }
        done = await self._connection.execute(
            insert_new(self._connection, tables.issuance_keys), values
        )
        return bool(done.rowcount)

    async def get(self, epoch: int) -> KeysRow | None:
        """Agreed keys of an epoch."""
        table = tables.issuance_keys
        query = select(table).where(table.c.epoch == epoch)
        row = (await self._connection.execute(query)).first()
        if row is None:
            return None
        return KeysRow(
            epoch=int(row.epoch),
            keys_hash=bytes(row.keys_hash),
            document=bytes(row.document),
            bitmap=int(row.bitmap),
            signatures=bytes(row.signatures),
            registered=bool(row.registered),
        )

    async def mark_registered(self, epoch: int) -> None:
        """The hash of an epoch's keys is on chain at a final block."""
        table = tables.issuance_keys
        await self._connection.execute(
            update(table).where(table.c.epoch == epoch).values(registered=True)
        )

    async def forget(self, before: int) -> None:
        """Delete what was said in rounds of old epochs; their keys stay, secrets are erased."""
        for table in (tables.keygen_bundles, tables.keygen_records):
            await self._connection.execute(delete(table).where(table.c.epoch < before))
        secrets = tables.keygen_secrets
        query = select(secrets.c.epoch).where(secrets.c.epoch < before).distinct()
        for row in (await self._connection.execute(query)).all():
            await self.erase_secrets(int(row.epoch))


def _of_round(table: Any, id_: RoundId) -> tuple[ColumnElement[bool], ...]:
    return (
        table.c.epoch == id_.epoch,
        table.c.attempt == id_.attempt,
        table.c.round == int(id_.round),
    )
