"""The kernel's tables of sockets, and this process in them."""

import socket
import sys
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.client.watch.sockets import OwnSocket, own_sockets, parse, parse_packet
from node.errors import StageError

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid inode\n"
REST = "01 00000000:00000000 00:00000000 00000000     0        0"
LITTLE = sys.byteorder == "little"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


@pytest.mark.skipif(not LITTLE, reason="the sample is of a little-endian machine")
def test_a_table_is_read():
    table = (
        HEAD
        + f"   0: 0100007F:1F90 0100007F:9C40 {REST} 11 1 0\n"
        + f"   1: 026412C6:C350 010213C6:01BB {REST} 12 1 0\n"
    )
    assert list(parse("tcp", table, {12})) == [
        OwnSocket("tcp", ip_address("198.18.100.2"), 50_000, ip_address("198.19.2.1"), 443)
    ]


@given(st.text(max_size=300))
def test_no_table_of_others_is_mistaken(text):
    assert list(parse("tcp", text, set())) == []
    assert list(parse_packet(text, set())) == []


def made(protocol, local, peer, port=443):
    return OwnSocket(protocol, ip_address(local), 5000, ip_address(peer), port)


@pytest.mark.parametrize(
    ("item", "inside", "ours"),
    [
        (made("tcp", "127.0.0.1", "127.0.0.1"), True, True),
        (made("tcp", "0.0.0.0", "0.0.0.0", 0), False, False),
        (made("udp", "127.0.0.1", "0.0.0.0", 0), True, False),
        (made("udp", "192.0.2.1", "9.9.9.9", 53), False, False),
        (made("tcp", "192.0.2.1", "198.51.100.1"), False, True),
        (made("tcp6", "::ffff:127.0.0.1", "::ffff:127.0.0.1"), True, True),
        (made("tcp6", "2001:db8::1", "2001:db8::2"), False, True),
        (made("packet", "0.0.0.0", "0.0.0.0", 0), False, False),
    ],
)
def test_what_may_leave(item, inside, ours):
    assert (item.stays_inside, item.is_ours) == (inside, ours)


def test_a_mapped_address_is_shown_plainly():
    assert made("tcp6", "::", "::ffff:192.0.2.7", 9).where == ("192.0.2.7", 9)


def test_our_own_sockets_are_found():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as peer,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("::1", 0))
        found = own_sockets()
        port = server.getsockname()[1]
        assert any(item.where == ("127.0.0.1", port) for item in found)
        assert any(item.local_port == peer.getsockname()[1] for item in found)
        assert ("udp6", datagrams.getsockname()[1]) in {
            (item.protocol, item.local_port) for item in found
        }
    assert not any(item.where == ("127.0.0.1", port) for item in own_sockets())


def test_a_system_that_does_not_tell(tmp_path):
    with pytest.raises(StageError):
        own_sockets(tmp_path)
