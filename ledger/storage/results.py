"""What was agreed on, and the transactions that follow from it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.domain.report import EpochResult
from ledger.storage import tables
from ledger.storage.repositories import insert_new
from qnet.messages.report import NodeLeaf

NOTE_CHARS = 300


class Consensuses:
    """Signed consensuses."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, valid_after: int, hash_: bytes, wire: bytes) -> bool:
        """Store a signed consensus; False if the period has one."""
        row = {"valid_after": valid_after, "hash": hash_, "wire": wire}
        done = await self._connection.execute(insert_new(self._connection, tables.consensuses), row)
        return bool(done.rowcount)

    async def get(self, valid_after: int | None = None) -> tuple[int, bytes] | None:
        """(valid_after, wire form) of a period, or of the newest."""
        table = tables.consensuses
        query = select(table.c.valid_after, table.c.wire)
        if valid_after is not None:
            query = query.where(table.c.valid_after == valid_after)
        found = (
            await self._connection.execute(query.order_by(table.c.valid_after.desc()).limit(1))
        ).first()
        return None if found is None else (int(found.valid_after), bytes(found.wire))


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A stored report: digest 32 bytes, data blob, bitmap and joined signatures."""

    digest: bytes
    epoch: int
    attempt: int
    data: bytes
    bitmap: int
    signatures: bytes


class Reports:
    """Reports with their data and leaves."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, result: EpochResult, row: ReportRow) -> bool:
        """Store a report and its leaves; False if it is known."""
        values: dict[str, Any] = {
            "digest": row.digest,
            "epoch": row.epoch,
            "attempt": row.attempt,
            "data": row.data,
            "bitmap": row.bitmap,
            "signatures": row.signatures,
        }
        done = await self._connection.execute(insert_new(self._connection, tables.reports), values)
        if not done.rowcount:
            return False
        leaves = [
            {
                "digest": row.digest,
                "node": leaf.node,
                "epoch": leaf.epoch,
                "bond_wei": leaf.bond_wei,
                "stake_wei": leaf.stake_wei,
                "slot_p": leaf.slot_p,
                "w_ppm": leaf.w_ppm,
                "rho_ppm": leaf.rho_ppm,
                "reward_wei": leaf.reward_wei,
                "cum_operator_wei": leaf.cum_operator_wei,
                "cum_pool_wei": leaf.cum_pool_wei,
            }
            for leaf in result.leaves
        ]
        await self._connection.execute(insert(tables.leaves), leaves)
        return True

    async def of_epoch(self, epoch: int) -> list[ReportRow]:
        """Reports of an epoch, newest attempt first; the others were disabled."""
        table = tables.reports
        query = (
            select(table)
            .where(table.c.epoch == epoch)
            .order_by(table.c.attempt.desc(), table.c.digest)
        )
        return [_report_row(row) for row in await self._connection.execute(query)]

    async def get(self, digest: bytes) -> ReportRow | None:
        """A report by its hash."""
        table = tables.reports
        found = (
            await self._connection.execute(select(table).where(table.c.digest == digest))
        ).first()
        return None if found is None else _report_row(found)

    async def newest(self) -> ReportRow | None:
        """The newest attempt of the highest epoch."""
        table = tables.reports
        order = table.c.epoch.desc(), table.c.attempt.desc(), table.c.digest
        query = select(table).order_by(*order).limit(1)
        found = (await self._connection.execute(query)).first()
        return None if found is None else _report_row(found)

    async def leaves(self, digest: bytes) -> list[NodeLeaf]:
        """Leaves of a report, in order of index."""
        table = tables.leaves
        query = select(table).where(table.c.digest == digest).order_by(table.c.node)
        return [
            NodeLeaf(
                epoch=row.epoch,
                node=row.node,
                bond_wei=row.bond_wei,
                stake_wei=row.stake_wei,
                slot_p=row.slot_p,
                w_ppm=row.w_ppm,
                rho_ppm=row.rho_ppm,
                reward_wei=row.reward_wei,
                cum_operator_wei=row.cum_operator_wei,
                cum_pool_wei=row.cum_pool_wei,
            )
            for row in await self._connection.execute(query)
        ]


