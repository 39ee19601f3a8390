"""Errors of signed messages, each with the bound or rule that was broken."""

from enum import StrEnum

from qnet.errors import RejectedError, RemoteProtocolError


class TimeBound(StrEnum):
    """The bounds on a consensus's age, as the error texts name them."""

    FUTURE = "valid_after lies too far in the future"
    CIRCUITS = "too old to build circuits with"
    REFRESH = "too old to be used at all"


class ConsensusTimeError(RemoteProtocolError):
    """A consensus is outside its time bounds.

    Args:
        bound: which bound.
        valid_after: the consensus's time, unix seconds.
        limit: the last (or, for the future, first) unix time at which it may be used.
        now: the clock it was judged by.
    """

    code = "Q0820"
    exit_code = 8

    def __init__(self, bound: TimeBound, *, valid_after: int, limit: int, now: float) -> None:
        if bound is TimeBound.FUTURE:
            why = f"it may be used from {limit} on, the local clock says {int(now)}"
            steps: tuple[str, ...] = ("check the clock of this machine",)
        else:
            why = f"it could be used until {limit}, the local clock says {int(now)}"
            steps = ("check the clock of this machine", "wait for the committee's next consensus")
        super().__init__(f"consensus of {valid_after}: {bound.value}", why=why, try_=steps)
        self.bound = bound
        self.valid_after = valid_after
        self.limit = limit
        self.now = now


class ConsensusConflictError(RemoteProtocolError):
    """Two different, validly signed consensuses exist for one period: evidence.

    Args:
        valid_after: the period.
        known: hash of the one held, 32 bytes.
        other: hash of the one offered, 32 bytes.
    """

    code = "Q0821"

    def __init__(self, valid_after: int, *, known: bytes, other: bytes) -> None:
        super().__init__(
            f"two consensuses are signed for {valid_after}",
            why=f"{known.hex()[:16]} and {other.hex()[:16]}; at least one signer signed both",
        )
        self.valid_after = valid_after
        self.known = known
        self.other = other


class DescriptorRefusedError(RejectedError):
    """A descriptor does not agree with the registry or the calendar.

    Args:
        index: registry index it claims.
        rule: the rule broken.
    """

    code = "Q0920"

    def __init__(self, index: int, rule: str) -> None:
        super().__init__(f"descriptor of node {index} refused", why=rule)
        self.index = index
        self.rule = rule
