import socket
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path

import pytest

from node.exit.own import OwnAddresses, route_source

LOOPBACK = ip_address("127.0.0.1")
ENDPOINTS = [("127.9.0.1", 9001), ("0.0.0.0", 9090), ("localhost", 9191), ("::1", 9001)]


def machine_addresses():
    """IPv4 addresses of this machine's interfaces, as the kernel lists them."""
    lines = Path("/proc/net/fib_trie").read_text().splitlines()
    found = {line.split()[-1] for line, after in pairwise(lines) if "/32 host LOCAL" in after}
    return sorted(found)


def test_every_address_of_the_machine_is_its_own_route():
    assert machine_addresses()
    for text in machine_addresses():
        assert route_source(ip_address(text)) in {ip_address(text), LOOPBACK}


def test_what_has_no_route_has_no_source(monkeypatch):
    assert route_source(LOOPBACK) == LOOPBACK

    class Unreachable(socket.socket):
        def connect(self, _address):
            raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "socket", Unreachable)
    assert route_source(LOOPBACK) is None


@pytest.mark.parametrize("text", machine_addresses())
def test_an_exit_refuses_every_address_of_its_machine_on_every_port(text):
    own = OwnAddresses((), allow_private=False)
    address = ip_address(text)
    assert own.include(address, 22) or address.is_loopback  # loopback is private anyway


def test_the_advertised_address_is_refused_on_every_port():
    own = OwnAddresses([("93.184.216.34", 443)], allow_private=False)
    assert own.include(ip_address("93.184.216.34"), 22)
    assert not own.include(ip_address("93.184.216.35"), 443)


@pytest.mark.parametrize(
    ("address", "port", "is_own"),
    [
        ("127.9.0.1", 9001, True),
        ("127.9.0.1", 9002, False),
        ("127.0.0.1", 9090, True),
        ("::1", 9090, True),
        ("127.5.5.5", 9191, True),
        ("127.0.0.1", 80, False),
        ("::1", 9001, True),
        ("10.0.0.1", 9090, False),
    ],
)
def test_on_a_development_network_only_the_nodes_ports_are_its_own(address, port, is_own):
    own = OwnAddresses(ENDPOINTS, allow_private=True)
    assert own.include(ip_address(address), port) is is_own
