"""The tollgate's shell: batches, threads and the disk, with real signatures."""

import asyncio
import secrets
from contextlib import asynccontextmanager

import pytest

from node.circuit.actions import EndPayments, TakeToken, TakeUnit
from node.circuit.payment import PaymentState, PaymentStatus, Refusal
from node.payments.relay import toll_booth
from node.payments.relay.toll_booth import TollBooth
from node.payments.relay.toll_store import TollStore
from node.payments.relay.tollgate import (
    CLIENT_PATIENCE,
    PENDING_MAX,
    PRICED_BYTES,
    REFUSALS_MAX,
    Issued,
    Tollgate,
)
from qnet.crypto.bls import hash_to_g1
from qnet.crypto.hash_chain import HashChain
from qnet.crypto.points import G1, G2
from qnet.crypto.scalars import random_scalar
from qnet.messages.instruments import Opening, Place, Unit, token_id_of
from tests.support.network import eventually

PLACE = Place(31337, b"\x0c" * 20)
RELAY, EPOCH, NOW = 5, 4, 1000.0
SECRET = random_scalar(secrets.token_bytes)
PUBLIC = G2.generator() * SECRET
OPENED = PaymentStatus(PaymentState.USED_UP, 0)

pytestmark = pytest.mark.asyncio


def token(relay=RELAY):
    chain, refund = HashChain(secrets.token_bytes(32)), secrets.token_bytes(20)
    message = PLACE.token(EPOCH, relay, token_id_of(chain.top, refund))
    return chain, Opening(EPOCH, chain.top, refund, (hash_to_g1(message) * SECRET).encode())


class Core:
    """What a relay's core was told."""

    def __init__(self):
        self.weights = {}
        self.told = []
        self.wakes = 0

    def set_premium(self, circuit, *, premium):
        self.weights[circuit] = premium

    def tell_payment(self, circuit, status):
        self.told.append((circuit, status))


class Slow(TollStore):
    """A disk that waits to be let go."""

    hold = None
    writes = 0

    def write(self, openings, units):
        self.writes += 1
        if self.hold is not None:
            self.hold.wait(10)
        super().write(openings, units)


class Scene:
    def __init__(self, folder):
        self.core, self.store = Core(), Slow(folder / "tolls.db")
        self.gate = Tollgate(PLACE, RELAY, 1, {EPOCH: Issued(PUBLIC, NOW * 2)})
        self.booth = TollBooth(self.gate, self.store, self.core, self._wake, lambda: NOW)

    def _wake(self):
        self.core.wakes += 1

    def show(self, circuit, opening, link=1, *, from_node=False):
        self.booth.open(TakeToken(circuit, link, opening), from_node=from_node)

    def pay(self, circuit, chain, k):
        self.booth.pay(TakeUnit(circuit, Unit(k, chain.preimage(k))))

    async def hears(self, circuit, status):
        await eventually(lambda: (circuit, status) in self.core.told)


