"""Addresses an exit may be asked for: how they are spelled, and which are nobody's public host.

The table follows IANA's special-purpose registries and does not lean on the interpreter's own,
which changes between versions. An IPv4 address inside an IPv6 one is judged as what it reaches.

Source: docs/spec/exits-and-clients.md; RFC 6890, RFC 6052, RFC 8215, RFC 4291.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from node.errors import ResolveError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_NAME_BYTES: Final = 253
MAX_LABEL_BYTES: Final = 63

MAPPED: Final = IPv6Network("::ffff:0:0/96")
NAT64: Final = IPv6Network("64:ff9b::/96")

SPECIAL: Final[dict[str, str]] = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "carrier-grade NAT",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "metadata",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.88.99.0/24": "6to4 relay",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "::/3": "reserved, loopback or IPv4-compatible",
    "2001::/23": "protocol assignments or Teredo",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "3fff::/20": "documentation",
    "4000::/2": "reserved",
    "8000::/1": "private, link-local, multicast or reserved",
}
"""Everything but public unicast hosts, by prefix; 168.63.129.16 is one cloud's metadata service.

Other clouds' (169.254.169.254, 100.100.100.200, fd00:ec2::254, fd20:ce::254) lie in link-local,
carrier-grade and private prefixes.
"""

UNSERVED_DOMAINS: Final = frozenset({"onion", "localhost", "local", "invalid", "alt"})
"""Last labels no DNS server may be asked for (RFC 6761, RFC 6762, RFC 7686, RFC 9476)."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)


def parse_address(host: str) -> Address | None:
    """The address a host text spells in its one standard form, or None when it spells none.

    Brackets may stand around IPv6. Zone ids, IPv4 in fewer than four parts, octal or hexadecimal
    are no addresses.
    """
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host:
            return None
    if "%" in host:
        return None
    try:
        return ip_address(host)
    except ValueError:
        return None


def judged(address: Address) -> Address:
    """The address that decides: the IPv4 address inside a mapped or NAT64 one, else itself."""
    if isinstance(address, IPv6Address) and (address in MAPPED or address in NAT64):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def plain(address: Address) -> Address:
    """The address to connect to: a mapped one in its IPv4 form, else itself."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def special_use(address: Address) -> str:
    """What an address is reserved for, or "" when it is an ordinary public unicast address."""
    address = judged(address)
    starts, entries = _TABLES[address.version]
    network, use = entries[bisect_right(starts, int(address)) - 1]  # both tables start at zero
    return use if int(address) <= int(network.broadcast_address) else ""


def is_private(address: Address) -> bool:
    """Whether an address is not an ordinary public unicast address."""
    return bool(special_use(address))


def checked_name(host: str) -> str:
    """A host name in lower case, with its trailing dot.

    Raises:
        ResolveError: It is no host name: wrong characters or lengths, a number where only an
            unusual spelling of an address has one, or a domain that DNS does not serve.
    """
    if len(host.removesuffix(".")) > MAX_NAME_BYTES or not _NAME.fullmatch(host):
        raise _no_name("not letters, digits, hyphens and dots, at most 253 of them")
    labels = host.removesuffix(".").lower().split(".")
    if max(map(len, labels)) > MAX_LABEL_BYTES:
        raise _no_name("a part is longer than 63 characters")
    if _NUMBER.fullmatch(labels[-1]):
        raise _no_name("an address is written as four decimal numbers")
    if labels[-1] in UNSERVED_DOMAINS:
        raise _no_name(f"DNS does not serve .{labels[-1]}")
    return ".".join(labels) + "."


def _no_name(why: str) -> ResolveError:
    return ResolveError("not a host name", rcode="FORMERR", why=why)


def _table(version: int) -> tuple[list[int], list[tuple[Network, str]]]:
    entries = sorted(
        (
            (network, use)
            for text, use in SPECIAL.items()
            if (network := ip_network(text)).version == version
        ),
        key=lambda entry: int(entry[0].network_address),
    )
    return [int(network.network_address) for network, _ in entries], entries


_TABLES: Final = {4: _table(4), 6: _table(6)}
