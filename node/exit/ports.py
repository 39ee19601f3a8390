"""Sets of TCP ports as sorted, disjoint ranges."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

PORT_MAX: Final = 65_535

Ports = tuple[tuple[int, int], ...]
"""Ranges (first, last), inclusive, ascending, with a gap between any two."""

NO_PORTS: Final[Ports] = ()
ALL_PORTS: Final[Ports] = ((1, PORT_MAX),)


def merged(ranges: Iterable[tuple[int, int]]) -> Ports:
    """The set of all ports in some ranges, which may overlap and come in any order."""
    kept: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if kept and first <= kept[-1][1] + 1:
            kept[-1] = (kept[-1][0], max(kept[-1][1], last))
        else:
            kept.append((first, last))
    return tuple(kept)


def minus(ports: Ports, taken: Ports) -> Ports:
    """The ports of the first set that are not in the second."""
    left: list[tuple[int, int]] = []
    for first, last in ports:
        start = first
        for low, high in taken:
            if high < start:
                continue
            if low > last:
                break
            if low > start:
                left.append((start, low - 1))
            start = high + 1
        if start <= last:
            left.append((start, last))
    return tuple(left)


def contains(ports: Ports, port: int) -> bool:
    """Whether a port is in the set."""
    at = bisect_right(ports, (port, PORT_MAX)) - 1
    return at >= 0 and ports[at][0] <= port <= ports[at][1]


def format_ports(ports: Ports) -> str:
    """The set as it stands in a rule: `80,443,8000-8100`, or `*` for all."""
    if ports == ALL_PORTS:
        return "*"
    return ",".join(f"{low}" if low == high else f"{low}-{high}" for low, high in ports)


def parse_range(text: str) -> tuple[int, int]:
    """Read `80`, `8000-8100` or `*`.

    Raises:
        ValueError: It is none of them; the message says what is wrong.
    """
    if text == "*":
        return ALL_PORTS[0]
    low, dash, high = text.partition("-")
    first, last = _port(low), _port(high) if dash else _port(low)
    if first > last:
        raise ValueError(f"the range {text} runs backwards")
    return first, last


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(PORT_MAX)):
        raise ValueError(f"{text!r} is not a port")
    if not 1 <= int(text) <= PORT_MAX:
        raise ValueError(f"port {int(text)} does not exist, only 1 to {PORT_MAX}")
    return int(text)
