"""What an exit does, line by line; the client is scripted, and so are the destinations."""

import pytest

from node.circuit.actions import (
    DeliverData,
    EndStream,
    OpenDirectory,
    OpenStream,
    ResolveName,
    ResumeStream,
)
from node.circuit.cell import Command
from node.circuit.flow import INITIAL_STREAM_BYTES
from node.circuit.messages import Answer, EndReason, MessageType, encode_answers
from tests.support.playbook import CLIENT, PARAMETERS, Heard, Sent, begin, data, end, heard, message
from tests.support.playbook_relay import (
    RelayPlay,
    client_tells,
    credit,
    destroy,
    later,
    node,
    standing,
)

ADDRESS = bytes([203, 0, 113, 7])
CONNECT_S = PARAMETERS.stream_connect_s
GONE = Sent(CLIENT, Command.DESTROY)
BROKEN = heard(0, end(0, EndReason.PROTOCOL))
OPENED = OpenStream(1, 1, "a.example", 80)


@pytest.fixture
def play():
    """A circuit that stands and ends at the exit under test."""
    play = standing(RelayPlay(last=True, exits=True))
    yield play
    play.end()


@pytest.fixture
def stream(play):
    """Stream 1, connected."""
    play >> client_tells(0, begin(1)) << OPENED
    return (
        play
        >> node("stream_connected", 1, 1, ADDRESS, play.now)
        << heard(0, message(MessageType.CONNECTED, 1, ADDRESS))
    )


# opening


def test_a_request_and_its_answer(stream):
    (
        stream
        >> client_tells(0, data(1, b"GET /"))
        << DeliverData(1, 1, (b"GET /",))
        >> node("stream_data", 1, 1, b"200 OK")
        << heard(0, data(1, b"200 OK"))
        >> node("stream_ended", 1, 1, EndReason.DONE)
        << heard(0, end(1))
        >> client_tells(0, end(1))
        << EndStream(1, 1, EndReason.DONE)
    )
    assert stream.core.streams == 0


def test_data_that_comes_with_begin_waits_at_the_exit(play):
    play >> client_tells(0, begin(1), data(1, b"early")) << OPENED << DeliverData(1, 1, (b"early",))
    play >> node("stream_connected", 1, 1, b"", play.now)
    play << heard(0, message(MessageType.CONNECTED, 1))


@pytest.mark.parametrize(
    "reason",
    [
        EndReason.POLICY,
        EndReason.RESOLVE_FAILED,
        EndReason.CONNECT_REFUSED,
        EndReason.UNREACHABLE,
    ],
)
def test_a_destination_that_cannot_be_reached(play, reason):
    play >> client_tells(0, begin(1)) << OPENED
    play >> node("stream_ended", 1, 1, reason) << heard(0, end(1, reason))
    play >> client_tells(0, data(1, b"crossed the END"))


def test_a_destination_that_does_not_answer(play):
    play >> client_tells(0, begin(1)) << OPENED
    play >> later(CONNECT_S - 1)
    play >> later(2) << EndStream(1, 1, EndReason.CONNECT_TIMEOUT)
    play << heard(0, end(1, EndReason.CONNECT_TIMEOUT))
    play >> node("stream_connected", 1, 1, b"", play.now)


def test_a_client_that_gives_up_before_the_connection_stands(play):
    play >> client_tells(0, begin(1)) << OPENED
    play >> client_tells(0, end(1, EndReason.RESET)) << EndStream(1, 1, EndReason.RESET)
    play >> node("stream_connected", 1, 1, b"", play.now)


def test_the_cap_of_streams():
    play = standing(
        RelayPlay(
            last=True,
            exits=True,
            parameters=PARAMETERS.with_value("streams_per_circuit_max", 1),
        )
    )
    play >> client_tells(0, begin(1), begin(2)) << OPENED
    play << heard(0, end(2, EndReason.RESOURCE_LIMIT))
    play.end()


@pytest.mark.parametrize("content", [b"\x00\x00a.example", b"\x00\x50a b", b"\x00\x50\xff"])
def test_a_begin_that_means_nothing(play, content):
    play >> client_tells(0, message(MessageType.BEGIN, 1, content)) << BROKEN << GONE


# half-closed, reset


def test_the_client_is_done_first(stream):
    (
        stream
        >> client_tells(0, data(1, b"all"), end(1))
        << DeliverData(1, 1, (b"all",))
        << EndStream(1, 1, EndReason.DONE)
        >> node("stream_data", 1, 1, b"answer")
        << heard(0, data(1, b"answer"))
        >> node("stream_ended", 1, 1, EndReason.DONE)
        << heard(0, end(1))
    )
    assert stream.core.streams == 0


def test_data_after_the_clients_end(stream):
    stream >> client_tells(0, end(1)) << EndStream(1, 1, EndReason.DONE)
    stream >> client_tells(0, data(1, b"more")) << EndStream(1, 1, EndReason.PROTOCOL)
    stream << BROKEN << GONE


