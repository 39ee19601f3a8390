"""Requests of premium payments: purchases and swaps, read and written."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.domain.issuance_log import Request, encode_request, epoch_of
from ledger.storage import payment_tables as tables
from ledger.storage.repositories import IN_MAX, insert_new
from qnet.messages.voucher import Purchase

NONCE_MAX: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A stored request.

    Args:
        row_id: number in the database, ascending in time.
        name: 32 bytes.
        epoch: issuance epoch.
        wire: kind and wire form.
        own: our partial signatures, joined; None if we did not serve it.
        combined: the signatures of all its points, joined; None while too few members answered.
    """

    row_id: int
    name: bytes
    epoch: int
    wire: bytes
    own: bytes | None
    combined: bytes | None


class PaymentRequests:
    """Purchases and swaps."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, name: bytes) -> RequestRow | None:
        """A request by its name."""
        return next(iter(await self.some([name])), None)

    async def some(self, names: Collection[bytes]) -> list[RequestRow]:
        """Requests by name, in order of arrival; those we lack are left out."""
        table, found = tables.requests, list[RequestRow]()
        wanted = list(names)
        for start in range(0, len(wanted), IN_MAX):
            query = select(table).where(table.c.name.in_(wanted[start : start + IN_MAX]))
            found += [_request(row) for row in await self._connection.execute(query)]
        return sorted(found, key=lambda row: row.row_id)

    async def at(self, places: Collection[bytes]) -> dict[bytes, bytes]:
        """Name of the request that stands in each of some places."""
        table = tables.places
        query = select(table).where(table.c.place.in_(list(places)))
        rows = await self._connection.execute(query)
        return {bytes(row.place): bytes(row.name) for row in rows}

    async def take(self, places: Iterable[bytes], name: bytes) -> None:
        """Let a request stand in places.

        Raises:
            IntegrityError: another one stands in one of them.
        """
        table = tables.places
        rows = [{"place": place, "name": name} for place in places]
        await self._connection.execute(insert(table), rows)

    async def add(self, name: bytes, request: Request, own: bytes | None, now: float) -> bool:
        """Store a request; False if it is known."""
        voucher = request.voucher if isinstance(request, Purchase) else None
        row = {
            "name": name,
            "epoch": epoch_of(request),
            "channel": None if voucher is None else voucher.channel,
            "nonce": None if voucher is None else voucher.nonce,
            "cumulative": None if voucher is None else voucher.cumulative_wei,
            "wire": encode_request(request),
            "own": own,
            "combined": None,
            "received_at": now,
        }
        done = await self._connection.execute(insert_new(self._connection, tables.requests), row)
        return bool(done.rowcount)

    async def serve(self, name: bytes, own: bytes) -> None:
        """Write down our partial signatures of a request that we only remembered."""
        table = tables.requests
        query = update(table).where(table.c.name == name, table.c.own.is_(None))
        await self._connection.execute(query.values(own=own))

    async def last_voucher(self, channel: bytes) -> tuple[int, int]:
        """Nonce and cumulative wei of the last voucher that stands; (0, 0) before the first."""
        requests, places = tables.requests, tables.places
        query = (
            select(requests.c.nonce, requests.c.cumulative)
            .join(places, places.c.name == requests.c.name)
            .where(requests.c.channel == channel)
            .order_by(requests.c.nonce.desc())
            .limit(1)
        )
        found = (await self._connection.execute(query)).first()
        return (0, 0) if found is None else (int(found.nonce), int(found.cumulative))

    async def of_channel(self, channel: bytes, after: int, limit: int) -> list[RequestRow]:
        """A channel's purchases above a nonce, ascending."""
        table = tables.requests
        query = select(table).where(table.c.channel == channel, table.c.nonce > after)
        ordered = query.order_by(table.c.nonce, table.c.id).limit(limit)
        return [_request(row) for row in await self._connection.execute(ordered)]

    async def of_epoch(self, epoch: int) -> list[RequestRow]:
        """All requests of an epoch, in order of arrival."""
        table = tables.requests
        query = select(table).where(table.c.epoch == epoch).order_by(table.c.id)
        return [_request(row) for row in await self._connection.execute(query)]

    async def newest_purchases(self, epoch: int, channel: bytes | None = None) -> list[RequestRow]:
        """Of a channel, or each that bought in an epoch, the purchase that stands for most."""
        table = tables.requests
        which = table.c.channel.is_not(None) if channel is None else table.c.channel == channel
        most = (
            select(table.c.channel, func.max(table.c.cumulative).label("cumulative"))
            .where(table.c.epoch == epoch, which)
            .group_by(table.c.channel)
            .subquery()
        )
        same = (most.c.channel == table.c.channel) & (most.c.cumulative == table.c.cumulative)
        query = select(table).join(most, same).where(table.c.epoch == epoch)
        ordered = query.order_by(table.c.channel, table.c.id)
        return [_request(row) for row in await self._connection.execute(ordered)]

    async def names(self, epoch: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        """(row, name) of an epoch's requests stored after a row, in order of arrival."""
        table = tables.requests
        query = select(table.c.id, table.c.name).where(table.c.epoch == epoch, table.c.id > after)
        rows = await self._connection.execute(query.order_by(table.c.id).limit(limit))
        return [(int(row.id), bytes(row.name)) for row in rows]

    async def known(self, names: Collection[bytes]) -> dict[bytes, bool]:
        """Which of some requests are stored, and whether their signatures are combined."""
        table, found = tables.requests, dict[bytes, bool]()
        wanted = list(names)
        for start in range(0, len(wanted), IN_MAX):
            query = select(table.c.name, table.c.combined.is_not(None).label("done"))
            chosen = query.where(table.c.name.in_(wanted[start : start + IN_MAX]))
            rows = await self._connection.execute(chosen)
            found |= {bytes(row.name): bool(row.done) for row in rows}
        return found

    async def uncombined(self, epoch: int, limit: int) -> list[RequestRow]:
        """Requests of an epoch whose signatures are not combined yet, in order of arrival."""
        table = tables.requests
        query = select(table).where(table.c.epoch == epoch, table.c.combined.is_(None))
        rows = await self._connection.execute(query.order_by(table.c.id).limit(limit))
        return [_request(row) for row in rows]

    async def lacking(self, epoch: int, member: int, limit: int) -> list[bytes]:
        """Names of such requests to which we do not know a member's answer."""
        table, parts = tables.requests, tables.partials
        answered = exists().where(parts.c.name == table.c.name, parts.c.member == member)
        query = select(table.c.name).where(
            table.c.epoch == epoch, table.c.combined.is_(None), ~answered
        )
        rows = await self._connection.execute(query.order_by(table.c.id).limit(limit))
        return [bytes(row.name) for row in rows]

    async def crowd(self, epoch: int) -> tuple[int, int]:
        """How many channels bought in an epoch, and how many swaps there were."""
        table = tables.requests
        query = select(
            func.count(func.distinct(table.c.channel)).label("buyers"),
            func.count().filter(table.c.channel.is_(None)).label("swaps"),
        ).where(table.c.epoch == epoch)
        row = (await self._connection.execute(query)).one()
        return int(row.buyers), int(row.swaps)

    # ---- partial signatures ------------------------------------------------------------------

    async def add_partials(self, name: bytes, member: int, signatures: bytes) -> None:
        """Keep another member's partial signatures; the first ones stand."""
        row = {"name": name, "member": member, "signatures": signatures}
        await self._connection.execute(insert_new(self._connection, tables.partials), row)

    async def partials(self, name: bytes) -> dict[int, bytes]:
        """Partial signatures of a request by member, without ours."""
        table = tables.partials
        rows = await self._connection.execute(select(table).where(table.c.name == name))
        return {int(row.member): bytes(row.signatures) for row in rows}

    async def drop_partials(self, name: bytes, members: Collection[int]) -> None:
        """Forget partial signatures that turned out wrong."""
        table = tables.partials
        where = (table.c.name == name, table.c.member.in_(list(members)))
        await self._connection.execute(delete(table).where(*where))

    async def combine(self, name: bytes, signatures: bytes) -> None:
        """Write the combined signatures down; the parts are not needed any more."""
        table = tables.requests
        query = update(table).where(table.c.name == name)
        await self._connection.execute(query.values(combined=signatures))
        parts = tables.partials
        await self._connection.execute(delete(parts).where(parts.c.name == name))

    async def forget(self, before_epoch: int) -> None:
        """Delete old requests with their places; a channel's last voucher stays for ever.

        An instrument so old is taken by nobody any more.
        """
        table, places, partials = tables.requests, tables.places, tables.partials
        newest = (
            select(table.c.channel, func.max(table.c.nonce).label("nonce"))
            .where(table.c.channel.is_not(None))
            .group_by(table.c.channel)
            .subquery()
        )
        last = select(table.c.id).join(
            newest, (newest.c.channel == table.c.channel) & (newest.c.nonce == table.c.nonce)
        )
        old = (table.c.epoch < before_epoch) & table.c.id.not_in(last)
        names = select(table.c.name).where(old)
        await self._connection.execute(delete(places).where(places.c.name.in_(names)))
        await self._connection.execute(delete(partials).where(partials.c.name.in_(names)))
        await self._connection.execute(delete(table).where(old))


def _request(row: Any) -> RequestRow:
    return RequestRow(
        row_id=int(row.id),
        name=bytes(row.name),
        epoch=int(row.epoch),
        wire=bytes(row.wire),
        own=None if row.own is None else bytes(row.own),
        combined=None if row.combined is None else bytes(row.combined),
    )
