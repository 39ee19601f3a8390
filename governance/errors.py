"""What can go wrong when holders and operators act.

Raise a `RejectedError` subclass when contract rules forbid the step now, before a transaction is
sent; a `FundsError` subclass when votes or tokens are short; `MismatchError` when two ways of
computing the same fact disagree.
"""

from qnet.errors import FundsError, NotFoundError, QnetError, RejectedError, UsageError


class ValueRefusedError(UsageError):
    """A proposed value lies outside the bounds of its parameter."""

    code = "Q0240"


class ProposalUnknownError(NotFoundError):
    """No proposal has that id."""

    code = "Q0340"


class NodeUnknownError(NotFoundError):
    """No node of the registry has that index or id."""

    code = "Q0341"


class VersionUnknownError(NotFoundError):
    """No protocol version was published yet."""

    code = "Q0342"


class PowerMissingError(FundsError):
    """The account has no votes, or too few, at the moment that counts."""

    code = "Q0740"


class StakeMissingError(FundsError):
    """Tokens, bond or a matured ticket are missing."""

    code = "Q0741"


class ProposalStateError(RejectedError):
    """The proposal is in a state that does not allow the step."""

    code = "Q0940"


class AlreadyVotedError(RejectedError):
    """The account has voted on this proposal."""

    code = "Q0941"


class OneLiveProposalError(RejectedError):
    """The account has a proposal that is not decided yet."""

    code = "Q0942"


class TimelockClosedError(RejectedError):
    """The waiting time after the vote is not over."""

    code = "Q0943"


class TicketLockedError(RejectedError):
    """An unbonding ticket is not matured."""

    code = "Q0944"


class DelegationRefusedError(RejectedError):
    """The node's pool takes no more, or the node takes no delegations now."""

    code = "Q0945"


class NoSlotError(RejectedError):
    """No paid slot is free, and no holder of one can be displaced."""

    code = "Q0946"


class ChallengeStateError(RejectedError):
    """The challenge, demand or slash is in a state that does not allow the step."""

    code = "Q0947"


class EvidenceFailsError(RejectedError):
    """The evidence does not show what it says; it was not brought to the court."""

    code = "Q0948"


class NodeStandingError(RejectedError):
    """The node's state does not allow the step, or makes it needless."""

    code = "Q0949"


class ContractsDifferError(QnetError):
    """The contracts on the chain are not what the manifest and this program say."""

    code = "Q0141"
    exit_code = 1


class MismatchError(QnetError):
    """Two independent computations of the same fact disagree; nothing was sent."""

    code = "Q0140"
    exit_code = 1
