import asyncio
import socket

import pytest

from node.client.doors.doors import Doors
from node.client.doors.streams import StreamCounts
from node.config import Endpoint
from node.errors import Stage, StageError


class Host:
    """A session that nobody asks."""

    connect_timeout_s = 1.0


async def opened(*kinds, host="127.0.0.1"):
    doors = Doors(Host(), StreamCounts())
    for kind in kinds:
        await doors.add(kind, Endpoint(host, 0))
    return doors


async def test_several_of_each_kind_have_names_of_their_own():
    doors = await opened("socks", "socks", "http", "dns")
    addresses = [row["listen"] for row in doors.rows()]
    assert len(set(addresses)) == 4
    assert doors.addresses("socks") == addresses[:2]
    assert f"PROXY {addresses[2]}; SOCKS5 {addresses[0]}" in doors.pac()
    assert doors.warnings() == []
    assert doors.rows()[3]["answered"] == 0
    doors.close()
    assert doors.rows() == []


async def test_a_port_in_use_is_told_with_its_stage():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for kind in ("socks", "dns"):
            doors = Doors(Host(), StreamCounts())
            with pytest.raises(StageError, match="cannot listen") as caught:
                await doors.add(kind, Endpoint("127.0.0.1", port))
            assert caught.value.stage is Stage.PORTS
            assert "in use" in caught.value.why


async def test_a_dns_port_whose_datagrams_are_taken_opens_nothing():
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(StageError, match="cannot listen"):
            await Doors(Host(), StreamCounts()).add("dns", Endpoint("127.0.0.1", port))
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_ports_that_other_machines_reach_are_warned_about():
    doors = await opened("socks", host="0.0.0.0")
    assert "can be used by other machines" in doors.warnings()[0]
    doors.close()


async def test_ipv6_is_written_in_brackets():
    doors = await opened("http", host="::1")
    (address,) = doors.addresses("http")
    assert Endpoint.parse(address).host == "::1"
    doors.close()
