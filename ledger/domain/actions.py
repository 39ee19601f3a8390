"""What an agreement asks its driver to do, in order."""

from dataclasses import dataclass
from typing import TypeAlias

from ledger.domain.memory import MemberState
from ledger.domain.votes import Decision, Message


@dataclass(frozen=True, slots=True)
class Persist:
    """Write the state to disk before anything that follows."""

    state: MemberState


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to one member, or to all others (`to` is None)."""

    to: int | None
    message: Message


@dataclass(frozen=True, slots=True)
class BuildDocument:
    """We lead: build the document of this topic and call `provide`."""

    view: int


@dataclass(frozen=True, slots=True)
class CheckDocument:
    """Judge a document and call `checked`.

    Args:
        digest: what the document must give, 32 bytes.
        document: the document.
        certified: a quorum accepted it already; only its digest is in question.
    """

    digest: bytes
    document: bytes
    certified: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """The topic is decided."""

    decision: Decision


Action: TypeAlias = Persist | Send | BuildDocument | CheckDocument | Decided
