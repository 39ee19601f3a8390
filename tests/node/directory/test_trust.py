"""How long a committee is believed, and what a client keeps about it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.directory.trust import MAX_TRUST_AGE_S, TrustState, check_age
from node.errors import Stage, TrustAgeError
from qnet.errors import RemoteProtocolError
from qnet.messages.succession import CommitteeHistory
from tests.qnet.messages.test_succession import START, WHOLE

NOW = 1_800_000_000
BUNDLE = START.start.hash


@pytest.mark.parametrize(("age", "holds"), [(0, True), (MAX_TRUST_AGE_S, True), (-500, True)])
def test_three_weeks_are_the_limit(age: int, *, holds: bool) -> None:
    check_age(NOW - age, NOW)
    assert holds


@pytest.mark.parametrize("confirmed", [NOW - MAX_TRUST_AGE_S - 1, 0])
def test_older_ones_are_refused_with_what_helps(confirmed: int) -> None:
    with pytest.raises(TrustAgeError) as caught:
        check_age(confirmed, NOW)
    assert caught.value.stage is Stage.BUNDLE
    assert ("21 days ago" if confirmed else "has no date") in caught.value.why
    assert len(caught.value.try_) == 3


@pytest.mark.parametrize("history", [START, WHOLE])
def test_states_round_trip(history: CommitteeHistory) -> None:
    state = TrustState(BUNDLE, history, NOW)
    assert TrustState.decode(state.encode()) == state


def test_a_state_with_a_change_that_nobody_certified_is_refused() -> None:
    state = TrustState(BUNDLE, CommitteeHistory(WHOLE.newest, WHOLE.changes[:1]), NOW)
    with pytest.raises(RemoteProtocolError):
        TrustState.decode(state.encode())


@given(st.integers(0, 3_000), st.integers(1, 255))
def test_a_damaged_state_is_refused_or_another(place: int, flip: int) -> None:
    wire = bytearray(TrustState(BUNDLE, WHOLE, NOW).encode())
    wire[place % len(wire)] ^= flip
    try:
        state = TrustState.decode(bytes(wire))
    except RemoteProtocolError:
        return
    assert state.encode() == bytes(wire)
