import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import MismatchError
from governance.tally import Tally, VoteEvent, compare, count, turnout_ppm
from qnet.errors import RemoteProtocolError

weights = st.integers(0, 10**27)
votes = st.lists(st.tuples(st.integers(0, 2), weights), max_size=30)


@given(votes)
def test_every_wei_is_counted_once(cast):
    tally = count(VoteEvent(bytes(20), support, weight) for support, weight in cast)
    assert tally.total == sum(weight for _, weight in cast)
    assert tally.for_ == sum(weight for support, weight in cast if support == 1)
    assert tally.against == sum(weight for support, weight in cast if support == 0)
    assert tally.towards_quorum == tally.for_ + tally.abstain


@given(weights, weights, weights)
def test_split_votes_count_by_share(against, for_, abstain):
    params = b"".join(part.to_bytes(16, "big") for part in (against, for_, abstain))
    event = VoteEvent(bytes(20), 255, against + for_ + abstain, params)
    assert count([event]) == Tally(against, for_, abstain)


@pytest.mark.parametrize("event", [VoteEvent(b"", 3, 1), VoteEvent(b"", 255, 1, b"short")])
def test_unknown_votes_are_not_guessed(event):
    with pytest.raises(RemoteProtocolError):
        count([event])


def test_difference_from_the_contract_is_named():
    compare(Tally(1, 2, 3), Tally(1, 2, 3))
    with pytest.raises(MismatchError) as caught:
        compare(Tally(0, 10**18, 0), Tally(0, 2 * 10**18, 0))
    assert "for 1," in caught.value.why
    assert "for 2," in caught.value.why


def test_turnout_and_lead():
    assert turnout_ppm(Tally(9, 3, 1), 100) == 40_000
    assert turnout_ppm(Tally(), 0) == 0
    assert not Tally(5, 5, 0).ahead
