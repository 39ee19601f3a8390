"""A tunnel's two ends together: what arrives, whatever mixes lose, reorder and double."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.circuit.actions import StreamEnded
from node.circuit.messages import EndReason, MessageType, encode_message
from node.mix.streams.supply import LEAST
from node.mix.streams.wire import MAX_BLOCKS, Flag, Seen, TunnelReply
from tests.node.mix.streams.simulated import Server, Simulation

PAGE = bytes(number % 251 for number in range(300_000))


def echo():
    return Server(echoes=True)


def test_a_page_is_fetched():
    network = Simulation(Random(1))
    network.make_server = lambda: Server(PAGE)
    number = network.connect(b"GET /")
    network.tunnel.end(number, EndReason.DONE)
    network.run(60, lambda: number in network.ended)
    assert network.heard[number] == PAGE
    assert network.servers[number].got == b"GET /"
    assert network.ended[number] is EndReason.DONE
    assert network.servers[number].end is EndReason.DONE


@pytest.mark.parametrize(("loss", "doubled"), [(0.05, 0.0), (0.0, 0.3), (0.2, 0.1)])
def test_what_mixes_lose_and_double_arrives_once_and_in_order(loss, doubled):
    network = Simulation(Random(2), loss=loss, doubled=doubled)
    network.make_server = echo
    number = network.connect()
    rest, data = PAGE[:60_000], PAGE[:60_000]
    for _ in range(600):
        rest = network.upload(number, rest)
        network.run(1)
        if len(network.heard[number]) == len(data):
            break
    assert network.servers[number].got == data
    assert network.heard[number] == data
    assert not network.tunnel.failure


def test_many_streams_share_a_tunnel():
    network = Simulation(Random(3), loss=0.03)
    network.make_server = lambda: Server(PAGE[:20_000])
    numbers = [network.connect(b"GET /%d" % each) for each in range(10)]
    network.run(60, lambda: len(network.ended) == 10)
    for each, number in enumerate(numbers):
        assert network.heard[number] == PAGE[:20_000]
        assert network.servers[number].got == b"GET /%d" % each


def test_the_exit_never_speaks_without_a_block_and_the_client_never_lets_it_run_dry_for_long():
    network = Simulation(Random(4))
    network.make_server = lambda: Server(PAGE)
    number = network.connect()
    network.run(60, lambda: number in network.ended)
    assert network.replies == len(network.used)
    started = network.connected[0][1]
    rate = len(PAGE) / (network.now - started)
    assert rate > 100_000  # of 16 x 7 x 1,976 bytes a second


def test_an_idle_stream_stays_open_and_costs_little():
    network = Simulation(Random(5))
    network.make_server = echo
    number = network.connect(b"hello")
    network.run(10)
    before = network.frames, network.replies
    network.run(600)
    assert network.frames - before[0] < 60
    assert network.replies - before[1] < 60
    assert network.heard[number] == b"hello"
    assert not network.tunnel.failure
    assert network.upload(number, b"again") == b""
    network.run(5)
    assert network.heard[number] == b"helloagain"


def test_a_server_that_speaks_after_a_long_time_is_heard_at_once():
    network = Simulation(Random(6))
    network.make_server = lambda: Server(b"", echoes=True)
    number = network.connect()
    network.run(300)
    network.servers[number].answer += b"news"
    network._push(number)
    network.run(1.0)
    assert network.heard[number] == b"news"


def test_blocks_that_were_all_lost_are_replaced():
    network = Simulation(Random(7))
    network.make_server = lambda: Server(b"", echoes=True)
    number = network.connect()
    network.run(20)
    network.terminal._stock.clear()
    network.servers[number].answer += b"news"
    network._push(number)
    network.run(40)
    assert network.heard[number] == b"news"


def test_names_are_resolved():
    network = Simulation(Random(8))
    number = network.tunnel.resolve("example.org", 1 << 17, network.now)
    network.run(5)
    assert network.names == {number: "example.org"}
    assert len(network.tunnel) == 0


def test_a_reset_never_looks_like_an_end():
    network = Simulation(Random(9), loss=0.1)
    network.make_server = echo
    number = network.connect(b"data")
    network.run(5)
    network.terminal.ends.ended(number, EndReason.RESET)
    network.run(60, lambda: number in network.ended)
    assert network.ended[number] is EndReason.RESET


def test_an_exit_that_never_answers_is_given_up_soon():
    network = Simulation(Random(10), loss=1.0)
    number = network.connect(b"data")
    network.run(40, lambda: number in network.ended)
    assert network.ended[number] is EndReason.CIRCUIT_DESTROYED
    assert network.tunnel.failure == "the exit does not answer"
    assert network.now < 1000 + 25


def test_an_exit_that_falls_silent_is_given_up():
    network = Simulation(Random(11))
    network.make_server = echo
    number = network.connect(b"data")
    network.run(10)
    network.loss = 1.0
    network.run(150, lambda: number in network.ended)
    assert network.ended[number] is EndReason.CIRCUIT_DESTROYED


def test_the_stock_follows_what_is_needed():
    network = Simulation(Random(12))
    network.make_server = lambda: Server(PAGE)
    number = network.connect()
    network.run(60, lambda: number in network.ended)
    assert network.tunnel._supply.target > LEAST
    network.make_server = echo
    again = network.connect(b"x")
    for _ in range(40):
        network.upload(again, b"x")
        network.run(2)
    assert network.tunnel._supply.target == LEAST


def reply(**changes):
    return replace(TunnelReply(Flag(0), 1, 0, Seen()), **changes)


@pytest.mark.parametrize(
    "broken",
    [
        {"seen": Seen(5)},
        {"number": 1, "messages": encode_message(MessageType.REKEYED, 0, bytes(36))},
        {"number": 1, "messages": encode_message(MessageType.END, 0, b"\x01")},
        {"number": 1, "messages": encode_message(MessageType.DATA, 1, b"early")},
        {"number": 1000, "messages": b"x"},
        {"number": 1, "messages": b"\xff"},
    ],
)
def test_an_exit_that_breaks_a_rule_loses_the_tunnel(broken):
    network = Simulation(Random(13))
    network.connect(b"data")
    tunnel = network.tunnel
    assert tunnel.next_frame(network.now) is not None
    tunnel.receive(reply(**broken), network.now)
    assert tunnel.failure.startswith("the exit broke a rule")
    assert not tunnel.is_usable
    assert tunnel.is_over
    assert tunnel.next_frame(network.now) is None
    ended = [event for event in network.events.drain() if isinstance(event, StreamEnded)]
    assert [event.reason for event in ended] == [EndReason.CIRCUIT_DESTROYED]
    tunnel.lose("again")
    assert tunnel.failure.startswith("the exit broke a rule")


def test_a_tunnel_that_is_left_says_so_once():
    network = Simulation(Random(14))
    assert network.tunnel.is_usable
    network.tunnel.leave()
    assert not network.tunnel.is_usable
    frame = network.tunnel.next_frame(network.now)
    assert frame.flags == Flag.LAST
    assert network.tunnel.blocks_for(frame) <= MAX_BLOCKS
    assert network.tunnel.is_over
    assert network.tunnel.next_frame(network.now) is None


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    loss=st.floats(0, 0.3),
    doubled=st.floats(0, 0.3),
    uploads=st.lists(st.integers(0, 20_000), min_size=1, max_size=3),
    answers=st.integers(0, 40_000),
)
def test_whatever_is_lost_reordered_and_doubled(seed, loss, doubled, uploads, answers):
    network = Simulation(Random(seed), loss=loss, doubled=doubled)
    network.make_server = lambda: Server(PAGE[:answers])
    numbers = [network.connect(PAGE[:size]) for size in uploads]
    for number in numbers:
        network.tunnel.end(number, EndReason.DONE)
    network.run(900, lambda: network.tunnel.failure or len(network.ended) == len(numbers))
    for number, size in zip(numbers, uploads, strict=True):
        got = network.servers[number].got if number in network.servers else b""
        assert PAGE[:size].startswith(got)
        assert PAGE[:answers].startswith(network.heard[number])
        if network.ended.get(number) is EndReason.DONE:
            assert network.heard[number] == PAGE[:answers]
    if not network.tunnel.failure:
        network.run(300, lambda: all(each.end is not None for each in network.servers.values()))
        assert all(network.ended[number] is EndReason.DONE for number in numbers)
        assert [bytes(network.servers[number].got) for number in numbers] == [
            PAGE[:size] for size in uploads
        ]
