"""Counting votes from their events, independently of the contract's own count.

Source: OpenZeppelin Governor 5.7: `VoteCast`, `VoteCastWithParams`, GovernorCountingFractional.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from governance.errors import MismatchError
from qnet.chain.governing import Support
from qnet.errors import RemoteProtocolError
from qnet.units import PPM, format_qnet

FRACTIONAL = 255
"""Support of a vote that is split by its `params`."""

_SHARE_BYTES = 16


@dataclass(frozen=True, slots=True)
class VoteEvent:
    """One cast vote as the chain tells it.

    Attributes:
        voter: 20 bytes.
        support: 0 against, 1 for, 2 abstain, 255 split by `params`.
        weight: votes in wei.
        params: for a split vote three big-endian 16-byte shares: against, for, abstain.
        reason: the voter's words.
    """

    voter: bytes
    support: int
    weight: int
    params: bytes = b""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """Votes of one proposal, in wei."""

    against: int = 0
    for_: int = 0
    abstain: int = 0

    @property
    def total(self) -> int:
        """All votes."""
        return self.against + self.for_ + self.abstain

    @property
    def towards_quorum(self) -> int:
        """Votes that count as taking part: for and abstain."""
        return self.for_ + self.abstain

    @property
    def ahead(self) -> bool:
        """More votes for than against."""
        return self.for_ > self.against

    def add(self, event: VoteEvent) -> "Tally":
        """Count one more vote."""
        against, for_, abstain = _shares(event)
        return Tally(self.against + against, self.for_ + for_, self.abstain + abstain)

    def describe(self) -> str:
        """Write all three in QNET."""
        parts = (("for", self.for_), ("against", self.against), ("abstain", self.abstain))
        return ", ".join(f"{name} {format_qnet(votes)}" for name, votes in parts)


def _shares(event: VoteEvent) -> tuple[int, int, int]:
    if event.support == FRACTIONAL:
        if len(event.params) != 3 * _SHARE_BYTES:
            raise RemoteProtocolError("a split vote without its three shares")
        against, for_, abstain = (
            int.from_bytes(event.params[start : start + _SHARE_BYTES], "big")
            for start in range(0, 3 * _SHARE_BYTES, _SHARE_BYTES)
        )
        return against, for_, abstain
    try:
        support = Support(event.support)
    except ValueError as error:
        raise RemoteProtocolError(f"vote of unknown kind {event.support}") from error
    return (
        event.weight if support is Support.AGAINST else 0,
        event.weight if support is Support.FOR else 0,
        event.weight if support is Support.ABSTAIN else 0,
    )


def count(events: Iterable[VoteEvent]) -> Tally:
    """Count all votes of one proposal.

    Raises:
        RemoteProtocolError: a vote of a kind this version does not know.
    """
    tally = Tally()
    for event in events:
        tally = tally.add(event)
    return tally


def compare(counted: Tally, on_chain: Tally) -> None:
    """Check the recount against the contract's count.

    Raises:
        MismatchError: they differ.
    """
    if counted != on_chain:
        raise MismatchError(
            "the votes counted from their events differ from the contract's count",
            why=f"events: {counted.describe()}; contract: {on_chain.describe()}",
            try_=("wait two blocks and repeat", "ask another chain node: --rpc URL"),
        )


def turnout_ppm(tally: Tally, supply_wei: int) -> int:
    """Share of the supply that took part, in parts per million, rounded down."""
    return tally.towards_quorum * PPM // supply_wei if supply_wei else 0
