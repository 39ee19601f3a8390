import pytest

from governance.ballot import OPEN_STATES, Ballot, parse_support, require_state, short_id
from governance.errors import AlreadyVotedError, PowerMissingError, ProposalStateError
from qnet.chain.governing import ProposalState, Support
from qnet.errors import UsageError

ID = 12345678901234567890


def ballot(**overrides):
    values = {"proposal_id": ID, "voter": b"\x33" * 20, "support": Support.FOR, "power": 10**18}
    return Ballot(**{**values, **overrides})


def test_words_and_numbers():
    assert parse_support("For") is Support.FOR
    with pytest.raises(UsageError):
        parse_support("maybe")


@pytest.mark.parametrize("state", [item for item in ProposalState if item is not item.ACTIVE])
def test_only_active_proposals_take_votes(state):
    with pytest.raises(ProposalStateError, match=state.name.lower()):
        ballot().check(state, has_voted=False)


def test_second_vote_no_power_and_long_reason_are_refused():
    ballot().check(ProposalState.ACTIVE, has_voted=False)
    with pytest.raises(AlreadyVotedError):
        ballot().check(ProposalState.ACTIVE, has_voted=True)
    with pytest.raises(PowerMissingError):
        ballot(power=0).check(ProposalState.ACTIVE, has_voted=False)
    with pytest.raises(UsageError):
        ballot(reason="x" * 3000).check(ProposalState.ACTIVE, has_voted=False)


def test_decided_proposals_are_not_open():
    assert ProposalState.EXECUTED not in OPEN_STATES
    assert ProposalState.ACTIVE in OPEN_STATES


def test_error_says_what_to_do_next():
    with pytest.raises(ProposalStateError) as caught:
        require_state(ID, ProposalState.SUCCEEDED, ProposalState.QUEUED, step="execution")
    assert caught.value.try_ == (f"qnet gov queue {short_id(ID)}",)
    assert caught.value.exit_code == 9


def test_preview_says_who_what_and_that_it_is_final():
    text = "\n".join(ballot().preview("Set slot_s"))
    assert "0x3333333333333333333333333333333333333333" in text
    assert "1 QNET" in text
    assert "final" in text
