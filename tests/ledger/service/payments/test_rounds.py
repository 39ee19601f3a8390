"""Members make keys together: one down, one lying, one killed at every step."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from itertools import combinations
from pathlib import Path
from typing import NoReturn

import pytest

from ledger.domain.keygen_bundles import Bundle, KeyRound, RoundId, RoundRecord
from ledger.domain.keygen_payloads import Dealings, SealedDealing, encode_messages
from ledger.domain.votes import Kind, Topic
from ledger.errors import BadDataError, NotReadyError, OmittedBundleError, PeerError
from ledger.service.payments.gathering import BUNDLES_PATH, Gathering
from ledger.service.payments.rounds import Rounds
from ledger.service.unit_of_work import UnitOfWork, Work
from qnet import cbor
from qnet.crypto.dkg_messages import Complaint
from qnet.crypto.keys import ReceiptKey
from qnet.errors import CryptoError, DecodeError, QnetError
from qnet.messages.instruments import KEYS
from tests.ledger.domain.keygen_network import signs
from tests.ledger.service.payments.members import DOMAIN, Committee, Node, agreed, end, settled

pytestmark = pytest.mark.timeout(200)

ALL = (0, 1, 2, 3)
DEALT = RoundId(0, 0, KeyRound.DEALING)


async def agree(committee: Committee, nodes: list[Node], *, seconds: float = 90.0) -> None:
    """Wait for the keys and have the chain take them; all members hold the same."""
    rows = await asyncio.gather(*(agreed(node, seconds=seconds) for node in nodes))
    assert len({row.document for row in rows}) == 1
    committee.chain.hashes[0] = rows[0].keys_hash


async def check_signing(nodes: list[Node]) -> None:
    """Any three of those who hold shares sign."""
    keys = await settled(nodes[0])
    held = {}
    for node in nodes:
        await settled(node)
        shares = await node.keys.shares(0)
        if shares is not None:
            held[node.member.index + 1] = shares
    assert len(held) >= keys.threshold
    for chosen in combinations(held, keys.threshold):
        for class_ in range(KEYS):
            assert signs(keys, class_, {index: held[index][class_] for index in chosen})


async def bundles_of(node: Node, id_: RoundId) -> list[Bundle]:
    async with node.member.work() as rows:
        return [known.bundle for known in await rows.payment_keys.bundles(id_)]


async def attempts_of(node: Node) -> list[RoundId]:
    """Rounds that a member has closed."""
    found = []
    async with node.member.work() as rows:
        for number in range(1, 24):
            id_ = RoundId.of(0, number)
            if await rows.payment_keys.record(id_) is not None:
                found.append(id_)
    return found


async def test_four_members_make_the_same_keys_and_any_three_sign(tmp_path: Path):
    committee = Committee(tmp_path)
    async with committee.run(*ALL) as nodes:
        await agree(committee, nodes)
        await check_signing(nodes)
        closed = await attempts_of(nodes[0])
    assert [id_.round for id_ in closed] == [KeyRound.DEALING, KeyRound.COMPLAINING]


async def test_three_make_keys_without_the_fourth_which_learns_them_later(tmp_path: Path):
    committee = Committee(tmp_path)
    async with committee.run(0, 1, 3) as nodes:
        await agree(committee, nodes)
        await check_signing(nodes)
        public = await settled(nodes[0])
        async with committee.run(2) as (late,):
            assert await settled(late) == public
            assert await late.keys.shares(0) is None
            dealt = await bundles_of(nodes[0], DEALT)
            assert [bundle.author for bundle in dealt] == [1, 2, 4]


async def record_of(rows: Work) -> bytes:
    found = await rows.payment_keys.record(DEALT)
    assert found is not None
    return found[0]


def lying(round_: KeyRound, lie) -> type[Rounds]:
    """Members that say something else in one round of the first attempt; None says nothing."""

    class Lying(Rounds):
        async def _say(self, course, index, id_, payload):
            if id_.round is round_ and id_.attempt == 0:
                payload = lie(course, payload)
            if payload is not None:
                await super()._say(course, index, id_, payload)

    return Lying


def bad_share(_course, payload):
    dealings = Dealings.decode(payload)
    first = dealings.sealed[0]
    shares = {to: bytes(48) if to == 1 else share for to, share in first.shares.items()}
    sealed = (SealedDealing(first.dealing, shares), *dealings.sealed[1:])
    return Dealings(dealings.exchange, sealed).encode()


def false_complaint(course, _payload):
    sessions = course.plan.sessions(0)
    return encode_messages(Complaint(session.id, 4, 2) for session in sessions)


@pytest.mark.parametrize(
    ("round_", "lie", "rounds"),
    [
        # complained of, answered, good
        (KeyRound.DEALING, bad_share, [1, 2, 3]),
        (KeyRound.COMPLAINING, false_complaint, [1, 2, 3]),
        # blamed, and done again without it
        (KeyRound.DEALING, lambda _course, payload: payload[:-1], [1, 5, 6]),
        (KeyRound.DEALING, lambda _course, _payload: secrets.token_bytes(4000), [1, 5, 6]),
        (KeyRound.DEALING, lambda _course, _payload: None, [1, 5, 6]),
        # what it says after its dealing is not needed
        (KeyRound.COMPLAINING, lambda _course, _payload: None, [1, 2]),
        (KeyRound.ANNOUNCING, lambda _course, _payload: None, [1, 2, 3]),
    ],
    ids=[
        "bad share",
        "false complaint",
        "malformed dealing",
        "rubbish",
        "no dealing",
        "silent after dealing",
        "no announcement",
    ],
)
async def test_a_liar_stops_nobody(tmp_path: Path, round_: KeyRound, lie, rounds: list[int]):
    committee = Committee(tmp_path, rounds={3: lying(round_, lie)})
    async with committee.run(*ALL) as nodes:
        await agree(committee, nodes)
        await check_signing(nodes[:3])
        assert [id_.number for id_ in await attempts_of(nodes[0])] == rounds


async def test_a_member_that_deals_badly_and_does_not_answer_is_left_out(tmp_path: Path):
    class Lying(lying(KeyRound.DEALING, bad_share)):
        async def _say(self, course, index, id_, payload):
            if id_.round is not KeyRound.ANNOUNCING and id_.number == KeyRound.ANSWERING:
                return
            await super()._say(course, index, id_, payload)

    committee = Committee(tmp_path, rounds={3: Lying})
    async with committee.run(*ALL) as nodes:
        await agree(committee, nodes)
        await check_signing(nodes[:3])
        assert [id_.number for id_ in await attempts_of(nodes[0])] == [1, 2, 3, 5, 6]


async def test_two_bundles_for_different_members_stop_nobody(tmp_path: Path):
    committee = Committee(tmp_path)
    other = Bundle.sign(
        committee.signers[3], domain=DOMAIN, id_=DEALT, author=4, payload=b"something else"
    )

    class TwoFaced(Gathering):
        async def _exchange_with(self, peer, course, id_, known):
            """Show member 0 another dealing than the rest."""
            if peer == 0 and id_ == DEALT:
                known = [each for each in known if each.bundle.author != 4]
                body = call(id_, bundles=[other])
                await self._peers.call(0, BUNDLES_PATH, body)
            await super()._exchange_with(peer, course, id_, known)

        async def answer(self, sender, body):
            fields = cbor.loads(body, max_bytes=1 << 20, max_depth=2)
            if sender == 0 and fields["round"] == KeyRound.DEALING:
                return cbor.dumps({"bundles": []})
            return await super().answer(sender, body)

    committee.gatherings[3] = TwoFaced
    async with committee.run(*ALL) as nodes:
        await agree(committee, nodes)
        await check_signing(nodes[:3])
        documents = set()
        for node in nodes[:3]:
            async with node.member.work() as rows:
                documents.add(await record_of(rows))
        (document,) = documents
        assert RoundRecord.decode(DEALT, document).authors == {1, 2, 3, 4}


# ---- crashes ---------------------------------------------------------------------------------


class MortalWork(UnitOfWork):
    """Ends its member as soon as something new is on disk: nothing after it is done or sent."""

    def __init__(self, work: UnitOfWork, die) -> None:
        super().__init__(work._engine)
        self._die = die
        self.dead = asyncio.Event()
        self.buried = asyncio.Event()

    async def _end(self) -> NoReturn:
        await self.buried.wait()
        raise PeerError(3, "dead")

    @contextlib.asynccontextmanager
    async def __call__(self) -> AsyncIterator[Work]:
        if self.dead.is_set():
            await self._end()
        async with self._turn, self._engine.begin() as connection:
            count = "SELECT total_changes()"
            before = (await connection.exec_driver_sql(count)).scalar_one()
            yield Work(connection)
            after = (await connection.exec_driver_sql(count)).scalar_one()
        if after != before:
            self.dead.set()
            self._die()
            await self._end()


async def live(committee: Committee, index: int) -> bool:
    """One life of a member, which ends with its first new row; False if there was none."""
    async with committee.open(index) as node:
        mortal = MortalWork(node.member.work, lambda: committee.wire.nodes.pop(index, None))
        async with node.member.work() as rows:
            if await rows.payment_keys.get(0) is not None:
                return False
        node.member.work = mortal
        committee.wire.nodes[index] = node
        tasks = [asyncio.ensure_future(work) for work in (node.quorum.run(), node.keys.run())]
        await mortal.dead.wait()
        await end([node.member], tasks)
        mortal.buried.set()
        await committee.wire.settle()
    return True


@pytest.mark.timeout(300)
async def test_a_member_killed_after_every_row_it_writes_never_says_two_things(tmp_path: Path):
    committee = Committee(tmp_path, epoch_s=96)
    lives = 0
    async with committee.run(0, 1, 2) as nodes, asyncio.TaskGroup() as others:
        others.create_task(agree(committee, nodes, seconds=150.0))
        while await live(committee, 3):
            lives += 1
        await check_signing(nodes)
        async with committee.run(3) as (last,):
            assert await settled(last) == await settled(nodes[0])
            for node in (*nodes, last):
                for number in range(8):
                    found = await bundles_of(node, RoundId.of(0, number))
                    authors = [bundle.author for bundle in found]
                    assert len(authors) == len(set(authors))
    assert lives > 10


# ---- what is refused -------------------------------------------------------------------------


def call(id_: RoundId, bundles: list[Bundle] | None = None, have: bytes = b"") -> bytes:
    return cbor.dumps(
        {
            "epoch": id_.epoch,
            "attempt": id_.attempt,
            "round": int(id_.round),
            "have": have,
            "bundles": [bundle.encode() for bundle in bundles or []],
        }
    )


def said(committee: Committee, author: int, payload: bytes, id_: RoundId = DEALT, **changes):
    key = changes.get("key", committee.signers[author - 1])
    domain = changes.get("domain", DOMAIN)
    return Bundle.sign(key, domain=domain, id_=id_, author=author, payload=payload)


@contextlib.asynccontextmanager
async def alone(tmp_path: Path) -> AsyncIterator[tuple[Committee, Node]]:
    """A member that has begun and hears nobody."""
    committee = Committee(tmp_path)
    async with committee.run(0) as (node,):
        async with asyncio.timeout(20):
            while True:
                if node.quorum.topics:
                    break
                await asyncio.sleep(0.02)
        yield committee, node


async def test_bundles_are_taken_from_their_authors_only(tmp_path: Path):
    async with alone(tmp_path) as (committee, node):
        answer = node.keys.rounds.answer
        stranger = ReceiptKey.generate()
        of_next = RoundId(1, 0, KeyRound.DEALING)
        far = RoundId(0, 2, KeyRound.DEALING)
        bad = [
            (said(committee, 2, b"x", key=stranger), CryptoError),
            (said(committee, 2, b"x", key=committee.signers[2]), CryptoError),
            (said(committee, 2, b"x", domain=bytes(32)), CryptoError),
            (said(committee, 2, b"x", of_next), DecodeError),
            (said(committee, 1, b"x", key=stranger), CryptoError),
        ]
        # a bundle of another attempt or round under another name
        moved = said(committee, 2, b"x", RoundId(0, 1, KeyRound.DEALING))
        bad.append((Bundle(DEALT, 2, b"x", moved.signature), CryptoError))
        moved = said(committee, 2, b"x", RoundId(0, 0, KeyRound.COMPLAINING))
        bad.append((Bundle(DEALT, 2, b"x", moved.signature), CryptoError))
        for bundle, error in bad:
            with pytest.raises(error):
                await answer(1, call(DEALT, [bundle]))
        for author in (0, 5, 255):
            forged = Bundle(DEALT, author, b"x", said(committee, 2, b"x").signature)
            with pytest.raises(DecodeError):
                await answer(1, call(DEALT, [forged]))
        # attempts that nobody has come to fill no disk
        await answer(1, call(far, [said(committee, 2, b"x", far)]))
        assert await bundles_of(node, far) == []
        assert await bundles_of(node, DEALT) == []


async def test_two_bundles_of_one_author_are_kept_and_no_third(tmp_path: Path):
    async with alone(tmp_path) as (committee, node):
        answer = node.keys.rounds.answer
        bundles = [said(committee, 2, bytes([number])) for number in range(5)]
        for bundle in bundles:
            await answer(2, call(DEALT, [bundle]))
        known = [bundle for bundle in await bundles_of(node, DEALT) if bundle.author == 2]
        assert sorted(bundle.payload for bundle in known) == [b"\0", b"\1"]
        shown = cbor.loads(await answer(2, call(DEALT)), max_bytes=1 << 20, max_depth=2)
        assert len(shown["bundles"]) == 2
        rest = await answer(2, call(DEALT, have=bundles[0].name))
        (wire,) = cbor.loads(rest, max_bytes=1 << 20, max_depth=2)["bundles"]
        assert Bundle.decode(wire) == bundles[1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        cbor.dumps({}),
        cbor.dumps({"epoch": 0, "attempt": 0, "round": 9, "have": b"", "bundles": []}),
        cbor.dumps({"epoch": 0, "attempt": 0, "round": 1, "have": b"x", "bundles": []}),
        cbor.dumps({"epoch": 0, "attempt": 0, "round": 1, "have": b"", "bundles": [1]}),
        cbor.dumps({"epoch": 0, "attempt": 0, "round": 1, "have": b"", "bundles": [b"x"] * 129}),
        cbor.dumps({"epoch": 0, "attempt": 0, "round": 1, "have": b"", "bundles": [b"short"]}),
    ],
)
async def test_malformed_calls_are_refused(tmp_path: Path, body: bytes):
    async with alone(tmp_path) as (_, node):
        with pytest.raises(DecodeError):
            await node.keys.rounds.answer(1, body)


async def test_a_record_that_leaves_out_what_came_in_time_is_refused(tmp_path: Path):
    async with alone(tmp_path) as (committee, node):
        rounds = node.keys.rounds
        topic = Topic(Kind.KEYS_ROUND, 0, DEALT.number)
        bundles = {author: said(committee, author, b"d") for author in (1, 2, 3, 4)}
        await rounds.answer(1, call(DEALT, [bundles[3]]))

        async def check(*authors: int, certified: bool = False, extra=(), digest=None) -> None:
            chosen = [bundles[author] for author in authors]
            record = RoundRecord.of(DEALT, [*chosen, *extra])
            told = digest or record.digest(DOMAIN)
            await rounds.check(topic, told, record.encode(), certified=certified)

        await check(1, 2, 3, 4)
        with pytest.raises(NotReadyError, match="before its time"):
            await check(1, 2, 3)
        course = rounds._courses.running[0]
        course.opened_at = node.member.now() - course.times.patience_s(DEALT)
        await check(1, 2, 3)
        with pytest.raises(OmittedBundleError):
            await check(1, 2, 4)
        # what came too late need not be there
        await asyncio.sleep(0.01)
        await rounds.answer(1, call(DEALT, [bundles[4]]))
        await check(1, 2, 3)
        with pytest.raises(BadDataError):
            await check(1, 2, 3, 4, digest=bytes(32))
        with pytest.raises(BadDataError):
            await check(2, 3, certified=True)
        forged = said(committee, 4, b"e", key=committee.signers[0])
        with pytest.raises(CryptoError):
            await check(1, 2, 3, extra=[forged])
        with pytest.raises(NotReadyError):
            await rounds.check(Topic(Kind.KEYS_ROUND, 0, 2), bytes(32), b"", certified=False)
        with pytest.raises(NotReadyError):
            await rounds.check(Topic(Kind.KEYS_ROUND, 5, 1), bytes(32), b"", certified=False)
        # what a quorum has signed is taken though it is not what we would have proposed
        await check(1, 2, 4, certified=True)
        with pytest.raises(QnetError):
            await rounds.check(topic, bytes(32), b"rubbish", certified=True)
