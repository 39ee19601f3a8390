"""All tunnels of an exit: replays, floods, broken frames, and what an exit holds."""

from contextlib import suppress
from dataclasses import replace
from itertools import product
from random import Random

import pytest

from node.circuit import streams
from node.circuit.actions import DeliverData, EndStream, OpenStream, ResolveName, ResumeStream
from node.circuit.keys.phase import PhaseKeyring
from node.circuit.messages import (
    Answer,
    EndReason,
    MessageType,
    encode_begin,
    encode_message,
)
from node.mix.address import MailAddress
from node.mix.envelope import open_reply, seal_frame
from node.mix.packet import PAYLOAD_START, Delivery
from node.mix.streams import exit as exits
from node.mix.streams.exit import FIRST_HANDLE, Cause, MixExit
from node.mix.streams.terminal import BUFFER_BYTES, MAX_STOCK
from node.mix.streams.wire import Flag, Seen, TunnelFrame, decode_tunnel_reply
from node.mix.surb import Surb
from qnet.errors import CryptoError
from qnet.parameters import NetworkParameters

PHASE = 40
INDEX = 7
NO_FLAG = Flag(0)
BEGIN = encode_message(MessageType.BEGIN, 1, encode_begin("example.org", 443))
LITTLE = 3 * BUFFER_BYTES + 4000
PARAMETERS = NetworkParameters.profile("main")


class Exit:
    """An exit and what tests say to it."""

    def __init__(self, seed=1):
        self.random = Random(seed)
        self.keyring = PhaseKeyring(PHASE)
        self.core = MixExit(
            self.keyring, lambda: PARAMETERS, lambda index, _: index == 1, self.bytes
        )
        self.now, self.phase, self.made = 100.0, PHASE, 0

    def bytes(self, count):
        return self.random.randbytes(count)

    def block(self, first=1, phase=None):
        self.made += 1
        key = self.made.to_bytes(32, "big")
        return Surb(self.phase if phase is None else phase, first, bytes(240), key)

    def frame(self, number=1, messages=BEGIN, *, tunnel=b"t" * 16, blocks=2, flags=NO_FLAG):
        made = [self.block() for _ in range(blocks)] if isinstance(blocks, int) else blocks
        return TunnelFrame(tunnel, flags, number, Seen(), messages, made)

    def delivery(self, frame, phase=None):
        phase = self.phase if phase is None else phase
        address = MailAddress(INDEX, self.keyring.public(phase))
        payload = seal_frame(frame.encode(), address.key, self.bytes)
        return Delivery(phase, address.delivery_id(phase), payload)

    def give(self, frame):
        delivery = self.delivery(frame)
        self.take(delivery)
        return delivery

    def take(self, delivery):
        self.core.receive(delivery, self.phase, self.now)

    def actions(self):
        return self.core.take_actions()

    def packets(self, seconds=0.1):
        self.now += seconds
        return self.core.packets(self.phase, self.now)

    def replies(self, blocks, seconds=0.1):
        found = []
        for (_, packet), surb in product(self.packets(seconds), blocks):
            with suppress(CryptoError):  # by another block
                frame = open_reply(packet[PAYLOAD_START:], surb.reply_key)
                found.append(decode_tunnel_reply(frame))
        return found


def test_a_stream_is_opened_answered_and_ended():
    exit_ = Exit()
    frame = exit_.frame()
    exit_.give(frame)
    assert exit_.actions() == [OpenStream(FIRST_HANDLE + 1, 1, "example.org", 443)]
    assert exit_.core.next_at <= exit_.now
    exit_.core.stream_connected(FIRST_HANDLE + 1, 1, b"\x01\x02\x03\x04", exit_.now)
    (reply,) = exit_.replies(frame.blocks)
    assert (reply.number, reply.seen, reply.taken, reply.stock) == (1, Seen(1), 2, 1)
    assert reply.messages == encode_message(MessageType.CONNECTED, 1, b"\x01\x02\x03\x04")
    assert (len(exit_.core), exit_.core.streams) == (1, 1)
    exit_.give(exit_.frame(0, b"", flags=Flag.LAST | Flag.OPENED))
    assert exit_.actions() == [EndStream(FIRST_HANDLE + 1, 1, EndReason.CIRCUIT_DESTROYED)]
    assert (len(exit_.core), exit_.core.memory_bytes) == (0, 0)


