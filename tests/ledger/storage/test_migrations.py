"""Migrations lead up, down and up again, and to exactly the tables of the code."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect
from sqlalchemy.ext.asyncio import AsyncEngine

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
