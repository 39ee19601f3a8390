"""What a relay does, line by line; the client and the next hop are scripted."""

import pytest

from node.circuit.actions import CloseLink, ConnectNext, OpenDirectory
from node.circuit.cell import Command
from node.circuit.flow import INITIAL_CELLS
from node.circuit.messages import EndReason, MessageType
from node.circuit.probes import PaddingKind, encode_probe
from node.circuit.rekey import encode_share
from qnet.crypto.keys import DhKey
from tests.support.playbook import (
    CLIENT,
    NEXT,
    PARAMETERS,
    Granted,
    Heard,
    Sent,
    begin,
    data,
    end,
    heard,
    message,
    tells,
)
from tests.support.playbook_relay import (
    RelayPlay,
    client_rekeys,
    client_switches,
    client_tells,
    create,
    created,
    credit,
    destroy,
    later,
    link_closed,
    link_failed,
    link_ready,
    next_says,
    node,
    raw,
    standing,
)

BUILD_S = PARAMETERS.circuit_build_s
CONNECTED = Sent(CLIENT, Command.CREATED)
GONE = Sent(CLIENT, Command.DESTROY)
PAD = message(MessageType.PADDING)
CUT = Sent(NEXT, Command.DESTROY)


@pytest.fixture
def play():
    """Before CREATE."""
    play = RelayPlay()
    yield play
    play.end()


@pytest.fixture
def open_play(play):
    """A circuit that stands."""
    return standing(play)


# setup


def test_setup_in_one_round_trip(play):
    (
        play
        >> create()
        << ConnectNext(1, 2, play.next.node_id)
        >> link_ready()
        << Sent(NEXT, Command.CREATE)
        >> created()
        << CONNECTED
        >> client_tells(1, begin(1))
        << tells(1, begin(1))
        >> next_says(message(MessageType.CONNECTED, 1))
        << heard(1, message(MessageType.CONNECTED, 1))
    )


def test_a_relay_at_the_end_answers_at_once():
    play = RelayPlay(last=True)
    play >> create() << CONNECTED
    play.end()


def test_a_setup_that_cannot_be_opened_is_refused_without_a_word(play):
    play >> create(body=bytes(2040)) << GONE
    assert play.core.circuits == 0


def test_no_link_to_the_next_hop(play):
    play >> create() << ConnectNext(1, 2, play.next.node_id)
    play >> link_failed() << CONNECTED << heard(0, end(0, EndReason.LINK_FAILED)) << GONE


def test_a_next_hop_that_refuses(play):
    play >> create() << ConnectNext(1, 2, play.next.node_id)
    play >> link_ready() << Sent(NEXT, Command.CREATE)
    play >> destroy(NEXT) << CONNECTED << heard(0, end(0, EndReason.NEXT_DESTROYED)) << GONE << CUT


def test_a_next_hop_that_does_not_answer(play):
    play >> create() << ConnectNext(1, 2, play.next.node_id)
    play >> link_ready() << Sent(NEXT, Command.CREATE)
    play >> later(BUILD_S - 1)
    play >> later(2) << CONNECTED << heard(0, end(0, EndReason.BUILD_TIMEOUT)) << GONE << CUT


def test_a_client_that_leaves_while_the_next_hop_is_asked(play):
    play >> create() << ConnectNext(1, 2, play.next.node_id)
    play >> link_ready() << Sent(NEXT, Command.CREATE)
    play >> destroy(CLIENT) << GONE << CUT
    play >> created()
    play >> destroy(NEXT)
    assert play.core.circuits == 0


def test_a_client_that_leaves_before_there_is_a_link(play):
    play >> create() << ConnectNext(1, 2, play.next.node_id)
    play >> destroy(CLIENT) << GONE
    play >> link_ready()
    play >> link_failed()


def test_cells_before_the_circuit_is_open(play):
    play >> create() << ConnectNext(1, 2, play.next.node_id)
    play >> raw(CLIENT, Command.RELAY) << CONNECTED << heard(0, end(0, EndReason.PROTOCOL)) << GONE


# cells


def test_a_next_hop_that_answers_twice(open_play):
    play = open_play
    play >> raw(NEXT, Command.CREATED) << heard(0, end(0, EndReason.PROTOCOL)) << GONE << CUT


def test_a_cell_that_does_not_verify(open_play):
    play = open_play
    play >> raw(CLIENT, Command.RELAY) << heard(0, end(0, EndReason.PROTOCOL)) << GONE << CUT


