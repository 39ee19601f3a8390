"""The language of exit policies: from text to rules and back to one canonical text.

    policy  = [item] *( ("," / newline) [item] )          "#" starts a comment, up to the line's end
    item    = preset / ("accept" / "reject") SP address ":" ports
    address = "*" / "*4" / "*6" / IPv4 ["/" bits] / "[" IPv6 "]" ["/" bits]
    ports   = range *("," range) / preset                 a preset of ports only: web, reduced
    range   = "*" / port ["-" port]

Source: docs/spec/exits-and-clients.md, section "Exit policy".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from node.errors import ExitPolicyError
from node.exit.address import MAPPED, NAT64, Address, Network
from node.exit.ports import ALL_PORTS, Ports, contains, format_ports, merged, parse_range

MAX_RULES: Final = 256
"""A policy with more rules than this is refused: every circuit choice reads it."""

MAX_TEXT_BYTES: Final = 4096
"""Longest policy text accepted from a descriptor or a configuration file."""

ALL_V4: Final = IPv4Network("0.0.0.0/0")
ALL_V6: Final = IPv6Network("::/0")

_WEB: Final = "80,443"
_REDUCED: Final = (
    "20-23,43,53,79-81,88,110,143,194,220,389,443,464-465,531,543-544,554,563,587,636,706,749,853,"
    "873,902-904,981,989-995,1194,1220,1293,1500,1533,1677,1723,1755,1863,2082-2083,2086-2087,"
    "2095-2096,2102-2104,3128,3389,3690,4321,4643,5050,5190,5222-5223,5228,5900,6660-6669,6679,"
    "6697,8000,8008,8074,8080,8082,8087-8088,8232-8233,8332-8333,8443,8888,9418,9999-10000,11371,"
    "19294,19638,50002,64738"
)

PRESETS: Final[dict[str, str]] = {
    "none": "reject *:*",
    "web": f"accept *:{_WEB}, reject *:*",
    "reduced": f"accept *:{_REDUCED}, reject *:*",
    "open": "reject *:25, accept *:*",
}
"""Policies by name; a descriptor may carry the name instead of the rules."""

PORT_PRESETS: Final[dict[str, Ports]] = {
    name: merged(map(parse_range, text.split(",")))
    for name, text in {"web": _WEB, "reduced": _REDUCED}.items()
}
"""Presets that may stand for the ports of a rule."""

_MORE_PORTS: Final = re.compile(r"[0-9][0-9-]*", re.ASCII)
_EXAMPLE: Final = "write it as `accept 192.0.2.0/24:80,443`"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a policy.

    Attributes:
        accept: What a match means.
        network: Addresses matched; None matches every address.
        ports: Ports matched.
        line: Line of the text where it, or the preset it belongs to, stands; from 1.
    """

    accept: bool
    network: Network | None
    ports: Ports
    line: int = field(default=0, compare=False)

    def matches(self, address: Address, port: int) -> bool:
        """Whether the rule speaks about this destination."""
        if not contains(self.ports, port):
            return False
        if self.network is None:
            return True
        return address.version == self.network.version and address in self.network

    @property
    def is_last(self) -> bool:
        """Whether nothing gets past it."""
        return self.network is None and self.ports == ALL_PORTS

    def __str__(self) -> str:
        verb = "accept" if self.accept else "reject"
        named = (name for name, ports in PORT_PRESETS.items() if ports == self.ports)
        return f"{verb} {_format_network(self.network)}:{next(named, format_ports(self.ports))}"


