"""Keys of issuance epochs: used once they are on chain, secrets sealed and erased."""

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.domain.keygen_attempt import Made
from ledger.domain.keygen_bundles import KeyRound, RoundId
from ledger.domain.votes import Decision, Kind, Topic
from ledger.errors import BadDataError, NotReadyError
from ledger.service.payments.courses import Roster
from ledger.service.payments.keys import SHARES
from ledger.service.payments.rounds import Rounds
from qnet.crypto.scalars import encode_scalar
from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.messages.instruments import KEYS
from qnet.messages.settlement import keys_digest
from tests.ledger.domain.keygen_network import PLACE as OTHER_PLACE
from tests.ledger.domain.keygen_network import Generation
from tests.ledger.service.payments.members import DOMAIN, PLACE, Committee, agreed, settled

pytestmark = pytest.mark.timeout(200)

ALL = (0, 1, 2, 3)
TOPIC = Topic(Kind.KEYS, 0)


def bytes_on_disk(folder: Path, index: int) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob(f"{index}.db*")))


def rows_of(folder: Path, index: int, query: str) -> list:
    with sqlite3.connect(folder / f"{index}.db") as connection:
        return connection.execute(query).fetchall()


async def test_keys_are_used_once_their_hash_is_final_and_not_before(tmp_path: Path):
    committee = Committee(tmp_path)
    async with committee.run(*ALL) as nodes:
        rows = await asyncio.gather(*(agreed(node) for node in nodes))
        keys = nodes[0].keys
        await keys.step()
        assert await keys.public(0) is None
        assert await keys.shares(0) is None
        committee.chain.hashes[0] = rows[0].keys_hash
        public = await settled(nodes[0])
        assert public.hash(PLACE) == rows[0].keys_hash
        shares = await keys.shares(0)
        assert shares is not None
        assert len(shares) == KEYS
        assert await keys.shares(0) is shares
        # one transaction each, at its turn, signed by a quorum over what the contract checks
        for node in nodes:
            async with node.member.work() as work:
                (sent,) = await work.outbox.open_rows()
            assert (sent.kind, sent.period) == ("keys", 0)
        trust = nodes[0].member.trust
        digest = keys_digest(DOMAIN, 0, rows[0].keys_hash)
        trust.check_signatures(digest, rows[0].bitmap, rows[0].signatures)
        # and nothing is left to agree on
        assert TOPIC not in nodes[0].quorum.topics


async def test_other_keys_on_chain_than_ours_are_used_by_nobody(tmp_path: Path):
    committee = Committee(tmp_path)
    async with committee.run(*ALL) as nodes:
        await asyncio.gather(*(agreed(node) for node in nodes))
        committee.chain.hashes[0] = b"\x66" * 32
        await nodes[1].keys.step()
        assert await nodes[1].keys.public(0) is None
        assert await nodes[1].keys.shares(0) is None


async def test_secrets_are_sealed_on_disk_and_gone_after_they_are_erased(tmp_path: Path):
    committee = Committee(tmp_path)
    async with committee.run(*ALL) as nodes:
        row = (await asyncio.gather(*(agreed(node) for node in nodes)))[2]
        committee.chain.hashes[0] = row.keys_hash
        keys = nodes[2].keys
        await settled(nodes[2])
        shares = await keys.shares(0)
        assert shares is not None
        plain = [encode_scalar(share.reveal()) for share in shares]
        disk = bytes_on_disk(tmp_path, 2)
        assert not any(share in disk for share in plain)
        # what dealings were made of went when the keys were agreed
        names = rows_of(tmp_path, 2, "SELECT name FROM keygen_secrets WHERE epoch = 0")
        assert names == [(SHARES,)]
        await keys.erase(0)
        assert await keys.shares(0) is None
        with pytest.raises(LocalProtocolError, match="erased"):
            shares[0].reveal()
        assert rows_of(tmp_path, 2, "SELECT * FROM keygen_secrets WHERE epoch = 0") == []
        assert await keys.public(0) is not None
        await keys.erase(0)
    # and after a restart they are still gone
    async with committee.run(2) as (again,):
        assert await settled(again) is not None
        assert await again.keys.shares(0) is None


