"""Reading and writing rows, one class per subject, all on the connection of a unit of work."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Insert, Table, and_, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.domain.memory import MemberState
from ledger.domain.votes import Kind, Topic
from ledger.storage import tables
from qnet import cbor
from qnet.errors import DecodeError
from qnet.messages.audit import AuditReveal
from qnet.messages.descriptor import SignedDescriptor
from qnet.messages.receipt import ReceiptId, SignedReceipt
from qnet.parameters import NetworkParameters

TRIMMED_BYTES: Final = 128
"""A memory without documents is shorter than this."""
TRIM_AT_ONCE: Final = 32
IN_MAX: Final = 500
"""Names in one query; databases bound the number of its parameters."""


def insert_new(connection: AsyncConnection, table: Table) -> Insert:
    """An insert that leaves an existing row as it is."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


class Facts:
    """What the database belongs to."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def claim(self, name: str, value: bytes) -> bytes:
        """Write a fact if it is new; return what is written."""
        row = {"name": name, "value": value}
        await self._connection.execute(insert_new(self._connection, tables.facts), row)
        query = select(tables.facts.c.value).where(tables.facts.c.name == name)
        return bytes((await self._connection.execute(query)).scalar_one())


class Descriptors:
    """Descriptors of nodes, every version that was published."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, signed: SignedDescriptor, now: float) -> bool:
        """Store a verified descriptor; False if it is known."""
        row = {
            "node": signed.descriptor.index,
            "published": signed.descriptor.published,
            "digest": signed.digest,
            "wire": signed.encode(),
            "received_at": now,
        }
        done = await self._connection.execute(insert_new(self._connection, tables.descriptors), row)
        return bool(done.rowcount)

    async def newest(self, published_since: int, after: int = 0) -> list[tuple[bytes, float]]:
        """(wire form, time of receipt) of each node's newest descriptor, by index above `after`."""
        table = tables.descriptors
        query = (
            select(table.c.node, table.c.wire, table.c.received_at)
            .where(table.c.published >= published_since, table.c.node > after)
            .order_by(table.c.node, table.c.published, table.c.digest.desc())
        )
        rows = await self._connection.execute(query)
        return list({row.node: (bytes(row.wire), float(row.received_at)) for row in rows}.values())

    async def since(self, published_since: int) -> list[tuple[bytes, float]]:
        """(wire form, time of receipt) of all descriptors, by index and then newest first."""
        table = tables.descriptors
        query = (
            select(table.c.wire, table.c.received_at)
            .where(table.c.published >= published_since)
            .order_by(table.c.node, table.c.published.desc(), table.c.digest)
        )
        rows = await self._connection.execute(query)
        return [(bytes(row.wire), float(row.received_at)) for row in rows]

    async def forget(self, published_before: int) -> None:
        """Delete old versions."""
        table = tables.descriptors
        await self._connection.execute(delete(table).where(table.c.published < published_before))