@asynccontextmanager
async def scene(folder):
    made = Scene(folder)
    task = asyncio.get_running_loop().create_task(made.booth.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        made.store.close()


async def test_a_token_is_verified_stored_answered_and_paid(tmp_path):
    async with scene(tmp_path) as made:
        chain, opening = token()
        made.show(1, opening)
        await made.hears(1, OPENED)
        made.pay(1, chain, 2)
        assert made.core.weights == {1: False}  # not before it is stored
        await made.hears(1, PaymentStatus.of(2 * PRICED_BYTES))
        assert made.core.weights == {1: True}
        assert [one.unit.k for one in made.store.spent(EPOCH)] == [2]
        made.booth.used({1: 2 * PRICED_BYTES})
        assert made.core.weights == {1: False}
        assert made.core.told[-1] == (1, OPENED)
        assert (made.booth.stats.tokens, made.booth.stats.units) == (1, 2)
        assert made.core.wakes >= 3


async def test_many_openings_make_few_batches_and_few_writes(tmp_path, monkeypatch):
    batches = []
    real = toll_booth.failing
    monkeypatch.setattr(
        toll_booth, "failing", lambda batch, key: batches.append(len(batch)) or real(batch, key)
    )
    async with scene(tmp_path) as made:
        for circuit in range(100):
            made.show(circuit, token()[1], link=circuit)
        await eventually(lambda: made.booth.stats.tokens == 100)
        assert sorted(batches) == [4, 32, 32, 32]
        assert made.store.writes <= 4


async def test_a_flood_of_bad_openings_costs_a_link_its_turn(tmp_path):
    """Bounded work: a few signatures of each link, then nothing is decoded any more."""
    async with scene(tmp_path) as made:
        junk = [secrets.token_bytes(48) for _ in range(50)]
        wrong = [(hash_to_g1(secrets.token_bytes(32)) * SECRET).encode() for _ in range(50)]
        for circuit, signature in enumerate(junk + wrong):
            made.show(circuit, Opening(EPOCH, secrets.token_bytes(32), bytes(20), signature))
        await eventually(lambda: len(made.core.told) == 100)
        await asyncio.sleep(0)
        refused = made.gate.refused
        decoded = refused.get(Refusal.POINT, 0) + refused.get(Refusal.SIGNATURE, 0)
        assert decoded == CLIENT_PATIENCE.failures
        assert refused[Refusal.FAILURES] == 100 - decoded
        # whoever comes another way is served
        chain, opening = token()
        made.show(200, opening, link=2)
        await made.hears(200, OPENED)
        made.pay(200, chain, 1)
        await eventually(lambda: made.core.weights.get(200))


async def test_clients_of_a_node_do_not_spoil_each_others_payments(tmp_path):
    async with scene(tmp_path) as made:
        for circuit in range(20):
            bad = Opening(EPOCH, secrets.token_bytes(32), bytes(20), bytes(48))
            made.show(circuit, bad, from_node=True)
        made.show(100, token()[1], from_node=True)
        await made.hears(100, OPENED)


async def test_bad_signatures_in_a_full_queue_are_found_one_by_one(tmp_path):
    async with scene(tmp_path) as made:
        good = [token()[1] for _ in range(30)]
        bad = [token(relay=RELAY + 1)[1] for _ in range(3)]
        for circuit, opening in enumerate(good + bad):
            made.show(circuit, opening, link=circuit)
        await eventually(lambda: len(made.core.told) == 33)
        assert made.gate.refused == {Refusal.SIGNATURE: 3}
        assert made.booth.stats.tokens == 30


async def test_openings_beyond_the_queue_are_refused(tmp_path):
    made = Scene(tmp_path)  # nobody verifies
    point = G1.decode(token()[1].signature).encode()
    for circuit in range(PENDING_MAX + 10):
        shown = Opening(EPOCH, circuit.to_bytes(32, "big"), bytes(20), point)
        made.show(circuit, shown, link=circuit)
    assert made.gate.refused == {Refusal.BUSY: 10}
    made.store.close()


async def test_a_storm_of_payments_is_hashed_once_and_answered_a_few_times(tmp_path):
    async with scene(tmp_path) as made:
        chain, opening = token()
        made.show(1, opening)
        await made.hears(1, OPENED)
        for _ in range(1000):
            made.booth.pay(TakeUnit(1, Unit(64, secrets.token_bytes(32))))
        refusals = [status for _, status in made.core.told if status != OPENED]
        assert len(refusals) == REFUSALS_MAX
        assert made.gate.refused[Refusal.CHAIN] == 1
        assert made.gate.refused[Refusal.CLOSED] == 999
        made.pay(1, chain, 1)
        assert made.store.spent(EPOCH) == []


async def test_a_replayed_unit_pays_nothing(tmp_path):
    async with scene(tmp_path) as made:
        chain, opening = token()
        made.show(1, opening)
        await made.hears(1, OPENED)
        made.pay(1, chain, 3)
        await eventually(lambda: made.booth.stats.units == 3)
        made.pay(1, chain, 3)
        assert made.core.told[-1] == (1, PaymentStatus.refused(Refusal.CHAIN))
        assert made.booth.stats.units == 3


async def test_a_token_shown_twice_is_refused_after_a_restart(tmp_path):
    async with scene(tmp_path) as made:
        _, opening = token()
        made.show(1, opening)
        made.show(2, opening)
        assert made.core.told == [(2, PaymentStatus.refused(Refusal.KNOWN))]
        await made.hears(1, OPENED)
    store = TollStore(tmp_path / "tolls.db")
    again = Tollgate(PLACE, RELAY, 1, {EPOCH: Issued(PUBLIC, NOW * 2)}, known=store.known(0))
    assert again.open(1, 1, opening, NOW)[0].why is Refusal.KNOWN
    store.close()


async def test_what_waits_for_the_disk_has_an_end(tmp_path, monkeypatch):
    import threading

    monkeypatch.setattr(toll_booth, "WRITES_MAX", 2)
    async with scene(tmp_path) as made:
        chain, opening = token()
        made.show(1, opening)
        await made.hears(1, OPENED)
        made.store.hold = threading.Event()
        writes = made.store.writes
        made.pay(1, chain, 1)
        await eventually(lambda: made.store.writes > writes)
        for k in (2, 3, 4):
            made.pay(1, chain, k)
        assert made.core.told[-1] == (1, PaymentStatus.refused(Refusal.BUSY))
        made.store.hold.set()
        await eventually(lambda: made.booth.stats.units == 3)


async def test_what_was_paid_when_the_node_stops_is_stored(tmp_path):
    async with scene(tmp_path) as made:
        chain, opening = token()
        made.show(1, opening)
        await made.hears(1, OPENED)
        made.pay(1, chain, 5)
    store = TollStore(tmp_path / "tolls.db")
    assert [one.unit.k for one in store.spent(EPOCH)] == [5]
    store.close()


async def test_a_circuit_that_went_is_forgotten(tmp_path):
    async with scene(tmp_path) as made:
        chain, opening = token()
        made.show(1, opening)
        made.booth.ended(EndPayments(1))
        await eventually(lambda: made.booth.stats.tokens == 1)
        made.pay(1, chain, 1)
        assert made.core.told == []
        assert made.gate._paying == {}
