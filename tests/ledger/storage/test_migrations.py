"""Migrations lead up, down and up again, and to exactly the tables of the code."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.domain.memory import MemberState
from ledger.domain.votes import Kind, Topic
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.database import downgrade, upgrade
from ledger.storage.tables import metadata


def tables_of(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return compare_metadata(context, metadata)


async def test_upgrade_downgrade_upgrade(empty_engine: AsyncEngine):
    async with empty_engine.begin() as connection:
        await connection.run_sync(upgrade)
        assert set(metadata.tables) <= await connection.run_sync(tables_of)
        await connection.run_sync(downgrade)
        assert await connection.run_sync(tables_of) <= {"alembic_version"}
        await connection.run_sync(upgrade)
        assert set(metadata.tables) <= await connection.run_sync(tables_of)


def write_old_rows(connection: Connection) -> None:
    """What a member of the second revision had stored."""
    upgrade(connection, "0002")
    rows = {
        "agreements": {"kind": 2, "period": 7, "state": b"memory"},
        "reports": {
            "digest": b"\x01" * 32,
            "epoch": 7,
            "data": b"blob",
            "bitmap": f"{7:078d}" if connection.dialect.name == "sqlite" else 7,
            "signatures": b"",
        },
        "outbox": {
            "kind": "report",
            "period": 7,
            "target": bytes(20),
            "call": b"call",
            "label": "submit",
            "not_before": 1.0,
            "state": "done",
            "note": "",
        },
    }
    for name, row in rows.items():
        names, places = ", ".join(row), ", ".join(f":{key}" for key in row)
        connection.execute(text(f'INSERT INTO "{name}" ({names}) VALUES ({places})'), row)
    upgrade(connection)


async def test_what_was_stored_before_attempts_were_counted_is_kept(empty_engine: AsyncEngine):
    async with empty_engine.begin() as connection:
        await connection.run_sync(write_old_rows)
    async with UnitOfWork(empty_engine)() as rows:
        (report,) = await rows.reports.of_epoch(7)
        assert (report.attempt, report.data, report.bitmap) == (0, b"blob", 7)
        sent = await rows.outbox.get("report", 7)
        assert sent is not None
        assert (sent.attempt, sent.subject, sent.state) == (0, 0, "done")
        topic = Topic(Kind.REPORT, 7, 1)
        await rows.agreements.save(topic, MemberState(view=3))
    async with empty_engine.begin() as connection:
        query = text("SELECT attempt, state FROM agreements ORDER BY attempt")
        found = [tuple(row) for row in await connection.execute(query)]
        assert found == [(0, b"memory"), (1, MemberState(view=3).encode())]
        await connection.run_sync(downgrade, "0002")
        count = text("SELECT count(*) FROM agreements")
        assert (await connection.execute(count)).scalar_one() == 1


async def test_autogenerate_finds_nothing(engine: AsyncEngine):
    async with engine.begin() as connection:
        assert await connection.run_sync(differences) == []


async def test_sqlite_is_durable_and_checks_foreign_keys(engine: AsyncEngine):
    if engine.dialect.name != "sqlite":
        return
    async with engine.connect() as connection:
        answers = [
            (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "foreign_keys", "synchronous")
        ]
    assert answers == ["wal", 1, 2]
