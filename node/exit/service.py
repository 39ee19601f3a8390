"""The exit of a node, put together from `[exit]` of its configuration."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from ipaddress import ip_address
from typing import Any

from node.config import Endpoint, NodeConfig
from node.errors import NodeConfigError
from node.exit.address import Address
from node.exit.connector import Connector
from node.exit.limits import ExitLimits
from node.exit.nameservers import NameServers
from node.exit.own import OwnAddresses
from node.exit.policy import ExitPolicy
from node.exit.resolver import Resolver
from node.io.metrics import Counters
from qnet.parameters import NetworkParameters


def configured_policy(config: NodeConfig) -> ExitPolicy:
    """The policy in force; whoever is no exit has none.

    Raises:
        ExitPolicyError: It cannot be read.
    """
    text = config.exit.policy if config.node.role == "exit" else "none"
    return ExitPolicy.parse(text, allow_private=config.exit.allow_private)


def make_connector(
    config: NodeConfig,
    *,
    parameters: Callable[[], NetworkParameters],
    counters: Counters,
    spawn: Callable[[Coroutine[Any, Any, None]], object],
    now: Callable[[], float],
) -> Connector:
    """The part of a node that connects and resolves.

    Args:
        config: `node.toml`.
        parameters: Network parameters in force.
        counters: Where refusals and answers are counted.
        spawn: Runs a coroutine in the node's task group.
        now: Clock in seconds.

    Raises:
        ExitPolicyError: The policy cannot be read.
        NodeConfigError: A DNS server or outbound address cannot be read.
    """
    resolver = Resolver(
        NameServers(config.exit.dns, counters.dns),
        parameters=parameters,
        spawn=spawn,
        now=now,
        on_drop=lambda: counters.dns("DROPPED"),
    )
    return Connector(
        configured_policy(config),
        resolver,
        lambda: float(parameters().stream_connect_s),
        own_addresses(config),
        ExitLimits(),
        counters.refused,
        outbound_addresses(config.exit.outbound),
    )


def own_addresses(config: NodeConfig) -> OwnAddresses:
    """Everything the node listens on or is known by."""
    listening = (
        config.node.listen,
        config.node.advertise,
        config.metrics.listen,
        config.exit.notice_listen,
    )
    endpoints = [Endpoint.parse(text) for text in listening if text]
    return OwnAddresses(
        ((endpoint.host, endpoint.port) for endpoint in endpoints),
        allow_private=config.exit.allow_private,
    )


def outbound_addresses(texts: tuple[str, ...]) -> dict[int, Address]:
    """Addresses to connect from, by IP version.

    Raises:
        NodeConfigError: One is no address, or there are two of one version.
    """
    found: dict[int, Address] = {}
    for text in texts:
        try:
            address = ip_address(text)
        except ValueError as error:
            raise NodeConfigError(
                f"[exit] outbound = {text!r} is not an address", why=str(error)
            ) from error
        if address.version in found:
            raise NodeConfigError(f"[exit] outbound names two addresses of IPv{address.version}")
        found[address.version] = address
    return found
