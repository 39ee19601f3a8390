"""Members certify a change of their committee among themselves, and judge evidence."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from ledger.errors import BadDataError
from ledger.service.chain_reader import ChainReader, NetworkFacts
from ledger.service.member import Member
from ledger.service.succession import CHANGE_PATH, Succession
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.database import open_database
from qnet import cbor
from qnet.chain.reporting import CommitteeMember
from qnet.crypto.keys import ReceiptKey
from qnet.epochs import EpochClock
from qnet.errors import CryptoError, DecodeError
from qnet.messages.consensus import CommitteeTrust
from qnet.messages.evidence import DoubleConsensus
from qnet.messages.succession import CommitteeHistory, set_at
from qnet.messages.trust import NO_SIGNER
from tests.support.signed_network import CHAIN_ID, COMMITTEE, NETWORK, ORACLE, PARAMETERS
from tests.support.signed_network import make_network as signed_network

BEGIN, CHANGE = 1_000, 5_000
KEYS = [ReceiptKey.generate() for _ in range(5)]


def seat(place: int, since: int = BEGIN, until: int = 0) -> CommitteeMember:
    return CommitteeMember(
        index=place,
        owner=bytes([place]) * 20,
        signer=KEYS[place].address,
        url="",
        bonded=True,
        suspended=False,
        active=True,
        active_from_s=since,
        active_until_s=until,
    )


OLD = [seat(place) for place in range(4)]
REMOVED = [*OLD[:3], replace(OLD[3], active_until_s=CHANGE)]
GROWN = [*OLD, seat(4, since=CHANGE)]


class Chain:
    """The contract's seats at the newest final block."""

    def __init__(self) -> None:
        self.seats_now = OLD
        self.time = BEGIN + 10

    def reader(self) -> ChainReader:
        reader = ChainReader.__new__(ChainReader)
        reader.contracts = SimpleNamespace(
            client=SimpleNamespace(chain_id=CHAIN_ID, block=self._block),
            committee=SimpleNamespace(address=COMMITTEE, members=self._members),
        )
        return reader

    async def _block(self, _tag: object) -> SimpleNamespace:
        return SimpleNamespace(number=1, timestamp=self.time)

    async def _members(self, _at: object) -> list[CommitteeMember]:
        return self.seats_now


@dataclass
class Bus:
    """Calls between members; delivered when told."""

    own: int
    queue: list[tuple[int, int, bytes]]

    def post(self, to: int | None, path: str, body: bytes) -> None:
        assert path == CHANGE_PATH
        targets = [m for m in range(4) if m != self.own] if to is None else [to]
        self.queue += [(self.own, target, body) for target in targets]


class Committee:
    """Four members on databases of their own."""

    def __init__(self) -> None:
        self.chain = Chain()
        self.calls: list[tuple[int, int, bytes]] = []
        self.members: list[Member] = []
        self.services: list[Succession] = []

    async def step(self, *who: int) -> None:
        """These members look at the chain, and every call is delivered."""
        for place in who:
            await self.services[place].step()
        while self.calls:
            sender, to, body = self.calls.pop(0)
            await self.services[to].receive(sender, body)


@asynccontextmanager
async def committee_on(folder: Path) -> AsyncIterator[Committee]:
    made = Committee()
    trust = set_at(OLD, BEGIN, chain_id=CHAIN_ID, committee=COMMITTEE)
    facts = NetworkFacts(NETWORK, ORACLE, trust, trust.signers, EpochClock(BEGIN, 600, 24))
    async with AsyncExitStack() as stack:
        for place in range(4):
            url = f"sqlite+aiosqlite:///{folder}/{place}.db"
            engine = await stack.enter_async_context(open_database(url))
            member = Member(
                index=place,
                key=KEYS[place],
                facts=facts,
                reader=made.chain.reader(),
                work=UnitOfWork(engine),
                parameters=PARAMETERS,
                now=lambda: float(made.chain.time),
                random=bytes,
            )
            made.members.append(member)
            made.services.append(Succession(member, Bus(place, made.calls)))
        yield made


@pytest.fixture
async def committee(tmp_path: Path) -> AsyncIterator[Committee]:
    async with committee_on(tmp_path) as made:
        yield made


