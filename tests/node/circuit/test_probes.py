import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.circuit.actions import ProbeAnswered
from node.circuit.messages import MessageType, encode_message
from node.circuit.probes import (
    ANSWERS_PER_S,
    MAX_WAITING,
    Echo,
    PaddingKind,
    Probes,
    decode_probe,
    encode_probe,
)
from qnet.errors import LocalProtocolError
from tests.node.circuit.network import CLIENT, Network

TOKENS = st.binary(min_size=8, max_size=8)


@given(st.sampled_from(PaddingKind), TOKENS)
def test_probes_round_trip(kind, token):
    data = encode_probe(kind, token)
    for wanted in PaddingKind:
        assert decode_probe(data, wanted) == (token if wanted is kind else None)


@given(st.binary(max_size=40))
def test_padding_never_crashes(data):
    token = decode_probe(data, PaddingKind.ASK)
    assert token is None or encode_probe(PaddingKind.ASK, token) == data
    probes = Probes(lambda count: b"t" * count)
    probes.ask(0, 0.0)
    assert probes.answered(0, data, 1.0) is None or data == b"\x02" + b"t" * 8


def test_every_hop_answers_with_its_round_trip():
    network = Network()
    circuit = network.built()
    tokens = [circuit.probe(network.now, hop) for hop in (0, 1, -1)]
    network.pump(CLIENT)
    network.now += 0.25
    network.settle()
    assert network.events_of(ProbeAnswered) == [
        ProbeAnswered(circuit.circuit_id, hop, tokens[hop], 0.25) for hop in (0, 1, 2)
    ]
    assert len(set(tokens)) == 3


def test_a_hop_answers_so_many_a_second_and_no_more():
    network = Network()
    circuit = network.built()
    ask = encode_message(MessageType.PADDING, 0, encode_probe(PaddingKind.ASK, b"8 bytes!"))
    hop = network.handle_at(1)
    network.inject(circuit, 1, ask * 50)
    assert not hop.ends.outbox.has_content
    before = len(network.wires[0, CLIENT].seen)
    network.inject(circuit, 1, ask * 50)
    assert len(network.wires[0, CLIENT].seen) == before
    for _ in range(ANSWERS_PER_S + 3):
        circuit.probe(network.now)
    network.settle()
    assert len(network.events_of(ProbeAnswered)) == ANSWERS_PER_S
    network.tick(1)
    circuit.probe(network.now)
    network.settle()
    assert len(network.events_of(ProbeAnswered)) == ANSWERS_PER_S + 1


def test_the_bucket_of_a_hop_is_its_own():
    echo = Echo(10.0)
    assert [echo.answer(b"12345678", 10.0) is not None for _ in range(ANSWERS_PER_S + 1)] == [
        *[True] * ANSWERS_PER_S,
        False,
    ]
    assert echo.answer(b"12345678", 10.0 + 1 / ANSWERS_PER_S) == b"\x0212345678"


def test_an_answer_counts_once_and_only_from_the_hop_that_was_asked():
    tokens = iter([b"A" * 8, b"B" * 8])
    probes = Probes(lambda _count: next(tokens))
    token, data = probes.ask(1, 5.0)
    assert data == b"\x01" + b"A" * 8
    answer = b"\x02" + b"A" * 8
    assert probes.answered(2, answer, 6.0) is None
    assert probes.answered(-1, b"\x02" + b"C" * 8, 6.0) is None
    assert probes.answered(1, data, 6.0) is None
    assert probes.answered(1, answer, 6.5) == (token, 1.5)
    assert probes.answered(1, answer, 6.5) is None


def test_the_oldest_probe_is_forgotten():
    numbers = iter(range(100))
    probes = Probes(lambda count: next(numbers).to_bytes(count, "big"))
    data = [probes.ask(0, 0.0)[1] for _ in range(MAX_WAITING + 1)]
    answers = [probes.answered(0, b"\x02" + asked[1:], 1.0) for asked in data]
    assert answers == [None, *((number, 1.0) for number in range(1, MAX_WAITING + 1))]


def test_other_padding_is_ignored_in_both_directions():
    network = Network()
    circuit = network.built()
    for data in (b"", b"\x00", b"p", b"\x01", b"\x02" + bytes(8), b"\x01" + bytes(9), bytes(9)):
        network.inject(circuit, 2, encode_message(MessageType.PADDING, 0, data))
        hop = network.handle_at(2)
        hop.ends.outbox.say(MessageType.PADDING, 0, data)
        hop.speak_up()
        network.settle()
    assert circuit.is_open
    assert network.events_of(ProbeAnswered) == []


def test_only_an_open_circuit_is_probed():
    network = Network()
    circuit = network.open_circuit(0, 1, 2)
    with pytest.raises(LocalProtocolError):
        circuit.probe(network.now)
