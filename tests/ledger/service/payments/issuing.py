"""Four members that issue, in one process: real databases and chain, dealt keys, no sockets."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from ledger.domain.keygen import EpochKeys
from ledger.domain.schedule import Schedule
from ledger.domain.votes import Topic
from ledger.errors import PeerError
from ledger.service.chain_reader import ChainReader
from ledger.service.member import Member
from ledger.service.payments.office import PaymentsOffice
from ledger.service.quorum import TopicHandler
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.database import open_database
from qnet.crypto.blind import blind, unblind
from qnet.crypto.hash_chain import HashChain
from qnet.crypto.keys import ReceiptKey
from qnet.crypto.points import G1
from qnet.crypto.scalars import Scalar, SecretScalar
from qnet.crypto.threshold import Polynomial, combine
from qnet.issuance import IssuanceClock
from qnet.messages.claims import SpentToken
from qnet.messages.instruments import KEYS, TOKEN_CLASS, TOKEN_UNITS, Place, Unit, token_id_of
from qnet.messages.settlement import Exit, keys_digest
from qnet.messages.swap import CreditInput, Input, Output, Swap, TokenInput
from qnet.messages.voucher import Purchase
from tests.support.anvil import ChainFixture

MEMBERS, THRESHOLD = 4, 3


class DealtKeys:
    """Keys that a dealer made for everybody: what a key generation would have given."""

    def __init__(self, epochs: Sequence[int]) -> None:
        self.secrets = {
            epoch: [Polynomial.draw(THRESHOLD, secrets.token_bytes) for _ in range(KEYS)]
            for epoch in epochs
        }
        self.keys = {
            epoch: EpochKeys(
                epoch,
                THRESHOLD,
                tuple(range(MEMBERS)),
                tuple(polynomial.commitment() for polynomial in polynomials),
            )
            for epoch, polynomials in self.secrets.items()
        }

    def of(self, member: int) -> "MemberKeys":
        return MemberKeys(self, member)


class MemberKeys:
    """One member's view of them; implements `Keys`, and what the program wires besides."""

    def __init__(self, dealt: DealtKeys, member: int) -> None:
        self.dealt, self.index = dealt, member + 1
        self.erased: set[int] = set()
        self.lies = False

    async def public(self, epoch: int) -> EpochKeys | None:
        return self.dealt.keys.get(epoch)

    async def shares(self, epoch: int) -> tuple[SecretScalar, ...] | None:
        if epoch in self.erased or epoch not in self.dealt.secrets:
            return None
        wrong = Scalar(1) if self.lies else Scalar(0)
        return tuple(
            SecretScalar(each.share(self.index) + wrong) for each in self.dealt.secrets[epoch]
        )

    async def erase(self, epoch: int) -> None:
        self.erased.add(epoch)

    async def run(self) -> None:
        """Nothing is to be done."""

    @property
    def rounds(self) -> SimpleNamespace:
        return SimpleNamespace(answer=None)


@dataclass
class MemoryPeers:
    """Calls of one member to the others, in memory."""

    index: int
    offices: dict[int, PaymentsOffice]
    down: set[int] = field(default_factory=set)
    spoil: Callable[[int, bytes], bytes] = lambda _peer, answer: answer

    @property
    def others(self) -> list[int]:
        return [member for member in range(MEMBERS) if member != self.index]

    async def call(self, to: int, path: str, body: bytes) -> bytes:
        if to in self.down or self.index in self.down:
            raise PeerError(to, "it is down")
        return self.spoil(to, await self.offices[to].exchange.answer(path, body))


class Handlers:
    """Stands for the agreements: keeps the handlers, so that tests drive them."""

    def __init__(self) -> None:
        self.handlers: dict[int, TopicHandler] = {}
        self.begun: dict[Topic, Schedule] = {}

    @property
    def topics(self) -> list[Topic]:
        return list(self.begun)

    async def begin(self, topic: Topic, schedule: Schedule) -> None:
        self.begun.setdefault(topic, schedule)

    def drop(self, topic: Topic) -> None:
        self.begun.pop(topic)

    def handle(self, kind: int, handler: TopicHandler) -> None:
        self.handlers[kind] = handler


@dataclass
class Issued:
    """A verified instrument with what its owner knows of it."""

    epoch: int
    class_: int
    key: ReceiptKey
    signature: bytes
    relay: int = 0
    chain: HashChain | None = None

    def input(self) -> Input:
        if self.chain is None:
            return CreditInput(self.epoch, self.class_, self.key.address, self.signature)
        return TokenInput(self.epoch, self.relay, self.chain.top, self.key.address, self.signature)

    def spent(self, k: int) -> SpentToken:
        assert self.chain is not None
        unit = Unit(k, self.chain.preimage(k))
        return SpentToken(self.chain.top, self.key.address, self.signature, unit)


