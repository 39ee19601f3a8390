"""Where an address belongs: its autonomous system and its country, from files a user provides.

A file holds one prefix per line, `prefix value`: `192.0.2.0/24 AS64500` or `2001:db8::/32 CH`.
Empty lines and lines that start with # are skipped. The longest prefix decides. Nested prefixes
are flattened into sorted, disjoint ranges, so a table of a million prefixes takes 24 MB at most
and a lookup is one bisection.

Source: docs/spec/directory.md, section Path selection.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final, Self

from qnet.errors import DecodeError

MAX_TABLE_BYTES: Final = 64 << 20
"""Text of one file."""
MAX_PREFIXES: Final = 2_000_000
MAX_LINE_CHARS: Final = 256
V6_BITS: Final = 64
"""Bits of an IPv6 address that are looked at; longer prefixes are left out."""
_V4_BITS: Final = 32
_ASN_MAX: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Ranges:
    """Disjoint ranges of one address family.

    Args:
        starts: first address of each range, ascending.
        values: value of each range, 0 for none.
    """

    starts: array[int]
    values: array[int]

    @classmethod
    def of(cls, prefixes: list[tuple[int, int, int]], top: int) -> Self:
        """Flatten (first, last, value) triples; of nested ones the inner wins, of equal the last.

        Args:
            prefixes: each a whole prefix, so that two are nested or disjoint.
            top: last address of the family.
        """
        starts, values = array("Q"), array("I")

        def begin(start: int, value: int) -> None:
            if start > top:
                return
            if starts and starts[-1] == start:
                values[-1] = value
            else:
                starts.append(start)
                values.append(value)

        around: list[tuple[int, int]] = []
        for first, last, value in sorted(prefixes, key=lambda entry: (entry[0], -entry[1])):
            _leave(around, first, begin)
            begin(first, value)
            around.append((last, value))
        _leave(around, top + 1, begin)
        return cls(starts, values)

    def value_at(self, address: int) -> int:
        """Value of the range that holds an address, 0 for none."""
        place = bisect_right(self.starts, address) - 1
        return self.values[place] if place >= 0 else 0


def _leave(around: list[tuple[int, int]], before: int, begin: Callable[[int, int], None]) -> None:
    """Close the prefixes that end before an address; what encloses them goes on."""
    while around and around[-1][0] < before:
        last, _ = around.pop()
        begin(last + 1, around[-1][1] if around else 0)


@dataclass(frozen=True, slots=True)
class PrefixTable:
    """Values of prefixes of both address families.

    Args:
        v4: ranges of IPv4.
        v6: ranges of the upper 64 bits of IPv6.
    """

    v4: Ranges
    v6: Ranges

    @classmethod
    def parse(cls, data: bytes, value_of: Callable[[str], int]) -> Self:
        """Read a file.

        Args:
            data: its content.
            value_of: reads a value; raises ValueError for what is none.

        Raises:
            DecodeError: too long, or a line is not a prefix and a value; names the line.
        """
        if len(data) > MAX_TABLE_BYTES:
            raise DecodeError(f"prefix table of {len(data)} bytes exceeds {MAX_TABLE_BYTES}")
        v4: list[tuple[int, int, int]] = []
        v6: list[tuple[int, int, int]] = []
        for number, raw in enumerate(data.splitlines(), start=1):
            if not raw.strip() or raw.startswith(b"#"):
                continue
            try:
                is_v4, first, last, value = _parse_line(raw, value_of)
            except ValueError as error:
                raise DecodeError(f"prefix table: line {number}", why=str(error)) from error
            if last >= first:
                (v4 if is_v4 else v6).append((first, last, value))
            if len(v4) + len(v6) > MAX_PREFIXES:
                raise DecodeError(f"prefix table: more than {MAX_PREFIXES} prefixes")
        return cls(Ranges.of(v4, 2**_V4_BITS - 1), Ranges.of(v6, 2**V6_BITS - 1))

    def value_of(self, host: str) -> int:
        """Value of an address, 0 for none and for names."""
        try:
            address = ip_address(host)
        except ValueError:
            return 0
        if isinstance(address, IPv6Address):
            if address.ipv4_mapped is None:
                return self.v6.value_at(int(address) >> (128 - V6_BITS))
            address = address.ipv4_mapped
        return self.v4.value_at(int(address))


EMPTY_TABLE: Final = PrefixTable(Ranges.of([], 0), Ranges.of([], 0))


@dataclass(frozen=True, slots=True)
class Atlas:
    """What is known about addresses.

    Args:
        systems: autonomous system numbers.
        countries: countries, two letters packed into a number.
    """

    systems: PrefixTable = EMPTY_TABLE
    countries: PrefixTable = EMPTY_TABLE

    @classmethod
    def parse(cls, asmap: bytes = b"", geo: bytes = b"") -> Self:
        """Read the two files; an empty one knows nothing.

        Raises:
            DecodeError: one cannot be read; names the line.
        """
        return cls(PrefixTable.parse(asmap, _asn), PrefixTable.parse(geo, pack_country))

    @property
    def knows_countries(self) -> bool:
        """Whether any country is known."""
        return bool(self.countries.v4.starts or self.countries.v6.starts)

    def asn_of(self, host: str) -> int:
        """Autonomous system of an address, 0 when unknown."""
        return self.systems.value_of(host)

    def country_of(self, host: str) -> str:
        """Two capital letters, "" when unknown."""
        value = self.countries.value_of(host)
        return value.to_bytes(2, "big").decode() if value else ""


NO_ATLAS: Final = Atlas()


def pack_country(text: str) -> int:
    """A country of two letters as a number.

    Raises:
        ValueError: it is something else.
    """
    if len(text) != 2 or not text.isascii() or not text.isalpha():
        raise ValueError(f"{text!r} is not a country of two letters")
    return int.from_bytes(text.upper().encode(), "big")


def _asn(text: str) -> int:
    digits = text.upper().removeprefix("AS")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 10:
        raise ValueError(f"{text!r} is not the number of an autonomous system")
    if int(digits) > _ASN_MAX:
        raise ValueError(f"{text!r} exceeds {_ASN_MAX}")
    return int(digits)


def _parse_line(raw: bytes, value_of: Callable[[str], int]) -> tuple[bool, int, int, int]:
    """Read (is IPv4, first, last, value); an IPv6 prefix that is too long has last < first."""
    if len(raw) > MAX_LINE_CHARS:
        raise ValueError("the line is too long")
    prefix, *rest = raw.decode("ascii").split()
    if len(rest) != 1:
        raise ValueError("not a prefix and a value")
    host, slash, length = prefix.partition("/")
    if not slash or not length.isdigit() or len(length) > 3:
        raise ValueError(f"{prefix!r} is not a prefix")
    address, bits = ip_address(host), int(length)
    if bits > address.max_prefixlen:
        raise ValueError(f"{prefix!r} is not a prefix")
    is_v4 = address.max_prefixlen == _V4_BITS
    width = _V4_BITS if is_v4 else V6_BITS
    start = int(address) if is_v4 else int(address) >> (128 - V6_BITS)
    value = value_of(rest[0])
    if bits > width:
        return is_v4, 1, 0, value
    first = start >> (width - bits) << (width - bits)
    if first != start:
        raise ValueError(f"{prefix!r} has bits set after the prefix")
    return is_v4, first, first + 2 ** (width - bits) - 1, value