class Receipts:
    """Bandwidth receipts; two bodies for one tuple are both kept."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, signed: SignedReceipt, now: float) -> bool:
        """Store a verified receipt; False if this body is known."""
        body = signed.receipt
        row = {
            "epoch": body.epoch,
            "slot": body.slot,
            "node_from": body.node_from,
            "node_to": body.node_to,
            "side": int(body.side),
            "digest": signed.body_hash,
            "packets": body.packets,
            "wire": signed.encode(),
            "received_at": now,
        }
        done = await self._connection.execute(insert_new(self._connection, tables.receipts), row)
        return bool(done.rowcount)

    async def bodies(self, key: ReceiptId) -> int:
        """How many different bodies are stored for one tuple."""
        table = tables.receipts
        query = select(func.count()).where(
            table.c.epoch == key.epoch,
            table.c.slot == key.slot,
            table.c.node_from == key.node_from,
            table.c.node_to == key.node_to,
            table.c.side == int(key.side),
        )
        return int((await self._connection.execute(query)).scalar_one())

    async def of_epoch(self, epoch: int) -> list[tuple[bytes, bytes]]:
        """(body hash, wire form) of every receipt of an epoch, in order."""
        table = tables.receipts
        query = (
            select(table.c.digest, table.c.wire)
            .where(table.c.epoch == epoch)
            .order_by(
                table.c.slot, table.c.node_from, table.c.node_to, table.c.side, table.c.digest
            )
        )
        rows = await self._connection.execute(query)
        return [(bytes(row.digest), bytes(row.wire)) for row in rows]

    async def doubled(self, since_epoch: int) -> list[bytes]:
        """Wire forms of all receipts of tuples that have more than one body, in order."""
        table = tables.receipts
        key = (
            table.c.epoch,
            table.c.slot,
            table.c.node_from,
            table.c.node_to,
            table.c.side,
        )
        several = (
            select(*key)
            .where(table.c.epoch >= since_epoch)
            .group_by(*key)
            .having(func.count() > 1)
            .subquery()
        )
        same = and_(*(column == several.c[column.name] for column in key))
        query = select(table.c.wire).join(several, same).order_by(*key, table.c.digest)
        return [bytes(row.wire) for row in await self._connection.execute(query)]

    async def pick(self, epoch: int, digests: Collection[bytes]) -> list[bytes]:
        """Wire forms of some receipts of an epoch."""
        table = tables.receipts
        query = select(table.c.wire).where(
            table.c.epoch == epoch, table.c.digest.in_(list(digests))
        )
        rows = await self._connection.execute(query.order_by(table.c.id))
        return [bytes(row.wire) for row in rows]

    async def count(self, epoch: int) -> int:
        """Receipts of an epoch."""
        table = tables.receipts
        query = select(func.count()).where(table.c.epoch == epoch)
        return int((await self._connection.execute(query)).scalar_one())

    async def forget(self, before_epoch: int) -> None:
        """Delete receipts of old epochs."""
        table = tables.receipts
        await self._connection.execute(delete(table).where(table.c.epoch < before_epoch))


@dataclass(frozen=True, slots=True)
class Finding:
    """What our auditor found about one target: probes or a burst, as CBOR."""

    kind: str
    target: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class CommitRow:
    """A stored commitment of one auditor for one slot (32 and 65 bytes)."""

    auditor: int
    commitment: bytes
    signature: bytes


_REVEAL_KEY: Final = ("epoch", "slot", "auditor", "commitment")


class Audits:
    """Findings of our auditor; commitments and reveals of all members."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add_finding(self, epoch: int, slot: int, finding: Finding) -> bool:
        """Store what our auditor found; the first word stands."""
        row = {
            "epoch": epoch,
            "slot": slot,
            "kind": finding.kind,
            "target": finding.target,
            "payload": finding.payload,
        }
        table = tables.audit_findings
        done = await self._connection.execute(insert_new(self._connection, table), row)
        return bool(done.rowcount)

    async def findings(self, epoch: int, slot: int) -> list[Finding]:
        """Findings of a slot, in order of kind and target."""
        table = tables.audit_findings
        query = (
            select(table.c.kind, table.c.target, table.c.payload)
            .where(table.c.epoch == epoch, table.c.slot == slot)
            .order_by(table.c.kind, table.c.target)
        )
        rows = await self._connection.execute(query)
        return [Finding(row.kind, row.target, bytes(row.payload)) for row in rows]

    async def measured_targets(self, epoch: int) -> set[int]:
        """Targets whose burst our auditor has reported in an epoch."""
        table = tables.audit_findings
        query = select(table.c.target).where(table.c.epoch == epoch, table.c.kind == "burst")
        return {int(row.target) for row in await self._connection.execute(query)}

    async def add_commit(self, epoch: int, slot: int, commit: CommitRow, now: float) -> bool:
        """Store a commitment; False if it is known."""
        row = {
            "epoch": epoch,
            "slot": slot,
            "auditor": commit.auditor,
            "commitment": commit.commitment,
            "signature": commit.signature,
            "received_at": now,
        }
        table = tables.audit_commits
        done = await self._connection.execute(insert_new(self._connection, table), row)
        return bool(done.rowcount)

    async def commits(self, epoch: int, slot: int) -> list[CommitRow]:
        """Commitments of a slot, in order of auditor."""
        table = tables.audit_commits
        query = (
            select(table.c.auditor, table.c.commitment, table.c.signature)
            .where(table.c.epoch == epoch, table.c.slot == slot)
            .order_by(table.c.auditor, table.c.commitment)
        )
        rows = await self._connection.execute(query)
        return [CommitRow(row.auditor, bytes(row.commitment), bytes(row.signature)) for row in rows]

    async def add_reveal(self, reveal: AuditReveal, *, accepted: bool, now: float) -> bool:
        """Store a reveal; False if it is known.

        One that was late here counts from when somebody shows that it was in time with them.
        """
        row = {
            "epoch": reveal.epoch,
            "slot": reveal.slot,
            "auditor": reveal.auditor,
            "commitment": reveal.commitment,
            "wire": reveal.encode(),
            "accepted": accepted,
            "received_at": now,
        }
        table = tables.audit_reveals
        done = await self._connection.execute(insert_new(self._connection, table), row)
        if done.rowcount or not accepted:
            return bool(done.rowcount)
        late = (
            update(table)
            .where(*(table.c[name] == row[name] for name in _REVEAL_KEY))
            .where(table.c.accepted.is_(False))
            .values(accepted=True)
        )
        return bool((await self._connection.execute(late)).rowcount)

    async def reveals(self, epoch: int) -> list[tuple[bytes, bytes, bool]]:
        """(commitment, wire form, accepted in time) of every reveal of an epoch."""
        table = tables.audit_reveals
        query = (
            select(table.c.commitment, table.c.wire, table.c.accepted)
            .where(table.c.epoch == epoch)
            .order_by(table.c.slot, table.c.auditor, table.c.commitment)
        )
        rows = await self._connection.execute(query)
        return [(bytes(row.commitment), bytes(row.wire), bool(row.accepted)) for row in rows]

    async def own_reveal(self, epoch: int, slot: int, auditor: int) -> bytes | None:
        """Wire form of the reveal we prepared for a slot."""
        table = tables.audit_reveals
        query = select(table.c.wire).where(
            table.c.epoch == epoch, table.c.slot == slot, table.c.auditor == auditor
        )
        found = (await self._connection.execute(query.order_by(table.c.id))).first()
        return None if found is None else bytes(found.wire)


