"""What consensuses say about the local clock: the three bounds, each way."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.directory.clock import MAX_WITNESSES, ClockWitnesses, Off
from qnet.messages.errors import ConsensusTimeError, TimeBound
from qnet.messages.freshness import Freshness
from tests.support.signed_network import PARAMETERS, PERIOD, make_network

CONSENSUS = make_network().consensus
INTERVAL = PARAMETERS.consensus_interval_s
BOUNDS = Freshness.of(CONSENSUS)


def heard(*sources: str, periods_ago: int = 0) -> ClockWitnesses:
    witnesses = ClockWitnesses()
    for source in sources:
        period = PERIOD - periods_ago * INTERVAL
        witnesses.heard(source, replace(CONSENSUS, valid_after=period))
    return witnesses


def test_one_signed_period_from_the_future_is_enough() -> None:
    witnesses = heard("a")
    assert witnesses.verdict(BOUNDS.usable_from) is None
    found = witnesses.verdict(BOUNDS.usable_from - 100)
    assert found is not None
    assert (found.off, found.offset_s) == (Off.BEHIND, INTERVAL // 12 + 100)
    assert "1 source gives" in found.why
    assert witnesses.floor == PERIOD


def test_a_clock_is_ahead_only_by_the_word_of_two() -> None:
    late = BOUNDS.circuits_until + 1
    assert heard("a", "a").verdict(late) is None
    found = heard("a", "b").verdict(late)
    assert found is not None
    assert (found.off, found.offset_s) == (Off.AHEAD, -(INTERVAL + 1))
    assert "2 sources give" in found.why
    assert heard("a", "b").verdict(BOUNDS.circuits_until) is None


def test_a_stale_source_does_not_make_the_clock_wrong() -> None:
    witnesses = heard("a", "b", periods_ago=5)
    witnesses.heard("c", CONSENSUS)
    assert witnesses.verdict(PERIOD + 1) is None


def test_a_source_is_known_by_the_newest_it_gave() -> None:
    witnesses = heard("a", "b")
    witnesses.heard("a", replace(CONSENSUS, valid_after=PERIOD - 9 * INTERVAL))
    found = witnesses.verdict(BOUNDS.circuits_until + 1)
    assert found is not None
    assert found.sources == 2


def test_witnesses_are_bounded() -> None:
    witnesses = heard(*map(str, range(MAX_WITNESSES + 9)))
    found = witnesses.verdict(BOUNDS.circuits_until + 1)
    assert found is not None
    assert found.sources == MAX_WITNESSES
    assert ClockWitnesses().verdict(0) is None


@given(st.integers(-20 * INTERVAL, 20 * INTERVAL), st.integers(1, 3))
def test_verdicts_agree_with_the_bounds(offset: int, sources: int) -> None:
    now = PERIOD + offset
    found = heard(*map(str, range(sources))).verdict(now)
    try:
        BOUNDS.check_circuits(now)
    except ConsensusTimeError as error:
        if error.bound is TimeBound.FUTURE:
            assert found is not None
            assert found.off is Off.BEHIND
            assert now + found.offset_s == PERIOD
        else:
            assert (found is not None) == (sources > 1)
    else:
        assert found is None


@pytest.mark.parametrize(
    ("now", "bound", "words"),
    [
        (PERIOD - INTERVAL, TimeBound.FUTURE, f"behind by {INTERVAL} s or more"),
        (PERIOD + 2 * INTERVAL + 7, TimeBound.CIRCUITS, "7 s too late"),
        (PERIOD + 3 * INTERVAL + 9, TimeBound.REFRESH, "9 s too late, or this clock is ahead"),
    ],
)
def test_each_bound_says_by_how_much_and_which_way(now: int, bound: TimeBound, words: str) -> None:
    with pytest.raises(ConsensusTimeError, match=bound.value) as caught:
        BOUNDS.check_circuits(now)
    assert words in caught.value.why
    assert caught.value.beyond_s == abs(now - caught.value.limit)
