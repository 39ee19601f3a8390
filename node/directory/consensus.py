"""Which consensus a node or client holds, and when it asks for the next.

Source: docs/spec/directory.md, section Acceptance.
"""

from typing import Final

from qnet.errors import DecodeError, RejectedError
from qnet.messages.consensus import Consensus, SignedConsensus
from qnet.messages.errors import ConsensusConflictError
from qnet.messages.freshness import Freshness
from qnet.sampling import RandomBytes, uniform_below

REFRESH_FROM_DIVISOR: Final = 12
"""The next consensus is asked for at the earliest interval / 12 after it is due."""
REFRESH_UNTIL_DIVISOR: Final = 4
"""… and at the latest interval / 4 after, so that not everybody asks at once."""
CROSS_CHECK_DIVISOR: Final = 12
"""A client compares with another source within interval / 12 after everybody has refreshed."""


def accept_consensus(
    held: SignedConsensus | None, offered: SignedConsensus, *, now: float, software: str
) -> SignedConsensus:
    """Return the consensus to hold after one was offered whose signatures hold.

    Args:
        held: the current one, if any.
        offered: another one, verified.
        now: unix time.
        software: own protocol version, e.g. "1.2.0".

    Raises:
        ConsensusTimeError: the offered one is outside its time bounds.
        ConsensusConflictError: both are of the same period but differ.
        RejectedError: it demands a newer version of this software.
    """
    Freshness.of(offered.consensus).check_refresh(now)
    check_version(offered.consensus, software)
    if held is None or held.consensus.valid_after < offered.consensus.valid_after:
        return offered
    if held.consensus.valid_after == offered.consensus.valid_after and held.hash != offered.hash:
        raise ConsensusConflictError(
            held.consensus.valid_after, known=held.hash, other=offered.hash
        )
    return held


def check_version(consensus: Consensus, software: str) -> None:
    """Refuse a consensus that demands a newer version than ours.

    Raises:
        RejectedError: with both versions.
        DecodeError: the demanded version is not three numbers.
    """
    needed = parse_version(consensus.min_version)
    if parse_version(software) < needed:
        raise RejectedError(
            f"this software speaks version {software}",
            why=f"the network demands at least {consensus.min_version}",
            try_=("install a newer release of qnet",),
        )


def parse_version(text: str) -> tuple[int, int, int]:
    """Read ``major.minor.patch``.

    Raises:
        DecodeError: anything else.
    """
    parts = text.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() for part in parts):
        raise DecodeError(f"{text!r} is not a version of three numbers")
    major, minor, patch = (int(part) for part in parts)
    return major, minor, patch


def next_refresh_at(consensus: Consensus, random: RandomBytes) -> float:
    """Unix time at which to ask for the consensus after this one, spread at random."""
    due = consensus.valid_after + consensus.interval_s
    earliest = consensus.interval_s // REFRESH_FROM_DIVISOR
    latest = consensus.interval_s // REFRESH_UNTIL_DIVISOR
    milliseconds = 1000 * (latest - earliest) + 1
    return due + earliest + uniform_below(milliseconds, random) / 1000


def overdue_from(consensus: Consensus) -> float:
    """Unix time from which every honest node that is online has the consensus after this one."""
    interval = consensus.interval_s
    return consensus.valid_after + interval + interval // REFRESH_UNTIL_DIVISOR


def cross_check_at(consensus: Consensus, random: RandomBytes) -> float:
    """Unix time at which to compare this consensus with what another source has."""
    interval = consensus.interval_s
    milliseconds = 1000 * interval // CROSS_CHECK_DIVISOR + 1
    from_s = consensus.valid_after + interval // REFRESH_UNTIL_DIVISOR
    return from_s + uniform_below(milliseconds, random) / 1000
