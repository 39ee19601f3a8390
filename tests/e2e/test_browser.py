"""A real browser loads a real page of many parts over three hops, and nothing passes beside them.

`QNET_UPDATE_SCREENSHOT=1` keeps the picture of the loaded page as docs/assets/browser.png.
"""

import asyncio
import json
import os
import socket
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.chromium import INSTALL, chromium, find_browser, read_net_log
from tests.e2e.site.server import serve_site
from tests.support.dns_server import dns_server
from tests.support.network import held
from tools.bench.network import local_network

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        find_browser() is None and os.environ.get("CI") != "true",
        reason=f"no Chromium here; install it with: {INSTALL}",
    ),
]

NAME = "tides.qnet.example"
"""Only the exit's DNS server knows it."""

EXIT = "127.13.0.1"
LOAD_S = 60
SIZE = (1280, 860)
SCREENSHOT = Path(__file__).parents[2] / "docs" / "assets" / "browser.png"
QNET = str(Path(sys.executable).with_name("qnet"))
COMPLETE = """new Promise((resolve) => {
  const look = () => {
    const said = document.documentElement?.dataset ?? {};
    if (said.complete || said.failed) resolve({ ...said });
  };
  const everything = { attributes: true, childList: true, subtree: true };
  new MutationObserver(look).observe(document, everything);
  look();
})"""
RESOLVING = ("DNS_TRANSACTION_ATTEMPT", "HOST_RESOLVER_DNS_TASK", "HOST_RESOLVER_SYSTEM_TASK")
TIMES = "JSON.stringify(performance.getEntriesByType('navigation')[0])"


@asynccontextmanager
async def running_client(network, folder):
    """`qnet client` on that network; yields the address of its SOCKS port."""
    bundle = folder / "network.json"
    bundle.write_text(json.dumps(network.bundle().to_json()))
    home = ("--home", str(folder / "client"))
    words = ("--bundle", str(bundle), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--json")
    up = await qnet("client", "up", *home, *words)
    try:
        yield json.loads(up)["data"]["socks"]
    finally:
        await qnet("client", "down", *home)


async def qnet(*words):
    process = await asyncio.create_subprocess_exec(
        QNET, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


@asynccontextmanager
async def three_hops(folder):
    async with (
        serve_site("127.0.0.1", NAME, folder) as site,
        dns_server({f"{NAME}.": ("127.0.0.1",)}) as dns,
        local_network(
            ("entry", "relay", "exit"), policy="open", dns=f"127.0.0.1:{dns.port}"
        ) as network,
        running_client(network, folder) as socks,
    ):
        yield site, dns, socks


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory):
    async with held(three_hops(tmp_path_factory.mktemp("browser"))) as world:
        yield world


async def test_there_is_a_browser():
    """Where tests must run (CI), a missing browser is a failure, not a reason to pass."""
    assert find_browser(), f"install it with: {INSTALL}"


async def test_nobody_here_can_resolve_the_name():
    with pytest.raises(socket.gaierror):
        await asyncio.to_thread(socket.getaddrinfo, NAME, 80)


@pytest.mark.parametrize(("scheme", "digest"), [("http", "fnv1a"), ("https", "sha256")])
async def test_a_page_of_many_parts_arrives_whole(
    world, tmp_path, scheme, digest, record_property, capsys
):
    site, dns, socks = world
    site.requests.clear()
    trust = f"--ignore-certificate-errors-spki-list={site.spki}"
    port = site.https if scheme == "https" else site.http
    async with chromium(tmp_path, f"--proxy-server=socks5://{socks}", trust) as tab:
        started = time.monotonic()
        assert await tab.open(f"{scheme}://{NAME}:{port}/", *SIZE) == ""
        async with asyncio.timeout(LOAD_S):
            page = await tab.evaluate(COMPLETE)
        loaded_s = time.monotonic() - started
        times = json.loads(await tab.evaluate(TIMES))
        picture = await tab.screenshot()
        failed = tab.of("Network.loadingFailed")

    everything = len(site.site) - 1  # the manifest lists all but itself
    assert page == {
        "complete": f"{everything}/{everything}",
        "wrong": "",
        "hashed": digest,
        "bytes": str(sum(len(r.body) for p, r in site.site.items() if p != "/manifest.json")),
    }
    assert failed == []
    asked = Counter(path for path, _ in site.requests)
    assert set(site.site) == set(asked)
    assert {source for _, source in site.requests} == {EXIT}
    # what the browser wants of its maker goes the same way, and finds no such name
    assert f"{NAME}." in {entry.name for entry in dns.asked}
    nothing_passed_beside(tmp_path, socks)
    keep(picture, tmp_path / "page.png" if scheme == "https" else SCREENSHOT)
    first = times["responseStart"]
    told = f"{everything + 1} parts: first byte {first:.0f} ms, all checked {loaded_s:.2f} s"
    record_property(f"browser_{scheme}", told)
    with capsys.disabled():
        print(f"\n{scheme} over three hops, {told}")  # noqa: T201


def nothing_passed_beside(folder, socks):
    """The browser's own log: connections to the SOCKS port only, no DNS and no datagrams."""
    events = read_net_log(folder)
    connected = {
        facts["address"]
        for name, facts in events
        if name == "TCP_CONNECT_ATTEMPT" and facts.get("address")
    }
    assert connected == {socks}
    assert not [facts for name, facts in events if name in RESOLVING]
    assert not [facts for name, facts in events if name == "UDP_BYTES_SENT"]


def keep(picture, path):
    """Check that the picture shows something; write it where it is wanted."""
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 50_000
    if path != SCREENSHOT or os.environ.get("QNET_UPDATE_SCREENSHOT"):
        path.write_bytes(picture)