def test_an_old_delivery_does_not_connect_again():
    exit_ = Exit()
    first = exit_.give(exit_.frame())
    exit_.give(exit_.frame(0, b"", flags=Flag.LAST | Flag.OPENED))
    exit_.actions()
    for phase in (PHASE, PHASE + 1):
        exit_.keyring.advance(phase)
        exit_.phase = phase
        exit_.core.tick(exit_.phase, exit_.now)
        exit_.take(first)
        assert exit_.actions() == []
        assert len(exit_.core) == 0
    assert exit_.core.dropped[Cause.REPLAYED] == 2
    exit_.keyring.advance(PHASE + 2)
    exit_.core.tick(exit_.phase, exit_.now)
    exit_.take(first)
    assert exit_.actions() == []
    assert exit_.core.dropped[Cause.UNREADABLE] == 1


def test_a_first_frame_of_the_next_phase_does_not_connect_again_either():
    exit_ = Exit()
    exit_.give(exit_.frame())
    exit_.keyring.advance(PHASE + 1)
    exit_.phase = PHASE + 1
    again = exit_.give(exit_.frame())
    exit_.give(exit_.frame(0, b"", flags=Flag.LAST))
    exit_.actions()
    exit_.keyring.advance(PHASE + 2)
    exit_.core.tick(exit_.phase, exit_.now)
    exit_.take(again)
    assert exit_.actions() == []
    assert exit_.core.dropped[Cause.REPLAYED] == 1


def test_a_repeated_frame_is_acknowledged_and_not_carried_out_again():
    exit_ = Exit()
    frame = exit_.frame()
    exit_.give(frame)
    assert len(exit_.actions()) == 1
    again = exit_.frame()
    exit_.give(again)
    assert exit_.actions() == []
    (reply,) = exit_.replies([*frame.blocks, *again.blocks])
    assert (reply.number, reply.seen) == (0, Seen(1))


def test_an_exit_sends_one_packet_for_one_block():
    exit_ = Exit()
    frame = exit_.frame(blocks=3)
    exit_.give(frame)
    handle = FIRST_HANDLE + 1
    exit_.core.stream_connected(handle, 1, b"", exit_.now)
    taken = exit_.core.stream_data(handle, 1, bytes(1 << 20))
    assert taken == BUFFER_BYTES
    sent = [packet for _ in range(20) for packet in exit_.packets(1)]
    assert len(sent) == 3
    assert exit_.core.next_at is None
    more = exit_.frame(0, b"", blocks=7)
    exit_.give(more)
    assert len([packet for _ in range(50) for packet in exit_.packets(1)]) == 7


def test_blocks_that_begin_anywhere_are_not_used():
    exit_ = Exit()
    exit_.give(exit_.frame(blocks=[exit_.block(first=2), exit_.block(phase=PHASE + 5)]))
    assert exit_.packets() == []
    unknown = exit_.frame(3, tunnel=b"u" * 16, blocks=[exit_.block(first=3)], flags=Flag.OPENED)
    exit_.give(unknown)
    assert exit_.packets() == []


def test_a_client_whose_tunnel_is_forgotten_is_told():
    exit_ = Exit()
    frame = exit_.frame(5, flags=Flag.OPENED)
    exit_.give(frame)
    (reply,) = exit_.replies(frame.blocks)
    assert reply.flags == Flag.GONE
    assert exit_.core.dropped[Cause.UNKNOWN] == 1
    assert exit_.actions() == []


