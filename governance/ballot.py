"""Ballots: who may vote on what, checked before a transaction is paid for."""

from dataclasses import dataclass

from governance.errors import AlreadyVotedError, PowerMissingError, ProposalStateError
from qnet.address import checksum_address
from qnet.chain.governing import ProposalState, Support
from qnet.errors import UsageError
from qnet.units import format_qnet

MAX_REASON_BYTES = 2048


OPEN_STATES = frozenset(
    {
        ProposalState.PENDING,
        ProposalState.ACTIVE,
        ProposalState.SUCCEEDED,
        ProposalState.QUEUED,
    }
)
"""States in which something can still happen to a proposal."""

_NEXT_STEP = {
    ProposalState.PENDING: "wait until voting starts",
    ProposalState.ACTIVE: "vote, or wait until voting ends: qnet gov vote ID for",
    ProposalState.SUCCEEDED: "qnet gov queue ID",
    ProposalState.QUEUED: "qnet gov execute ID",
}


def parse_support(word: str) -> Support:
    """Read `for`, `against` or `abstain`.

    Raises:
        UsageError: another word.
    """
    try:
        return Support[word.upper()]
    except KeyError as error:
        raise UsageError(f"{word!r} is not for, against or abstain") from error


@dataclass(frozen=True, slots=True)
class Ballot:
    """One account's vote on one proposal, before it is cast.

    Attributes:
        proposal_id: the governor's id.
        voter: 20 bytes.
        support: what it says.
        power: the voter's votes at the snapshot, wei.
        reason: words stored in the event.
    """

    proposal_id: int
    voter: bytes
    support: Support
    power: int
    reason: str = ""

    def check(self, state: ProposalState, *, has_voted: bool) -> None:
        """Refuse what the governor would refuse.

        Raises:
            ProposalStateError: voting is not open.
            AlreadyVotedError: this account voted before.
            PowerMissingError: it had no votes at the snapshot.
            UsageError: the reason is too long.
        """
        require_state(self.proposal_id, state, ProposalState.ACTIVE, step="voting")
        if has_voted:
            raise AlreadyVotedError(
                f"{checksum_address(self.voter)} has voted on this proposal",
                why="a cast vote is final",
            )
        if self.power == 0:
            raise PowerMissingError(
                f"{checksum_address(self.voter)} had no votes when voting started",
                why="tokens vote only after they were delegated, from the next second on",
                try_=("qnet gov delegate self", "qnet gov power"),
            )
        if len(self.reason.encode()) > MAX_REASON_BYTES:
            raise UsageError(f"the reason is longer than {MAX_REASON_BYTES} bytes")

    def preview(self, title: str) -> list[str]:
        """Say in words what casting it does."""
        return [
            f"vote {self.support.name.lower()} on proposal {short_id(self.proposal_id)}: {title}",
            f"as {checksum_address(self.voter)} with {format_qnet(self.power)} QNET of votes",
            "a cast vote is final",
        ]


def require_state(
    proposal_id: int, state: ProposalState, *allowed: ProposalState, step: str
) -> None:
    """Refuse a step that the proposal's state does not allow.

    Raises:
        ProposalStateError: names the state, the states needed and what to do next.
    """
    if state in allowed:
        return
    needed = " or ".join(item.name.lower() for item in allowed)
    follow = _NEXT_STEP.get(state)
    raise ProposalStateError(
        f"{step} is not possible: proposal {short_id(proposal_id)} is {state.name.lower()}",
        why=f"it must be {needed}",
        try_=(follow.replace("ID", short_id(proposal_id)),) if follow else (),
    )


def short_id(proposal_id: int) -> str:
    """First ten digits of an id, enough to name a proposal in `qnet gov`."""
    return str(proposal_id)[:10]
