"""A signer stops counting between its signature and the chain: the others' are joined anew."""

import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.domain.memory import MemberState
from ledger.domain.report import recompute
from ledger.domain.votes import Decision, Kind, Signature, Topic, encode_message
from ledger.service.chain_reader import ChainReader
from ledger.service.endorsements import Endorsements
from ledger.service.epoch_loop import _is_open
from ledger.service.member import Member
from ledger.service.quorum import PATH, Quorum
from ledger.service.settlement import Settlement
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.database import open_database
from ledger.storage.results import OutboxRow
from qnet import cbor
from qnet.chain.reporting import ReportStatus
from qnet.chain.values import Call
from qnet.messages.consensus import SignedConsensus, consensus_digest, join_signatures
from tests.ledger.service.test_evidence import Stage
from tests.support.anvil import ChainFixture, Network, network_of_its_own, send_as
from tests.support.signed_network import make_network

pytestmark = [pytest.mark.chain, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network_of_its_own(tmp_path_factory.mktemp("network")) as own:
        yield own


DEAD = 1


class Wire:
    """Calls of this member to the others, which nobody takes."""

    def __init__(self) -> None:
        self.posted: list[dict[str, object]] = []

    def post(self, to: int | None, path: str, body: bytes) -> None:
        assert path == PATH
        value = cbor.loads(body, max_bytes=1 << 20)
        assert isinstance(value, dict)
        if to is None:
            self.posted.append(value)


class Handler:
    """Carries out what was decided by writing down nothing."""

    async def decided(self, topic: Topic, decision: Decision) -> None:
        del topic, decision


@dataclass
class Desk:
    """Member 0 of a committee with its outbox."""

    chain: ChainFixture
    member: Member
    quorum: Quorum
    wire: Wire
    settlement: Settlement

    async def decide(self, topic: Topic, digest: bytes, document: bytes, signers: tuple) -> None:
        """What the agreement leaves in the database and in memory."""
        keys = self.chain.network.member_signers
        parts = {place: keys[place].sign(digest) for place in signers}
        decided = Decision(digest, document, *join_signatures(parts))
        state = MemberState(signed=digest, decided=decided)
        async with self.member.work() as rows:
            await rows.agreements.save(topic, state)

    async def note(self, kind: str, topic: Topic, call: Call) -> None:
        assert call.to is not None
        async with self.member.work() as rows:
            await rows.outbox.add(
                kind,
                topic.period,
                attempt=topic.attempt,
                target=call.to,
                call=call.data,
                label=kind,
                not_before=0.0,
            )

    async def row(self, kind: str, period: int) -> OutboxRow:
        async with self.member.work() as rows:
            row = await rows.outbox.get(kind, period)
        assert row is not None
        return row

    async def settle(self, kind: str, period: int) -> OutboxRow:
        """Send until the transaction is done."""
        for _ in range(400):
            await self.settlement.step()
            row = await self.row(kind, period)
            if not _is_open(row):
                return row
        raise AssertionError(f"the outbox does not empty: {row}")


@pytest.fixture
async def desk(chain: ChainFixture, tmp_path: Path) -> AsyncIterator[Desk]:
    reader = ChainReader(chain.contracts)
    while (facts := await reader.facts()).trust.signers != facts.auditors:
        # the last bonds of the deployment are not final yet
        await chain.control.mine()
    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'l.db'}") as engine:
        clock = [0.0]

        def now() -> float:
            clock[0] += 10.0
            return clock[0]

        member = Member(
            index=0,
            key=chain.network.member_signers[0],
            facts=facts,
            reader=reader,
            work=UnitOfWork(engine),
            parameters=await reader.parameters(),
            now=now,
            random=secrets.token_bytes,
        )
        wire = Wire()
        quorum = Quorum(member, wire, {Kind.CONSENSUS: Handler(), Kind.REPORT: Handler()})
        sender = chain.sender(chain.network.member_owners[0])
        yield Desk(chain, member, quorum, wire, Settlement(member, sender, quorum))