def test_what_a_relay_that_is_no_exit_refuses_and_serves(open_play):
    (
        open_play
        >> client_tells(0, begin(1), message(MessageType.RESOLVE, 2, b"a.example"))
        << heard(0, end(1, EndReason.POLICY), end(2, EndReason.POLICY))
        >> client_tells(0, message(MessageType.BEGIN_DIR, 3))
        << OpenDirectory(1, 3)
        >> node("stream_data", 1, 3, b"consensus")
        << heard(0, data(3, b"consensus"))
        >> node("stream_ended", 1, 3, EndReason.DONE)
        << heard(0, end(3))
    )


def test_stream_numbers_must_rise(open_play):
    play = open_play
    play >> client_tells(0, begin(2)) << heard(0, end(2, EndReason.POLICY))
    play >> client_tells(0, begin(2)) << heard(0, end(0, EndReason.PROTOCOL)) << GONE << CUT


def test_probes_are_answered_and_other_padding_ignored(open_play):
    asked = encode_probe(PaddingKind.ASK, b"12345678")
    answer = encode_probe(PaddingKind.ANSWER, b"12345678")
    (
        open_play
        >> client_tells(0, message(MessageType.PADDING, 0, asked))
        << heard(0, message(MessageType.PADDING, 0, answer))
        >> client_tells(0, message(MessageType.PADDING))
        >> client_tells(0, message(MessageType.PADDING, 0, answer))
        >> client_tells(0, message(MessageType.PADDING, 0, b"\x09 not known"))
    )


def test_probes_without_end_are_not_all_answered(open_play):
    play = open_play
    asked = [message(MessageType.PADDING, 0, encode_probe(PaddingKind.ASK, b"8 bytes."))] * 100
    play >> client_tells(0, *asked)
    (answered,) = play.skip(Heard)
    assert len(answered.messages) == 8
    play >> client_tells(0, *asked)
    play >> later(1)
    play >> client_tells(0, asked[0])
    assert len(play.skip(Heard)) == 1


# credit


def test_credit_goes_back_for_what_was_passed_on(play):
    play.minds_credit = True
    standing(play)
    for _ in range(3):
        play >> client_tells(1, PAD) << tells(1, PAD)
    play >> client_tells(1, PAD) << tells(1, PAD) << Granted(CLIENT, 4)


def test_a_client_beyond_its_credit(open_play):
    """The next hop grants nothing, so cells wait here and the client gets nothing back."""
    play = open_play
    for _ in range(INITIAL_CELLS):
        play >> client_tells(1, PAD) << tells(1, PAD)
    for _ in range(INITIAL_CELLS):
        play >> client_tells(1, PAD)
    play >> client_tells(1, PAD)
    play << heard(0, end(0, EndReason.PROTOCOL)) << GONE << CUT
    assert play.core.queued_cells == 0


def test_a_next_hop_beyond_its_credit(open_play):
    play = open_play
    play >> next_says(PAD, cells=INITIAL_CELLS)
    assert play.skip(Heard) == [heard(1, PAD)] * INITIAL_CELLS
    play >> next_says(PAD, cells=INITIAL_CELLS)
    assert play.core.queued_cells == INITIAL_CELLS, "the client grants nothing"
    play >> next_says(PAD)
    play << CUT
    play >> credit(CLIENT, 100)
    assert play.skip(Heard) == [heard(1, PAD)] * INITIAL_CELLS + [
        heard(0, end(0, EndReason.PROTOCOL))
    ]
    play << GONE


def test_cells_that_wait_leave_when_credit_comes(open_play):
    play = open_play
    for _ in range(INITIAL_CELLS):
        play >> client_tells(1, PAD) << tells(1, PAD)
    play >> client_tells(1, PAD)
    play >> credit(NEXT, 1) << tells(1, PAD)


def test_credit_for_a_circuit_that_is_not_there(play):
    play >> create() << ConnectNext(1, 2, play.next.node_id)
    play >> destroy(CLIENT) << GONE
    play >> credit(CLIENT, 5)


# rekey


def test_a_rekey_and_what_crosses_it(open_play):
    play = open_play
    play >> client_rekeys(0)
    (answer,) = play.skip(Heard)
    assert [said.kind for said in answer.messages] == [MessageType.REKEYED]
    (
        play
        >> client_tells(1, begin(1))  # under the old forward keys
        << tells(1, begin(1))
        >> next_says(message(MessageType.CONNECTED, 1))  # under the new backward keys
        << heard(1, message(MessageType.CONNECTED, 1))
        >> client_switches(0)
        >> client_tells(0, begin(1))
        << heard(0, end(1, EndReason.POLICY))
    )