def read_rules(text: str) -> tuple[Rule, ...]:
    """Read a policy.

    Args:
        text: For example `web`, or `reject 192.0.2.0/24:*, accept *:443`; empty means `none`.

    Raises:
        ExitPolicyError: A rule is malformed (names line, cause and remedy), or there are too many.
    """
    if len(text.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
        raise ExitPolicyError("exit policy is too long", why=f"limit {MAX_TEXT_BYTES} bytes")
    rules: list[Rule] = []
    for line, item in _items(text):
        if item in PRESETS:
            rules += (replace(rule, line=line) for rule in read_preset(item))
        else:
            rules.append(_parse_rule(line, item))
        if len(rules) > MAX_RULES:
            raise ExitPolicyError(
                f"line {line}: exit policy has too many rules",
                why=f"limit {MAX_RULES}",
                try_=("join rules of one address: `accept *:80,443`",),
            )
    return tuple(rules)


def read_preset(name: str) -> tuple[Rule, ...]:
    """The rules of a preset."""
    return tuple(_parse_rule(1, item) for _, item in _items(PRESETS[name]))


def canonical_text(rules: Iterable[Rule]) -> str:
    """The one short text for rules: a preset's name, or rules joined and freed of dead ends."""
    normal = normal_form(rules)
    for name, preset in _PRESET_RULES.items():
        if normal == preset:
            return name
    return ", ".join(map(str, normal))


def normal_form(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The same policy with neighbours joined, up to the last rule that accepts."""
    kept: list[Rule] = []
    for rule in rules:
        last = kept[-1] if kept else None
        if last is not None and (last.accept, last.network) == (rule.accept, rule.network):
            kept[-1] = Rule(rule.accept, rule.network, merged(last.ports + rule.ports))
        else:
            kept.append(Rule(rule.accept, rule.network, rule.ports))
        if kept[-1].is_last:
            break
    while kept and not kept[-1].accept:
        kept.pop()
    return tuple(kept)


def _items(text: str) -> Iterator[tuple[int, str]]:
    """Rules and presets of a text with their line numbers; ports after a comma are rejoined."""
    pending: tuple[int, str] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        for part in line.partition("#")[0].split(","):
            item = " ".join(part.split()).lower()
            if not item:
                continue
            if pending is not None and pending[1] not in PRESETS and _MORE_PORTS.fullmatch(item):
                pending = (pending[0], f"{pending[1]},{item}")
                continue
            if pending is not None:
                yield pending
            pending = (number, item)
    if pending is not None:
        yield pending


def _parse_rule(line: int, item: str) -> Rule:
    words: Sequence[str] = item.split(" ")
    if words[0] not in {"accept", "reject"}:
        known = ", ".join(PRESETS)
        raise _error(line, item, "it starts with neither accept nor reject", f"presets: {known}")
    if len(words) != 2:
        raise _error(line, item, f"{len(words) - 1} words after {words[0]}, not one", _EXAMPLE)
    host, colon, ports = words[1].rpartition(":")
    if not colon or ports.endswith("]"):
        raise _error(line, item, "it names no port", f"write `{item}:*` for all ports")
    network = _parse_network(line, item, host)
    return Rule(words[0] == "accept", network, _parse_ports(line, item, ports), line)


def _parse_network(line: int, item: str, host: str) -> Network | None:
    if host in _WILDCARDS:
        return _WILDCARDS[host]
    if ":" in host and not host.startswith("["):
        address, slash, bits = host.partition("/")
        raise _error(
            line, item, "IPv6 stands without brackets", f"write [{address}]{slash}{bits}:PORT"
        )
    address, slash, bits = host.partition("/")
    inner = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    if slash and not (bits.isascii() and bits.isdigit()):
        raise _error(line, item, f"{bits!r} is no number of bits", _EXAMPLE)
    if "%" in inner or (inner != address and ":" not in inner):
        raise _error(line, item, f"{address} is not an address", _EXAMPLE)
    try:
        network = ip_network(f"{inner}{slash}{bits}", strict=False)
    except ValueError as error:
        raise _error(line, item, str(error), _EXAMPLE) from error
    if isinstance(network, IPv6Network) and any(map(network.subnet_of, (MAPPED, NAT64))):
        raise _error(
            line, item, "an IPv4 address inside IPv6 is judged as IPv4", "write the IPv4 address"
        )
    return network


def _parse_ports(line: int, item: str, text: str) -> Ports:
    ranges: list[tuple[int, int]] = []
    for part in text.split(","):
        if part in PRESETS and part not in PORT_PRESETS:
            raise _error(line, item, f"{part} is not a list of ports", "use web, reduced or *")
        try:
            ranges += PORT_PRESETS.get(part) or [parse_range(part)]
        except ValueError as error:
            raise _error(line, item, str(error), "write ports as 80,443,8000-8100 or *") from error
    return merged(ranges)


def _error(line: int, item: str, why: str, remedy: str) -> ExitPolicyError:
    shown = item if len(item) <= 60 else item[:57] + "..."
    return ExitPolicyError(f"line {line}: malformed exit rule {shown!r}", why=why, try_=(remedy,))


def _format_network(network: Network | None) -> str:
    for name, wildcard in _WILDCARDS.items():
        if network == wildcard:
            return name
    assert network is not None
    address, bits = str(network.network_address), f"/{network.prefixlen}"
    if network.prefixlen == network.max_prefixlen:
        bits = ""
    return f"[{address}]{bits}" if network.version == 6 else f"{address}{bits}"


_WILDCARDS: Final[dict[str, Network | None]] = {"*": None, "*4": ALL_V4, "*6": ALL_V6}
_PRESET_RULES: Final = {name: normal_form(read_preset(name)) for name in PRESETS}
