"""The address towards a node, and the kernel's news of changes."""

import asyncio
import socket
import subprocess
import sys

import pytest

from node.client.watch import uplink
from node.client.watch.uplink import RouteNews, is_address, is_same_place, source_towards

NAME = "qnetnews0"


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.11.0.1", "127.0.0.1"),
        ("node.example", ""),
        ("", ""),
        ("300.1.1.1", ""),
    ],
)
def test_the_source_towards_an_address(address, source):
    assert source_towards(address) == source


def test_no_route_has_no_source(monkeypatch):
    def refuse(*_):
        raise OSError

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert source_towards("192.0.2.1") == ""


@pytest.mark.parametrize(
    ("host", "expected"), [("::1", True), ("fe80::1%eth0", True), ("192.0.2.1", True), ("x", False)]
)
def test_addresses(host, expected):
    assert is_address(host) is expected


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("127.0.0.1", "127.0.0.2", False),
        ("::1", "::2", True),
        ("::1", "2001:db8::1", False),
        ("2001:db8::1", "2001:db8::2", False),
        ("::1", "127.0.0.1", False),
    ],
)
def test_a_new_ipv6_address_beside_the_old_one_is_no_move(own, other, expected):
    assert is_same_place(own, other) is expected


@pytest.mark.skipif(sys.platform != "linux", reason="rtnetlink is Linux's")
async def test_the_kernel_tells_of_a_change():
    with RouteNews() as news:
        assert news.is_live
        assert not await news.wait(0.05)
        waiting = asyncio.create_task(news.wait(5))
        done = await asyncio.to_thread(
            subprocess.run, ["ip", "link", "add", NAME, "type", "veth"], check=False
        )
        if done.returncode != 0:
            waiting.cancel()
            pytest.skip("no network device can be added here")
        try:
            assert await waiting
        finally:
            await asyncio.to_thread(subprocess.run, ["ip", "link", "delete", NAME], check=True)
    assert not news.is_live


async def test_without_the_kernel_time_passes(monkeypatch):
    def refuse():
        raise OSError

    monkeypatch.setattr(uplink, "_netlink", refuse)
    with RouteNews() as news:
        assert not news.is_live
        assert not await news.wait(0.01)