def test_tunnels_are_bounded_and_unused_ones_make_room(monkeypatch):
    monkeypatch.setattr(exits, "MAX_TUNNELS", 3)
    exit_ = Exit()
    for name in range(3):
        exit_.give(exit_.frame(tunnel=bytes([name]) * 16))
    refused = exit_.frame(tunnel=b"x" * 16)
    exit_.give(refused)
    assert len(exit_.core) == 3
    assert exit_.core.dropped[Cause.FULL] == 1
    assert [reply.flags for reply in exit_.replies(refused.blocks)] == [Flag.GONE]
    exit_.core.stream_ended(FIRST_HANDLE + 2, 1, EndReason.CONNECT_REFUSED)
    exit_.give(exit_.frame(tunnel=b"y" * 16))
    assert len(exit_.core) == 3
    assert exit_.core.dropped[Cause.IDLE] == 1


def test_the_tunnel_that_holds_most_ends_when_memory_is_short(monkeypatch):
    monkeypatch.setattr(exits, "MEMORY_BYTES", LITTLE)
    exit_ = Exit()
    for name in range(4):
        exit_.give(exit_.frame(tunnel=bytes([name]) * 16, blocks=1))
        exit_.core.stream_connected(FIRST_HANDLE + 1 + name, 1, b"", exit_.now)
        exit_.core.stream_data(FIRST_HANDLE + 1 + name, 1, bytes(1 << 20))
    exit_.actions()
    exit_.packets()
    assert exit_.core.dropped[Cause.MEMORY] == 1
    assert exit_.core.memory_bytes <= LITTLE
    ended = [action for action in exit_.actions() if isinstance(action, EndStream)]
    assert len(ended) == 1


def test_blocks_beyond_the_stock_are_not_kept():
    exit_ = Exit()
    for _ in range(60):
        exit_.give(exit_.frame(0, b"", blocks=7))
    tunnel = exit_.core._handles[FIRST_HANDLE + 1]
    assert len(tunnel._stock) == MAX_STOCK
    assert exit_.core.blocks_dropped == tunnel.dropped == 60 * 7 - MAX_STOCK


@pytest.mark.parametrize(
    "broken",
    [
        {"number": 500},
        {"seen": Seen(1)},
        {"seen": Seen(0, 2)},
        {"messages": encode_message(MessageType.BEGIN_DIR, 1, b"")},
        {"messages": encode_message(MessageType.PAY, 0, bytes(104))},
        {"messages": encode_message(MessageType.CONNECTED, 1, b"")},
        {"messages": b"\xff\xff\xff"},
        {"messages": BEGIN[:-1]},
    ],
)
def test_a_broken_rule_ends_one_tunnel(broken):
    exit_ = Exit()
    exit_.give(exit_.frame(tunnel=b"o" * 16))
    exit_.give(replace(exit_.frame(), **broken))
    assert exit_.core.dropped == {Cause.PROTOCOL: 1}
    assert len(exit_.core) == 1


def test_noise_is_counted():
    exit_ = Exit()
    address = MailAddress(INDEX, exit_.keyring.public(PHASE))
    exit_.take(Delivery(PHASE, address.delivery_id(PHASE), exit_.bytes(2064)))
    noise = seal_frame(exit_.bytes(2016), address.key, exit_.bytes)
    exit_.take(Delivery(PHASE, address.delivery_id(PHASE), noise))
    assert exit_.core.dropped == {Cause.UNREADABLE: 2}


def test_a_silent_client_is_forgotten():
    exit_ = Exit()
    exit_.give(exit_.frame())
    exit_.now += exits.IDLE_S - 1
    exit_.core.tick(exit_.phase, exit_.now)
    assert len(exit_.core) == 1
    exit_.now += 2
    exit_.core.tick(exit_.phase, exit_.now)
    assert len(exit_.core) == 0
    assert exit_.core.dropped[Cause.IDLE] == 1


