"""What a client believes that an exit has."""

from hypothesis import given
from hypothesis import strategies as st

from node.mix.streams.supply import CALM_S, LEAST, MOST, Supply
from node.mix.streams.wire import Flag, Seen, TunnelReply


def reply(order, taken=0, stock=0, wanted=0):
    return TunnelReply(Flag(0), order, 0, Seen(), taken, stock, wanted)


def test_what_is_under_way_counts():
    supply = Supply()
    assert supply.missing == LEAST
    supply.sent(10, 0.0)
    assert supply.missing == LEAST - 10
    supply.reported(reply(1, taken=6, stock=5), 1.0, 0.3)
    assert supply.missing == LEAST - 5 - 4


def test_what_is_lost_counts_no_more():
    supply = Supply()
    supply.sent(10, 0.0)
    supply.reported(reply(1, taken=3, stock=2), 1.0, 0.5)
    assert supply.missing == LEAST - 2 - 7
    supply.reported(reply(2, taken=3, stock=2), 1.0, 1.5)
    assert supply.missing == LEAST - 2


def test_an_older_report_changes_nothing():
    supply = Supply()
    supply.sent(10, 0.0)
    supply.reported(reply(5, taken=10, stock=9), 1.0, 0.5)
    supply.reported(reply(4, taken=9, stock=1, wanted=50), 1.0, 0.6)
    assert (supply.stock, supply.wanted, supply.target) == (9, 0, LEAST)


def test_the_target_grows_once_in_a_round_trip_and_shrinks_in_calm():
    supply = Supply()
    for order in range(1, 1000):
        supply.reported(reply(order, wanted=10), 1.0, 100 + order / 100)
    assert supply.target == MOST
    assert supply.is_short
    supply.reported(reply(2000), 1.0, 200.0)
    assert supply.target == MOST // 2
    supply.reported(reply(2001), 1.0, 200.1)
    assert supply.target == MOST // 2
    for step in range(10):
        supply.reported(reply(2002 + step), 1.0, 210.0 + step * CALM_S)
    assert supply.target == LEAST


@given(
    st.lists(
        st.tuples(
            st.booleans(), st.integers(0, 9), st.integers(0, 1 << 32), st.integers(0, 1 << 16)
        )
    )
)
def test_no_report_makes_it_send_more_than_the_most(steps):
    supply = Supply()
    for now, (sends, count, taken, stock) in enumerate(steps):
        if sends:
            supply.sent(count, float(now))
        else:
            supply.reported(reply(now + 1, taken, stock, count), 1.0, float(now))
        assert 0 <= supply.missing <= MOST


def test_what_leads_to_a_guard_that_was_left_does_not_count():
    supply = Supply()
    supply.sent(10, 0.0)
    supply.reported(reply(1, taken=6, stock=5), 1.0, 0.3)
    supply.forsake()
    assert supply.missing == LEAST
    supply.sent(7, 0.5)
    assert supply.missing == LEAST - 7
    supply.reported(reply(2, taken=17, stock=15), 1.0, 0.8)
    assert supply.missing == LEAST - 15 + 9
    supply.reported(reply(3, taken=17, stock=4), 1.0, 0.9)
    assert supply.missing == LEAST
