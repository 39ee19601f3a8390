"""Exit policy: which addresses and ports a node connects to, in torrc-like order.

Rules are read from the first to the last and the first match decides; what no rule matches is
refused. Private, link-local, multicast and metadata addresses are refused before any rule, unless
the operator runs a development network (`allow_private`).

Source: docs/spec/exits-and-clients.md; the order of rules follows Tor's dir-spec, section 2.1.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from node.errors import ExitPolicyError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_RULES = 256
"""A policy with more rules than this is refused: every circuit choice reads it."""

MAX_TEXT_BYTES = 4096
"""Longest policy text accepted from a descriptor or a configuration file."""

_PORT_MAX = 65_535
_NAT64 = IPv6Network("64:ff9b::/96")

_REDUCED_PORTS = (
    "20-23 43 53 79-81 88 110 143 194 220 389 443 464-465 531 543-544 554 563 587 636 706 749 853 "
    "873 902-904 981 989-995 1194 1220 1293 1500 1533 1677 1723 1755 1863 2082-2083 2086-2087 "
    "2095-2096 2102-2104 3128 3389 3690 4321 4643 5050 5190 5222-5223 5228 5900 6660-6669 6679 "
    "6697 8000 8008 8074 8080 8082 8087-8088 8232-8233 8332-8333 8443 8888 9418 9999 10000 11371 "
    "19294 19638 50002 64738"
)

PRESETS: dict[str, str] = {
    "none": "reject *:*",
    "web": "accept *:80, accept *:443, reject *:*",
    "reduced": ", ".join(f"accept *:{p}" for p in _REDUCED_PORTS.split()) + ", reject *:*",
    "open": "reject *:25, accept *:*",
}
"""Policies by name; a descriptor may carry the name instead of the rules."""


class Refusal(Enum):
    """Why an address is refused; the value is the metric label `rule`."""

    PRIVATE = "private"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a policy.

    Attributes:
        accept: What a match means.
        network: Addresses matched; None matches every address.
        first_port: Lowest port matched.
        last_port: Highest port matched.
    """

    accept: bool
    network: Network | None
    first_port: int
    last_port: int

    def matches(self, address: Address, port: int) -> bool:
        """Whether the rule speaks about this destination."""
        if not self.first_port <= port <= self.last_port:
            return False
        if self.network is None:
            return True
        return address.version == self.network.version and address in self.network


@dataclass(frozen=True, slots=True)
class ExitPolicy:
    """An ordered list of rules and the development-network flag."""

    rules: tuple[Rule, ...]
    allow_private: bool = field(default=False)

    @classmethod
    def parse(cls, text: str, *, allow_private: bool = False) -> ExitPolicy:
        """Read a preset name or comma- or newline-separated rules.

        Args:
            text: For example `web`, or `reject 192.0.2.0/24:*, accept *:443`; empty means `none`.
            allow_private: Admit private addresses (development networks only).

        Raises:
            ExitPolicyError: A rule is malformed, or there are too many.
        """
        if len(text.encode()) > MAX_TEXT_BYTES:
            raise ExitPolicyError("exit policy is too long", why=f"limit {MAX_TEXT_BYTES} bytes")
        name = text.strip().lower() or "none"
        lines = [
            part.strip()
            for line in PRESETS.get(name, text).splitlines()
            for part in line.split("#", 1)[0].split(",")
        ]
        rules = tuple(_parse_rule(line) for line in lines if line)
        if len(rules) > MAX_RULES:
            raise ExitPolicyError("exit policy has too many rules", why=f"limit {MAX_RULES}")
        return cls(rules, allow_private)

    def refusal(self, address: Address, port: int) -> Refusal | None:
        """Why a destination is refused, or None when it is allowed."""
        if not self.allow_private and is_private(address):
            return Refusal.PRIVATE
        for rule in self.rules:
            if rule.matches(address, port):
                return None if rule.accept else Refusal.POLICY
        return Refusal.POLICY

    def may_reach(self, port: int) -> bool:
        """Whether some address on the port is allowed (choosing an exit for a host name)."""
        for rule in self.rules:
            if rule.first_port <= port <= rule.last_port:
                if rule.accept:
                    return True
                if rule.network is None:
                    return False
        return False

    @property
    def is_exit(self) -> bool:
        """Whether anything at all can be reached."""
        return any(rule.accept for rule in self.rules)


def is_private(address: Address) -> bool:
    """Whether an address is not an ordinary public unicast address.

    IPv4 addresses embedded in IPv6 (mapped, 6to4, Teredo, NAT64) are judged as IPv4, so that no
    spelling reaches the operator's own network or a cloud's metadata service.
    """
    if isinstance(address, IPv6Address):
        embedded = _embedded_v4(address)
        if embedded is not None:
            return is_private(embedded)
    return not address.is_global or address.is_multicast or address.is_reserved


def _embedded_v4(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour


def _parse_rule(line: str) -> Rule:
    words: Sequence[str] = line.split()
    if len(words) != 2 or words[0] not in {"accept", "reject"}:
        raise ExitPolicyError(
            f"malformed exit rule: {line!r}", try_=("write it as `accept 192.0.2.0/24:443`",)
        )
    host, colon, ports = words[1].rpartition(":")
    if not colon:
        raise ExitPolicyError(f"exit rule names no port: {line!r}", try_=("end it with `:*`",))
    first, last = _parse_ports(ports, line)
    return Rule(words[0] == "accept", _parse_network(host, line), first, last)


def _parse_network(host: str, line: str) -> Network | None:
    if host == "*":
        return None
    try:
        return ip_network(host.replace("[", "").replace("]", ""), strict=False)
    except ValueError as error:
        raise ExitPolicyError(f"exit rule names no address: {line!r}", why=str(error)) from error


def _parse_ports(text: str, line: str) -> tuple[int, int]:
    if text == "*":
        return 1, _PORT_MAX
    low, dash, high = text.partition("-")
    if not low.isascii() or not low.isdigit() or (dash and not (high.isascii() and high.isdigit())):
        raise ExitPolicyError(f"exit rule has a malformed port: {line!r}")
    first, last = int(low), int(high) if dash else int(low)
    if not 1 <= first <= last <= _PORT_MAX:
        raise ExitPolicyError(f"exit rule has an impossible port: {line!r}")
    return first, last


def parse_address(host: str) -> Address | None:
    """The address a host text spells, or None when it is a name."""
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None
