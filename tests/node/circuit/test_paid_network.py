"""A client, three relays and their gates, without sockets: paid circuits from end to end."""

import secrets

import pytest

from node.circuit.actions import EndPayments, PaymentAnswered, TakeToken, TakeUnit
from node.circuit.payment import PaymentState, PaymentStatus, Refusal
from node.payments.relay.toll_booth import failing
from node.payments.relay.tollgate import (
    PRICED_BYTES,
    Issued,
    Refused,
    SetWeight,
    StoreToken,
    StoreUnit,
    Tollgate,
)
from node.payments.user.payer import (
    DropToken,
    PaidHop,
    Payer,
    ShowToken,
    SpendUnits,
)
from node.payments.user.payer import (
    TakeToken as Take,
)
from qnet.crypto.points import G2
from qnet.messages.instruments import TOKEN_CLASS, TOKEN_UNITS
from tests.node.circuit.network import Network
from tools.bench.issuer import LocalIssuer

ISSUER = LocalIssuer.draw()
KEY = G2.decode_eip2537(ISSUER.shown.encoded[TOKEN_CLASS])
EPOCH, NOW, RTT, PRICE = 0, 1000.0, 0.1, 8
UNIT = PRICED_BYTES // PRICE


class PaidNetwork(Network):
    """Relays that take payment, and keep what they get in memory."""

    def __init__(self):
        super().__init__()
        self.gates = [
            Tollgate(ISSUER.place, index + 1, PRICE, {EPOCH: Issued(KEY, 1e12)})
            for index in range(3)
        ]
        self.kept = [{}, {}, {}]

    def carry_out(self, index, actions):
        super().carry_out(index, actions)
        gate = self.gates[index]
        for action in actions:
            if isinstance(action, TakeToken):
                said = gate.open(action.circuit, action.link, action.opening, NOW)
                for batch in gate.batches().values():
                    said += gate.judged(batch, (), NOW)
                self._do(index, said)
            elif isinstance(action, TakeUnit):
                self._do(index, gate.pay(action.circuit, action.unit, NOW))
            elif isinstance(action, EndPayments):
                gate.closed(action.circuit)

    def _do(self, index, actions):
        gate, core = self.gates[index], self.cores[index]
        for action in actions:
            if isinstance(action, StoreToken):
                self.kept[index].setdefault(action.opening.token_id, 0)
                self._do(index, gate.stored(action.circuit, action.opening))
            elif isinstance(action, StoreUnit):
                self.kept[index][action.token_id] = action.unit.k
                self._do(index, gate.paid(action.circuit, action.added))
            elif isinstance(action, SetWeight):
                core.set_premium(action.circuit, premium=action.premium)
                core.tell_payment(action.circuit, PaymentStatus.of(action.left_bytes))
            else:
                assert isinstance(action, Refused)
                core.tell_payment(action.circuit, PaymentStatus.refused(action.why))

    def left(self):
        """Bytes left of what the only circuit paid, at each hop."""
        handles = [self.handle_at(index).handle for index in range(3)]
        return [gate._paying[one].left_bytes for gate, one in zip(self.gates, handles, strict=True)]

    def pump(self, index):
        super().pump(index)
        if index >= 0 and index not in self.dead:
            for circuit, size in self.cores[index].take_used().items():
                self._do(index, self.gates[index].used(circuit, size))


class PayingClient:
    """The client's side: a payer whose purse is never empty."""

    def __init__(self, network):
        self.network = network
        self.circuit = network.built()
        self.carriage = self.circuit.count_carriage()
        self.payer = Payer([PaidHop(relay, PRICE) for relay in (1, 2, 3)])
        self.tokens, self.dropped = [], []
        self.now, self.heard = NOW, 0

    def follow(self, orders):
        for order in orders:
            if isinstance(order, Take):
                self.tokens.append(ISSUER.token(order.hop + 1, EPOCH))
                self.follow(self.payer.took(order.hop, self.tokens[-1], self.now))
            elif isinstance(order, ShowToken):
                self.circuit.pay(order.hop, order.token.opening)
            elif isinstance(order, SpendUnits):
                added, order.token.k = order.k - order.token.k, order.k
                self.circuit.pay(order.hop, order.token.unit(order.k))
                self.follow(self.payer.spent(order.hop, added))
            else:
                assert isinstance(order, DropToken)
                self.dropped.append(order.why)

    def step(self):
        """Look, pay, and let everything arrive."""
        self.now += 0.05
        self.follow(self.payer.look(self.now, self.carriage.bytes_by_hop(), RTT))
        self.network.settle()
        answers = self.network.events_of(PaymentAnswered)
        for event in answers[self.heard :]:
            self.follow(self.payer.told(event.hop, event.status))
        self.heard = len(answers)
        self.network.settle()


