"""Requests, claims and what the chain asks: reading and writing rows of premium payments."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.domain.issuance_log import Request, encode_request, epoch_of
from ledger.storage import payment_tables as tables
from ledger.storage.repositories import insert_new
from qnet.messages.claims import Claims
from qnet.messages.instruments import Unit
from qnet.messages.settlement import ClaimLeaf
from qnet.messages.voucher import Purchase

NONCE_MAX: Final = (1 << 63) - 1
_IN_MAX: Final = 500
"""Names in one query; databases bound the number of its parameters."""


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
        for start in range(0, len(wanted), _IN_MAX):
            query = select(table).where(table.c.name.in_(wanted[start : start + _IN_MAX]))
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
        for start in range(0, len(wanted), _IN_MAX):
            query = select(table.c.name, table.c.combined.is_not(None).label("done"))
            chosen = query.where(table.c.name.in_(wanted[start : start + _IN_MAX]))
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
        for start in range(0, len(wanted), _IN_MAX):
            query = select(table).where(
                table.c.epoch == epoch,
                table.c.relay == relay,
                table.c.token.in_(wanted[start : start + _IN_MAX]),
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
        for start in range(0, len(wanted), _IN_MAX):
            query = select(table.c.name, table.c.wire)
            chosen = query.where(table.c.name.in_(wanted[start : start + _IN_MAX]))
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
