import asyncio
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest

from node.errors import ConnectError, ExitRefusedError, ResolveError
from node.exit import connector as module
from node.exit.connector import CONNECT_TRIES, in_turn
from tests.node.exit.rig import connector
from tests.node.exit.test_address import ODD_SPELLINGS
from tests.support.dns_server import dns_server

PUBLIC = "93.184.216.34"


@dataclass
class Listener:
    port: int
    accepted: list[str] = field(default_factory=list)


@pytest.fixture
async def listener():
    async def talk(reader, writer):
        listening.accepted.append(writer.get_extra_info("sockname")[0])
        await reader.read()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    listening = Listener(server.sockets[0].getsockname()[1])
    async with server:
        yield listening


class Closing(asyncio.Protocol):
    def connection_made(self, transport):
        transport.close()


async def test_connects_to_a_resolved_address(listener):
    records = {"here.test.": ("127.0.0.1",)}
    async with dns_server(records) as server, connector(server.port) as exit_:
        address = await exit_.connect("here.test", listener.port, Closing)
        assert exit_.limits.held()["destinations"] == 1
    assert str(address) == "127.0.0.1"


@pytest.mark.parametrize("host", ["::ffff:127.0.0.1", "[::ffff:7f00:1]"])
async def test_a_mapped_address_is_connected_as_ipv4(listener, host):
    async with connector() as exit_:
        assert str(await exit_.connect(host, listener.port, Closing)) == "127.0.0.1"


ALIASES = {
    "inside.test.": ("127.0.0.1",),
    "six.test.": ("::1",),
    "mapped.test.": ("::ffff:127.0.0.1",),
    "nat64.test.": ("64:ff9b::7f00:1",),
    "sixtofour.test.": ("2002:7f00:1::",),
    "metadata.test.": ("169.254.169.254", "fd00:ec2::254"),
    "cloud.test.": ("100.100.100.200",),
    "any.test.": ("0.0.0.0", "::"),
    "alias.test.": ("hop.test.",),
    "hop.test.": ("inside.test.",),
}


@pytest.mark.parametrize("name", sorted(ALIASES))
async def test_no_name_leads_to_a_private_address(listener, name):
    refused = []
    async with (
        dns_server(ALIASES) as server,
        connector(server.port, allow_private=False, refused=refused) as exit_,
    ):
        for host in (name, name.rstrip("."), name.upper()):
            with pytest.raises(ExitRefusedError) as caught:
                await exit_.connect(host, listener.port, Closing)
            assert caught.value.rule == "private"
        with pytest.raises(ExitRefusedError):
            await exit_.resolve(name)
    assert refused == ["private"] * 4
    assert listener.accepted == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "::ffff:127.0.0.1", "0.0.0.0", "::"])
async def test_no_spelling_of_a_private_address_is_connected(listener, host):
    async with connector(allow_private=False) as exit_:
        with pytest.raises(ExitRefusedError) as caught:
            await exit_.connect(host, listener.port, Closing)
    assert caught.value.rule == "private"
    assert listener.accepted == []


@pytest.mark.parametrize("host", ODD_SPELLINGS)
@pytest.mark.parametrize("allow_private", [True, False])
async def test_odd_spellings_are_neither_asked_for_nor_connected(listener, host, allow_private):
    async with (
        dns_server({}) as server,
        connector(server.port, allow_private=allow_private) as exit_,
    ):
        with pytest.raises(ResolveError) as caught:
            await exit_.connect(host, listener.port, Closing)
        assert server.questions == 0
    assert caught.value.rcode == "FORMERR"
    assert listener.accepted == []


async def test_rebinding_gains_nothing(listener, monkeypatch):
    """The first answer is public, the second private: connections follow the judged answer."""
    tried = []

    async def race(addresses, *_rest):
        tried.append(list(map(str, addresses)))
        raise ConnectError("refused", "x", why="y")

    monkeypatch.setattr(module, "race", race)
    async with (
        dns_server({"re.test.": (PUBLIC,)}, ttl_s=0) as server,
        connector(server.port, allow_private=False) as exit_,
    ):
        with pytest.raises(ConnectError):
            await exit_.connect("re.test", listener.port, Closing)
        server.records["re.test."] = ("127.0.0.1",)
        asked = server.questions
        with pytest.raises(ConnectError):  # the answer lives on, however short its life
            await exit_.connect("re.test", listener.port, Closing)
        assert server.questions == asked
    assert tried == [[PUBLIC], [PUBLIC]]
    assert listener.accepted == []


