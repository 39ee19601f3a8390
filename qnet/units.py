"""Units of money and traffic. Money is always an integer number of wei."""

import re

from qnet.errors import UsageError

WEI_PER_QNET = 10**18
"""The smallest part of a QNET is 10^-18."""
UNIT_BYTES = 2**20
"""One unit of premium traffic at one relay: 1 MiB."""
PPM = 1_000_000
"""Ratios are integers in parts per million."""

_AMOUNT = re.compile(r"(\d{1,30})(?:\.(\d{1,18}))?")


def format_qnet(wei: int) -> str:
    """Write an amount as decimal QNET without losing a wei, e.g. ``1.5``."""
    sign = "-" if wei < 0 else ""
    whole, part = divmod(abs(wei), WEI_PER_QNET)
    decimals = f"{part:018d}".rstrip("0")
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def parse_qnet(text: str) -> int:
    """Read a decimal amount of QNET into wei.

    Raises:
        UsageError: not a plain decimal number with at most 18 decimals.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"{text!r} is not an amount of QNET", why="write digits with at most 18 decimals"
        )
    whole, part = match.group(1), match.group(2) or ""
    return int(whole) * WEI_PER_QNET + int(part.ljust(18, "0"))