def test_a_second_rekey_in_flight(open_play):
    play = open_play
    play >> client_rekeys(0)
    play.skip(Heard)
    share = encode_share(1, DhKey(bytes(range(32))).public)
    play >> client_tells(0, message(MessageType.REKEY, 0, share))
    play << heard(0, end(0, EndReason.PROTOCOL)) << GONE << CUT


def test_a_switch_that_nothing_was_asked_for(open_play):
    play = open_play
    play >> client_tells(0, message(MessageType.REKEY_SWITCH, 0, bytes(4)))
    play << heard(0, end(0, EndReason.PROTOCOL)) << GONE << CUT


def test_the_ratchet_turns_at_both_ends_at_once(open_play):
    """Cells 2^16 - 1, 2^16 and 2^16 + 1, in both directions."""
    play = open_play
    for counted in (
        *(play.sealers[0], play.core._circuits[1]._opener),
        *(play.core._circuits[1]._layer, play.core._circuits[1]._content),
        *play.reader._layers[0],
    ):
        counted.counter = (1 << 16) - 1
    for number in range(1, 4):
        play >> client_tells(0, begin(number)) << heard(0, end(number, EndReason.POLICY))
    assert play.sealers[0].counter == (1 << 16) + 2


# ends


def test_the_client_leaves(open_play):
    play = open_play
    play >> destroy(CLIENT) << GONE << CUT
    play >> destroy(NEXT)
    assert play.core.circuits == 0


def test_the_next_hop_leaves(open_play):
    play = open_play
    play >> destroy(NEXT) << heard(0, end(0, EndReason.NEXT_DESTROYED)) << GONE << CUT
    play >> destroy(CLIENT)


def test_both_leave_at_once(open_play):
    """The last words wait for credit when the client's DESTROY comes: nothing is left to say."""
    play = open_play
    play.core._circuits[1].backward.credit = 0
    play >> destroy(NEXT) << CUT
    play >> destroy(CLIENT) << GONE
    play >> credit(CLIENT, 10)


@pytest.mark.parametrize(
    ("side", "said"),
    [(NEXT, [heard(0, end(0, EndReason.LINK_LOST)), GONE]), (CLIENT, [CUT])],
)
def test_a_link_breaks(open_play, side, said):
    play = open_play >> link_closed(side)
    for line in said:
        play << line


def test_last_words_come_behind_what_still_waits(open_play):
    play = open_play
    play.core._circuits[1].backward.credit = 0
    play >> next_says(message(MessageType.CONNECTED, 1))
    play >> link_closed(NEXT)
    play >> credit(CLIENT, 1) << heard(1, message(MessageType.CONNECTED, 1))
    play >> credit(CLIENT, 1) << heard(0, end(0, EndReason.LINK_LOST)) << GONE


def test_last_words_that_nobody_lets_out_end_with_the_deadline(open_play):
    play = open_play
    play.core._circuits[1].backward.credit = 0
    play >> link_closed(NEXT)
    play >> later(BUILD_S) << GONE


def test_cells_of_a_draining_circuit_are_not_read(open_play):
    play = open_play
    play.core._circuits[1].backward.credit = 0
    play >> link_closed(NEXT)
    play >> client_tells(0, begin(1))
    play >> raw(CLIENT, Command.RELAY)
    play >> credit(CLIENT, 1) << heard(0, end(0, EndReason.LINK_LOST)) << GONE


def test_a_quiet_circuit(open_play):
    play = open_play
    play >> later(PARAMETERS.circuit_idle_s - 1)
    play >> client_tells(1, PAD) << tells(1, PAD)
    play >> later(PARAMETERS.circuit_idle_s - 1)
    play >> later(2) << heard(0, end(0, EndReason.IDLE)) << GONE << CUT


def test_a_node_that_stops(open_play):
    play = open_play
    play >> node("shutdown", play.now) << heard(0, end(0, EndReason.SHUTDOWN)) << GONE << CUT


def test_an_id_that_is_still_in_use(open_play):
    play = open_play >> create()
    play << CloseLink(1, "a circuit id that may not be used")


def test_a_message_for_the_hop_in_the_middle_of_others(open_play):
    """What stops here does not disturb what passes."""
    (
        open_play
        >> client_tells(1, begin(1))
        << tells(1, begin(1))
        >> client_tells(0, begin(1))
        << heard(0, end(1, EndReason.POLICY))
        >> client_tells(1, data(1, b"x"))
        << tells(1, data(1, b"x"))
    )
