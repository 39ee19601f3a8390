"""An exit over real circuits: nobody gets into its own network, and strangers see its notice."""

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager, suppress

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry, generate_latest

from node.client.doors.socks import Reply
from node.errors import ConnectError
from node.io.metrics import SnapshotCollector
from node.status import node_metrics
from tests.integration.test_refusals import ask
from tests.node.exit.test_address import ODD_SPELLINGS
from tests.node.exit.test_own import machine_addresses
from tests.support.dns_server import dns_server
from tests.support.network import client, eventually, held, inner_network

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = {
    "loop.test.": ("127.0.0.1",),
    "other.test.": ("127.88.0.1",),
    "six.test.": ("::1",),
    "mapped.test.": ("::ffff:127.0.0.1",),
    "compatible.test.": ("::127.0.0.1",),
    "nat64.test.": ("64:ff9b::7f00:1",),
    "local-nat64.test.": ("64:ff9b:1::7f00:1",),
    "sixtofour.test.": ("2002:7f00:1::",),
    "teredo.test.": ("2001:0:4136:e378:8000:63bf:80ff:fffe",),
    "any.test.": ("0.0.0.0",),
    "any6.test.": ("::",),
    "alias.test.": ("chain.test.",),
    "chain.test.": ("loop.test.",),
    "both.test.": ("127.0.0.1", "::1", "10.0.0.1", "169.254.169.254"),
    "metadata.test.": ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16"),
}
LITERALS = [
    "127.0.0.1", "127.88.0.1", "0.0.0.0", "[::1]", "::1", "::", "::ffff:127.0.0.1", "::127.0.0.1",
    "64:ff9b::127.0.0.1", "64:ff9b:1::127.0.0.1", "2002:7f00:1::1", "10.0.0.1", "192.168.0.1",
    "169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fe80::1",
    "224.0.0.1", "255.255.255.255",
]  # fmt: skip
PRINTABLE = [
    text for text in ODD_SPELLINGS if text.isascii() and text.isprintable() and " " not in text
]


class Canary:
    """Listens on every address of this machine; nobody may come."""

    def __init__(self):
        self.port = 0
        self.visits = []

    @asynccontextmanager
    async def listen(self):
        def accept(_reader, writer):
            self.visits.append(writer.get_extra_info("sockname"))
            writer.close()

        server = await asyncio.start_server(accept, "0.0.0.0", 0)
        self.port = server.sockets[0].getsockname()[1]
        six = None
        with suppress(OSError):
            six = await asyncio.start_server(accept, "::", self.port, family=socket.AF_INET6)
        try:
            yield self
        finally:
            for each in filter(None, (server, six)):
                each.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory):
    async with (
        dns_server(NAMES) as server,
        held(
            inner_network(
                tmp_path_factory.mktemp("ssrf"),
                ("entry", "relay", "exit"),
                policy="# all of it\nACCEPT *:1-65535\nreject *:80",
                dns=f"127.0.0.1:{server.port}",
                allow_private=False,
            )
        ) as network,
        held(client(network.bundle())) as session,
        held(Canary().listen()) as canary,
    ):
        yield network, session, canary, server


async def test_the_canary_hears_who_comes(world):
    canary = world[2]
    _, writer = await asyncio.open_connection("127.0.0.1", canary.port)
    await eventually(lambda: len(canary.visits) == 1)
    writer.close()
    canary.visits.clear()


@pytest.mark.parametrize("host", sorted(name.rstrip(".") for name in NAMES))
async def test_names_of_private_addresses(world, host):
    network, session, canary, _ = world
    before = network.nodes[2].counters.policy_rejects.get("private", 0)
    assert await ask(session, host, canary.port) is Reply.NOT_ALLOWED
    assert network.nodes[2].counters.policy_rejects["private"] == before + 1
    assert canary.visits == []


@pytest.mark.parametrize("host", LITERALS)
async def test_private_addresses(world, host):
    network, session, canary, _ = world
    before = network.nodes[2].counters.policy_rejects.get("private", 0)
    assert await ask(session, host, canary.port) is Reply.NOT_ALLOWED
    assert network.nodes[2].counters.policy_rejects["private"] == before + 1
    assert canary.visits == []


@pytest.mark.parametrize("host", PRINTABLE)
async def test_odd_spellings_reach_no_resolver(world, host):
    _, session, canary, server = world
    asked = server.questions
    assert await ask(session, host, canary.port) is not Reply.SUCCEEDED
    assert server.questions == asked
    assert canary.visits == []


@pytest.mark.parametrize("host", machine_addresses())
async def test_addresses_of_the_exits_own_machine(world, host):
    network, session, canary, _ = world
    for port in (canary.port, network.nodes[2].server.port):
        assert await ask(session, host, port) is Reply.NOT_ALLOWED
    assert canary.visits == []


async def test_a_name_that_moves_inside_after_it_was_asked(world, monkeypatch):
    _, session, canary, server = world
    tried = []

    async def race(addresses, *_rest):
        tried.append(list(map(str, addresses)))
        raise ConnectError("refused", "closed", why="connection refused")

    monkeypatch.setattr("node.exit.connector.race", race)  # no test calls a host of the internet
    server.records["moves.test."] = ("93.184.216.34",)
    assert await ask(session, "moves.test", canary.port) is Reply.REFUSED
    server.records["moves.test."] = ("127.0.0.1",)
    assert await ask(session, "moves.test", canary.port) is Reply.REFUSED
    assert tried == [["93.184.216.34"]] * 2
    assert canary.visits == []


async def test_refusals_and_questions_are_in_the_metrics(world):
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SnapshotCollector(lambda: node_metrics(world[0].nodes[2])))
    text = generate_latest(registry).decode()
    assert 'qnet_exit_policy_rejects_total{rule="private"}' in text
    assert 'qnet_exit_dns_queries_total{rcode="NOERROR"}' in text
    assert 'qnet_exit_policy_rejects_total{rule="own"}' in text
    assert 'qnet_exit_dns_queries_total{rcode="DROPPED"} 0.0' in text
    assert 'qnet_exit_streams{state="connections"} 0.0' in text
    assert 'qnet_relay_overload_total{cause="destination_full"} 0.0' in text


async def test_strangers_see_the_notice_as_the_exits_front_page_and_other_nodes_theirs(world):
    pages = {}
    for role, node in zip(("entry", "relay", "exit"), world[0].nodes, strict=True):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        host = node.config.node.listen.rpartition(":")[0]
        reader, writer = await asyncio.open_connection(host, node.server.port, ssl=context)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        pages[role] = (await reader.read()).decode()
        writer.close()
    assert "This is an exit of an anonymity network" in pages["exit"]
    assert "content-security-policy: default-src 'none'" in pages["exit"]
    assert "accept *:*" in pages["exit"]
    assert "exit" not in pages["entry"] + pages["relay"]


async def test_descriptors_carry_the_canonical_policy(world):
    network = world[0]
    consensus = network.nodes[0].view.held.consensus
    assert [node.policy for node in consensus.nodes] == ["", "", "accept *:*"]
