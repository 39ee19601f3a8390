"""Rows of the leak check, one socket at a time."""

from ipaddress import ip_address
from types import SimpleNamespace

import pytest

from node.client.watch.leaks import CheckVerdict, direct_row, dns_row, exit_row, ipv6_row
from node.client.watch.sockets import OwnSocket

LISTED = {("198.51.100.1", 443), ("2001:db8::2", 443)}
PASS, FAIL, WARNING = CheckVerdict.PASS, CheckVerdict.FAIL, CheckVerdict.WARNING


def sock(protocol="tcp", local="192.0.2.9", peer="198.51.100.1", port=443):
    return OwnSocket(protocol, ip_address(local), 50_000, ip_address(peer), port)


LINK = sock()
LINK6 = sock("tcp6", "2001:db8::9", "2001:db8::2")
DOOR = sock(local="127.0.0.1", peer="0.0.0.0", port=0)
APPLICATION = sock(local="127.0.0.1", peer="127.0.0.1", port=40_000)


@pytest.mark.parametrize(
    ("sockets", "direct", "dns", "ipv6"),
    [
        ([LINK, LINK6, DOOR, APPLICATION], PASS, PASS, PASS),
        ([sock(peer="203.0.113.5")], FAIL, PASS, PASS),
        ([sock(port=80)], FAIL, PASS, PASS),
        ([sock("udp", peer="9.9.9.9", port=53)], FAIL, FAIL, PASS),
        ([sock("udp", peer="0.0.0.0", port=0)], PASS, FAIL, PASS),
        ([sock(peer="9.9.9.9", port=53)], FAIL, FAIL, PASS),
        ([sock("tcp6", "2001:db8::9", "2001:db8::5")], FAIL, PASS, FAIL),
        ([sock("packet", "0.0.0.0", "0.0.0.0", 0)], PASS, FAIL, PASS),
        ([sock("udp", "127.0.0.1", "0.0.0.0", 0)], PASS, PASS, PASS),
        (None, *[CheckVerdict.NOT_TESTED] * 3),
    ],
)
def test_sockets(sockets, direct, dns, ipv6):
    assert direct_row(sockets, LISTED).verdict is direct
    assert dns_row(sockets).verdict is dns
    assert ipv6_row(sockets, LISTED).verdict is ipv6


def test_the_evidence_counts_links():
    assert direct_row([LINK, LINK6, DOOR], LISTED).evidence.startswith("2 connections")
    assert "203.0.113.5:443" in direct_row([sock(peer="203.0.113.5")], LISTED).evidence


@pytest.mark.parametrize(
    ("page", "verdict"),
    [
        ("your address: 203.0.113.77", PASS),
        ("your address: 192.0.2.9", FAIL),
        ("203.0.113.77 for 192.0.2.9", FAIL),
        ("hello", WARNING),
    ],
)
def test_the_page_that_tells_the_address(page, verdict):
    exit_node = SimpleNamespace(host="203.0.113.77", index=3)
    made = SimpleNamespace(path=SimpleNamespace(exit=exit_node))
    assert exit_row("x", page, made, {"192.0.2.9"}).verdict is verdict
