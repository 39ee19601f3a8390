"""Rows of premium payments, on both databases: places are taken once, the deepest spend counts."""

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.domain.issuance_log import name_of
from ledger.domain.issuing import voucher_place
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.payment_matters import Matter
from qnet.messages.claims import Claims, SpentToken
from qnet.messages.instruments import Unit
from qnet.messages.settlement import ClaimLeaf
from tests.ledger.domain.test_issuance_log import (
    DOMAIN,
    OTHER,
    OWNER,
    UNIT,
    bought,
    credit,
    swapped,
)


@pytest.fixture
def work(engine: AsyncEngine) -> UnitOfWork:
    return UnitOfWork(engine)


async def keep(work: UnitOfWork, request, own: bytes | None = b"own") -> bytes:
    name = name_of(request, DOMAIN)
    async with work() as rows:
        if hasattr(request, "voucher"):
            voucher = request.voucher
            await rows.payments.take([voucher_place(voucher.channel, voucher.nonce)], name)
        assert await rows.payments.add(name, request, own, 1.0)
    return name


async def test_a_place_is_taken_once(work: UnitOfWork):
    name = await keep(work, bought())
    place = voucher_place(OWNER.address, 1)
    with pytest.raises(IntegrityError):
        async with work() as rows:
            await rows.payments.take([place], b"\x01" * 32)
    async with work() as rows:
        assert await rows.payments.at([place, b"\x02" * 32]) == {place: name}
        assert not await rows.payments.add(name, bought(), b"other", 2.0)
        found = await rows.payments.get(name)
        assert found is not None
        assert (found.own, found.combined, found.epoch) == (b"own", None, 3)


async def test_an_answer_is_written_once(work: UnitOfWork):
    name = await keep(work, bought(), None)
    async with work() as rows:
        await rows.payments.serve(name, b"first")
        await rows.payments.serve(name, b"second")
        found = await rows.payments.get(name)
        assert found is not None
        assert found.own == b"first"


async def test_the_last_voucher_is_the_one_that_stands(work: UnitOfWork):
    await keep(work, bought(2))
    await keep(work, bought(1, before=128, nonce=2))
    beside = bought(5, before=192, nonce=3)
    async with work() as rows:
        await rows.payments.add(name_of(beside, DOMAIN), beside, None, 1.0)
        assert await rows.payments.last_voucher(OWNER.address) == (2, 192 * UNIT)
        assert await rows.payments.last_voucher(OTHER.address) == (0, 0)
        newest = [row.name for row in await rows.payments.newest_purchases(3)]
        assert newest == [name_of(beside, DOMAIN)]
        assert len(await rows.payments.of_channel(OWNER.address, 1, 10)) == 2
        assert len(await rows.payments.of_channel(OWNER.address, 0, 1)) == 1


async def test_partial_signatures_until_they_are_combined(work: UnitOfWork):
    name = await keep(work, bought())
    async with work() as rows:
        assert await rows.payments.lacking(3, 1, 10) == [name]
        await rows.payments.add_partials(name, 1, b"one")
        await rows.payments.add_partials(name, 1, b"another")
        await rows.payments.add_partials(name, 2, b"two")
        assert await rows.payments.partials(name) == {1: b"one", 2: b"two"}
        assert await rows.payments.lacking(3, 1, 10) == []
        await rows.payments.drop_partials(name, [1])
        assert await rows.payments.partials(name) == {2: b"two"}
        assert [row.name for row in await rows.payments.uncombined(3, 5)] == [name]
        await rows.payments.combine(name, b"all")
        assert await rows.payments.partials(name) == {}
        assert await rows.payments.uncombined(3, 5) == []
        assert await rows.payments.known([name, b"\x01" * 32]) == {name: True}


async def test_names_come_in_order_from_a_row_on(work: UnitOfWork):
    names = [await keep(work, bought(first=n, key=key)) for n, key in ((0, OWNER), (1, OTHER))]
    async with work() as rows:
        listed = await rows.payments.names(3, 0, 10)
        assert [name for _, name in listed] == names
        assert await rows.payments.names(3, listed[0][0], 10) == listed[1:]
        assert await rows.payments.names(4, 0, 10) == []
        assert await rows.payments.crowd(3) == (2, 0)
    await keep(work, swapped(credit(2, 6)))
    async with work() as rows:
        assert await rows.payments.crowd(3) == (2, 1)


async def test_a_channels_last_voucher_is_never_forgotten(work: UnitOfWork):
    await keep(work, bought(2))
    await keep(work, bought(1, before=128, nonce=2))
    gone = await keep(work, swapped(credit(2, 6)))
    async with work() as rows:
        await rows.payments.take([b"\x09" * 32], gone)
        await rows.payments.forget(4)
        assert [row.name for row in await rows.payments.of_epoch(3)] == [
            name_of(bought(1, before=128, nonce=2), DOMAIN)
        ]
        assert await rows.payments.last_voucher(OWNER.address) == (2, 192 * UNIT)
        assert await rows.payments.at([b"\x09" * 32]) == {}


async def test_the_deepest_spend_counts(work: UnitOfWork):
    def claims(k: int) -> Claims:
        token = SpentToken(b"\x01" * 32, bytes(20), bytes(48), Unit(k, bytes([k]) * 32))
        return Claims(3, 7, (token,), bytes(65))

    token = claims(1).tokens[0].token_id
    async with work() as rows:
        for k in (10, 40, 20):
            await rows.payment_claims.add(bytes([k]) * 32, claims(k), in_time=k == 40)
        assert await rows.payment_claims.depths(3, 7, [token]) == {token: (40, b"\x28" * 32, True)}
        assert await rows.payment_claims.taken(3, 7) == 1
        assert await rows.payment_claims.in_time(3) == {b"\x28" * 32}
        await rows.payment_claims.add(b"\x14" * 32, claims(20), in_time=True)
        assert len(await rows.payment_claims.in_time(3)) == 2
        redeemed = b"\x08" * 32
        unit = Unit(5, bytes(32))
        await rows.payment_claims.spent(3, 7, redeemed, unit, claimed=False)
        assert await rows.payment_claims.taken(3, 7) == 1
        assert len(await rows.payment_claims.of_epoch(3)) == 3
        assert len(await rows.payment_claims.names(3, 0, 2)) == 2
        await rows.payment_claims.forget(4)
        assert await rows.payment_claims.depths(3, 7, [token]) == {}


async def test_leaves_matters_and_cursors(work: UnitOfWork):
    leaves = (ClaimLeaf(2, 5, 1 << 70, 1), ClaimLeaf(9, 0, 7, 0))
    matter = Matter("exit", b"\x01" * 32, 3, 5.0)
    async with work() as rows:
        await rows.payment_claims.attest(3, leaves)
        await rows.payment_claims.attest(3, leaves)
        assert await rows.payment_claims.leaves(3) == leaves
        await rows.payment_matters.note(matter)
        await rows.payment_matters.note(Matter("exit", b"\x01" * 32, 3, 9.0))
        assert await rows.payment_matters.all() == [matter]
        await rows.payment_matters.settle(matter)
        assert await rows.payment_matters.all() == []
        assert await rows.payment_matters.cursor("payments") is None
        await rows.payment_matters.advance("payments", b"one")
        await rows.payment_matters.advance("payments", b"two")
        assert await rows.payment_matters.cursor("payments") == b"two"
