"""Why contracts refuse, in plain words, and what may help.

Our own errors are explained where they are declared: the compiler copies the documentation of the
interfaces into the artifacts. Here stand the errors of OpenZeppelin's library and of the language,
and the steps that help a user.
"""

from collections.abc import Mapping
from typing import Final

_LOGIC: Final = "a fault in a contract or in this program, not in what you asked for"

LIBRARY_ERRORS: Final[Mapping[str, str]] = {
    "AccessControlBadConfirmation": "an account can give up only its own role",
    "AccessControlUnauthorizedAccount": "the account does not have the role this call needs",
    "AddressEmptyCode": "no contract stands at the address given",
    "CheckpointUnorderedInsertion": _LOGIC,
    "ECDSAInvalidSignature": "the signature is not valid",
    "ECDSAInvalidSignatureLength": "the signature does not have 65 bytes",
    "ECDSAInvalidSignatureS": "the signature is not in its canonical form",
    "ERC1967InvalidImplementation": "no contract stands at the address of the new code",
    "ERC1967NonPayable": "this call takes no coins",
    "ERC1967ProxyUninitialized": "a proxy must be set up when it is created",
    "ERC20ExceededSafeSupply": "more tokens than votes can be counted for",
    "ERC20InsufficientAllowance": "the contract was not allowed to take that many tokens",
    "ERC20InsufficientBalance": "the account does not have that many tokens",
    "ERC20InvalidApprover": "nobody cannot approve",
    "ERC20InvalidReceiver": "tokens cannot be sent to nobody",
    "ERC20InvalidSender": "tokens cannot be sent by nobody",
    "ERC20InvalidSpender": "nobody cannot be allowed to take tokens",
    "ERC2612ExpiredSignature": "the signed permit has expired",
    "ERC2612InvalidSigner": "the permit was not signed by the owner of the tokens, or was used before",
    "ERC5805FutureLookup": "the moment asked for is not over yet",
    "ERC6372InconsistentClock": _LOGIC,
    "Error": "the contract gives the reason as text",
    "FailedCall": "a call made by the contract failed without a reason",
    "GovernorAlreadyCastVote": "the account has voted on this proposal; a cast vote is final",
    "GovernorAlreadyQueuedProposal": "the proposal is queued already",
    "GovernorDisabledDeposit": "the governor takes no deposits: the timelock acts for it",
    "GovernorExceedRemainingWeight": "the parts of the vote exceed the votes the account has left",
    "GovernorInsufficientProposerVotes": "the account has too few votes to propose",
    "GovernorInvalidProposalLength": "the proposal has no actions, or its lists differ in length",
    "GovernorInvalidSignature": "the vote was not signed by the voter",
    "GovernorInvalidVoteParams": "the parts of a split vote are malformed",
    "GovernorInvalidVoteType": "a vote is against, for, abstain or split",
    "GovernorInvalidVotingPeriod": "a vote cannot last no time",
    "GovernorNonexistentProposal": "there is no such proposal",
    "GovernorOnlyExecutor": "only a proposal that was voted on may do this",
    "GovernorPreventLateQuorumVoteExtensionTooLarge": "the extension is longer than the vote",
    "GovernorProposalQueueingFailed": "the timelock did not take the proposal",
    "GovernorProposalQueueingNotRequired": "the proposal needs no queueing",
    "GovernorRestrictedProposer": "the proposal's text names another account as its proposer",
    "GovernorUnableToCancel": "only its proposer can cancel the proposal, and only before the vote",
    "GovernorUnexpectedProposalState": "the proposal is in a state that does not allow this step",
    "InvalidAccountNonce": "the signature carries another number than the account's next",
    "InvalidInitialization": "the contract was set up before",
    "InvalidShortString": _LOGIC,
    "NotInitializing": _LOGIC,
    "Panic": "an arithmetic or logic fault inside the contract",
    "ReentrancyGuardReentrantCall": "the contract was called while it was still at work",
    "SafeCastOverflowedUintDowncast": "a number is larger than the contract can keep",
    "SafeERC20FailedOperation": "the token did not carry out a transfer",
    "StringTooLong": "a text is longer than the contract can keep",
    "TimelockInsufficientDelay": "the delay is shorter than the timelock allows",
    "TimelockInvalidOperationLength": "the lists of the operation differ in length",
    "TimelockUnauthorizedCaller": "only the timelock itself may do this",
    "TimelockUnexecutedPredecessor": "the operation before this one was not carried out",
    "TimelockUnexpectedOperationState": "the operation is not scheduled, not ready, or done already",
    "UUPSUnauthorizedCallContext": "this call goes to the proxy, not to the code behind it",
    "UUPSUnsupportedProxiableUUID": "the new code is not meant for this kind of proxy",
    "VotesExpiredSignature": "the signed delegation of votes has expired",
}
"""Errors that are not declared in this project's interfaces."""

HINTS: Final[Mapping[str, tuple[str, ...]]] = {
    "CannotDisplace": ("qnet stake list --all shows who holds a slot with how much stake",),
    "ERC20InsufficientAllowance": ("repeat the command: it asks for the allowance first",),
    "ERC20InsufficientBalance": ("qnet wallet balance",),
    "Frozen": ("wait for the slash in escrow: qnet court status",),
    "InEscrow": ("wait until the escrow is over: qnet court status",),
    "InsufficientShares": ("qnet stake positions",),
    "IsPaused": ("wait: a pause ends by itself; withdrawing is never paused",),
    "NotBondable": ("choose a node that is neither retired, jailed nor tombstoned",),
    "NotFinal": ("wait until the report is final: qnet chain status",),
    "NotSettled": ("settle the node first: qnet stake settle --node N",),
    "NothingToSettle": ("wait for the next final report",),
    "Oversubscribed": ("delegate less, or to another node: qnet stake list --all",),
    "StillJailed": ("wait until the term is over: qnet stake list --all",),
    "StillUnbonding": ("qnet stake list shows when each ticket unlocks",),
    "TooEarly": ("wait a second: a proof comes in a later block than its challenge",),
    "TooManyTickets": ("withdraw ripe tickets first: qnet stake withdraw",),
    "WindowOpen": ("wait until the challenge window is over",),
}
"""Steps that help, by name of the error."""