@dataclass
class Wanted:
    """An instrument to be, blinded."""

    epoch: int
    class_: int
    relay: int = 1
    key: ReceiptKey = field(default_factory=ReceiptKey.generate)
    chain: HashChain = field(default_factory=lambda: HashChain(secrets.token_bytes(32)))
    place: Place | None = None
    message: bytes = b""
    point: G1 | None = None
    factor: Scalar | None = None

    def blinded(self, place: Place) -> "Wanted":
        if self.class_ == TOKEN_CLASS:
            name = token_id_of(self.chain.top, self.key.address)
            self.message = place.token(self.epoch, self.relay, name)
        else:
            self.message = place.credit(self.epoch, self.class_, self.key.address)
        self.point, self.factor = blind(self.message, secrets.token_bytes)
        return self

    def output(self) -> Output:
        assert self.point is not None
        return Output(self.class_, self.point.encode())


@dataclass
class World:
    """Everything a test needs; `now` is the members' clock."""

    chain: ChainFixture
    dealt: DealtKeys
    clock: IssuanceClock
    now: float
    offices: dict[int, PaymentsOffice] = field(default_factory=dict)
    peers: dict[int, MemoryPeers] = field(default_factory=dict)
    handlers: dict[int, Handlers] = field(default_factory=dict)
    keys: dict[int, MemberKeys] = field(default_factory=dict)
    cumulative: dict[bytes, tuple[int, int]] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        return self.chain.contracts.channels.place

    @property
    def domain(self) -> bytes:
        return self.chain.contracts.channels.domain

    @property
    def unit_wei(self) -> int:
        return self.clock.terms.unit_wei

    def desk(self, member: int) -> PaymentsOffice:
        return self.offices[member]

    async def open_channel(self, credits_: int) -> ReceiptKey:
        """An account with a channel that pays for so many credits."""
        amount = credits_ * TOKEN_UNITS * self.unit_wei
        owner, contracts = await self.chain.new_account(amount), self.chain.contracts
        channels = contracts.channels
        await self.chain.send(owner, contracts.token.approve(channels.address, amount))
        await self.chain.send(owner, channels.open(amount))
        await self.chain.control.finalize()
        return owner

    def purchase(
        self, owner: ReceiptKey, wanted: Sequence[Wanted], *, nonce: int = 0, epoch: int = 0
    ) -> Purchase:
        """The owner's next purchase, or another one for a nonce that was used."""
        last, paid = self.cumulative.get(owner.address, (0, 0))
        if nonce:
            last, paid = nonce - 1, (nonce - 1) * TOKEN_UNITS * self.unit_wei
        cost = TOKEN_UNITS * len(wanted) * self.unit_wei
        self.cumulative[owner.address] = (last + 1, paid + cost)
        points = [each.output().point for each in wanted]
        return Purchase.make(
            owner, self.domain, points, cumulative_wei=paid + cost, nonce=last + 1, epoch=epoch
        )

    def want(self, *classes: int, epoch: int = 0, relay: int = 1) -> list[Wanted]:
        return [Wanted(epoch, class_, relay).blinded(self.place) for class_ in classes]

    def swap(self, given: Sequence[Issued], wanted: Sequence[Wanted], *, epoch: int = 0) -> Swap:
        outputs = tuple(each.output() for each in wanted)
        unsigned = Swap(epoch, tuple(each.input() for each in given), outputs)
        return unsigned.sign([each.key for each in given], self.domain)

    def unblind(self, wanted: Sequence[Wanted], answers: dict[int, bytes]) -> list[Issued]:
        """Verified instruments from the answers of members by number."""
        issued = []
        for place, each in enumerate(wanted):
            partials = {
                member + 1: G1.decode(answer[48 * place : 48 * place + 48])
                for member, answer in answers.items()
            }
            assert each.factor is not None
            key = self.dealt.keys[each.epoch].keys[each.class_]
            signed = unblind(each.message, each.factor, combine(partials, THRESHOLD), key)
            token = each.class_ == TOKEN_CLASS
            issued.append(
                Issued(
                    each.epoch,
                    each.class_,
                    each.key,
                    signed.encode(),
                    each.relay,
                    each.chain if token else None,
                )
            )
        return issued

    async def ask(
        self, call: Callable[[PaymentsOffice], Awaitable[bytes]], members: Sequence[int] = (0, 1, 2)
    ) -> dict[int, bytes]:
        return {member: await call(self.offices[member]) for member in members}

    async def buy(
        self, owner: ReceiptKey, count: int = 1, *, members: Sequence[int] = (0, 1, 2)
    ) -> list[Issued]:
        wanted = self.want(*[6] * count)
        data = self.purchase(owner, wanted).encode()
        return self.unblind(wanted, await self.ask(lambda office: office.buy(data), members))

    async def trade(
        self,
        given: Sequence[Issued],
        *classes: int,
        epoch: int = 0,
        members: Sequence[int] = (0, 1, 2),
        relay: int = 1,
    ) -> list[Issued]:
        wanted = self.want(*classes, epoch=epoch, relay=relay)
        data = self.swap(given, wanted, epoch=epoch).encode()
        return self.unblind(wanted, await self.ask(lambda office: office.swap(data), members))

    async def register(self, epoch: int) -> None:
        """Put the keys of an epoch on chain, in the first second of the one before."""
        await self.chain.control.warp(self.clock.bounds(epoch - 1)[0])
        await register(self.chain, self.dealt, epoch)
        await self.chain.control.finalize()

    async def bonded_account(self) -> ReceiptKey:
        """An account that can put one bond down at the redeemer."""
        contracts, bond = self.chain.contracts, self.clock.terms.bond_wei
        account = await self.chain.new_account(bond)
        await self.chain.send(account, contracts.token.approve(contracts.redeemer.address, bond))
        return account

    async def start_exit(self, given: Issued, spent: int = 0) -> bytes:
        """Exit an instrument on chain; return the number of the exit."""
        exiter, redeemer = await self.bonded_account(), self.chain.contracts.redeemer
        entry = given.input()
        message = entry.message(self.place)
        signed = given.key.sign(Exit(message, spent, exiter.address).digest(self.domain))
        keys = [key.encode_eip2537() for key in self.dealt.keys[given.epoch].keys]
        if isinstance(entry, CreditInput):
            call = redeemer.start_credit_exit(entry, exiter.address, signed, keys)
        else:
            left = (entry.epoch, entry.relay, given.spent(spent)) if spent else entry
            call = redeemer.start_token_exit(left, exiter.address, signed, keys)
        await self.chain.send(exiter, call)
        await self.chain.control.finalize()
        return message

    async def pool(self, members: Sequence[int] = (0, 1, 2, 3), epoch: int = 0) -> None:
        for member in members:
            await self.offices[member].pooling.pull(epoch)


