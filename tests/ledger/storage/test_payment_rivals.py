"""The database has the last word: two processes of one member never serve two rivals."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.domain.issuing import Why
from ledger.errors import IssuingRefusedError
from ledger.service.payments.desk import Desk
from ledger.service.payments.facts import IssuingFacts
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.database import open_database
from tests.ledger.service.payments.conftest import world
from tests.ledger.service.payments.issuing import World

pytestmark = [pytest.mark.chain, pytest.mark.timeout(180)]

__all__ = ["world"]


@pytest.fixture
async def twins(
    world: World, empty_engine: AsyncEngine, database_url: str
) -> AsyncIterator[tuple[Desk, Desk]]:
    """Two desks of member 0 that know nothing of each other but the database."""
    await empty_engine.dispose()
    member = world.desk(0).facts.member
    async with contextlib.AsyncExitStack() as stack:
        desks = []
        for _ in range(2):
            engine = await stack.enter_async_context(open_database(database_url))
            twin = replace(member, work=UnitOfWork(engine))
            desks.append(Desk(IssuingFacts(twin, world.keys[0], world.clock)))
        yield desks[0], desks[1]


async def test_rivals_at_two_processes_of_one_member(world: World, twins: tuple[Desk, Desk]):
    owner = await world.open_channel(8)
    for nonce in (1, 2, 3):
        rivals = [world.purchase(owner, world.want(6), nonce=nonce) for _ in range(4)]
        results = await asyncio.gather(
            *(twins[n % 2].serve(made) for n, made in enumerate(rivals)), return_exceptions=True
        )
        won = [n for n, result in enumerate(results) if isinstance(result, bytes)]
        assert len(won) == 1
        lost = [result for result in results if not isinstance(result, bytes)]
        assert {getattr(error, "why", None) for error in lost} == {Why.ANOTHER.value}
        for desk in twins:
            assert await desk.serve(rivals[won[0]]) == results[won[0]]


async def test_the_same_request_at_two_processes_has_one_answer(
    world: World, twins: tuple[Desk, Desk]
):
    owner = await world.open_channel(2)
    made = world.purchase(owner, world.want(6, 6))
    first, second = await asyncio.gather(*(desk.serve(made) for desk in twins))
    assert first == second
    again = world.purchase(owner, world.want(6), nonce=1)
    for desk in twins:
        with pytest.raises(IssuingRefusedError):
            await desk.serve(again)


async def test_swaps_of_one_credit_at_two_processes(world: World, twins: tuple[Desk, Desk]):
    owner = await world.open_channel(1)
    (credit,) = await world.buy(owner)
    swaps = [world.swap([credit], world.want(5, 5)) for _ in range(4)]
    results = await asyncio.gather(
        *(twins[n % 2].serve(made) for n, made in enumerate(swaps)), return_exceptions=True
    )
    assert sum(isinstance(result, bytes) for result in results) == 1