def test_what_never_arrives_ends_its_tunnel():
    exit_ = Exit()
    exit_.give(exit_.frame(blocks=6))
    exit_.core.stream_connected(FIRST_HANDLE + 1, 1, b"", exit_.now)
    for _ in range(200):
        exit_.give(exit_.frame(0, b"", blocks=1))
        exit_.packets(2)
    assert exit_.core.dropped[Cause.UNANSWERED] >= 1


def test_a_destination_that_was_not_read_is_read_again():
    exit_ = Exit()
    handle = FIRST_HANDLE + 1
    exit_.give(exit_.frame(blocks=6))
    exit_.core.stream_connected(handle, 1, b"", exit_.now)
    exit_.core.stream_data(handle, 1, bytes(1 << 20))
    for _ in range(4):
        exit_.give(exit_.frame(0, b"", blocks=7))
        exit_.packets()
    assert ResumeStream(handle, 1) in exit_.actions()


def test_data_goes_to_the_connection_and_the_node_can_stop():
    exit_ = Exit()
    exit_.give(exit_.frame())
    exit_.give(exit_.frame(2, encode_message(MessageType.DATA, 1, b"hello")))
    assert DeliverData(FIRST_HANDLE + 1, 1, (b"hello",)) in exit_.actions()
    exit_.core.stream_consumed(FIRST_HANDLE + 1, 1, 5)
    exit_.core.close()
    assert exit_.actions() == [EndStream(FIRST_HANDLE + 1, 1, EndReason.CIRCUIT_DESTROYED)]
    exit_.core.stream_ended(FIRST_HANDLE + 1, 1, EndReason.DONE)
    assert exit_.core.stream_data(FIRST_HANDLE + 1, 1, b"late") == 0


def test_names_are_answered():
    exit_ = Exit()
    frame = exit_.frame(1, encode_message(MessageType.RESOLVE, 1, b"example.org"))
    exit_.give(frame)
    assert exit_.actions() == [ResolveName(FIRST_HANDLE + 1, 1, "example.org")]
    exit_.core.resolved(FIRST_HANDLE + 1, 1, [Answer(b"\x01\x02\x03\x04", 60)])
    (reply,) = exit_.replies(frame.blocks)
    assert reply.messages[0] == MessageType.RESOLVED


def test_a_tunnel_that_provokes_too_many_answers_ends(monkeypatch):
    monkeypatch.setattr(streams, "MAX_CONTROL_MESSAGES", 0)
    exit_ = Exit()
    two = encode_message(MessageType.BEGIN, 2, encode_begin("example.org", 443))
    exit_.give(exit_.frame(1, BEGIN + two))
    exit_.core.stream_connected(FIRST_HANDLE + 1, 1, b"", exit_.now)
    exit_.core.stream_connected(FIRST_HANDLE + 1, 2, b"", exit_.now)
    assert exit_.core.dropped == {Cause.PROTOCOL: 1}
    assert exit_.packets() == []


def test_memory_may_end_the_tunnel_that_speaks(monkeypatch):
    exit_ = Exit()
    exit_.give(exit_.frame(blocks=2))
    exit_.core.stream_connected(FIRST_HANDLE + 1, 1, b"", exit_.now)
    exit_.core.stream_data(FIRST_HANDLE + 1, 1, bytes(50_000))
    monkeypatch.setattr(exits, "MEMORY_BYTES", 1000)
    assert len(exit_.packets()) == 1
    assert exit_.packets() == []
    assert (len(exit_.core), exit_.core.memory_bytes) == (0, 0)
    assert exit_.core.next_at is None


def test_blocks_die_with_their_phase_and_are_no_stock():
    exit_ = Exit()
    exit_.give(exit_.frame(blocks=4))
    exit_.keyring.advance(PHASE + 2)
    exit_.phase = PHASE + 2
    exit_.core.tick(exit_.phase, exit_.now)
    asking = exit_.frame(0, b"", blocks=1, flags=Flag.ASK | Flag.OPENED)
    exit_.give(asking)
    (reply,) = exit_.replies(asking.blocks)
    assert (reply.taken, reply.stock) == (5, 0)
