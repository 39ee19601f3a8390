"""Claims of relays, and what came of them: read and written."""

from collections.abc import Collection, Iterable

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.storage import payment_tables as tables
from ledger.storage.repositories import IN_MAX, insert_new
from qnet.messages.claims import Claims
from qnet.messages.instruments import Unit
from qnet.messages.settlement import ClaimLeaf


class PaymentClaims:
    """Claims of relays, how far tokens were spent, and what was attested."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, name: bytes, claims: Claims, *, in_time: bool) -> None:
        """Store verified claims; what came in time to us stays marked so."""
        table = tables.claims
        row = {
            "name": name,
            "epoch": claims.epoch,
            "relay": claims.relay,
            "wire": claims.encode(),
            "in_time": in_time,
        }
        done = await self._connection.execute(insert_new(self._connection, table), row)
        if not done.rowcount and in_time:
            query = update(table).where(table.c.name == name)
            await self._connection.execute(query.values(in_time=True))
        for token in claims.tokens:
            await self.spent(claims.epoch, claims.relay, token.token_id, token.unit, claimed=True)

    async def spent(
        self, epoch: int, relay: int, token: bytes, unit: Unit, *, claimed: bool
    ) -> None:
        """Remember how far a token (T, 32 bytes) was spent; the deepest counts."""
        table = tables.spends
        key = {"epoch": epoch, "relay": relay, "token": token}
        about = [table.c[name] == value for name, value in key.items()]
        row = {**key, "k": unit.k, "preimage": unit.preimage, "claimed": claimed}
        done = await self._connection.execute(insert_new(self._connection, table), row)
        if done.rowcount:
            return
        deeper = update(table).where(*about, table.c.k < unit.k)
        await self._connection.execute(deeper.values(k=unit.k, preimage=unit.preimage))
        if claimed:
            await self._connection.execute(update(table).where(*about).values(claimed=True))

    async def depths(
        self, epoch: int, relay: int, tokens: Collection[bytes]
    ) -> dict[bytes, tuple[int, bytes, bool]]:
        """(k, preimage, claimed) of those tokens of a relay that are known to be spent."""
        table = tables.spends
        found, wanted = dict[bytes, tuple[int, bytes, bool]](), list(tokens)
        for start in range(0, len(wanted), IN_MAX):
            query = select(table).where(
                table.c.epoch == epoch,
                table.c.relay == relay,
                table.c.token.in_(wanted[start : start + IN_MAX]),
            )
            for row in await self._connection.execute(query):
                found[bytes(row.token)] = int(row.k), bytes(row.preimage), bool(row.claimed)
        return found

    async def taken(self, epoch: int, relay: int) -> int:
        """Tokens that a relay has claimed."""
        table = tables.spends
        query = select(func.count()).where(
            table.c.epoch == epoch, table.c.relay == relay, table.c.claimed
        )
        return int((await self._connection.execute(query)).scalar_one())

    async def of_epoch(self, epoch: int) -> dict[bytes, bytes]:
        """Name → wire form of all claims of an epoch."""
        table = tables.claims
        query = select(table.c.name, table.c.wire).where(table.c.epoch == epoch)
        rows = await self._connection.execute(query.order_by(table.c.id))
        return {bytes(row.name): bytes(row.wire) for row in rows}

    async def in_time(self, epoch: int) -> set[bytes]:
        """Names of the claims that came to us in time."""
        table = tables.claims
        query = select(table.c.name).where(table.c.epoch == epoch, table.c.in_time)
        return {bytes(row.name) for row in await self._connection.execute(query)}

    async def messages(self, epoch: int, relay: int) -> int:
        """How many claims of a relay are stored."""
        table = tables.claims
        query = select(func.count()).where(table.c.epoch == epoch, table.c.relay == relay)
        return int((await self._connection.execute(query)).scalar_one())

    async def names(self, epoch: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        """(row, name) of an epoch's claims stored after a row, in order of arrival."""
        table = tables.claims
        query = select(table.c.id, table.c.name).where(table.c.epoch == epoch, table.c.id > after)
        rows = await self._connection.execute(query.order_by(table.c.id).limit(limit))
        return [(int(row.id), bytes(row.name)) for row in rows]

    async def some(self, names: Collection[bytes]) -> dict[bytes, bytes]:
        """Name → wire form of some claims."""
        table, found = tables.claims, dict[bytes, bytes]()
        wanted = list(names)
        for start in range(0, len(wanted), IN_MAX):
            query = select(table.c.name, table.c.wire)
            chosen = query.where(table.c.name.in_(wanted[start : start + IN_MAX]))
            rows = await self._connection.execute(chosen)
            found |= {bytes(row.name): bytes(row.wire) for row in rows}
        return found

    # ---- what was attested -------------------------------------------------------------------

    async def attest(self, epoch: int, leaves: Iterable[ClaimLeaf]) -> None:
        """Store the leaves that were agreed on."""
        rows = [
            {
                "epoch": epoch,
                "relay": leaf.relay,
                "epoch_units": leaf.epoch_units,
                "cum_units": leaf.cum_units,
                "tokens": leaf.tokens,
            }
            for leaf in leaves
        ]
        if rows:
            await self._connection.execute(insert_new(self._connection, tables.leaves), rows)

    async def leaves(self, epoch: int) -> tuple[ClaimLeaf, ...]:
        """Leaves of an epoch, ascending."""
        table = tables.leaves
        query = select(table).where(table.c.epoch == epoch).order_by(table.c.relay)
        return tuple(
            ClaimLeaf(int(row.relay), row.epoch_units, row.cum_units, int(row.tokens))
            for row in await self._connection.execute(query)
        )

    async def forget(self, before_epoch: int) -> None:
        """Delete claims and depths of old epochs; leaves stay, the next ones build on them."""
        for table in (tables.claims, tables.spends):
            await self._connection.execute(delete(table).where(table.c.epoch < before_epoch))
