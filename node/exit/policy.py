"""Exit policy: which addresses and ports a node connects to, in torrc-like order.

Rules are read from the first to the last and the first match decides; what no rule matches is
refused. Private, link-local, multicast and metadata addresses are refused before any rule, unless
the operator runs a development network (`allow_private`).

Source: docs/spec/exits-and-clients.md; the order of rules follows Tor's dir-spec, section 2.1.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from node.errors import ExitPolicyError
from node.exit.address import Address, judged, special_use
from node.exit.ports import NO_PORTS, Ports, contains, format_ports, merged, minus
from node.exit.rules import (
    MAX_TEXT_BYTES,
    PORT_PRESETS,
    Rule,
    canonical_text,
    normal_form,
    read_rules,
)

SUMMARY_CHARS = 72
"""Longest summary of a policy."""


class Refusal(Enum):
    """Why an address is refused; the value is the metric label `rule`."""

    PRIVATE = "private"
    OWN = "own"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy says about one destination.

    Attributes:
        refusal: Why it is refused; None when it is accepted.
        rule: The rule that decided; None when none matched, or none was asked.
        why: The reason in words.
    """

    refusal: Refusal | None
    rule: Rule | None
    why: str


@dataclass(frozen=True, slots=True)
class ExitPolicy:
    """An ordered list of rules and the development-network flag."""

    rules: tuple[Rule, ...]
    allow_private: bool = False

    @classmethod
    def parse(cls, text: str, *, allow_private: bool = False) -> ExitPolicy:
        """Read presets and comma- or newline-separated rules.

        Args:
            text: For example `web`, or `reject 192.0.2.0/24:*, accept *:443`; empty means `none`.
            allow_private: Admit private addresses (development networks only).

        Raises:
            ExitPolicyError: A rule is malformed, or there are too many.
        """
        policy = cls(read_rules(text), allow_private)
        if len(policy.canonical()) > MAX_TEXT_BYTES:
            raise ExitPolicyError(
                "exit policy is too long", why=f"limit {MAX_TEXT_BYTES} bytes in canonical form"
            )
        return policy

    def judge(self, address: Address, port: int) -> Verdict:
        """Say whether a destination is accepted, by which rule and why."""
        address = judged(address)
        if self.bars(address):
            use = special_use(address)
            return Verdict(Refusal.PRIVATE, None, f"{address} is not a public host ({use})")
        for rule in self.rules:
            if rule.matches(address, port):
                refusal = None if rule.accept else Refusal.POLICY
                return Verdict(refusal, rule, f"the first rule that matches is `{rule}`")
        return Verdict(Refusal.POLICY, None, "no rule matches, and what no rule matches is refused")

    def bars(self, address: Address) -> bool:
        """Whether an address is refused before any rule is read."""
        return not self.allow_private and bool(special_use(address))

    def refusal(self, address: Address, port: int) -> Refusal | None:
        """Why a destination is refused, or None when it is allowed."""
        if self.bars(address):
            return Refusal.PRIVATE
        address = judged(address)
        for rule in self.rules:
            if rule.matches(address, port):
                return None if rule.accept else Refusal.POLICY
        return Refusal.POLICY

    def may_reach(self, port: int) -> bool:
        """Whether some address on the port is allowed (choosing an exit for a host name)."""
        for rule in self.rules:
            if contains(rule.ports, port):
                if rule.accept:
                    return True
                if rule.network is None:
                    return False
        return False

    def usual_ports(self) -> Ports:
        """Ports that are allowed wherever no rule speaks about the address."""
        allowed, decided = NO_PORTS, NO_PORTS
        for rule in self.rules:
            if rule.network is None:
                if rule.accept:
                    allowed = merged(allowed + minus(rule.ports, decided))
                decided = merged(decided + rule.ports)
        return allowed

    @property
    def is_exit(self) -> bool:
        """Whether anything at all can be reached."""
        accepting = (rule for rule in self.rules if rule.accept)
        return any(self.may_reach(low) for rule in accepting for low, _ in rule.ports)

    def canonical(self) -> str:
        """The one text of this policy that descriptors carry."""
        return canonical_text(self.rules)

    def summary(self) -> str:
        """The open ports in few words, for lists of exits."""
        if not self.is_exit:
            return "nothing"
        ports = self.usual_ports()
        named = [name for name, preset in PORT_PRESETS.items() if preset == ports]
        text = format_ports(ports)
        if named and len(text) > SUMMARY_CHARS:
            text = named[0]
        elif len(text) > SUMMARY_CHARS:
            text = text[:SUMMARY_CHARS].rpartition(",")[0] + ",..."
        said = "every port" if text == "*" else f"ports {text}" if text else "no port"
        special = any(rule.network is not None for rule in normal_form(self.rules))
        return f"{said}, with exceptions by address" if special else said