async def register(chain: ChainFixture, dealt: DealtKeys, epoch: int) -> None:
    """Put the hash of an epoch's keys on chain, as the committee would."""
    channels = chain.contracts.channels
    hashed = dealt.keys[epoch].hash(channels.place)
    signatures = chain.quorum_signatures(keys_digest(channels.domain, epoch, hashed))
    await chain.send(
        chain.network.deployer, channels.register_keys(epoch, hashed, 0b111, signatures)
    )


@contextlib.asynccontextmanager
async def open_world(
    chain: ChainFixture, folder: Path, *, url: str | None = None
) -> AsyncIterator[World]:
    """Members in the first second of issuance epoch 0; keys of 0, 1 and 2 exist, of 0 on chain.

    Args:
        chain: whose blocks are older than that.
        folder: of the databases.
        url: database of member 0, SQLite like the others' if it is None.
    """
    dealt = DealtKeys((0, 1, 2))
    await register(chain, dealt, 0)
    await chain.control.finalize()
    reader = ChainReader(chain.contracts)
    facts = await reader.facts()
    clock = IssuanceClock(facts.clock, await chain.contracts.channels.terms())
    world = World(chain, dealt, clock, clock.bounds(0)[0] + 1.0)
    async with contextlib.AsyncExitStack() as stack:
        for index in range(MEMBERS):
            default = f"sqlite+aiosqlite:///{folder / f'payments-{index}.db'}"
            engine = await stack.enter_async_context(
                open_database(url if url is not None and index == 0 else default)
            )
            member = Member(
                index=index,
                key=chain.network.member_signers[index],
                facts=facts,
                reader=reader,
                work=UnitOfWork(engine),
                parameters=chain.network.parameters,
                now=lambda: world.now,
                random=secrets.token_bytes,
            )
            await start(world, member)
        yield world


async def start(world: World, member: Member) -> None:
    """Begin a member, or begin it again with what its database says."""
    index = member.index
    peers = world.peers.setdefault(index, MemoryPeers(index, world.offices))
    world.keys.setdefault(index, world.dealt.of(index))
    world.handlers[index] = Handlers()
    world.offices[index] = await PaymentsOffice.open(
        member,
        peers,  # type: ignore[arg-type]
        world.handlers[index],  # type: ignore[arg-type]
        world.keys[index],
    )
