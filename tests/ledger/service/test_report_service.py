"""Members who saw different things in time end with the same evidence."""

from types import SimpleNamespace

import pytest

from ledger.service.report_service import INVENTORY_PATH, ReportService
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.database import open_database
from qnet import cbor
from qnet.eip712 import qnet_domain
from tests.ledger.domain.material import CHAIN_ID, ORACLE, SIGNERS, reveal

EPOCH = 3


class Between:
    """Calls of members in one process."""

    others = (1,)

    def __init__(self) -> None:
        self.other: ReportService

    async def call(self, _to: int, path: str, body: bytes) -> bytes:
        value = cbor.loads(body, max_bytes=1 << 20)
        if path == INVENTORY_PATH:
            return await self.other.inventory(value["epoch"])
        names = value["names"]
        return await self.other.pick(
            EPOCH, [names[at : at + 32] for at in range(0, len(names), 32)]
        )


def member_on(work: UnitOfWork, between: Between) -> ReportService:
    member = SimpleNamespace(
        work=work,
        now=lambda: 5.0,
        trust=SimpleNamespace(signers=SIGNERS),
        oracle_domain=qnet_domain(CHAIN_ID, ORACLE),
    )
    return ReportService(member, between, None, None)


async def accepted(work: UnitOfWork) -> set[bytes]:
    async with work() as rows:
        return {name for name, _, in_time in await rows.audits.reveals(EPOCH) if in_time}


@pytest.mark.parametrize("late_at", [0, 1])
async def test_a_reveal_late_at_one_member_counts_if_another_had_it_in_time(tmp_path, late_at):
    """Both leave out what the other insists on, or no report is ever agreed on."""
    first, second = reveal(EPOCH, 1, 2, {1: (4, 4)}), reveal(EPOCH, 2, 3, {1: (4, 4)})
    urls = [f"sqlite+aiosqlite:///{tmp_path}/{name}.db" for name in "ab"]
    async with open_database(urls[0]) as left, open_database(urls[1]) as right:
        works = (UnitOfWork(left), UnitOfWork(right))
        for place, work in enumerate(works):
            async with work() as rows:
                await rows.audits.add_reveal(first, accepted=place != late_at, now=1.0)
                await rows.audits.add_reveal(second, accepted=place == late_at, now=1.0)
        between = (Between(), Between())
        services = [member_on(work, way) for work, way in zip(works, between, strict=True)]
        between[0].other, between[1].other = services[1], services[0]
        await services[0]._pull(EPOCH)
        assert await accepted(works[0]) == {first.commitment, second.commitment}
        assert len(await accepted(works[1])) == 1
        await services[1]._pull(EPOCH)
        assert await accepted(works[1]) == await accepted(works[0])


async def test_a_reveal_in_time_never_becomes_late(tmp_path):
    found = reveal(EPOCH, 1, 2, {1: (4, 4)})
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/a.db") as engine:
        work = UnitOfWork(engine)
        async with work() as rows:
            assert await rows.audits.add_reveal(found, accepted=True, now=1.0)
            assert not await rows.audits.add_reveal(found, accepted=False, now=2.0)
            assert not await rows.audits.add_reveal(found, accepted=True, now=2.0)
        assert await accepted(work) == {found.commitment}
