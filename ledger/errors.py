"""Errors of the ledger."""

from collections.abc import Mapping, Sequence

from qnet.errors import (
    ConfigError,
    NetworkError,
    NotFoundError,
    QnetError,
    RejectedError,
    RemoteProtocolError,
)


class BadDataError(RemoteProtocolError):
    """A data blob contradicts itself, the chain or what we hold."""

    code = "Q1001"


class OmittedReceiptError(RejectedError):
    """A proposed report leaves out something we acknowledged in time.

    Args:
        epoch: of the report.
        count: receipts or reveals missing.
    """

    code = "Q1002"

    def __init__(self, epoch: int, count: int) -> None:
        super().__init__(
            f"the report of epoch {epoch} leaves out {count} items that were accepted in time"
        )
        self.epoch = epoch
        self.count = count


class NotReadyError(QnetError):
    """Something is not known yet; asking again later may succeed."""

    code = "Q1003"
    exit_code = 8


class PeerError(NetworkError):
    """Another member did not answer, or not as it should.

    Args:
        member: its number.
    """

    code = "Q1004"

    def __init__(self, member: int, why: str) -> None:
        super().__init__(f"committee member {member} did not answer", why=why)
        self.member = member


class NoReportError(NotFoundError):
    """There is no report of the epoch yet."""

    code = "Q1005"

    def __init__(self, epoch: int) -> None:
        super().__init__(
            f"no report of epoch {epoch}", try_=("qnet ledger status", "wait until it is agreed on")
        )
        self.epoch = epoch


class NoConsensusError(NotFoundError):
    """There is no consensus (of that period) yet."""

    code = "Q1006"


class NotAMemberError(ConfigError):
    """The keys of this home are not those of the committee member it claims to be."""

    code = "Q1007"


class ReportMismatchError(RejectedError):
    """A report on chain is not what its data gives: evidence against its signers."""

    code = "Q1008"


class UnauthorisedError(RejectedError):
    """A call lacks the right token or signature."""

    code = "Q1009"


class StakeRefusedError(RejectedError):
    """The stake hub would refuse this.

    Args:
        name: the contract's error, e.g. ``Oversubscribed``.
    """

    code = "Q1015"

    def __init__(self, name: str) -> None:
        super().__init__(f"the stake hub refuses this: {name}")
        self.name = name


class ReportRefusedError(RejectedError):
    """The oracle would refuse this.

    Args:
        name: the contract's error, e.g. ``WrongAttempt``.
    """

    code = "Q1016"

    def __init__(self, name: str) -> None:
        super().__init__(f"the report oracle refuses this: {name}")
        self.name = name


class WrongPredecessorError(RejectedError):
    """We can prove the report before wrong, so we sign nothing that stands on it.

    Args:
        epoch: of the report before.
        proofs: how many there are of each kind.
    """

    code = "Q1017"

    def __init__(self, epoch: int, proofs: Mapping[str, int]) -> None:
        super().__init__(
            f"the report of epoch {epoch} is provably wrong: we sign no report that stands on it",
            why=", ".join(f"{count} {kind}" for kind, count in sorted(proofs.items())),
            try_=(f"qnet ledger evidence FOLDER --epoch {epoch}", "qnet court prove"),
        )
        self.epoch = epoch
        self.proofs = proofs


class IssuingRefusedError(RejectedError):
    """A purchase or a swap is not served.

    Args:
        why: in words.
    """

    code = "Q1018"

    def __init__(self, why: str) -> None:
        super().__init__("the request is not served", why=str(why))


class CommitteeSizeError(RejectedError):
    """A committee of this size cannot issue: a split view could make it serve two requests.

    Args:
        members: how many sign.
        why: in words.
    """

    code = "Q1019"

    def __init__(self, members: int, why: str) -> None:
        super().__init__(f"a committee of {members} makes no issuance keys", why=why)
        self.members = members


class OverloadedError(NotReadyError):
    """More is asked of us than we take at one time; asking again later may succeed."""

    code = "Q1020"


class OmittedBundleError(RejectedError):
    """A proposed record of a key generation leaves out what came in time.

    Args:
        epoch: issuance epoch.
        authors: indices of those left out.
    """

    code = "Q1021"

    def __init__(self, epoch: int, authors: Sequence[int]) -> None:
        super().__init__(
            f"a record of issuance epoch {epoch} leaves out what came in time",
            why=f"of the members {', '.join(map(str, sorted(authors)))}",
        )
        self.epoch = epoch
        self.authors = tuple(authors)


class OmittedRequestError(RejectedError):
    """A proposed log or attestation leaves out what we served or took in time.

    Args:
        epoch: issuance epoch.
        count: requests or claims missing.
    """

    code = "Q1022"

    def __init__(self, epoch: int, count: int) -> None:
        super().__init__(f"what settles issuance epoch {epoch} leaves out {count} items of ours")
        self.epoch = epoch
        self.count = count


class NotIssuedError(NotFoundError):
    """There are no such keys, no such swap, or no such leaf (yet)."""

    code = "Q1023"
