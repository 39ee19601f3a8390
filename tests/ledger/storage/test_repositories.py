"""Repositories: nothing is overwritten, doubled or lost."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.domain.memory import MemberState
from ledger.domain.report import recompute
from ledger.domain.votes import Kind, Topic
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.repositories import CommitRow, Finding
from ledger.storage.results import ReportRow
from qnet.messages.receipt import Side
from tests.ledger.domain.material import DEVNET, both_sides, epoch_data, reveal, signed


@pytest.fixture
def work(engine: AsyncEngine) -> UnitOfWork:
    return UnitOfWork(engine)


async def test_a_receipt_is_stored_once_and_another_body_beside_it(work: UnitOfWork):
    first = signed(3, 1, 1, 2, Side.SENDER, 500)
    other = signed(3, 1, 1, 2, Side.SENDER, 900)
    async with work() as rows:
        assert await rows.receipts.add(first, 1.0)
        assert not await rows.receipts.add(first, 2.0)
        assert await rows.receipts.bodies(first.receipt.key) == 1
        assert await rows.receipts.add(other, 3.0)
        assert await rows.receipts.bodies(first.receipt.key) == 2
    async with work() as rows:
        stored = await rows.receipts.of_epoch(3)
        assert {wire for _, wire in stored} == {first.encode(), other.encode()}
        assert await rows.receipts.pick(3, [first.body_hash]) == [first.encode()]
        await rows.receipts.forget(4)
        assert await rows.receipts.count(3) == 0


async def test_an_error_rolls_everything_back(work: UnitOfWork):
    async def fail() -> None:
        async with work() as rows:
            await rows.receipts.add(signed(3, 1, 1, 2, Side.SENDER, 500), 1.0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    async with work() as rows:
        assert await rows.receipts.count(3) == 0


async def test_transactions_take_turns(work: UnitOfWork):
    async def add(slot: int) -> None:
        async with work() as rows:
            for item in both_sides(3, slot, 1, 2, 100 + slot):
                await rows.receipts.add(item, 1.0)

    async with asyncio.TaskGroup() as group:
        for slot in range(6):
            group.create_task(add(slot))
    async with work() as rows:
        assert await rows.receipts.count(3) == 12


async def test_findings_commits_and_reveals(work: UnitOfWork):
    found = reveal(3, 1, 2, {1: (4, 4)})
    async with work() as rows:
        assert await rows.audits.add_finding(3, 1, Finding("probes", 7, b"a"))
        assert not await rows.audits.add_finding(3, 1, Finding("probes", 7, b"b"))
        assert await rows.audits.add_finding(3, 1, Finding("burst", 7, b"c"))
        commit = CommitRow(2, found.commitment, bytes(65))
        assert await rows.audits.add_commit(3, 1, commit, 1.0)
        assert not await rows.audits.add_commit(3, 1, commit, 2.0)
        assert await rows.audits.add_reveal(found, accepted=True, now=1.0)
    async with work() as rows:
        assert [item.payload for item in await rows.audits.findings(3, 1)] == [b"c", b"a"]
        assert await rows.audits.measured_targets(3) == {7}
        assert await rows.audits.commits(3, 1) == [commit]
        assert await rows.audits.reveals(3) == [(found.commitment, found.encode(), True)]
        assert await rows.audits.own_reveal(3, 1, 2) == found.encode()
        assert await rows.audits.own_reveal(3, 1, 1) is None


async def test_agreement_memory_is_replaced(work: UnitOfWork):
    topic = Topic(Kind.REPORT, 9)
    state = MemberState(view=1, voted=b"\x01" * 32, documents={b"\x01" * 32: b"document"})
    async with work() as rows:
        assert await rows.agreements.load(topic) is None
        await rows.agreements.save(topic, state)
    async with work() as rows:
        assert await rows.agreements.load(topic) == state
        await rows.agreements.save(topic, replace(state, view=2))
    async with work() as rows:
        assert (await rows.agreements.load(topic)) == replace(state, view=2)
        assert await rows.agreements.load(Topic(Kind.CONSENSUS, 9)) is None


async def test_old_agreements_shrink_and_still_know_what_was_signed(work: UnitOfWork):
    digest = b"\x02" * 32
    for period in (1, 2, 3):
        state = MemberState(view=4, signed=digest, documents={digest: bytes(500)})
        async with work() as rows:
            await rows.agreements.save(Topic(Kind.REPORT, period), state)
    async with work() as rows:
        await rows.agreements.trim(Kind.REPORT, 3)
        await rows.agreements.trim(Kind.REPORT, 3)
        first, last = [await rows.agreements.load(Topic(Kind.REPORT, n)) for n in (1, 3)]
        assert first == MemberState(view=4, signed=digest)
        assert last == state


async def test_reports_keep_their_leaves(work: UnitOfWork):
    blob = epoch_data(both_sides(3, 1, 1, 2, 600), []).encode()
    result = recompute(blob)
    row = ReportRow(result.digest, 3, 0, blob, 0b111, bytes(195))
    async with work() as rows:
        assert await rows.reports.add(result, row)
        assert not await rows.reports.add(result, row)
    async with work() as rows:
        assert await rows.reports.newest() == row
        assert await rows.reports.of_epoch(3) == [row]
        assert await rows.reports.get(result.digest) == row
        assert tuple(await rows.reports.leaves(result.digest)) == result.leaves


async def test_the_newest_attempt_comes_first(work: UnitOfWork):
    digests = []
    for attempt in (1, 0, 2):
        blob = epoch_data([], [], attempt=attempt).encode()
        result = recompute(blob)
        digests.append(result.digest)
        async with work() as rows:
            assert await rows.reports.add(
                result, ReportRow(result.digest, 3, attempt, blob, 0, b"")
            )
    async with work() as rows:
        assert [row.attempt for row in await rows.reports.of_epoch(3)] == [2, 1, 0]
        newest = await rows.reports.newest()
        assert newest is not None
        assert newest.digest == digests[2]


async def test_every_attempt_has_its_own_memory_and_transactions(work: UnitOfWork):
    digest = b"\x02" * 32
    async with work() as rows:
        for attempt in range(2):
            topic = Topic(Kind.REPORT, 9, attempt)
            await rows.agreements.save(topic, MemberState(view=attempt, signed=digest))
            assert await rows.outbox.add(
                "report", 9, attempt=attempt, target=bytes(20), call=b"", label="", not_before=0.0
            )
    async with work() as rows:
        for attempt in range(2):
            state = await rows.agreements.load(Topic(Kind.REPORT, 9, attempt))
            assert state is not None
            assert state.view == attempt
            row = await rows.outbox.get("report", 9, attempt=attempt)
            assert row is not None
            assert (row.attempt, row.subject) == (attempt, 0)
        assert await rows.outbox.get("report", 9, attempt=2) is None
        assert await rows.outbox.get("report", 9, subject=1) is None


async def test_parameters_are_found_by_hash(work: UnitOfWork):
    async with work() as rows:
        await rows.parameters.add(DEVNET)
        await rows.parameters.add(DEVNET)
        assert await rows.parameters.get(DEVNET.hash()) == DEVNET
        assert await rows.parameters.get(bytes(32)) is None


async def test_a_period_has_one_consensus(work: UnitOfWork):
    async with work() as rows:
        assert await rows.consensuses.get() is None
        assert await rows.consensuses.add(60, b"\x01" * 32, b"first")
        assert not await rows.consensuses.add(60, b"\x02" * 32, b"second")
        assert await rows.consensuses.add(30, b"\x03" * 32, b"earlier")
        assert await rows.consensuses.get() == (60, b"first")
        assert await rows.consensuses.get(30) == (30, b"earlier")


async def test_the_outbox_sends_in_order_and_finishes_what_was_signed(work: UnitOfWork):
    async with work() as rows:
        assert await rows.outbox.next(100.0) is None
        for kind, not_before in (("report", 50.0), ("start", 10.0), ("anchor", 200.0)):
            assert await rows.outbox.add(
                kind, 7, target=bytes(20), call=b"call", label=kind, not_before=not_before
            )
        assert not await rows.outbox.add(
            "start", 7, target=bytes(20), call=b"other", label="", not_before=0.0
        )
        first = await rows.outbox.next(100.0)
        assert first is not None
        assert first.kind == "start"
        report = await rows.outbox.get("report", 7)
        assert report is not None
        await rows.outbox.signed(report.row_id, b"raw", b"\x09" * 32)
    async with work() as rows:
        first = await rows.outbox.next(0.0)
        assert first is not None
        assert (first.kind, first.raw, first.tx_hash) == ("report", b"raw", b"\x09" * 32)
        await rows.outbox.finished(first.row_id, done=True, note="x" * 1000)
        assert [row.kind for row in await rows.outbox.open_rows()] == ["start", "anchor"]


async def test_facts_are_written_once(work: UnitOfWork):
    async with work() as rows:
        assert await rows.facts.claim("chain", b"one") == b"one"
        assert await rows.facts.claim("chain", b"two") == b"one"
