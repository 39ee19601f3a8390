"""Step: every way into the client, a look for leaks, and a new identity."""

import asyncio
import json
from ipaddress import ip_address
from typing import Any

import dns.asyncquery
import dns.message
import dns.rdatatype

from tools.devnet.demo.context import Demo
from tools.devnet.demo.files import SMALL_NAME, Site
from tools.devnet.demo.journal import CheckFailedError
from tools.devnet.demo.transfer import fetch
from tools.devnet.demo.watch import ask

HOST = "web.devnet"
ANSWER_S = 20.0


async def show_doors(demo: Demo, site: Site) -> None:
    """Use the HTTP proxy and the DNS port, let the client check itself, and start afresh."""
    with demo.journal.step("client"):
        await _fetch_by_http(demo, site)
        await _ask_for_a_name(demo)
        await _check(demo)
        await _start_afresh(demo, site)
        await _compare_nodes(demo)


async def _fetch_by_http(demo: Demo, site: Site) -> None:
    got = await asyncio.to_thread(
        fetch,
        site.url(SMALL_NAME),
        f"http://127.0.0.1:{demo.config.http_port}",
        demo.work / "door.txt",
        options=("--proxytunnel",),
    )
    demo.journal.require(
        got.status == 200 and got.size_bytes == (demo.config.site / SMALL_NAME).stat().st_size,
        "a page through the HTTP proxy",
        f"first byte after {got.first_byte_s * 1000:.0f} ms",
    )


async def _ask_for_a_name(demo: Demo) -> None:
    question = dns.message.make_query(HOST, dns.rdatatype.A)
    answer = await dns.asyncquery.udp(
        question, "127.0.0.1", port=demo.config.names_port, timeout=ANSWER_S
    )
    found = [str(item) for entry in answer.answer for item in entry]
    demo.journal.require(
        [name for name in found if ip_address(name).is_loopback],
        f"the DNS port finds {HOST} through an exit",
        ", ".join(found),
    )


async def _check(demo: Demo) -> None:
    told = await asyncio.to_thread(demo.qnet, "client", "check", "--home", demo.config.client_home)
    rows = told[0]["rows"]
    failed = [row["name"] for row in rows if row["verdict"] == "fail"]
    passed = [row["name"] for row in rows if row["verdict"] == "pass"]
    demo.journal.require(
        passed and not failed,
        "the client finds no leak at itself",
        f"{len(passed)} checks passed" if not failed else ", ".join(failed),
    )


async def _start_afresh(demo: Demo, site: Site) -> None:
    home = demo.config.client_home
    before = await _circuits(demo)
    await asyncio.to_thread(demo.qnet, "client", "new", "--home", home)
    await asyncio.to_thread(
        fetch, site.url(SMALL_NAME), demo.socks, demo.work / "door.txt", label="afresh"
    )
    after = await _circuits(demo)
    demo.journal.require(
        after and not before & after,
        "after `client new` all circuits are new",
        f"{len(before)} left, {len(after)} new",
    )


async def _circuits(demo: Demo) -> set[str]:
    """Circuits that take new streams."""
    rows: list[dict[str, Any]] = await ask(demo.config.client_home, "circuits") or []
    return {json.dumps([row["path"], row["built_ms"]]) for row in rows if row["state"] != "leaving"}


async def _compare_nodes(demo: Demo) -> None:
    told = await asyncio.to_thread(demo.qnet, "net", "nodes", "--home", demo.config.client_home)
    listed = len(told[0])
    if listed > demo.config.nodes:
        raise CheckFailedError(f"{listed} nodes are listed, but {demo.config.nodes} run")
    demo.journal.require(
        listed, "the client lists the network's nodes", f"{listed} of {demo.config.nodes}"
    )
