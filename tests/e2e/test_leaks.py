"""Nothing leaves but HTX: every frame that leaves a client's machine is looked at.

The client and its applications run in a network namespace with one cable; what passes is captured
at its other end, while the client comes up, carries traffic, loses nodes, sleeps, moves and stops.
"""

import asyncio
import signal
import sys
import tempfile

import pytest
import pytest_asyncio

from tests.e2e.chromium import FLAGS, find_browser
from tests.support.client_process import client_process, is_up
from tests.support.lan import (
    AWAY,
    GATEWAY,
    HOME,
    Capture,
    first_bytes,
    is_client_hello,
    lan_world,
    leaks,
    unusable,
)
from tests.support.network import held

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.skipif(bool(unusable()), reason=unusable()),
]

ROLES = ("entry", "entry", "relay", "relay", "exit")
ASLEEP_S = 13.0
BROWSER = [flag for flag in FLAGS if "debugging" not in flag]

PYTHON_APPLICATION = """
import asyncio, sys
from python_socks.async_.asyncio import Proxy

async def fetch(socks, host, port):
    sock = await Proxy.from_url(f"socks5://{socks}", rdns=True).connect(host, int(port))
    reader, writer = await asyncio.open_connection(sock=sock)
    writer.write(f"GET / HTTP/1.1\\r\\nHost: {host}\\r\\nConnection: close\\r\\n\\r\\n".encode())
    page = await reader.read()
    writer.close()
    return len(page)

async def main(socks, host, port):
    sizes = await asyncio.gather(*(fetch(socks, host, port) for _ in range(8)))
    print(min(sizes))

asyncio.run(main(*sys.argv[1:]))
"""
"""Loads many things at once, as a browser does."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world():
    async with held(lan_world(ROLES)) as running:
        yield running


class Applications:
    """Programs on the client's machine."""

    def __init__(self, world, client):
        self.world = world
        self.client = client
        self.host, _, self.port = world.url.removeprefix("http://").rpartition(":")

    async def curl(self, *words, base=""):
        url = (base or self.world.url) + "/"
        return await self.world.on_client("curl", "-sS", "--max-time", "15", *words, url)

    async def through_socks(self):
        code, body, errors = await self.curl("--socks5-hostname", self.client.facts["socks"])
        assert (code, errors) == (0, "")
        assert body == self.world.files.body

    async def many_at_once(self):
        code, out, errors = await self.world.on_client(
            *(sys.executable, "-c", PYTHON_APPLICATION),
            *(self.client.facts["socks"], self.host, self.port),
        )
        assert (code, errors) == (0, "")
        assert int(out) > len(self.world.files.body)

    async def browser(self):
        """Chromium loads a page of many parts, where there is one."""
        program = find_browser()
        if program is None:
            return
        with tempfile.TemporaryDirectory(prefix="qnet-browser-") as profile:
            code, page, errors = await self.world.on_client(
                *(program, *BROWSER, f"--user-data-dir={profile}", "--virtual-time-budget=8000"),
                *(f"--proxy-server=socks5://{self.client.facts['socks']}", "--dump-dom"),
                f"{self.world.url}/page",
                timeout_s=60,
            )
        assert code == 0, errors
        assert b"loaded 12" in page

    async def every_way(self):
        await asyncio.gather(*(self.through_socks() for _ in range(3)))
        await self.many_at_once()


async def test_the_watch_sees_what_goes_past_the_client(world):
    """Applications without the client are caught; else the other test would prove nothing."""
    with Capture(world.lan.network) as capture:
        asked = world.local.questions
        code, _, _ = await world.on_client("curl", "-sS", "--max-time", "4", world.url)
        assert code == 0
        assert world.local.questions > asked
        await world.on_client("curl", "-sS", "--max-time", "4", world.raw_url)
        await world.on_client("curl", "-sS", "--max-time", "1", "http://[fd00:18::9]/")
        capture.read()
    found = leaks(capture.packets, world.allowed)
    assert ("udp", (GATEWAY, 53)) in {(packet.kind, packet.target) for packet in found}
    assert any(packet.kind == "tcp" for packet in found)
    assert not all(is_client_hello(payload) for payload in first_bytes(capture.packets))


async def test_nothing_leaves_but_links(world, tmp_path):
    asked_locally = world.local.questions
    with Capture(world.lan.network) as capture:
        await lead_a_life(world, tmp_path / "client")
        await asyncio.sleep(0.3)
        capture.read()
        assert capture.dropped == 0
    assert leaks(capture.packets, world.allowed) == []
    opened = first_bytes(capture.packets)
    assert len(opened) > 5
    assert [payload for payload in opened if not is_client_hello(payload)] == []
    assert world.local.questions == asked_locally, "this machine's DNS server was asked"
    assert world.questions.questions > 0, "names were resolved by the exit"
    assert {HOME, AWAY}.isdisjoint(world.files.peers[2:])


async def lead_a_life(world, home):
    """Everything that happens to a client, one after the other."""
    bundle, place = world.network.bundle(), world.lan.client
    async with client_process(bundle, home, place=place) as client:
        applications = Applications(world, client)
        await applications.every_way()
        await applications.browser()
        await check(client, url=world.url + "/who")
        await lose_a_node(world, client)
        await applications.every_way()
        client.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(ASLEEP_S)
        client.process.send_signal(signal.SIGCONT)
        await client.until(lambda told: any(i["recovered_s"] for i in told["incidents"]), 20.0)
        await applications.every_way()
        world.lan.move(AWAY)
        try:
            await client.until(lambda told: "address changed" in str(told["incidents"]))
            await client.until_up(20.0)
            await applications.through_socks()
            await check(client)
            await client.down()
        finally:
            world.lan.move(HOME)


async def lose_a_node(world, client):
    """Kill an entry that is in use."""
    paths = (await client.ask("status"))["paths"]
    victim = world.network.nodes[paths[0]["path"][0] - 1]
    await victim.stop(number=signal.SIGKILL)
    await client.until(is_up, 20.0)


async def check(client, **arguments):
    """The client's own look at itself agrees."""
    found = await client.ask("check", **arguments)
    verdicts = {row["name"]: row["verdict"] for row in found["rows"]}
    assert found["verdict"] == "pass", found
    assert verdicts["names are resolved by the exit"] == "pass"
    assert verdicts["this machine's DNS is not used"] == "pass"
    assert verdicts["connections go to nodes only"] == "pass"
    assert verdicts["the destination sees the exit"] == ("pass" if arguments else "not tested")
    assert verdicts["clock"] == verdicts["consensus"] == "pass"
    assert verdicts["anonymity set"] == "warning"
