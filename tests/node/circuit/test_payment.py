"""Payments inside circuits: what a relay reads, answers and counts, and what a client says."""

import secrets
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.circuit.actions import (
    CircuitBuilt,
    CircuitFailed,
    ConnectNext,
    EndPayments,
    PaymentAnswered,
    TakeToken,
    TakeUnit,
)
from node.circuit.cell import CELL_BYTES, Command
from node.circuit.messages import EndReason, MessageType, encode_message
from node.circuit.payment import (
    Carriage,
    PaymentState,
    PaymentStatus,
    Refusal,
    decode_payment,
)
from node.circuit.setup import Routing, decode_routing
from qnet.errors import DecodeError, LocalProtocolError
from qnet.messages.instruments import Opening, Unit
from tests.support.playbook import CLIENT, ENTRY, NEXT, Sent, data, end, heard, message, tells
from tests.support.playbook_origin import OriginPlay, answered, app, entry_grants, hop_says
from tests.support.playbook_relay import (
    LINKS,
    RelayPlay,
    client_tells,
    create,
    created,
    credit,
    destroy,
    link_ready,
    next_says,
    node,
    standing,
)

OPENING = Opening(3, b"\x01" * 32, b"\x02" * 20, b"\x03" * 48)
UNIT = Unit(7, b"\x04" * 32)
OPENED = PaymentStatus(PaymentState.USED_UP, 0)
PAID = PaymentStatus(PaymentState.PAID, 1024)
NO = PaymentStatus.refused(Refusal.KNOWN)


def pay(payment):
    return message(MessageType.PAY, 0, payment.encode())


def status(said):
    return message(MessageType.PAY_STATUS, 0, said.encode())


def shown(play):
    play.hops[0] = replace(play.hops[0], opening=OPENING)
    return play


# wire forms


@given(st.binary(max_size=200))
def test_what_is_no_payment_is_refused(content):
    try:
        assert decode_payment(content).encode() == content
    except DecodeError:
        assert len(content) != 104
    try:
        assert PaymentStatus.decode(content).encode() == content
    except DecodeError:
        assert len(content) != 5 or content[0] > 2


@pytest.mark.parametrize(("left", "state", "kib"), [(0, 1, 0), (1, 0, 1), (1 << 50, 0, 2**32 - 1)])
def test_what_is_left_is_said_in_kib(left, state, kib):
    assert PaymentStatus.of(left) == PaymentStatus(PaymentState(state), kib)


def test_reasons_have_words():
    assert all(PaymentStatus.refused(why).why == why.words for why in Refusal)
    assert PaymentStatus(PaymentState.REFUSED, 200).why == "reason 200"


def test_an_opening_travels_in_routing():
    routing = Routing(1, 5, b"\x07" * 32, OPENING)
    assert len(routing.encode()) == 160
    assert decode_routing(routing.encode()) == routing
    assert decode_routing(Routing(1).encode()).opening is None


# a relay


@pytest.mark.parametrize("last", [True, False])
def test_an_opening_in_create_is_answered_behind_created(last):
    play = shown(RelayPlay(last=last))
    play >> create()
    play << TakeToken(1, LINKS[CLIENT], OPENING)
    if last:
        play << Sent(CLIENT, Command.CREATED)
    else:
        play << ConnectNext(1, 2, play.next.node_id)
    play >> node("tell_payment", 1, NO)
    if last:
        play << heard(0, status(NO))
    else:
        play >> node("tell_payment", 1, OPENED)  # the newest stands
        play >> credit(CLIENT, 1)  # whatever happens: nothing is said before CREATED
        play >> link_ready() << Sent(NEXT, Command.CREATE)
        play >> created() << Sent(CLIENT, Command.CREATED) << heard(0, status(OPENED))
    play.end()


def test_a_middle_hop_is_paid_inside_its_layer():
    play = standing(RelayPlay())
    play >> client_tells(0, pay(OPENING)) << TakeToken(1, LINKS[CLIENT], OPENING)
    play >> client_tells(0, pay(UNIT)) << TakeUnit(1, UNIT)
    play >> node("tell_payment", 1, PAID) << heard(0, status(PAID))
    play >> client_tells(1, pay(UNIT)) << tells(1, pay(UNIT))
    play.end()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 33, b"\x41" + bytes(32), bytes(32), bytes(34), bytes(103), bytes(105)],
    ids=["empty", "k = 0", "k = 65", "short", "long", "short opening", "long opening"],
)
def test_a_malformed_payment_breaks_the_circuit(content):
    play = standing(RelayPlay())
    play >> client_tells(0, pay(OPENING)) << TakeToken(1, LINKS[CLIENT], OPENING)
    play >> client_tells(0, message(MessageType.PAY, 0, content))
    assert Sent(CLIENT, Command.DESTROY) in play.skip(Sent)
    play << heard(0, end(0, EndReason.PROTOCOL))
    play << EndPayments(1)