@pytest.mark.parametrize("seats", [REMOVED, GROWN])
async def test_a_change_is_certified_by_the_old_set_once_it_takes_effect(
    committee: Committee, seats: list[CommitteeMember]
) -> None:
    start = CommitteeHistory(committee.members[0].trust)
    committee.chain.seats_now = seats
    await committee.step(0, 1, 2)
    assert await committee.services[0].changes() == []
    committee.chain.time = CHANGE
    await committee.step(0, 1, 2)
    for service in committee.services[:3]:
        history = start.follow(await service.changes())
        assert history.valid_from == CHANGE
        assert history.newest == set_at(seats, CHANGE, chain_id=CHAIN_ID, committee=COMMITTEE)
    before = list(committee.calls)
    await committee.step(0, 1, 2)
    assert committee.calls == before == []


async def test_a_member_that_lags_gets_what_it_missed(committee: Committee) -> None:
    committee.chain.seats_now, committee.chain.time = GROWN, CHANGE
    await committee.step(0, 1, 2)
    assert await committee.services[3].changes() == []
    await committee.step(3)
    assert len(await committee.services[3].changes()) == 1


async def test_a_removal_takes_effect_without_a_restart(committee: Committee) -> None:
    committee.chain.seats_now, committee.chain.time = REMOVED, CHANGE
    await committee.step(0, 1, 2)
    trust = committee.members[0].trust
    assert trust.signers == (*(key.address for key in KEYS[:3]), NO_SIGNER)
    assert trust.quorum == 2
    assert committee.members[0].size == 4


@pytest.mark.parametrize("dead", [{"bonded": False}, {"suspended": True}])
async def test_a_seat_whose_signature_does_not_count_is_left_out(
    committee: Committee, dead: dict[str, bool]
) -> None:
    """The attack: a member without a bond takes part, and voids what it signs."""
    whole = committee.members[0].trust
    committee.chain.seats_now = [*OLD[:3], replace(OLD[3], **dead)]
    await committee.step(0)
    member = committee.members[0]
    assert member.trust.signers == (*whole.signers[:3], NO_SIGNER)
    assert member.trust.quorum == whole.quorum
    assert member.facts.auditors == whole.signers
    committee.chain.seats_now = OLD
    await committee.step(0)
    assert member.trust == whole


async def test_a_set_without_a_live_quorum_stays_whole(committee: Committee) -> None:
    whole = committee.members[0].trust
    committee.chain.seats_now = [replace(seat, bonded=False) for seat in OLD[:2]] + OLD[2:]
    await committee.step(0)
    assert committee.members[0].trust == whole


async def test_two_members_are_no_quorum(committee: Committee) -> None:
    committee.chain.seats_now, committee.chain.time = GROWN, CHANGE
    await committee.services[0].step()
    await committee.services[1].step()
    for sender, to, body in committee.calls:
        if to in {0, 1}:
            await committee.services[to].receive(sender, body)
    assert await committee.services[0].changes() == []


async def test_forged_signatures_are_refused(committee: Committee) -> None:
    committee.chain.seats_now, committee.chain.time = GROWN, CHANGE
    await committee.services[0].step()
    body = committee.calls[0][2]
    with pytest.raises(BadDataError):
        await committee.services[0].receive(1, body)
    with pytest.raises(DecodeError):
        await committee.services[0].receive(1, b"\xa0")
    bad = cbor.dumps({"from": CHANGE, "sig": bytes(65), "ask": 0})
    with pytest.raises(BadDataError):
        await committee.services[0].receive(2, bad)
    assert await committee.services[0].changes() == []


async def test_evidence_is_verified_and_kept_once(committee: Committee) -> None:
    service = committee.services[0]
    network = replace(
        signed_network(period=CHANGE + 10),
        members=tuple(KEYS[:4]),
        trust=CommitteeTrust(CHAIN_ID, COMMITTEE, tuple(key.address for key in KEYS[:4]), 3),
    )
    one = network.sign(network.consensus)
    two = network.sign(replace(network.consensus, users=9), members=(1, 2, 3))
    proof = DoubleConsensus.of(one, two).encode()
    assert await service.submit_evidence(proof)
    assert not await service.submit_evidence(proof)
    assert await service.evidence() == [proof]
    weak = network.sign(replace(network.consensus, users=8), members=(1, 2))
    with pytest.raises(CryptoError):
        await service.submit_evidence(DoubleConsensus.of(one, weak).encode())
    committee.chain.seats_now = [seat(4), *OLD[1:]]
    with pytest.raises(CryptoError):
        await service.submit_evidence(proof)
