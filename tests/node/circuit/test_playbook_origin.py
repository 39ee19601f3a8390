"""What a client's circuit does, line by line; its three hops are scripted."""

import pytest

from node.circuit.actions import (
    CircuitBuilt,
    CircuitFailed,
    HopRekeyed,
    NameResolved,
    ProbeAnswered,
    StreamConnected,
    StreamData,
    StreamEnded,
    StreamWritable,
)
from node.circuit.cell import Command
from node.circuit.flow import INITIAL_CELLS, INITIAL_STREAM_BYTES
from node.circuit.messages import MAX_ANSWERS, Answer, EndReason, MessageType, encode_answers
from node.circuit.probes import PaddingKind, encode_probe
from node.circuit.upkeep import ANSWER_GRACE_S
from tests.support.playbook import (
    ENTRY,
    PARAMETERS,
    Sent,
    Tells,
    begin,
    data,
    end,
    message,
    tells,
)
from tests.support.playbook_origin import (
    OriginPlay,
    answered,
    app,
    entry_destroys,
    entry_gone,
    entry_grants,
    entry_sends,
    hop_rekeyed,
    hop_says,
    passes,
)

BUILD_S = PARAMETERS.circuit_build_s
ASKED = Sent(ENTRY, Command.CREATE)
LEFT = Sent(ENTRY, Command.DESTROY)
CONNECTED = message(MessageType.CONNECTED, 1)


def failed(reason, hop):
    return CircuitFailed(1, reason, hop)


def ended(reason, stream=1):
    return StreamEnded(1, stream, reason)


@pytest.fixture
def play():
    """CREATE is on its way."""
    play = OriginPlay() << ASKED
    yield play
    play.end()


@pytest.fixture
def circuit(play):
    """A circuit that stands."""
    return play >> answered() << CircuitBuilt(1, 0.0)


@pytest.fixture
def stream(circuit):
    """Stream 1, connected."""
    circuit >> app(lambda c: c.open_stream("a.example", 80)) << tells(2, begin(1))
    return circuit >> hop_says(2, CONNECTED) << StreamConnected(1, 1, b"")


def breaks(play, hop):
    """The circuit ends since a hop broke a rule; stream 1 ends with it."""
    return play << ended(EndReason.PROTOCOL) << failed(EndReason.PROTOCOL, hop) << LEFT


# setup


@pytest.mark.parametrize("hops", [1, 2])
def test_a_chain_that_ends_early_waits_for_the_reason(play, hops):
    play >> answered(hops)
    play >> hop_says(hops - 1, end(0, EndReason.LINK_FAILED))
    play << failed(EndReason.LINK_FAILED, hops) << LEFT


@pytest.mark.parametrize("hops", [1, 2])
def test_a_chain_that_ends_early_without_a_reason(play, hops):
    play >> answered(hops)
    play >> entry_destroys() << failed(EndReason.NEXT_DESTROYED, hops) << LEFT


def test_a_chain_that_ends_early_and_says_nothing(play):
    play >> answered(1)
    play >> passes(BUILD_S) << failed(EndReason.BUILD_TIMEOUT, None) << LEFT


def test_an_entry_that_refuses(play):
    play >> entry_destroys() << failed(EndReason.CIRCUIT_DESTROYED, 0) << LEFT


def test_an_entry_that_does_not_answer(play):
    play >> passes(BUILD_S - 1)
    play >> passes(1) << failed(EndReason.BUILD_TIMEOUT, None) << LEFT
    play >> answered()


@pytest.mark.parametrize("place", [0, 40, 60, 1000, 2039])
def test_an_answer_with_a_bit_turned(play, place):
    def spoil(body):
        return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]

    play >> answered(spoil=spoil) << failed(EndReason.PROTOCOL, None) << LEFT


def test_cells_before_the_answer(play):
    play >> entry_sends(Command.RELAY) << failed(EndReason.PROTOCOL, None) << LEFT


def test_a_second_answer(circuit):
    circuit >> entry_sends(Command.CREATED) << failed(EndReason.PROTOCOL, None) << LEFT


def test_the_link_goes_while_the_circuit_is_built(play):
    play >> entry_gone() << failed(EndReason.LINK_LOST, 0)


# streams


def test_a_request_and_its_answer(stream):
    (
        stream
        >> app(lambda c: c.send(1, b"GET /"))
        << tells(2, data(1, b"GET /"))
        >> hop_says(2, data(1, b"200 OK"), end(1))
        << StreamData(1, 1, (b"200 OK",))
        << ended(EndReason.DONE)
        >> app(lambda c: c.end(1))
        << tells(2, end(1))
    )
    assert stream.circuit.streams == 0