@pytest.mark.parametrize(
    "said",
    [pay(UNIT), message(MessageType.PAY, 1, UNIT.encode()), status(PAID)],
    ids=["unit of no token", "on a stream", "from the wrong side"],
)
def test_what_must_not_be_said_breaks_the_circuit(said):
    play = standing(RelayPlay())
    play >> client_tells(0, said)
    play << heard(0, end(0, EndReason.PROTOCOL))
    play.skip(Sent)
    play.end()


def test_payments_end_with_their_circuit():
    play = shown(RelayPlay(last=True)) >> create()
    play << TakeToken(1, LINKS[CLIENT], OPENING) << Sent(CLIENT, Command.CREATED)
    play >> destroy(CLIENT)
    play << EndPayments(1) << Sent(CLIENT, Command.DESTROY)
    play >> node("tell_payment", 1, PAID)
    play.end()


def test_a_storm_of_payments_that_are_answered_ends_the_circuit():
    """Refusals wait in the same bounded place as all small answers."""
    play = shown(RelayPlay(last=True)) >> create()
    play << TakeToken(1, LINKS[CLIENT], OPENING) << Sent(CLIENT, Command.CREATED)
    for _ in range(5000):
        play.core.tell_payment(1, NO)
    play >> credit(CLIENT, 1)
    assert play.core.circuits == 0 or play.core._circuits[1].state.name == "DRAINING"


def test_only_what_premium_circuits_send_on_is_counted():
    play = standing(RelayPlay())
    play >> client_tells(1, data(1, b"x"))
    play.skip(object)
    assert play.core.take_used() == {}
    play.core.set_premium(1, premium=True)
    play >> client_tells(1, data(1, b"x"))
    play.skip(object)
    play >> client_tells(0, message(MessageType.PADDING, 0, b""))  # stops here
    play.skip(object)
    play >> next_says(data(1, b"y"), cells=3)
    play.skip(object)
    play >> node("tell_payment", 1, PAID)
    play.skip(object)
    assert play.core.take_used() == {1: (1 + 3 + 1) * CELL_BYTES}
    assert play.core.take_used() == {}


# a client


def test_a_client_shows_pays_and_hears():
    play = OriginPlay()
    play << Sent(ENTRY, Command.CREATE)
    play >> answered() << CircuitBuilt(play.circuit.circuit_id, 0.0)
    for hop in range(3):
        play >> app(lambda circuit, hop=hop: circuit.pay(hop, OPENING)) << tells(hop, pay(OPENING))
        play >> app(lambda circuit, hop=hop: circuit.pay(hop, UNIT)) << tells(hop, pay(UNIT))
        play >> hop_says(hop, status(NO))
        play << PaymentAnswered(play.circuit.circuit_id, hop, NO)
    play.end()
    play.circuit.destroy()
    with pytest.raises(LocalProtocolError):
        play.circuit.pay(0, UNIT)


@pytest.mark.parametrize("content", [b"\x03" + bytes(4), bytes(4), bytes(6)])
def test_a_hop_answers_for_a_malformed_status(content):
    play = OriginPlay()
    play.skip(Sent)
    play >> answered()
    play.skip(object)
    play >> hop_says(1, message(MessageType.PAY_STATUS, 0, content))
    play << CircuitFailed(play.circuit.circuit_id, EndReason.PROTOCOL, 1)
    play << Sent(ENTRY, Command.DESTROY)


def test_client_and_hops_count_the_same():
    """The first hop sends on all but what stops there; the last only what it says itself."""
    play = OriginPlay()
    play.skip(Sent)
    play >> answered()
    carriage = play.circuit.count_carriage()
    assert play.circuit.count_carriage() is carriage
    play.skip(object)
    play >> entry_grants(1000)
    for hop, cells in enumerate((1, 2, 4)):
        for _ in range(cells):
            play >> app(lambda circuit, hop=hop: circuit.pay(hop, UNIT)) << tells(hop, pay(UNIT))
            play >> hop_says(hop, status(PAID))
            play << PaymentAnswered(play.circuit.circuit_id, hop, PAID)
    told, said = (1, 2, 4), (1, 2, 4)
    expected = [sum(told[hop + 1 :]) + sum(said[hop:]) for hop in range(3)]
    assert carriage.bytes_by_hop() == [cells * CELL_BYTES for cells in expected]


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=50))
def test_carriage_is_what_passes_a_hop(moves):
    carriage = Carriage(5)
    for position, is_told in moves:
        if is_told:
            carriage.told(position)
        else:
            carriage.heard(position, 1)
    assert carriage.bytes_by_hop() == [
        CELL_BYTES * sum(place > hop if is_told else place >= hop for place, is_told in moves)
        for hop in range(5)
    ]


def test_random_bytes_in_a_cell_are_no_payment():
    """What a client of another version says in PAY is a broken rule, whatever its length."""
    play = standing(RelayPlay(last=True))
    play >> client_tells(0, message(MessageType.PAY, 0, secrets.token_bytes(60)))
    play << heard(0, end(0, EndReason.PROTOCOL))
    assert encode_message(MessageType.PAY, 0, b"")[0] == 8
