"""What two exit policies decide differently, over every address and port.

Each address family is cut where a rule of either policy begins or ends. Inside one piece every
address meets the same rules, so a piece has one set of open ports per policy, and sets are
subtracted. Nothing is sampled: no rows means that the policies agree everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import groupby, pairwise

from node.exit.address import MAPPED, NAT64, SPECIAL, Address
from node.exit.policy import ExitPolicy
from node.exit.ports import ALL_PORTS, NO_PORTS, Ports, contains, format_ports, merged, minus
from node.exit.rules import Rule

_KINDS: dict[int, type[IPv4Address | IPv6Address]] = {4: IPv4Address, 6: IPv6Address}
_SPECIAL = [ip_network(text) for text in SPECIAL]
_EMBEDDED = (MAPPED, NAT64)
"""IPv6 prefixes judged as IPv4: no IPv6 rule speaks about them."""


@dataclass(frozen=True, slots=True)
class Change:
    """Destinations that one policy allows and the other refuses.

    Attributes:
        allowed: True when the second policy allows them, False when it refuses them.
        first: Lowest address.
        last: Highest address of the same family; special addresses between stay refused.
        ports: The ports concerned.
    """

    allowed: bool
    first: Address
    last: Address
    ports: Ports

    def covers(self, address: Address, port: int) -> bool:
        """Whether the destination is among them."""
        return (
            address.version == self.first.version
            and int(self.first) <= int(address) <= int(self.last)
            and any(low <= port <= high for low, high in self.ports)
        )

    def addresses(self) -> str:
        """The addresses as a prefix, or as two ends."""
        if int(self.first) == 0 and int(self.last) == _highest(self.first.version):
            return f"*{self.first.version}"
        if self.first == self.last:
            return str(self.first)
        size = int(self.last) - int(self.first) + 1
        if not size & (size - 1) and not int(self.first) % size:
            return f"{self.first}/{self.first.max_prefixlen - size.bit_length() + 1}"
        return f"{self.first} - {self.last}"

    def as_row(self) -> dict[str, str]:
        """One line of a table."""
        return {
            "change": "allowed" if self.allowed else "refused",
            "addresses": self.addresses(),
            "ports": format_ports(self.ports),
        }


def difference(old: ExitPolicy, new: ExitPolicy) -> list[Change]:
    """What the new policy allows or refuses that the old one did not; empty when they agree."""
    return [change for version in (4, 6) for change in _changes(old, new, version)]


def answers_on(policy: ExitPolicy, port: int) -> set[bool]:
    """Whether addresses are accepted on a port: one answer, or both where the address decides."""
    return {
        contains(_open_ports(policy, piece), port)
        for version in (4, 6)
        for piece in _pieces([policy], version)
        if policy.allow_private or not piece.special
    }


def idle_rules(policy: ExitPolicy) -> list[Rule]:
    """Rules that decide about no destination, because earlier ones or the special addresses do."""
    busy: set[int] = set()
    for version in (4, 6):
        for piece in _pieces([policy], version):
            if piece.special and not policy.allow_private:
                continue
            left = ALL_PORTS
            for number, rule in enumerate(policy.rules):
                if left and _speaks(rule, piece) and minus(left, rule.ports) != left:
                    busy.add(number)
                    left = minus(left, rule.ports)
    return [rule for number, rule in enumerate(policy.rules) if number not in busy]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Addresses of one family that all meet the same rules."""

    version: int
    first: int
    last: int
    special: bool


def _changes(old: ExitPolicy, new: ExitPolicy, version: int) -> Iterator[Change]:
    cares = old.allow_private or new.allow_private
    # special pieces are refused by both then, and rows pass over them
    pieces = [piece for piece in _pieces([old, new], version) if cares or not piece.special]
    opened = [(_open_ports(old, piece), _open_ports(new, piece)) for piece in pieces]
    yield from _joined(pieces, [minus(after, before) for before, after in opened], allowed=True)
    yield from _joined(pieces, [minus(before, after) for before, after in opened], allowed=False)


def _joined(pieces: Sequence[_Piece], ports: Sequence[Ports], *, allowed: bool) -> Iterator[Change]:
    """Neighbours with the same ports as one change each."""
    numbered = enumerate(ports)
    for changed, run in groupby(numbered, key=lambda entry: entry[1]):
        numbers = [number for number, _ in run]
        if not changed:
            continue
        head, tail = pieces[numbers[0]], pieces[numbers[-1]]
        make = _KINDS[head.version]
        first = head.first if numbers[0] else 0
        last = tail.last if numbers[-1] < len(pieces) - 1 else _highest(tail.version)
        yield Change(allowed, make(first), make(last), changed)


def _open_ports(policy: ExitPolicy, piece: _Piece) -> Ports:
    if piece.special and not policy.allow_private:
        return NO_PORTS
    opened, left = NO_PORTS, ALL_PORTS
    for rule in policy.rules:
        if left and _speaks(rule, piece):
            rest = minus(left, rule.ports)
            if rule.accept:
                opened = merged(opened + minus(left, rest))
            left = rest
    return opened


def _speaks(rule: Rule, piece: _Piece) -> bool:
    if rule.network is None:
        return True
    return (
        rule.network.version == piece.version
        and int(rule.network.network_address) <= piece.first
        and piece.last <= int(rule.network.broadcast_address)
    )


def _pieces(policies: Iterable[ExitPolicy], version: int) -> Iterator[_Piece]:
    cuts = {0, _highest(version) + 1}
    special = [network for network in _SPECIAL if network.version == version]
    hidden = [network for network in _EMBEDDED if network.version == version]
    named = [rule.network for policy in policies for rule in policy.rules]
    for network in (*special, *hidden, *named):
        if network is not None and network.version == version:
            cuts |= {int(network.network_address), int(network.broadcast_address) + 1}
    for first, end in pairwise(sorted(cuts)):
        address = _KINDS[version](first)
        if not any(address in network for network in hidden):
            is_special = any(address in network for network in special)
            yield _Piece(version, first, end - 1, is_special)


def _highest(version: int) -> int:
    return (1 << (32 if version == 4 else 128)) - 1
