"""Evidence on its way to the court: from the database through the outbox to the slash."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.service.chain_reader import ChainReader
from ledger.service.challenger import Challenger
from ledger.service.member import Member
from ledger.service.peers import Peers
from ledger.service.quorum import Quorum
from ledger.service.settlement import Settlement
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.challenges import ChallengeRow
from ledger.storage.database import open_database
from qnet.chain.disputes import ChallengeState
from qnet.messages.consensus import consensus_digest
from qnet.messages.evidence import DoubleConsensus, Statement
from qnet.messages.receipt import LinkReceipt, Side
from qnet.messages.trust import join_signatures
from tests.support.anvil import WEI, ChainFixture

pytestmark = [pytest.mark.chain, pytest.mark.timeout(120)]

FUNDS = 1000 * WEI


@dataclass
class Desk:
    """One member, its challenger and its outbox."""

    chain: ChainFixture
    member: Member
    challenger: Challenger
    settlement: Settlement
    now: list[float]

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, chain: ChainFixture, folder: Path, place: int = 2) -> AsyncIterator["Desk"]:
        now = [float(await chain.control.now())]
        reader = ChainReader(chain.contracts)
        async with open_database(f"sqlite+aiosqlite:///{folder / f'{place}.db'}") as engine:
            member = Member(
                index=place,
                key=chain.network.member_signers[place],
                facts=await reader.facts(),
                reader=reader,
                work=UnitOfWork(engine),
                parameters=await reader.parameters(),
                now=lambda: now[0],
                random=secrets.token_bytes,
            )
            sender = chain.sender(chain.network.member_owners[place])
            challenger = Challenger(member, sender.address)
            settlement = Settlement(member, sender, Quorum(member, Peers(member, []), {}))
            yield cls(chain, member, challenger, settlement, now)

    async def fund(self) -> None:
        owner = self.chain.network.member_owners[self.member.index]
        transfer = self.chain.contracts.token.transfer(owner.address, FUNDS)
        await self.chain.send(self.chain.network.deployer, transfer)

    async def step(self) -> list[ChallengeRow]:
        """Let the challenger look once and the outbox empty."""
        self.now[0] = max(self.now[0], float(await self.chain.control.now()))
        await self.challenger.step()
        for _ in range(400):
            await self.send_once()
            async with self.member.work() as rows:
                if not await rows.outbox.open_rows():
                    return await rows.challenges.all()
        raise AssertionError("the outbox does not empty")

    async def send_once(self) -> None:
        """Carry the outbox one step further, with the clock of the chain."""
        self.now[0] = max(self.now[0], float(await self.chain.control.now()))
        if not await self.settlement.step():
            await asyncio.sleep(0.05)

    async def warp(self, seconds: float) -> None:
        self.now[0] = float(await self.chain.control.now() + seconds)
        await self.chain.control.warp(int(self.now[0]))

    async def note_consensuses(self, culprits: tuple[int, ...], *, age_s: int = 0) -> None:
        """Store a proof that some members signed two consensuses."""
        client, committee = self.chain.client, self.chain.contracts.committee
        period = int(self.now[0]) - age_s
        said = []
        for hash_ in (b"\x01" * 32, b"\x02" * 32):
            digest = consensus_digest(client.chain_id, committee.address, period, hash_)
            keys = self.chain.network.member_signers
            parts = {place: keys[place].sign(digest) for place in culprits}
            said.append(Statement(hash_, *join_signatures(parts)))
        proof = DoubleConsensus(client.chain_id, committee.address, period, *said)
        async with self.member.work() as rows:
            assert await rows.evidence.add(proof, self.now[0])


async def test_a_member_that_signed_twice_loses_its_bond(chain: ChainFixture, tmp_path: Path):
    async with Desk.open(chain, tmp_path) as desk:
        await desk.fund()
        await desk.note_consensuses((2, 1))
        states = [[row.state for row in await desk.step()] for _ in range(4)]
        assert states == [["noted"], ["noted"], ["opened"], ["opened"]]
        slash = await chain.contracts.slasher.slash(1)
        assert (slash.is_member, slash.subject) == (True, 1)
        caught = (await chain.contracts.committee.members())[1]
        assert (caught.suspended, caught.bonded) == (True, True)
        await desk.step()
        await desk.warp(desk.member.parameters.escrow_s + 5)
        await desk.step()
        (row,) = await desk.step()
        assert (row.state, row.note) == ("proven", "executed")
        assert not (await chain.contracts.committee.members())[1].bonded
        assert await chain.contracts.committee.bond_of(1) == 0
        share = desk.member.parameters.challenger_ppm
        gained = desk.member.parameters.committee_bond_wei * share // 10**6
        owner = chain.network.member_owners[2]
        assert await chain.contracts.token.balance_of(owner.address) == FUNDS + gained


async def test_without_tokens_nothing_is_sent(chain: ChainFixture, tmp_path: Path):
    async with Desk.open(chain, tmp_path) as desk:
        await desk.note_consensuses((0, 1))
        assert [row.state for row in await desk.step()] == ["noted", "noted"]
        async with desk.member.work() as rows:
            assert await rows.outbox.get("approve", 0, subject=1) is None
        desk.now[0] += desk.member.parameters.evidence_s + 1
        assert [row.note for row in await desk.step()] == ["too old to be brought"] * 2


async def test_old_evidence_and_our_own_are_left_alone(chain: ChainFixture, tmp_path: Path):
    async with Desk.open(chain, tmp_path) as desk:
        kept = min(desk.member.parameters.evidence_s, desk.member.parameters.unbond_s)
        await desk.note_consensuses((1,), age_s=kept + 10)
        await desk.note_consensuses((2,))
        assert await desk.step() == []


async def test_members_take_turns_and_see_what_is_done(chain: ChainFixture, tmp_path: Path):
    async with Desk.open(chain, tmp_path) as desk, Desk.open(chain, tmp_path, 3) as other:
        await desk.fund()
        await desk.note_consensuses((1,))
        await other.note_consensuses((1,))
        assert [row.state for row in await other.step()] == ["noted"]
        for _ in range(4):
            await desk.step()
        (row,) = await other.step()
        assert (row.state, row.note) == ("dropped", "already caught")
        live = desk.member.reader.live_set(
            await desk.member.reader.seats(await chain.client.block("latest")), int(desk.now[0])
        )
        assert live.signers[1] == bytes(20)
        assert live.signers[2] == desk.member.key.address
        assert live.quorum == desk.member.trust.quorum


async def test_a_commitment_without_a_proof_in_time_is_given_up(
    chain: ChainFixture, tmp_path: Path
):
    async with Desk.open(chain, tmp_path) as desk:
        await desk.fund()
        await desk.note_consensuses((1,))
        for _ in range(3):
            (row,) = await desk.step()
        assert row.state == "opened"
        await desk.warp(desk.member.parameters.challenge_open_s + 5)
        (row,) = await desk.step()
        assert (row.state, row.note) == ("dropped", "no proof was taken in time")


async def test_an_expired_challenge_is_closed(chain: ChainFixture, tmp_path: Path):
    async with Desk.open(chain, tmp_path) as desk:
        await desk.fund()
        await desk.note_consensuses((1,))
        for _ in range(3):
            await desk.step()
        await desk.warp(desk.member.parameters.challenge_open_s + 5)
        await chain.send(chain.network.deployer, chain.contracts.court.expire(1))
        assert (await chain.contracts.court.challenge(1)).state is ChallengeState.EXPIRED
        (row,) = await desk.step()
        assert (row.state, row.note) == ("dropped", "expired")


async def test_what_the_court_will_never_take_is_dropped(chain: ChainFixture, tmp_path: Path):
    """Two receipts whose signatures are not of the node's key: the proof is refused for good."""
    node = await chain.register_node(await chain.new_account(10_000 * WEI), bond_wei=5000 * WEI)
    other = await chain.register_node(await chain.new_account(10_000 * WEI), bond_wei=5000 * WEI)
    async with Desk.open(chain, tmp_path) as desk:
        await desk.fund()
        await desk.warp(chain.network.deployment.genesis_s - desk.now[0] + 8)
        stranger = chain.network.deployer
        async with desk.member.work() as rows:
            for cells in (16, 32):
                body = LinkReceipt(0, 0, node.index, other.index, Side.SENDER, cells, bytes(32))
                signed = body.sign(stranger, desk.member.oracle_domain)
                assert await rows.receipts.add(signed, desk.now[0])
            assert len(await rows.receipts.doubled(0)) == 2
            assert await rows.receipts.doubled(1) == []
        await desk.warp(4 * 4 * 4)
        for _ in range(2):
            await desk.step()
        (row,) = await desk.step()
        assert row.state == "opened"
        await desk.challenger.step()
        notes: set[str] = set()
        while not any("BadSignature" in note for note in notes):
            await desk.send_once()
            async with desk.member.work() as rows:
                notes |= {sent.note for sent in await rows.outbox.open_rows()}
        await desk.warp(desk.member.parameters.challenge_open_s + 5)
        (row,) = await desk.step()
        assert (row.state, row.note) == ("dropped", "no proof was taken in time")


async def test_no_bond_is_risked_for_what_a_node_that_is_not_active_signs(
    chain: ChainFixture, tmp_path: Path
):
    """Anybody can register a node and contradict itself: the court takes no notice."""
    node = await chain.register_node(await chain.new_account(10_000 * WEI))
    other = await chain.register_node(await chain.new_account(10_000 * WEI))
    async with Desk.open(chain, tmp_path) as desk:
        await desk.fund()
        await desk.warp(chain.network.deployment.genesis_s - desk.now[0] + 8)
        tuples = [(node.index, other.index, 0), (node.index, 99, 0), (node.index, other.index, 23)]
        async with desk.member.work() as rows:
            for source, target, slot in tuples:
                for cells in (16, 32):
                    body = LinkReceipt(0, slot, source, target, Side.SENDER, cells, bytes(32))
                    signed = body.sign(node.receipt_key, desk.member.oracle_domain)
                    await rows.receipts.add(signed, desk.now[0])
        await desk.warp(4 * 4 * 4)
        rows_seen = [await desk.step() for _ in range(3)][-1]
        assert {row.state for row in rows_seen} == {"dropped"}
        assert await chain.contracts.court.count() == 0
