from hypothesis import given
from hypothesis import strategies as st

from tools.bench.lane import HELD_BYTES, Lane, Shape


def never():
    raise AssertionError("nothing is drawn here")


def test_a_packet_is_due_after_the_delay():
    lane = Lane(Shape(delay_s=0.025), never)
    lane.offer(b"one", 10.0)
    assert lane.next_due == 10.025
    assert list(lane.due(10.02)) == []
    assert list(lane.due(10.03)) == [b"one"]
    assert lane.next_due is None
    assert lane.counts() == {"passed": 1, "passed_bytes": 3, "lost": 0, "dropped": 0}


def test_the_rate_spaces_packets_and_its_queue_is_bounded():
    lane = Lane(Shape(rate_bytes_s=1000.0, queue_bytes=200), never)
    for _ in range(5):
        lane.offer(bytes(100), 0.0)
    assert lane.dropped == 2
    assert [len(list(lane.due(t))) for t in (0.05, 0.1, 0.2, 0.25, 0.31)] == [0, 1, 1, 0, 1]


def test_a_lane_holds_only_so_much():
    lane = Lane(Shape(delay_s=1.0), never)
    for _ in range(70):
        lane.offer(bytes(2**20), 0.0)
    assert lane.dropped == 70 - HELD_BYTES // 2**20
    assert len(list(lane.due(2.0))) == HELD_BYTES // 2**20
    lane.offer(b"room again", 3.0)
    assert lane.dropped == 6


def test_loss_is_drawn_for_each_packet():
    draws = iter([0.05, 0.5, 0.0999, 0.1])
    lane = Lane(Shape(loss=0.1), lambda: next(draws))
    for name in (b"a", b"b", b"c", b"d"):
        lane.offer(name, 0.0)
    assert list(lane.due(0.0)) == [b"b", b"d"]
    assert lane.lost == 2


@given(st.lists(st.floats(0, 0.999), min_size=1, max_size=30))
def test_jitter_keeps_the_order(draws):
    drawn = iter(draws)
    lane = Lane(Shape(delay_s=0.01, jitter_s=0.02), lambda: next(drawn))
    packets = [bytes([number]) for number in range(len(draws))]
    for number, packet in enumerate(packets):
        lane.offer(packet, number * 0.001)
    first_due = lane.next_due
    assert 0.01 <= first_due < 0.03
    assert list(lane.due(0.0099)) == []
    assert list(lane.due(1.0)) == packets
