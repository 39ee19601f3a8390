"""What a member refuses to sign on: another course of reports, and a predecessor that lies."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest

from ledger.domain.blob import EpochData
from ledger.domain.disputes import find_wrong
from ledger.domain.report import EpochResult, recompute
from ledger.domain.state import ChainSnapshot, NodeState
from ledger.domain.votes import Kind, Topic
from ledger.errors import NotReadyError, WrongPredecessorError
from ledger.service.chain_reader import ChainReader, Course
from ledger.service.foundation import Foundation, Published
from ledger.service.report_service import ReportService
from qnet.chain.values import Block, BlockTag
from qnet.messages.report import NO_REPORT, unpack_slot_p
from tests.ledger.domain.material import epoch_data, reveal
from tests.ledger.domain.test_report import full_reveals
from tests.ledger.service.test_evidence import Stage, disable
from tests.support.anvil import ChainFixture

VICTIM = 1
FIRST, SECOND = Topic(Kind.REPORT, 3), Topic(Kind.REPORT, 4)
HONEST = epoch_data([], full_reveals(3))
NODES = HONEST.snapshot.nodes


def after(first: EpochData, reveals: list) -> EpochData:
    """Honest data of the epoch after a report, whatever that report says."""
    return epoch_data([], reveals, epoch=4, before=recompute(first.encode()).after, nodes=NODES)


ABSENT = (replace(NODES[0], state=NodeState.JAILED), *NODES[1:])
LIE = replace(HONEST, snapshot=replace(HONEST.snapshot, nodes=ABSENT))
"""A report of a dishonest quorum: the victim, whose slots were all perfect, took no part."""
FEW = [reveal(4, 0, auditor, {VICTIM: (4, 4)}) for auditor in (0, 1)]
"""Two results of slot 0 make no median: it is carried from the report before."""


@dataclass
class Chain:
    """Our own chain: the truth about both epochs, and which report comes next."""

    courses: dict[BlockTag, Course] = field(default_factory=dict)
    final: set[int] = field(default_factory=set)
    reads: int = 0
    contracts: SimpleNamespace = field(init=False)

    def __post_init__(self) -> None:
        self.contracts = SimpleNamespace(
            oracle=SimpleNamespace(is_final=self._is_final),
            client=SimpleNamespace(block=self._block),
        )
        self.truth: dict[int, ChainSnapshot] = {3: HONEST.snapshot}

    async def _is_final(self, epoch: int, _at: BlockTag) -> bool:
        return epoch in self.final

    async def _block(self, number: int) -> Block:
        return Block(number, b"\x0b" * 32, bytes(32), 0, 0)

    async def finalized(self) -> Block:
        return await self._block(77)

    async def check_block(self, _number: int, _hash: bytes) -> bool:
        return True

    async def course(self, at: BlockTag) -> Course:
        return self.courses[at]

    async def snapshot(self, epoch: int, _block: Block, *, clock: object) -> ChainSnapshot:
        del clock
        self.reads += 1
        return self.truth[epoch]


@dataclass
class Blobs:
    """Data of the reports so far, by their hash."""

    blobs: dict[bytes, bytes]

    async def data(self, report_hash: bytes) -> bytes:
        return self.blobs[report_hash]

    async def after(self, report_hash: bytes):
        return recompute(self.blobs[report_hash]).after


def foundation_on(first: EpochData, chain: Chain) -> Foundation:
    blobs = Blobs({recompute(first.encode()).digest: first.encode()})
    return Foundation(SimpleNamespace(reader=chain, clock=None), blobs)


async def judge(first: EpochData, second: EpochData, chain: Chain) -> EpochResult:
    """Check the predecessor of an honest report, as before signing it."""
    chain.truth[4] = second.snapshot
    result = recompute(second.encode())
    await foundation_on(first, chain).check_predecessor(second, result)
    return result


# ---- the report before -------------------------------------------------------------------------


async def test_a_lie_in_the_report_before_would_make_our_own_provably_wrong():
    """The attack: why a signature vouches for the state that a report starts from."""
    chain, second = Chain(), after(LIE, FEW)
    chain.truth[4] = second.snapshot
    lie, ours = [
        await Published.of(data.encode(), chain, await chain.finalized(), clock=None)
        for data in (LIE, second)
    ]
    first = recompute(second.encode()).leaves[VICTIM - 1]
    assert unpack_slot_p(first.slot_p, 6)[0] == 900
    (proof,) = [p for p in find_wrong(ours.claims, lie.claims, ours.data) if p.epoch == 4]
    assert proof.audit.leaf.target == VICTIM


async def test_nothing_is_signed_on_a_report_that_can_be_proven_wrong():
    with pytest.raises(WrongPredecessorError) as caught:
        await judge(LIE, after(LIE, FEW), Chain())
    assert caught.value.epoch == 3
    assert "BadLeafProof" in caught.value.proofs
    assert "epoch 3" in caught.value.message


async def test_a_wrong_report_that_became_final_stops_only_what_it_makes_wrong():
    chain = Chain(final={3})
    with pytest.raises(WrongPredecessorError):
        await judge(LIE, after(LIE, FEW), chain)
    await judge(LIE, after(LIE, full_reveals(4)), chain)


async def test_an_honest_report_is_judged_once_and_our_own_not_at_all():
    chain, second = Chain(), after(HONEST, FEW)
    chain.truth[4] = second.snapshot
    result, foundation = recompute(second.encode()), foundation_on(HONEST, chain)
    await foundation.check_predecessor(second, result)
    assert chain.reads == 1
    await foundation.check_predecessor(second, result)
    assert chain.reads == 1
    own = Foundation(SimpleNamespace(reader=chain, clock=None), Blobs({}))
    own.vouch(second.snapshot.prev_report_hash)
    await own.check_predecessor(second, result)
    await own.check_predecessor(HONEST, recompute(HONEST.encode()))
    assert chain.reads == 1


@pytest.mark.parametrize("certified", [True, False])
async def test_a_member_votes_for_no_report_on_a_lie(*, certified: bool):
    second = after(LIE, FEW)
    course = Course(4, 0, second.snapshot.prev_report_hash)
    chain = Chain(courses={77: course, "latest": course})
    chain.truth[4] = second.snapshot
    blobs = Blobs({recompute(LIE.encode()).digest: LIE.encode()})
    member = SimpleNamespace(reader=chain, clock=None, work=NoRows)
    service = ReportService(member, None, blobs, None)
    service._is_genuine = lambda *_: True
    document = second.encode()
    digest = recompute(document).digest
    with pytest.raises(WrongPredecessorError):
        await service.check(SECOND, digest, document, certified=certified)


class NoRows:
    """A database that holds nothing."""

    async def __aenter__(self):
        async def none(_epoch: int) -> list:
            return []

        return SimpleNamespace(
            receipts=SimpleNamespace(of_epoch=none), audits=SimpleNamespace(reveals=none)
        )

    async def __aexit__(self, *_: object) -> None:
        return None


# ---- which report comes next -------------------------------------------------------------------

OURS = Course(3, 0, NO_REPORT)


@pytest.mark.parametrize(
    ("then", "now", "fits"),
    [
        (OURS, OURS, True),
        (OURS, Course(4, 0, b"\x01" * 32), True),
        (Course(2, 1, b"\x01" * 32), OURS, False),
        (Course(3, 1, NO_REPORT), OURS, False),
        (Course(3, 0, b"\x01" * 32), OURS, False),
        (OURS, Course(2, 1, b"\x01" * 32), False),
        (OURS, Course(3, 0, b"\x01" * 32), False),
        (OURS, Course(3, 1, NO_REPORT), False),
    ],
)
async def test_a_report_stands_where_it_is_next(then: Course, now: Course, *, fits: bool):
    chain = Chain(courses={77: then, "latest": now})
    member = SimpleNamespace(
        reader=chain, clock=None, work=NoRows, now=lambda: 0.0, closes_at=lambda _epoch: 0
    )
    service = ReportService(member, None, Blobs({}), None)
    service._is_genuine = lambda *_: True
    foundation = Foundation(member, Blobs({}))
    if fits:
        await foundation.check_course(HONEST.snapshot)
        return
    with pytest.raises(NotReadyError):
        await service.build(FIRST)
    document = HONEST.encode()
    with pytest.raises(NotReadyError):
        await service.check(FIRST, recompute(document).digest, document, certified=False)


@pytest.mark.chain
@pytest.mark.timeout(240)
async def test_a_disabled_report_stops_the_next_until_its_return_is_final(chain: ChainFixture):
    """The attack: topic of the newest block, predecessor of the finalized one."""
    stage = await Stage.build(chain)
    first = await stage.submit(stage.data)
    contracts, clock = chain.contracts, await chain.contracts.epochs.clock()
    await chain.control.warp(clock.epoch_bounds(1)[1] + 5)
    slots = clock.slots_per_epoch
    reveals = chain.network.beacon.value(2 * slots - 1)
    await chain.send(chain.network.deployer, contracts.epochs.start_epoch(1, reveals))
    await disable(chain, 0)
    await chain.control.mine(1)
    reader = ChainReader(contracts)
    lagging = await chain.client.block("latest")
    assert await reader.course(lagging.number) == Course(0, 1, NO_REPORT)
    again = replace(stage.data, snapshot=replace(stage.data.snapshot, attempt=1))
    second = await stage.submit(again)
    newest = await chain.client.block("latest")
    foundation = Foundation(SimpleNamespace(reader=reader, clock=clock), Blobs({}))
    with pytest.raises(NotReadyError):
        await foundation.check_course(await reader.snapshot(1, lagging, clock=clock))
    fresh = await reader.snapshot(1, newest, clock=clock)
    await foundation.check_course(fresh)
    assert fresh.prev_report_hash == second.digest != first.digest