async def suspend(chain: ChainFixture, place: int) -> None:
    """What a proven offence would do: the slasher suspends."""
    contracts = chain.contracts
    call = contracts.committee._write("suspend", place)
    await send_as(chain.client, contracts.slasher.address, call)
    await chain.control.mine()
    assert (await contracts.committee.members())[place].suspended


async def test_a_report_survives_a_signer_that_is_suspended_before_it_is_submitted(
    desk: Desk, chain: ChainFixture
):
    """The attack: sign fast, be suspended, and the decided report is refused for ever."""
    stage = await Stage.build(chain)
    result = recompute(stage.data.encode())
    topic, oracle = Topic(Kind.REPORT, 0), chain.contracts.oracle
    await desk.decide(topic, result.digest, stage.data.encode(), (0, DEAD, 2, 3))
    signatures = chain.quorum_signatures(result.digest)
    await desk.note("report", topic, oracle.submit(result.report, 0b111, signatures))
    await suspend(chain, DEAD)
    row = await desk.settle("report", 0)
    assert row.state == "done"
    on_chain = await oracle.report(0)
    assert (on_chain.status, on_chain.hash) == (ReportStatus.SUBMITTED, result.digest)
    assert desk.wire.posted == []


async def test_missing_signatures_are_asked_for_and_a_late_one_completes_the_anchor(
    desk: Desk, chain: ChainFixture
):
    network = make_network()
    consensus = network.consensus
    topic, committee = Topic(Kind.CONSENSUS, consensus.valid_after), chain.contracts.committee
    digest = committee_digest(chain, consensus.valid_after, consensus.hash)
    await desk.decide(topic, digest, b"inputs", (0, DEAD, 2))
    wire = SignedConsensus(consensus, 0, b"").encode()
    async with desk.member.work() as rows:
        await rows.consensuses.add(topic.period, consensus.hash, wire)
    call = committee.anchor(topic.period, consensus.hash, 0b111, chain.quorum_signatures(digest))
    await desk.note("anchor", topic, call)
    await suspend(chain, DEAD)
    desk.quorum._spawn = lambda work: work.close()
    await desk.quorum.begin(topic)
    await desk.settlement.step()
    row = await desk.row("anchor", topic.period)
    assert (row.state, row.call) == ("waiting", call.data)
    await Endorsements(desk.member, desk.quorum).rejoin(row)
    (asked, again) = desk.wire.posted
    assert asked == again
    keys = chain.network.member_signers
    assert asked["message"] == encode_message(Signature(digest, keys[0].sign(digest)))
    late = encode_message(Signature(digest, keys[3].sign(digest)))
    await desk.quorum.receive(3, cbor.dumps({**asked, "message": late}))
    assert (await desk.settle("anchor", topic.period)).state == "done"
    assert await committee.anchor_of(topic.period) == consensus.hash


async def test_other_refusals_are_not_signed_again(desk: Desk, chain: ChainFixture):
    """Nothing decided, nothing that is signed by a quorum, and nothing new: the row waits."""
    committee = chain.contracts.committee
    again = Endorsements(desk.member, desk.quorum)
    call = committee.anchor(600, b"\x05" * 32, 0b111, bytes(195))
    await desk.note("anchor", Topic(Kind.CONSENSUS, 600), call)
    assert await again.rejoin(await desk.row("anchor", 600)) is None
    await desk.note("start", Topic(Kind.REPORT, 0), call)
    assert await again.rejoin(await desk.row("start", 0)) is None
    await desk.decide(Topic(Kind.CONSENSUS, 600), b"\x05" * 32, b"inputs", (0, 1, 2))
    assert await again.rejoin(await desk.row("anchor", 600)) is None
    await desk.settlement.step()
    assert (await desk.row("anchor", 600)).state == "waiting"


def committee_digest(chain: ChainFixture, period: int, hash_: bytes) -> bytes:
    return consensus_digest(chain.client.chain_id, chain.contracts.committee.address, period, hash_)