async def test_shares_come_back_after_a_restart(tmp_path: Path):
    committee = Committee(tmp_path)
    async with committee.run(*ALL) as nodes:
        row = (await asyncio.gather(*(agreed(node) for node in nodes)))[0]
        committee.chain.hashes[0] = row.keys_hash
        await settled(nodes[0])
        before = [share.reveal() for share in await nodes[0].keys.shares(0)]
    async with committee.run(0) as (node,):
        await settled(node)
        after = [share.reveal() for share in await node.keys.shares(0)]
    assert [one == two for one, two in zip(before, after, strict=True)] == [True] * KEYS


async def test_an_epoch_that_begins_without_keys_is_given_up(tmp_path: Path):
    committee = Committee(tmp_path)
    async with committee.run(0) as (node,):
        async with asyncio.timeout(20):
            while True:
                async with node.member.work() as rows:
                    secret = await rows.payment_keys.secret(0, "dealing 0")
                if secret is not None and Topic(Kind.KEYS_ROUND, 0, 1) in node.quorum.topics:
                    break
                await asyncio.sleep(0.02)
        # its beginning has to be final
        start = committee.clock.bounds(0)[0]
        node.member.now = lambda: start + 1.0
        committee.chain.final_s = lambda: start - 1.0
        with pytest.raises(NotReadyError, match="epoch 1 is not final"):
            await node.keys.step()
        assert Topic(Kind.KEYS_ROUND, 0, 1) in node.quorum.topics
        committee.chain.final_s = lambda: start + 1.0
        await node.keys.step()
        assert [topic for topic in node.quorum.topics if topic.period == 0] == []
        async with node.member.work() as rows:
            assert await rows.payment_keys.secret(0, "dealing 0") is None
        # the next one's are made
        assert any(topic.period == 1 for topic in node.quorum.topics)


async def test_a_committee_of_five_makes_no_keys(tmp_path: Path):
    committee = Committee(tmp_path, size=5)
    async with committee.run(0) as (node,):
        await node.keys.step()
        assert node.quorum.topics == []
        await node.keys.step()


async def test_before_the_committee_is_final_nothing_begins(tmp_path: Path):
    committee = Committee(tmp_path)
    committee.chain.final_s = lambda: committee.clock.bounds(-1)[0] - 1.0
    async with committee.run(0) as (node,):
        with pytest.raises(NotReadyError):
            await node.keys.step()


async def test_keys_of_epoch_0_are_made_by_the_first_committee(tmp_path: Path):
    """Its seats are younger than the moment at which the generation would begin."""
    committee = Committee(tmp_path)
    committee.chain.seated_s = committee.clock.bounds(-1)[0] + 2
    async with committee.open(1) as node:
        roster = Roster(node.member, PLACE)
        plan = await roster.plan(0, committee.clock.bounds(-1)[0])
        assert plan.roster == committee.chain.signers
        committee.chain.final_s = lambda: committee.chain.seated_s - 1
        with pytest.raises(NotReadyError):
            await roster.plan(0, committee.clock.bounds(-1)[0])


async def test_long_before_genesis_nothing_is_made(tmp_path: Path):
    committee = Committee(tmp_path)
    async with committee.run(0) as (node,):
        async with asyncio.timeout(20):
            while not node.quorum.topics:  # noqa: ASYNC110 - the duty has its own pace
                await asyncio.sleep(0.02)
        node.member.now = lambda: committee.clock.bounds(-4)[0] + 1.0
        await node.keys.step()


# ---- agreement -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made() -> Made:
    generation = Generation()
    return next(iter(generation.run().values()))


