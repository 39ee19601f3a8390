"""Paying a circuit out of a purse: what reaches the hops, and what becomes of the tokens."""

import asyncio
from types import SimpleNamespace

import pytest

from node.circuit.payment import Carriage, PaymentState, PaymentStatus, Refusal
from node.circuit.setup import HopInfo
from node.client.paths.circuit import Circuit
from node.client.paths.payments import Payments, with_openings
from qnet.errors import UsageError
from qnet.messages.instruments import Opening, Unit
from tests.support.network import eventually
from tools.bench.issuer import LocalIssuer, LocalPurse

ISSUER = LocalIssuer.draw()
OPENED = PaymentStatus(PaymentState.USED_UP, 0)
NODES = [SimpleNamespace(index=1, price=1), SimpleNamespace(index=2, price=0)]

pytestmark = pytest.mark.asyncio


class Origin:
    """A circuit core that notes what is paid."""

    def __init__(self):
        self.circuit_id = 1
        self.is_open, self.destroyed = True, False
        self.paid = []
        self.carriage = Carriage(2)
        self.probed = []

    def count_carriage(self):
        return self.carriage

    def pay(self, hop, payment):
        self.paid.append((hop, payment))

    def probe(self, now, hop):
        self.probed.append(len(self.paid))
        return 7

    def destroy(self):
        self.is_open, self.destroyed = False, True


class Entry:
    def __init__(self):
        self.paying, self.circuits = set(), {}
        self.time = 0.0

    def now(self):
        self.time += 0.01
        return self.time

    def wake(self):
        """Nobody moves cells here."""


class Scene:
    def __init__(self, group, purse=None):
        self.entry, self.origin = Entry(), Origin()
        self.purse = LocalPurse(ISSUER) if purse is None else purse
        self.payments = Payments(group.create_task, self.purse)
        built = asyncio.get_running_loop().create_future()
        self.circuit = Circuit(self.entry, self.origin, 0.0, built)
        self.began = self.payments.begin(self.circuit, NODES)

    async def opened(self):
        self.began.look()
        await eventually(lambda: self.origin.paid)
        self.began.told(0, OPENED)
        await eventually(lambda: len(self.origin.paid) == 2)


async def test_a_token_is_shown_and_paid_after_its_answer():
    async with asyncio.TaskGroup() as group:
        scene = Scene(group)
        await scene.opened()
    (hop, opening), (_, unit) = scene.origin.paid
    assert (hop, isinstance(opening, Opening)) == (0, True)
    assert unit == scene.purse.taken[0].unit(1)
    assert [row["units"] for row in scene.began.row()] == [1, 0]
    assert len(scene.purse.taken) == 1  # the free hop is paid nothing


async def test_an_end_pays_up_and_hears_of_it_before_destroy():
    async with asyncio.TaskGroup() as group:
        scene = Scene(group)
        await scene.opened()
        scene.circuit.destroy()
        scene.circuit.destroy()
        assert not scene.circuit.is_open
        assert scene.circuit.stands
        await eventually(lambda: scene.origin.probed)
        assert not scene.origin.destroyed
        scene.circuit.probe_answered(7, 0.1)
        await eventually(lambda: scene.origin.destroyed)
    token = scene.purse.taken[0]
    assert scene.origin.paid[-1] == (0, Unit(token.last, token.chain.preimage(token.last)))
    assert scene.origin.probed == [3]
    assert scene.began.over.is_set()
    assert scene.purse.refusals == []
    assert not scene.entry.paying


async def test_an_end_does_not_wait_for_a_hop_that_is_gone(monkeypatch):
    monkeypatch.setattr("node.client.paths.payments.LEAVE_S", 0.1)
    async with asyncio.TaskGroup() as group:
        scene = Scene(group)
        await scene.opened()
        scene.circuit.destroy()
        await eventually(lambda: scene.origin.destroyed)


async def test_tokens_of_a_circuit_that_broke_are_not_shown_again():
    async with asyncio.TaskGroup() as group:
        scene = Scene(group)
        await scene.opened()
        scene.circuit.lost(None, "gone")
    assert scene.purse.refusals == ["the circuit broke before it was paid up"]


async def test_a_refusal_reaches_the_purse():
    async with asyncio.TaskGroup() as group:
        scene = Scene(group)
        scene.began.look()
        await eventually(lambda: scene.origin.paid)
        scene.began.told(0, PaymentStatus.refused(Refusal.KNOWN))
    assert scene.purse.refusals == [Refusal.KNOWN.words]
    assert scene.began.row()[0]["problem"] == Refusal.KNOWN.words


async def test_a_purse_that_fails_ends_paying_and_nothing_else():
    class Broken(LocalPurse):
        async def take(self, relay):
            raise UsageError("disk full")

    async with asyncio.TaskGroup() as group:
        scene = Scene(group, Broken(ISSUER))
        scene.began.look()
        await eventually(lambda: scene.began.row()[0]["problem"] == "disk full")
        assert await scene.payments.tokens_for(NODES) == [None, None]
    assert scene.circuit.is_open


async def test_a_token_whose_time_is_over_is_not_shown_and_the_next_follows():
    class Late(LocalPurse):
        async def spend(self, token, k):
            return len(self.taken) > 1 and await super().spend(token, k)

    async with asyncio.TaskGroup() as group:
        scene = Scene(group, Late(ISSUER))
        scene.began.look()
        await eventually(lambda: scene.origin.paid)
        scene.began.told(0, OPENED)
        await eventually(lambda: scene.purse.refusals)
        assert scene.began.row()[0]["units"] == 0
        scene.began.look()
        await eventually(lambda: len(scene.purse.taken) == 2)
        assert scene.began.row()[0]["problem"] == ""


async def test_create_shows_tokens_of_hops_that_take_them():
    payments = Payments(lambda _work: None, LocalPurse(ISSUER))
    token, nothing = await payments.tokens_for(NODES)
    assert (token.relay, nothing) == (1, None)
    hops = [HopInfo(1, b"\x01" * 32, b"\x02" * 32), HopInfo(2, b"\x03" * 32, b"\x04" * 32)]
    shown = with_openings(hops, [token, nothing])
    assert [hop.opening for hop in shown] == [token.opening, None]
    assert with_openings(hops, []) == hops
    payments.wasted([token, None])
    assert payments.purse.refusals == ["the circuit was not built"]


async def test_without_purse_or_price_nothing_is_paid():
    payments = Payments(lambda _work: None)
    circuit = SimpleNamespace(payments=None)
    assert payments.begin(circuit, NODES) is None
    payments.purse = LocalPurse(ISSUER)
    assert payments.begin(circuit, NODES[1:]) is None
    assert await Payments(lambda _work: None).tokens_for(NODES) == [None, None]
    await payments.settle([circuit])