async def test_of_a_mixed_answer_only_public_addresses_are_tried(listener, monkeypatch):
    tried = []

    async def race(addresses, *_rest):
        tried.extend(map(str, addresses))
        raise ConnectError("refused", "x", why="y")

    monkeypatch.setattr(module, "race", race)
    records = {"mixed.test.": ("127.0.0.1", PUBLIC, "10.0.0.1", "fe80::1", "2606:4700::1111")}
    async with (
        dns_server(records) as server,
        connector(server.port, allow_private=False) as exit_,
    ):
        with pytest.raises(ConnectError):
            await exit_.connect("mixed.test", listener.port, Closing)
        answer = await exit_.resolve("mixed.test")
    assert set(tried) == {PUBLIC, "2606:4700::1111"}
    assert set(map(str, answer.addresses)) == set(tried)


async def test_the_exits_own_ports_are_refused_even_on_a_development_network(listener):
    refused = []
    own = [("127.0.0.1", listener.port)]
    records = {"me.test.": ("127.0.0.1",)}
    async with (
        dns_server(records) as server,
        connector(server.port, own=own, refused=refused) as exit_,
    ):
        for host in ("127.0.0.1", "me.test", "::ffff:127.0.0.1"):
            with pytest.raises(ExitRefusedError) as caught:
                await exit_.connect(host, listener.port, Closing)
            assert caught.value.rule == "own"
    assert refused == ["own"] * 3
    assert listener.accepted == []


async def test_the_exits_own_public_address_is_refused_on_every_port(monkeypatch):
    own = ip_address(PUBLIC)
    monkeypatch.setattr("node.exit.own.route_source", lambda address: own)
    async with connector(allow_private=False) as exit_:
        for port in (22, 80, 443):
            with pytest.raises(ExitRefusedError) as caught:
                await exit_.connect(PUBLIC, port, Closing)
            assert caught.value.rule == "own"


async def test_policy_refuses_a_port(listener):
    async with connector(policy="reject *:*") as exit_:
        with pytest.raises(ExitRefusedError) as caught:
            await exit_.connect("127.0.0.1", listener.port, Closing)
    assert caught.value.rule == "policy"


async def test_who_connects_to_nothing_resolves_nothing():
    async with dns_server({"a.test.": (PUBLIC,)}) as server:
        async with connector(server.port, policy="none") as exit_:
            with pytest.raises(ExitRefusedError):
                await exit_.resolve("a.test")
        assert server.questions == 0
        async with connector(server.port, policy="web") as exit_:
            assert list(map(str, (await exit_.resolve("a.test")).addresses)) == [PUBLIC]
            assert list(map(str, (await exit_.resolve(PUBLIC)).addresses)) == [PUBLIC]


async def test_unknown_names_are_told_apart():
    async with dns_server({}) as server, connector(server.port) as exit_:
        with pytest.raises(ResolveError) as caught:
            await exit_.connect("nowhere.test", 80, Closing)
    assert caught.value.rcode == "NXDOMAIN"


async def test_a_closed_port_is_a_refused_connection():
    probe = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = probe.sockets[0].getsockname()[1]
    probe.close()
    await probe.wait_closed()
    async with connector() as exit_:
        with pytest.raises(ConnectError) as caught:
            await exit_.connect("127.0.0.1", port, Closing)
        assert exit_.limits.held()["destinations"] == 0
    assert caught.value.cause == "refused"


async def test_the_second_address_is_tried_when_the_first_refuses(listener):
    records = {"two.test.": ("127.0.0.2", "127.0.0.1")}
    async with dns_server(records) as server, connector(server.port) as exit_:
        address = await exit_.connect("two.test", listener.port, Closing)
    assert str(address) == "127.0.0.1"


async def test_no_answer_in_time_is_said():
    async with dns_server({}) as server, connector(server.port, timeout_s=0.1) as exit_:
        with pytest.raises(ConnectError) as caught:
            await exit_.connect("silent.test", 80, Closing)
    assert caught.value.cause == "timeout"
    assert "no answer within 0.1 s" in caught.value.why


async def test_a_protocol_that_cannot_start_leaves_nothing_counted(listener):
    def broken():
        raise RuntimeError("no protocol")

    async with connector() as exit_:
        with pytest.raises(RuntimeError):
            await exit_.connect("127.0.0.1", listener.port, broken)
        assert exit_.limits.held()["destinations"] == 0


def test_families_take_turns_and_addresses_without_a_route_come_last(monkeypatch):
    four = [ip_address(f"1.1.1.{i}") for i in range(3)]
    six = [ip_address(f"2606::{i}") for i in range(2)]
    monkeypatch.setattr(module, "route_source", lambda address: address)
    assert in_turn([*four, *six]) == [six[0], four[0], six[1], four[1], four[2]]
    monkeypatch.setattr(module, "route_source", lambda a: a if a.version == 4 else None)
    assert in_turn([*six, *four]) == [*four, *six]
    assert CONNECT_TRIES == 4