def _report_row(row: Any) -> ReportRow:
    return ReportRow(
        digest=bytes(row.digest),
        epoch=int(row.epoch),
        attempt=int(row.attempt),
        data=bytes(row.data),
        bitmap=int(row.bitmap),
        signatures=bytes(row.signatures),
    )


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A transaction to send.

    Args:
        row_id: number in the database.
        kind: anchor, start, report, finalize, skip, answer, approve, open, prove or execute.
        period: `valid_after` or epoch.
        attempt: of the epoch's report.
        subject: node or challenge that it is about; 0 for the others.
        target: contract, 20 bytes.
        call: call data.
        label: for people.
        not_before: unix time from which we may send it.
        state: waiting, signed, done or failed.
        raw: signed transaction, once there is one.
        tx_hash: its hash, 32 bytes.
        note: what came of it.
    """

    row_id: int
    kind: str
    period: int
    attempt: int
    subject: int
    target: bytes
    call: bytes
    label: str
    not_before: float
    state: str
    raw: bytes | None
    tx_hash: bytes | None
    note: str


class Outbox:
    """Transactions that must be sent, each once."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(
        self,
        kind: str,
        period: int,
        *,
        attempt: int = 0,
        subject: int = 0,
        target: bytes,
        call: bytes,
        label: str,
        not_before: float,
    ) -> bool:
        """Note a transaction; False if it is noted already."""
        row = {
            "kind": kind,
            "period": period,
            "attempt": attempt,
            "subject": subject,
            "target": target,
            "call": call,
            "label": label[:200],
            "not_before": not_before,
            "state": "waiting",
            "raw": None,
            "tx_hash": None,
            "note": "",
        }
        done = await self._connection.execute(insert_new(self._connection, tables.outbox), row)
        return bool(done.rowcount)

    async def next(self, now: float) -> OutboxRow | None:
        """The signed transaction, if there is one; else the first that is due."""
        table = tables.outbox
        signed = select(table).where(table.c.state == "signed").order_by(table.c.id).limit(1)
        found = (await self._connection.execute(signed)).first()
        if found is None:
            due = select(table).where(table.c.state == "waiting", table.c.not_before <= now)
            ordered = due.order_by(table.c.not_before, table.c.id).limit(1)
            found = (await self._connection.execute(ordered)).first()
        return None if found is None else _outbox_row(found)

    async def signed(self, row_id: int, raw: bytes, tx_hash: bytes) -> None:
        """Write a signed transaction down, before it is sent."""
        await self._set(row_id, state="signed", raw=raw, tx_hash=tx_hash)

    async def unsigned(self, row_id: int, not_before: float, note: str) -> None:
        """Take a transaction back that can no longer be mined, or try one later."""
        await self._set(
            row_id, state="waiting", raw=None, tx_hash=None, not_before=not_before, note=note
        )

    async def rewritten(self, row_id: int, call: bytes) -> None:
        """Replace the call data of a transaction that is not signed."""
        await self._set(row_id, call=call)

    async def finished(self, row_id: int, *, done: bool, note: str) -> None:
        """Close a row."""
        await self._set(row_id, state="done" if done else "failed", note=note)

    async def open_rows(self) -> list[OutboxRow]:
        """Everything not finished, in order."""
        table = tables.outbox
        query = select(table).where(table.c.state.in_(["waiting", "signed"])).order_by(table.c.id)
        return [_outbox_row(row) for row in await self._connection.execute(query)]

    async def get(
        self, kind: str, period: int, *, attempt: int = 0, subject: int = 0
    ) -> OutboxRow | None:
        """A row by what it is about."""
        table = tables.outbox
        query = select(table).where(
            table.c.kind == kind,
            table.c.period == period,
            table.c.attempt == attempt,
            table.c.subject == subject,
        )
        found = (await self._connection.execute(query)).first()
        return None if found is None else _outbox_row(found)

    async def _set(self, row_id: int, **values: Any) -> None:
        if "note" in values:
            values["note"] = str(values["note"])[:NOTE_CHARS]
        table = tables.outbox
        await self._connection.execute(update(table).where(table.c.id == row_id).values(**values))


def _outbox_row(row: Any) -> OutboxRow:
    return OutboxRow(
        row_id=row.id,
        kind=row.kind,
        period=row.period,
        attempt=row.attempt,
        subject=row.subject,
        target=bytes(row.target),
        call=bytes(row.call),
        label=row.label,
        not_before=row.not_before,
        state=row.state,
        raw=None if row.raw is None else bytes(row.raw),
        tx_hash=None if row.tx_hash is None else bytes(row.tx_hash),
        note=row.note,
    )