def test_data_with_begin_leaves_at_once(circuit):
    def both(c):
        c.open_stream("a.example", 80)
        c.send(1, b"early")

    circuit >> app(both) << tells(2, begin(1), data(1, b"early"))


@pytest.mark.parametrize("reason", [EndReason.POLICY, EndReason.CONNECT_TIMEOUT, EndReason.RESET])
def test_a_refused_stream_leaves_the_circuit_standing(circuit, reason):
    circuit >> app(lambda c: c.open_stream("a.example", 80)) << tells(2, begin(1))
    circuit >> hop_says(2, end(1, reason)) << ended(reason)
    circuit >> hop_says(2, data(1, b"crossed")) >> hop_says(2, CONNECTED)
    assert circuit.circuit.is_open


def test_an_application_that_is_done_first(stream):
    stream >> app(lambda c: c.end(1)) << tells(2, end(1))
    stream >> hop_says(2, data(1, b"answer")) << StreamData(1, 1, (b"answer",))
    stream >> hop_says(2, end(1)) << ended(EndReason.DONE)


def test_an_application_that_drops_the_stream_hears_no_more(stream):
    stream >> app(lambda c: c.end(1, EndReason.RESET)) << tells(2, end(1, EndReason.RESET))
    stream >> hop_says(2, data(1, b"late")) >> hop_says(2, end(1))


def test_a_name(circuit):
    found = (Answer(bytes(4), 60),)
    circuit >> app(lambda c: c.resolve("a.example"))
    circuit << tells(2, message(MessageType.RESOLVE, 1, b"a.example"))
    circuit >> hop_says(2, message(MessageType.RESOLVED, 1, encode_answers(found)))
    circuit << NameResolved(1, 1, found)
    circuit >> hop_says(2, message(MessageType.RESOLVED, 1, encode_answers(found)))


def test_the_directory_at_any_hop(circuit):
    circuit >> app(lambda c: c.begin_directory(hop=1))
    circuit << tells(1, message(MessageType.BEGIN_DIR, 1))
    circuit >> hop_says(1, data(1, b"consensus"), end(1))
    circuit << StreamData(1, 1, (b"consensus",)) << ended(EndReason.DONE)


# an exit that breaks the rules


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(data(1, b"no CONNECTED yet"), id="data before connected"),
        pytest.param(end(1), id="an orderly end before connected"),
        pytest.param(message(MessageType.RESOLVED, 1, b"\x00"), id="an answer to no question"),
        pytest.param(message(MessageType.CONNECTED, 1, b"abc"), id="an address of three bytes"),
        pytest.param(message(MessageType.BEGIN, 1, b"\x00\x50a"), id="a message of clients"),
        pytest.param(message(99, 1), id="an unknown message"),
    ],
)
def test_an_exit_that_says_what_it_must_not(circuit, said):
    circuit >> app(lambda c: c.open_stream("a.example", 80)) << tells(2, begin(1))
    breaks(circuit >> hop_says(2, said), 2)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(bytes([MAX_ANSWERS + 1]) + 17 * (b"\x04" + bytes(8)), id="too many"),
        pytest.param(b"\x02\x04" + bytes(8), id="fewer than it says"),
        pytest.param(b"\x00\x04" + bytes(8), id="more than it says"),
        pytest.param(b"\x01\x05" + bytes(9), id="an address of five bytes"),
    ],
)
def test_an_exit_whose_answer_to_a_name_is_malformed(circuit, content):
    circuit >> app(lambda c: c.resolve("a.example"))
    circuit << tells(2, message(MessageType.RESOLVE, 1, b"a.example"))
    breaks(circuit >> hop_says(2, message(MessageType.RESOLVED, 1, content)), 2)


@pytest.mark.parametrize("said", [data(1, b"x"), CONNECTED, end(1)])
def test_an_exit_that_answers_a_name_with_something_else(circuit, said):
    circuit >> app(lambda c: c.resolve("a.example"))
    circuit << tells(2, message(MessageType.RESOLVE, 1, b"a.example"))
    breaks(circuit >> hop_says(2, said), 2)


def test_an_exit_that_connects_twice(stream):
    breaks(stream >> hop_says(2, CONNECTED), 2)


