"""Errors of signed messages, each with the bound or rule that was broken."""

from enum import StrEnum

from qnet.errors import RejectedError, RemoteProtocolError


class TimeBound(StrEnum):
    """The bounds on a consensus's age, as the error texts name them."""

    FUTURE = "valid_after lies too far in the future"
    CIRCUITS = "too old to build circuits with"
    REFRESH = "too old to be used at all"


class ConsensusTimeError(RemoteProtocolError):
    """A consensus is outside its time bounds: which one, by how much, and what that says.

    A quorum signs no period that has not begun, so a consensus from the future proves that the
    local clock is behind. One that is too old may be stale, or the local clock is ahead.

    Args:
        bound: which bound.
        valid_after: the consensus's time, unix seconds.
        limit: the last (or, for the future, first) unix time at which it may be used.
        now: the clock it was judged by.
    """

    code = "Q0820"
    exit_code = 8

    def __init__(self, bound: TimeBound, *, valid_after: int, limit: int, now: float) -> None:
        self.bound = bound
        self.valid_after = valid_after
        self.limit = limit
        self.now = now
        if bound is TimeBound.FUTURE:
            why = (
                f"it may be used from {limit} on, the local clock says {int(now)}: "
                f"this clock is behind by {int(valid_after - now)} s or more"
            )
            steps: tuple[str, ...] = ("check the clock of this machine",)
        else:
            why = (
                f"it could be used until {limit}, the local clock says {int(now)}: "
                f"{int(self.beyond_s)} s too late, or this clock is ahead by as much"
            )
            steps = ("check the clock of this machine", "wait for the committee's next consensus")
        super().__init__(f"consensus of {valid_after}: {bound.value}", why=why, try_=steps)

    @property
    def beyond_s(self) -> float:
        """Seconds by which the local clock lies outside the bound."""
        return abs(self.now - self.limit)


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


class CommitteeForkError(RejectedError):
    """Two different sets are certified to follow one: at least one signer signed both.

    Args:
        valid_from: of the second one, unix seconds.
    """

    code = "Q0925"

    def __init__(self, valid_from: int) -> None:
        super().__init__(
            f"two committee changes are certified, the second one from {valid_from}",
            why="members of the old committee signed both; its certificates prove nothing any more",
            try_=("install a new release of qnet", "set [chain] rpc in client.toml"),
        )
        self.valid_from = valid_from
