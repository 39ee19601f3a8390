"""The exit's own addresses: nobody gets into the machine behind the firewall through the exit.

Source: docs/spec/exits-and-clients.md, QN-EXIT-009.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from node.exit.address import Address, parse_address, plain

_PROBE_PORT: Final = 9
"""Any port: a datagram socket that is connected sends nothing."""


def route_source(address: Address) -> Address | None:
    """The address this machine would connect from, or None when it has no route there.

    For an address of the machine itself it is that address.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _PROBE_PORT))
            return plain(ip_address(probe.getsockname()[0].partition("%")[0]))
    except OSError:
        return None


class OwnAddresses:
    """What belongs to the node.

    Args:
        endpoints: (host, port) the node listens on or is known by; a host that is a name or an
            unspecified address stands for every loopback address.
        allow_private: A development network on one machine: only the endpoints are the node's,
            not every address of the machine.
    """

    def __init__(self, endpoints: Iterable[tuple[str, int]], *, allow_private: bool) -> None:
        self._allow_private = allow_private
        parsed = [(parse_address(host), port) for host, port in endpoints]
        self._endpoints = {(address, port) for address, port in parsed if address is not None}
        self._hosts = {address for address, _ in self._endpoints}
        self._ports = {
            port for address, port in parsed if address is None or address.is_unspecified
        }

    def include(self, address: Address, port: int) -> bool:
        """Whether a destination is the node itself."""
        if (address, port) in self._endpoints or (address.is_loopback and port in self._ports):
            return True
        if self._allow_private:
            return False
        return address in self._hosts or route_source(address) == address