class Agreements:
    """Memory of each agreement."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def load(self, topic: Topic) -> MemberState | None:
        """Read what was persisted for a topic."""
        table = tables.agreements
        query = select(table.c.state).where(*_about(topic))
        found = (await self._connection.execute(query)).first()
        return None if found is None else MemberState.decode(bytes(found.state))

    async def save(self, topic: Topic, state: MemberState) -> None:
        """Replace the memory of a topic."""
        table = tables.agreements
        done = await self._connection.execute(
            update(table).where(*_about(topic)).values(state=state.encode())
        )
        if not done.rowcount:
            row = {
                "kind": int(topic.kind),
                "period": topic.period,
                "attempt": topic.attempt,
                "state": state.encode(),
            }
            await self._connection.execute(insert(table), row)

    async def trim(self, kind: Kind, before: int) -> None:
        """Drop the documents of old topics; what was signed stays, so nothing is signed twice."""
        table = tables.agreements
        query = (
            select(table.c.period, table.c.attempt)
            .where(
                table.c.kind == int(kind),
                table.c.period < before,
                func.length(table.c.state) > TRIMMED_BYTES,
            )
            .order_by(table.c.period, table.c.attempt)
            .limit(TRIM_AT_ONCE)
        )
        for row in list(await self._connection.execute(query)):
            topic = Topic(kind, row.period, row.attempt)
            state = await self.load(topic)
            if state is not None:
                await self.save(topic, MemberState(view=state.view, signed=state.signed))


def _about(topic: Topic) -> tuple[ColumnElement[bool], ...]:
    table = tables.agreements
    return (
        table.c.kind == int(topic.kind),
        table.c.period == topic.period,
        table.c.attempt == topic.attempt,
    )


class ParameterSets:
    """Network parameters by hash: an epoch's are needed after they have changed."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, parameters: NetworkParameters) -> None:
        """Remember a set."""
        content = cbor.dumps({name: str(value) for name, value in parameters.to_map().items()})
        row = {"hash": parameters.hash(), "content": content}
        await self._connection.execute(insert_new(self._connection, tables.parameter_sets), row)

    async def get(self, hash_: bytes) -> NetworkParameters | None:
        """Find a set by its hash."""
        table = tables.parameter_sets
        found = (
            await self._connection.execute(select(table.c.content).where(table.c.hash == hash_))
        ).first()
        if found is None:
            return None
        values = cbor.loads(bytes(found.content), max_bytes=1 << 16)
        if not isinstance(values, dict):
            raise DecodeError("stored parameters are malformed")
        return NetworkParameters.from_map({str(key): int(word) for key, word in values.items()})


def chunked(items: Sequence[bytes], size: int) -> list[Sequence[bytes]]:
    """Split a sequence into parts of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]