async def test_only_keys_that_the_rounds_gave_are_signed(tmp_path: Path, made: Made):
    committee = Committee(tmp_path)
    made = Made(replace(made.keys, epoch=0), made.shares)
    keys = made.keys
    swapped = replace(keys, commitments=keys.commitments[::-1])
    bent = replace(
        keys,
        commitments=tuple(
            (first, *rest[::-1]) if len(rest) > 1 else (first, *rest)
            for first, *rest in keys.commitments
        ),
    )
    async with committee.open(0) as node:
        handler = node.keys
        digest = keys_digest(DOMAIN, 0, keys.hash(PLACE))
        for certified in (False, True):
            with pytest.raises(NotReadyError):
                await handler.check(TOPIC, digest, keys.encode(), certified=certified)
        with pytest.raises(NotReadyError):
            await handler.build(TOPIC)
        handler._made[0] = made
        assert await handler.build(TOPIC) == (digest, keys.encode())
        await handler.check(TOPIC, digest, keys.encode(), certified=True)
        # other keys, the same keys with other public shares, another contract
        assert bent.hash(PLACE) == keys.hash(PLACE)
        bad = [
            (keys_digest(DOMAIN, 0, swapped.hash(PLACE)), swapped.encode()),
            (digest, bent.encode()),
            (keys_digest(DOMAIN, 0, keys.hash(OTHER_PLACE)), keys.encode())
            if OTHER_PLACE != PLACE
            else (bytes(32), keys.encode()),
            (digest, b"rubbish"),
        ]
        for wrong, document in bad:
            for certified in (False, True):
                with pytest.raises(BadDataError):
                    await handler.check(TOPIC, wrong, document, certified=certified)
        with pytest.raises(RemoteProtocolError):
            await handler.decided(TOPIC, Decision(digest, bent.encode(), 7, b""))


async def test_a_decision_is_carried_out_once(tmp_path: Path, made: Made):
    committee = Committee(tmp_path)
    made = Made(replace(made.keys, epoch=0), made.shares)
    async with committee.open(1) as node:
        handler = node.keys
        handler._made[0] = made
        digest, document = await handler.build(TOPIC)
        decision = Decision(digest, document, 7, b"\x01" * 195)
        await handler.decided(TOPIC, decision)
        with pytest.raises(NotReadyError):
            await handler.build(TOPIC)
        await handler.decided(TOPIC, replace(decision, bitmap=15))
        async with node.member.work() as rows:
            row = await rows.payment_keys.get(0)
            assert len(await rows.outbox.open_rows()) == 1
            sealed = await rows.payment_keys.secret(0, SHARES)
        assert row is not None
        assert (row.bitmap, row.registered) == (7, False)
        assert sealed is not None


async def test_a_decision_waits_for_our_own_rounds(tmp_path: Path, made: Made):
    committee = Committee(tmp_path)
    async with committee.open(1) as node:
        decision = Decision(bytes(32), made.keys.encode(), 7, b"")
        with pytest.raises(NotReadyError):
            await node.keys.decided(TOPIC, decision)


# ---- what is kept ----------------------------------------------------------------------------


async def test_old_rounds_are_forgotten_and_keys_are_kept(tmp_path: Path, made: Made):
    committee = Committee(tmp_path)
    async with committee.open(0) as node:
        assert isinstance(node.keys.rounds, Rounds)
        node.keys._made[0] = Made(replace(made.keys, epoch=0), made.shares)
        digest, document = await node.keys.build(TOPIC)
        await node.keys.decided(TOPIC, Decision(digest, document, 7, b""))
        id_ = RoundId(0, 0, KeyRound.DEALING)
        async with node.member.work() as rows:
            await rows.payment_keys.add_record(id_, b"document", 1.0)
            assert not await rows.payment_keys.add_record(id_, b"another", 2.0)
            assert await rows.payment_keys.record(id_) == (b"document", 1.0)
            await rows.payment_keys.forget(0)
            assert await rows.payment_keys.record(id_) is not None
            await rows.payment_keys.forget(1)
            assert await rows.payment_keys.record(id_) is None
            assert await rows.payment_keys.secret(0, SHARES) is None
            assert await rows.payment_keys.get(0) is not None


async def test_a_secret_is_drawn_once(tmp_path: Path):
    committee = Committee(tmp_path)
    async with committee.open(0) as node, node.member.work() as rows:
        assert await rows.payment_keys.claim_secret(3, "exchange", b"one") == b"one"
        assert await rows.payment_keys.claim_secret(3, "exchange", b"two") == b"one"
        await rows.payment_keys.claim_secret(3, "dealing 0", b"tape")
        await rows.payment_keys.erase_secrets(3, keep="exchange")
        assert await rows.payment_keys.secret(3, "dealing 0") is None
        assert await rows.payment_keys.secret(3, "exchange") == b"one"
