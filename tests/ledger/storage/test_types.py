"""uint256 columns keep every value and sort as numbers."""

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.storage.types import UINT256_MAX, Uint256

VALUES = [0, 1, 9, 10, 10**18, 2**64, 2**128 + 1, UINT256_MAX]


async def test_values_survive_and_sort(empty_engine: AsyncEngine):
    table = Table("t", MetaData(), Column("id", Integer, primary_key=True), Column("v", Uint256))
    async with empty_engine.begin() as connection:
        await connection.run_sync(table.create)
        rows = [{"id": place, "v": value} for place, value in enumerate(reversed(VALUES))]
        await connection.execute(insert(table), [*rows, {"id": 99, "v": None}])
        query = select(table.c.v).where(table.c.v.is_not(None)).order_by(table.c.v)
        assert list((await connection.execute(query)).scalars()) == VALUES
        above = select(table.c.id).where(table.c.v > 10**18)
        assert len((await connection.execute(above)).all()) == 3


@pytest.mark.parametrize("value", [-1, UINT256_MAX + 1])
async def test_what_does_not_fit_is_refused(empty_engine: AsyncEngine, value: int):
    table = Table("t", MetaData(), Column("id", Integer, primary_key=True), Column("v", Uint256))
    async with empty_engine.begin() as connection:
        await connection.run_sync(table.create)
        with pytest.raises(StatementError):
            await connection.execute(insert(table), {"id": 1, "v": value})
