"""Committee members in one process that make keys: real agreements and databases, calls in memory.

`Chain` stands for what members read of it: who sits on the committee, what is final, which keys are
registered. What happens with a real one is in `test_registration`.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

from ledger.domain.keygen import WINDOWS, Plan, Timetable
from ledger.domain.keygen_sealing import Safe
from ledger.domain.votes import Kind
from ledger.errors import NotReadyError, PeerError
from ledger.service.member import Member
from ledger.service.payments.courses import Courses, Roster
from ledger.service.payments.gathering import BUNDLES_PATH, Gathering
from ledger.service.payments.keys import IssuanceKeys
from ledger.service.payments.rounds import Rounds
from ledger.service.quorum import PATH as AGREEMENT_PATH
from ledger.service.quorum import Quorum
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.database import open_database
from qnet.crypto.keys import ReceiptKey
from qnet.eip712 import qnet_domain
from qnet.epochs import EpochClock
from qnet.issuance import IssuanceClock, PaymentTerms
from qnet.messages.instruments import Place
from qnet.messages.succession import set_at
from qnet.parameters import NetworkParameters

CHAIN_ID = 31337
COMMITTEE, CHANNELS, ORACLE = b"\x01" * 20, b"\x02" * 20, b"\x03" * 20
PLACE = Place(CHAIN_ID, CHANNELS)
DOMAIN = qnet_domain(CHAIN_ID, CHANNELS)
EPOCH_S = 64
"""Windows of four seconds; only where somebody is silent are they waited for."""


@dataclass(frozen=True)
class Seat:
    """A place on the committee."""

    signer: bytes
    active_from_s: int
    active_until_s: int


class Chain:
    """What is final."""

    seated_s = 0

    def __init__(self, signers: list[bytes]) -> None:
        self.signers = tuple(signers)
        self.hashes: dict[int, bytes] = {}
        self.final_s: Callable[[], float] = time.time

    @property
    def place(self) -> Place:
        return PLACE

    @property
    def domain(self) -> bytes:
        return DOMAIN

    async def hash_of(self, epoch: int) -> bytes | None:
        return self.hashes.get(epoch)

    def call(self, row):
        return CHANNELS, row.keys_hash + row.signatures

    async def finalized(self):
        return SimpleNamespace(timestamp=int(self.final_s()), number=1)

    async def seats(self, _block):
        return [Seat(signer, self.seated_s, 0) for signer in self.signers]

    def set_of(self, seats, time):
        return set_at(seats, time, chain_id=CHAIN_ID, committee=COMMITTEE)


class Wire:
    """Carries calls between members in memory; whoever is not there does not answer."""

    def __init__(self) -> None:
        self.nodes: dict[int, Node] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.calls: list[tuple[int, int, str, bytes]] = []

    async def call(self, sender: int, to: int, path: str, body: bytes) -> bytes:
        self.calls.append((sender, to, path, body))
        node = self.nodes.get(to)
        if node is None or sender not in self.nodes:
            raise PeerError(to, "not there")
        await asyncio.sleep(0)
        if path == BUNDLES_PATH:
            return await node.keys.rounds.answer(sender, body)
        with contextlib.suppress(NotReadyError):
            await node.quorum.receive(sender, body)
        return b""

    async def settle(self) -> None:
        """Wait for calls under way: they use databases that are about to be closed."""
        while self.tasks:
            await asyncio.gather(*self.tasks, return_exceptions=True)

    def post(self, sender: int, to: int, path: str, body: bytes) -> None:
        async def deliver() -> None:
            with contextlib.suppress(PeerError):
                await self.call(sender, to, path, body)

        task = asyncio.ensure_future(deliver())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


class LocalPeers:
    """The other members, as one of them sees them."""

    def __init__(self, wire: Wire, index: int, size: int) -> None:
        self.wire, self.index = wire, index
        self.others = [member for member in range(size) if member != index]

    def post(self, to: int | None, path: str, body: bytes) -> None:
        for member in self.others if to is None else [to]:
            self.wire.post(self.index, member, path, body)

    async def call(self, to: int, path: str, body: bytes) -> bytes:
        return await self.wire.call(self.index, to, path, body)


@dataclass
class Node:
    """A running member."""

    member: Member
    quorum: Quorum
    keys: IssuanceKeys


@dataclass
class Committee:
    """Members over one wire and one chain; the keys of epoch 0 are made from now on."""

    folder: Path
    size: int = 4
    rounds: dict[int, type[Rounds]] = field(default_factory=dict)
    gatherings: dict[int, type[Gathering]] = field(default_factory=dict)
    epoch_s: int = EPOCH_S

    def __post_init__(self) -> None:
        self.signers = [ReceiptKey.generate() for _ in range(self.size)]
        self.chain = Chain([key.address for key in self.signers])
        self.wire = Wire()
        # rounds may follow one another at once: the earliest moments of all of them have passed
        genesis = int(time.time()) + self.epoch_s - 3 * self.epoch_s // WINDOWS
        rewards = EpochClock(genesis, self.epoch_s // 2, 1)
        terms = replace(PaymentTerms.profile("devnet"), issuance_epochs=2)
        self.clock = IssuanceClock(rewards, terms)
        self.parameters = replace(NetworkParameters.profile("devnet"), agreement_timeout_s=2)

    @property
    def plan(self) -> Plan:
        return Plan(0, PLACE, self.chain.signers)

    @contextlib.asynccontextmanager
    async def open(self, index: int) -> AsyncIterator[Node]:
        """A member with its database, whose duties do not run."""
        async with open_database(f"sqlite+aiosqlite:///{self.folder / f'{index}.db'}") as engine:
            trust = self.chain.set_of(await self.chain.seats(None), int(time.time()) + 1)
            member = Member(
                index=index,
                key=self.signers[index],
                facts=SimpleNamespace(trust=trust, clock=self.clock.rewards),
                reader=self.chain,
                work=UnitOfWork(engine),
                parameters=self.parameters,
                now=time.time,
                random=secrets.token_bytes,
            )
            peers = LocalPeers(self.wire, index, self.size)
            quorum = Quorum(member, peers, {})
            safe = Safe(member.key, domain=DOMAIN, random=member.random)
            roster, times = Roster(member, PLACE), Timetable(self.clock)
            courses = Courses(member, roster=roster, times=times, safe=safe)
            kind = self.gatherings.get(index, Gathering)
            gathering = kind(member, peers, courses.running)
            kind = self.rounds.get(index, Rounds)
            rounds = kind(member, quorum, courses=courses, gathering=gathering)
            keys = IssuanceKeys(
                member, quorum, rounds, registry=self.chain, clock=self.clock, safe=safe
            )
            quorum.handle(Kind.KEYS_ROUND, rounds)
            quorum.handle(Kind.KEYS, keys)
            yield Node(member, quorum, keys)

    @contextlib.asynccontextmanager
    async def run(self, *indices: int) -> AsyncIterator[list[Node]]:
        """Members at work until the end of the block."""
        async with contextlib.AsyncExitStack() as stack:
            nodes = [await stack.enter_async_context(self.open(index)) for index in indices]
            self.wire.nodes.update(zip(indices, nodes, strict=True))
            tasks = [
                asyncio.ensure_future(work)
                for node in nodes
                for work in (node.quorum.run(), node.keys.run())
            ]
            try:
                yield nodes
            finally:
                for index in indices:
                    self.wire.nodes.pop(index, None)
                await end([node.member for node in nodes], tasks)
                await self.wire.settle()
                for task in tasks:
                    if not task.cancelled() and task.exception() is not None:
                        raise task.exception()


async def end(members: list[Member], tasks: list[asyncio.Future]) -> None:
    """Cancel tasks while none of them is in the middle of a transaction."""
    async with contextlib.AsyncExitStack() as stack:
        for member in members:
            await stack.enter_async_context(member.work._turn)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def agreed(node: Node, epoch: int = 0, *, seconds: float = 90.0):
    """Wait until a member has agreed on keys; return their row."""
    async with asyncio.timeout(seconds):
        while True:
            async with node.member.work() as rows:
                row = await rows.payment_keys.get(epoch)
            if row is not None:
                return row
            await asyncio.sleep(0.05)


async def settled(node: Node, epoch: int = 0, *, seconds: float = 90.0):
    """Wait until the keys of an epoch may be used; return them."""
    async with asyncio.timeout(seconds):
        while True:
            found = await node.keys.public(epoch)
            if found is not None:
                return found
            await asyncio.sleep(0.05)


__all__ = ["AGREEMENT_PATH", "Chain", "Committee", "Node", "agreed", "settled"]