def test_a_connection_that_breaks_is_a_reset_even_with_data_behind(stream):
    stream.core._circuits[1].backward.credit = 0
    stream >> node("stream_data", 1, 1, b"never leaves")
    stream >> node("stream_ended", 1, 1, EndReason.RESET)
    stream >> credit(CLIENT, 10) << heard(0, end(1, EndReason.RESET))


def test_done_comes_behind_the_data(stream):
    stream.core._circuits[1].backward.credit = 0
    stream >> node("stream_data", 1, 1, b"the rest")
    stream >> node("stream_ended", 1, 1, EndReason.DONE)
    stream >> credit(CLIENT, 10) << heard(0, data(1, b"the rest"), end(1))


def test_a_client_that_resets(stream):
    stream >> client_tells(0, end(1, EndReason.RESET)) << EndStream(1, 1, EndReason.RESET)
    stream >> node("stream_data", 1, 1, b"nobody wants it")
    stream >> node("stream_ended", 1, 1, EndReason.DONE)


def test_both_reset_at_once(stream):
    stream >> node("stream_ended", 1, 1, EndReason.RESET) << heard(0, end(1, EndReason.RESET))
    stream >> client_tells(0, end(1, EndReason.RESET))


# credit


def test_data_without_credit_waits_and_the_destination_is_resumed(stream):
    body = bytes(INITIAL_STREAM_BYTES)
    stream.core._circuits[1].backward.credit = 1000
    stream >> node("stream_data", 1, 1, body)
    cells = stream.skip(Heard)
    assert sum(len(said.data) for cell in cells for said in cell.messages) == len(body)
    stream >> node("stream_data", 1, 1, b"too much")
    grant = message(MessageType.CREDIT, 1, len(body).to_bytes(4))
    stream >> client_tells(0, grant) << ResumeStream(1, 1)
    stream >> node("stream_data", 1, 1, b"now") << heard(0, data(1, b"now"))


def test_a_client_beyond_its_stream_credit(stream):
    chunk = data(1, bytes(1900))
    sent = 0
    while sent + 1900 <= INITIAL_STREAM_BYTES:
        stream >> client_tells(0, chunk) << DeliverData(1, 1, (chunk.data,))
        sent += 1900
    stream >> client_tells(0, chunk) << EndStream(1, 1, EndReason.PROTOCOL) << BROKEN << GONE


def test_what_the_destination_took_is_granted_again(stream):
    chunk = data(1, bytes(1900))
    for _ in range(40):
        stream >> client_tells(0, chunk) << DeliverData(1, 1, (chunk.data,))
    stream >> node("stream_consumed", 1, 1, 10 * 1900)
    stream >> node("stream_consumed", 1, 1, 30 * 1900)
    stream << heard(0, message(MessageType.CREDIT, 1, (40 * 1900).to_bytes(4)))


def test_credit_that_overflows(stream):
    grant = message(MessageType.CREDIT, 1, b"\xff" * 4)
    stream >> client_tells(0, grant) << EndStream(1, 1, EndReason.PROTOCOL) << BROKEN << GONE


# names and the directory


def test_a_name(play):
    found = [Answer(ADDRESS, 60)]
    play >> client_tells(0, message(MessageType.RESOLVE, 1, b"a.example"))
    play << ResolveName(1, 1, "a.example")
    play >> node("resolved", 1, 1, found)
    play << heard(0, message(MessageType.RESOLVED, 1, encode_answers(tuple(found))))
    assert play.core.streams == 0


def test_a_name_that_takes_too_long(play):
    play >> client_tells(0, message(MessageType.RESOLVE, 1, b"a.example"))
    play << ResolveName(1, 1, "a.example")
    play >> later(CONNECT_S + 1) << EndStream(1, 1, EndReason.RESOLVE_FAILED)
    play << heard(0, end(1, EndReason.RESOLVE_FAILED))
    play >> node("resolved", 1, 1, [Answer(ADDRESS, 60)])


def test_data_on_a_look_up(play):
    play >> client_tells(0, message(MessageType.RESOLVE, 1, b"a.example"))
    play << ResolveName(1, 1, "a.example")
    play >> client_tells(0, data(1, b"?")) << EndStream(1, 1, EndReason.PROTOCOL) << BROKEN << GONE


def test_the_directory_needs_no_connection(play):
    play >> client_tells(0, message(MessageType.BEGIN_DIR, 1)) << OpenDirectory(1, 1)
    play >> node("stream_data", 1, 1, b"consensus") << heard(0, data(1, b"consensus"))
    play >> later(CONNECT_S + 1)


# the circuit ends


def test_a_client_that_leaves_ends_its_streams(stream):
    stream >> destroy(CLIENT) << EndStream(1, 1, EndReason.CIRCUIT_DESTROYED) << GONE
    stream >> node("stream_data", 1, 1, b"too late")


def test_an_exit_that_stops_says_so_and_never_done(stream):
    stream.core._circuits[1].backward.credit = 0
    stream >> node("stream_data", 1, 1, b"half of")
    stream >> node("shutdown", stream.now) << EndStream(1, 1, EndReason.SHUTDOWN)
    stream >> credit(CLIENT, 10) << heard(0, end(0, EndReason.SHUTDOWN)) << GONE
