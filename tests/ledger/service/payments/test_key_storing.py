"""Keys that are decided while their epoch is given up: one after the other, never half of each."""

import asyncio
import secrets
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from ledger.domain.keygen_attempt import Made
from ledger.domain.votes import Kind, Topic
from ledger.errors import NotReadyError
from ledger.service.payments.keys import IssuanceKeys
from qnet.crypto.scalars import SecretScalar, random_scalar
from qnet.messages.instruments import KEYS
from tests.support.issuing import CLOCK

EPOCH = 3
TOPIC = Topic(Kind.KEYS, EPOCH)
DOCUMENT, DIGEST = b"the keys", b"their digest"


class Slow(IssuanceKeys):
    """Stands before its database until a test lets it on."""

    def __init__(self) -> None:
        self.reached, self.gate, self.log = asyncio.Event(), asyncio.Event(), []
        reader = SimpleNamespace(finalized=self._late)
        member = SimpleNamespace(work=self._work, reader=reader)
        quorum = SimpleNamespace(drop=lambda topic: None)
        rounds = SimpleNamespace(
            times=SimpleNamespace(ends_at=lambda epoch: 0),
            give_up=self._give_up,
            finish=lambda epoch: None,
        )
        registry = SimpleNamespace(place=None)
        super().__init__(member, quorum, rounds, registry=registry, clock=CLOCK, safe=None)
        scalars = tuple(random_scalar(secrets.token_bytes) for _ in range(KEYS))
        keys = SimpleNamespace(encode=lambda: DOCUMENT, hash=lambda place: bytes(32))
        self.shares_made = tuple(map(SecretScalar, scalars))
        self._made[EPOCH] = Made(keys, self.shares_made)

    async def _late(self):
        return SimpleNamespace(timestamp=1)

    def _give_up(self, epoch):
        for share in self.shares_made:
            share.erase()

    @asynccontextmanager
    async def _work(self):
        async def nothing(*_):
            return None

        names = SimpleNamespace(get=nothing, erase_secrets=nothing)
        yield SimpleNamespace(payment_keys=names)

    def _digest(self, keys):
        return DIGEST

    async def _store(self, row, made):
        self.reached.set()
        await self.gate.wait()
        self.log += [share.reveal() for share in made.shares]


def decision():
    return SimpleNamespace(document=DOCUMENT, digest=DIGEST, bitmap=7, signatures=b"")


async def test_an_epoch_is_given_up_only_after_its_keys_are_stored():
    keys = Slow()
    async with asyncio.TaskGroup() as group:
        group.create_task(keys.decided(TOPIC, decision()))
        await keys.reached.wait()
        missed = group.create_task(keys._miss(EPOCH))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not missed.done()
        keys.gate.set()
    assert len(keys.log) == KEYS
    assert all(share.erased for share in keys.shares_made)


async def test_keys_of_an_epoch_that_was_given_up_are_not_stored():
    keys = Slow()
    await keys._miss(EPOCH)
    with pytest.raises(NotReadyError):
        await keys.decided(TOPIC, decision())
    assert not keys.reached.is_set()