def test_an_exit_that_goes_on_after_its_end(stream):
    stream >> hop_says(2, end(1)) << ended(EndReason.DONE)
    breaks(stream >> hop_says(2, data(1, b"more")), 2)


def test_an_exit_that_ends_twice(stream):
    stream >> hop_says(2, end(1)) << ended(EndReason.DONE)
    breaks(stream >> hop_says(2, end(1)), 2)


def test_an_exit_that_floods_a_stream_beyond_its_credit(stream):
    """The application takes nothing, so nothing is granted."""
    chunk = data(1, bytes(2000))
    for _ in range(INITIAL_STREAM_BYTES // 2000):
        stream >> hop_says(2, chunk) << StreamData(1, 1, (chunk.data,))
    breaks(stream >> hop_says(2, chunk), 2)


def test_an_exit_that_grants_without_end(stream):
    grant = message(MessageType.CREDIT, 1, b"\xff" * 4)
    breaks(stream >> hop_says(2, grant), 2)


@pytest.mark.parametrize("ask", ["open_stream", "resolve"])
def test_an_exit_that_never_answers(circuit, ask):
    arguments = {"open_stream": ("a.example", 80), "resolve": ("a.example",)}[ask]
    circuit >> app(lambda c: getattr(c, ask)(*arguments))
    circuit.skip(Tells)
    circuit >> passes(PARAMETERS.stream_connect_s + ANSWER_GRACE_S - 1)
    circuit >> passes(1) << ended(EndReason.BUILD_TIMEOUT)
    circuit << failed(EndReason.BUILD_TIMEOUT, 2) << LEFT


def test_an_exit_that_answered_in_time_may_be_quiet_for_ever(stream):
    stream >> passes(PARAMETERS.stream_connect_s + ANSWER_GRACE_S)
    assert stream.circuit.is_open


def test_the_directory_owes_no_answer(circuit):
    circuit >> app(lambda c: c.begin_directory(hop=1))
    circuit.skip(Tells)
    circuit >> passes(PARAMETERS.stream_connect_s + ANSWER_GRACE_S)
    assert circuit.circuit.is_open


def test_a_hop_in_the_middle_cannot_speak_for_the_exit(stream):
    """Streams belong to the hop that serves them."""
    stream >> hop_says(1, data(1, b"mine?")) >> hop_says(1, end(1)) >> hop_says(0, end(1))
    stream >> hop_says(2, data(1, b"yes")) << StreamData(1, 1, (b"yes",))


# an entry or a middle hop that breaks the rules


def test_a_cell_that_nobody_sent(stream):
    breaks(stream >> entry_sends(Command.RELAY), None)


def test_a_cell_that_comes_twice(stream):
    cell = stream.said_by(2, [data(1, b"once")])
    stream >> (lambda play: play.arrive(cell)) << StreamData(1, 1, (b"once",))
    breaks(stream >> (lambda play: play.arrive(cell)), None)


def test_cells_that_change_places(stream):
    first, second = (stream.said_by(2, [data(1, word)]) for word in (b"one", b"two"))
    breaks(stream >> (lambda play: play.arrive(second, first)), None)


def test_a_cell_that_is_lost(stream):
    stream.said_by(2, [data(1, b"lost")])
    breaks(stream >> hop_says(2, data(1, b"found")), None)


def test_an_entry_beyond_its_credit(stream):
    """More at once than any grant."""
    cells = [stream.said_by(2, [message(MessageType.PADDING)]) for _ in range(INITIAL_CELLS)]
    breaks(stream >> (lambda play: play.arrive(*cells)), 0)


def test_an_entry_that_grants_without_end(stream):
    stream.circuit.lane.credit = (1 << 32) - 1
    breaks(stream >> entry_grants(1), 0)


@pytest.mark.parametrize("hop", [0, 1, 2])
def test_every_hop_can_end_the_circuit_and_is_named(stream, hop):
    stream >> hop_says(hop, end(0, EndReason.RESOURCE_LIMIT))
    stream << ended(EndReason.RESOURCE_LIMIT) << failed(EndReason.RESOURCE_LIMIT, hop) << LEFT


@pytest.mark.parametrize(("hop", "named"), [(0, 1), (1, 2), (2, 2)])
def test_a_hop_that_blames_the_next(stream, hop, named):
    stream >> hop_says(hop, end(0, EndReason.LINK_LOST))
    stream << ended(EndReason.LINK_LOST) << failed(EndReason.LINK_LOST, named) << LEFT


# credit


def test_an_application_waits_for_the_streams_credit(stream):
    taken = []
    stream.circuit.lane.credit = 1000
    stream >> app(lambda c: taken.append(c.send(1, bytes(INITIAL_STREAM_BYTES + 5))))
    cells = stream.skip(Tells)
    assert taken == [INITIAL_STREAM_BYTES]
    assert sum(len(one.data) for cell in cells for one in cell.messages) == INITIAL_STREAM_BYTES
    grant = message(MessageType.CREDIT, 1, (INITIAL_STREAM_BYTES).to_bytes(4))
    stream >> hop_says(2, grant) << StreamWritable(1, 1)


def test_cells_wait_for_the_entrys_credit(stream):
    stream.circuit.lane.credit = 0
    stream >> app(lambda c: c.send(1, b"waits"))
    stream >> entry_grants(1) << tells(2, data(1, b"waits"))


# rekey, probes


def test_all_hops_get_fresh_keys_one_after_the_other(stream):
    stream >> app(lambda c: c.rekey(stream.now))
    asked = stream.skip(Tells)
    assert [(cell.hop, cell.messages[0].kind) for cell in asked] == [
        (hop, MessageType.REKEY) for hop in range(3)
    ]
    for hop in (1, 2, 0):
        stream.asked = asked[hop].messages[0].data
        stream >> hop_rekeyed(hop)
        stream << tells(hop, message(MessageType.REKEY_SWITCH, 0, (1).to_bytes(4)))
        stream << HopRekeyed(1, hop, 1)
        stream >> hop_says(2, data(1, b"meanwhile")) << StreamData(1, 1, (b"meanwhile",))
        stream >> app(lambda c: c.send(1, b"onward")) << tells(2, data(1, b"onward"))
    assert stream.circuit.generations == (1, 1, 1)


def test_a_rekey_that_crosses_data_in_both_directions(stream):
    stream.circuit.lane.credit = 0
    stream >> app(lambda c: c.rekey(stream.now)) >> app(lambda c: c.send(1, b"waits"))
    stream >> hop_says(2, data(1, b"comes")) << StreamData(1, 1, (b"comes",))
    stream >> entry_grants(10)
    asked = stream.skip(Tells)
    assert tells(2, data(1, b"waits")) in [Tells(c.hop, c.messages[-1:]) for c in asked]
    stream.asked = next(c.messages[0].data for c in asked if c.hop == 0)
    stream >> hop_rekeyed(0)
    stream << tells(0, message(MessageType.REKEY_SWITCH, 0, (1).to_bytes(4)))
    stream << HopRekeyed(1, 0, 1)


def test_fresh_keys_that_nobody_asked_for(stream):
    breaks(stream >> hop_says(1, message(MessageType.REKEYED, 0, bytes(36))), 1)


@pytest.mark.parametrize("hop", [0, 1, 2])
def test_an_echo(circuit, hop):
    tokens = []
    circuit >> app(lambda c: tokens.append(c.probe(circuit.now, hop)))
    ask = encode_probe(PaddingKind.ASK, tokens[0].to_bytes(8))
    answer = message(MessageType.PADDING, 0, encode_probe(PaddingKind.ANSWER, ask[1:]))
    circuit << tells(hop, message(MessageType.PADDING, 0, ask))
    circuit >> hop_says((hop + 1) % 3, answer)
    circuit >> hop_says(hop, answer) << ProbeAnswered(1, hop, tokens[0], 0.0)
    circuit >> hop_says(hop, answer)


# the end


def test_the_client_leaves(stream):
    stream >> app(lambda c: c.destroy()) << LEFT
    stream >> hop_says(2, data(1, b"late")) >> entry_destroys() >> entry_destroys()


def test_both_leave_at_once(stream):
    """The entry's DESTROY was on its way: it answers ours."""
    stream >> app(lambda c: c.destroy()) << LEFT
    stream >> entry_destroys()
    assert stream.link.circuit(1) is None


def test_an_unused_circuit(circuit):
    circuit.circuit._rekeys.due_at = circuit.now + 2 * PARAMETERS.circuit_idle_s
    circuit >> passes(PARAMETERS.circuit_idle_s - 1)
    circuit >> passes(1) << failed(EndReason.IDLE, None) << LEFT


def test_a_quiet_stream_keeps_its_circuit(stream):
    stream.circuit._rekeys.due_at = stream.now + 2 * PARAMETERS.circuit_idle_s
    stream >> passes(PARAMETERS.circuit_idle_s / 2) << tells(2, message(MessageType.PADDING))