@pytest.fixture
def paid():
    client = PayingClient(PaidNetwork())
    for _ in range(4):
        client.step()
    return client


def test_all_hops_of_a_circuit_give_it_premium_weight(paid):
    assert [hop.is_premium for hop in paid.payer.hops] == [True] * 3
    assert [paid.network.handle_at(hop).is_premium for hop in range(3)] == [True] * 3


def test_both_sides_count_the_same_bytes(paid):
    """Once everything has arrived, to the byte; units follow."""
    network, circuit = paid.network, paid.circuit
    stream = circuit.open_stream("a.example", 80)
    network.settle()
    before = paid.carriage.bytes_by_hop()
    left = network.left()
    network.send_all(circuit, stream, secrets.token_bytes(20_000))
    network.respond((2, network.handle_at(2).handle, stream), secrets.token_bytes(30_000))
    network.settle()
    used = [total - b for total, b in zip(paid.carriage.bytes_by_hop(), before, strict=True)]
    after = network.left()
    assert [a - b for a, b in zip(left, after, strict=True)] == used
    assert used[0] >= used[1] >= used[2] > 0


def test_a_long_transfer_is_paid_over_several_tokens(paid):
    network, circuit = paid.network, paid.circuit
    stream = circuit.open_stream("a.example", 80)
    network.settle()
    key = (2, network.handle_at(2).handle, stream)
    size, sent = 70 * UNIT, 0
    while sent < size:
        network.respond(key, bytes(UNIT // 4))
        sent += UNIT // 4
        paid.step()
    for hop in paid.payer.hops:
        assert hop.units > TOKEN_UNITS
        assert hop.is_premium
    kept = [sum(units.values()) for units in network.kept]
    assert kept == [hop.units for hop in paid.payer.hops]
    assert all(hop.units * UNIT >= size for hop in paid.payer.hops)
    assert all(len(units) >= 2 for units in network.kept)
    paid.follow(paid.payer.leave())
    network.settle()
    assert {token.k for token in paid.tokens if token.k} <= set(range(48, 65))
    assert sum(token.k for token in paid.tokens) == sum(sum(u.values()) for u in network.kept)


def test_a_token_that_one_relay_took_is_worth_nothing_at_another(paid):
    """Bound to its relay: the signature does not hold elsewhere, whoever shows it."""
    network = paid.network
    token = paid.tokens[0]
    for gate in network.gates[1:]:
        assert gate.open(99, 5, token.opening, NOW) == []
        (batch,) = gate.batches().values()
        assert failing(batch, KEY) == (0,)
        (refused,) = gate.judged(batch, (0,), NOW)
        assert refused.why is Refusal.SIGNATURE
    said = network.gates[0].open(99, 5, token.opening, NOW)
    assert said[0].why is Refusal.KNOWN


def test_payments_end_with_the_circuit(paid):
    paid.circuit.destroy()
    paid.network.settle()
    assert [gate._paying for gate in paid.network.gates] == [{}, {}, {}]
    assert all(len(kept) == 1 for kept in paid.network.kept)


def test_a_hop_that_refuses_is_paid_no_more_and_the_circuit_stands():
    network = PaidNetwork()
    network.gates[1].issued = {}
    client = PayingClient(network)
    for _ in range(4):
        client.step()
    assert [hop.is_premium for hop in client.payer.hops] == [True, False, True]
    assert client.dropped == [Refusal.EPOCH.words]
    assert client.circuit.is_open
    states = [event.status.state for event in network.events_of(PaymentAnswered) if event.hop == 1]
    assert states == [PaymentState.REFUSED]
