"""Step: a message there and back over the mixnet, and a small file whose packets mix."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tools.devnet.demo.context import Demo
from tools.devnet.demo.files import Site
from tools.devnet.demo.journal import CheckFailedError
from tools.devnet.demo.transfer import fetch, random_file
from tools.devnet.demo.watch import ask
from tools.devnet.network import LOGS, qnet_program
from tools.devnet.processes import Spec, spawn, stop_all, wait_ready
from tools.devnet.state import NodeRecord, save
from tools.devnet.topology import Role

FRIEND = "client-2"
QUESTION = "is anybody there?"
ANSWER = "nobody you could name"
FILE_NAME = "mixed.bin"
FILE_BYTES = 256 * 1024
LEAST_LOOPS = 5
WAIT_S = 60
PATIENCE_S = 60.0
POLL_S = 0.5
READY_S = 60.0
SCRAPE_S = 10.0
MAX_METRICS_BYTES = 2**20

Counts = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Friend:
    """A second client, which carries messages and streams over the mixnet.

    Attributes:
        home: its folder.
        socks: where it listens.
    """

    home: Path
    socks: str


async def show_mixnet(demo: Demo, site: Site) -> None:
    """Write to a second client, have it answer, and let it fetch a file; look at the mixes."""
    mixes = [node for node in demo.state.nodes if node.role == Role.MIX.name.lower()]
    if not mixes:
        return
    with demo.journal.step("mixnet"):
        before = [await mix_counts(demo, node) for node in mixes]
        async with _second_client(demo) as friend:
            address = await _await_address(demo, friend.home)
            await _write_and_answer(demo, friend, address)
            await _fetch(demo, site, friend)
            await _tell_latency(demo, friend)
        after = [await mix_counts(demo, node) for node in mixes]
        _compare_mixes(demo, mixes, before, after)


@asynccontextmanager
async def _second_client(demo: Demo) -> AsyncIterator[Friend]:
    """A client with a home of its own; it is part of the network while the context lasts."""
    home = demo.config.home / FRIEND
    options = ("--bundle", str(demo.config.network), "--listen", "127.0.0.1:0")
    words = ("client", "up", "--home", str(home), *options, "--tier", "mix", "--messages")
    argv = (str(qnet_program()), *words, "--foreground", "--timeout", str(READY_S))
    spec = Spec(FRIEND, argv, demo.config.home / LOGS, {}, ready_timeout_s=READY_S)
    alone, process = demo.state, spawn(spec)
    demo.state = alone.with_process(process)
    save(demo.state)
    try:
        ready = await asyncio.to_thread(wait_ready, spec, process)
        yield Friend(home, str(ready["socks"]))
    finally:
        await asyncio.to_thread(stop_all, [process])
        demo.state = replace(demo.state, processes=alone.processes)
        save(demo.state)


async def _await_address(demo: Demo, home: Path) -> str:
    """The address that a client makes once it has reached a guard."""
    deadline, status = time.monotonic() + PATIENCE_S, None
    while time.monotonic() < deadline:
        status = await ask(home, "msg.status")
        if status is not None and status["state"] == "up":
            rows = await _msg(demo, home, "address")
            return str(rows[0]["address"])
        await asyncio.sleep(POLL_S)
    raise CheckFailedError(
        f"no guard of the mixnet is reached after {PATIENCE_S:.0f} s",
        why="" if status is None else status["problem"],
    )


async def _write_and_answer(demo: Demo, friend: Friend, address: str) -> None:
    journal, own = demo.journal, demo.config.client_home
    began = time.monotonic()
    sent = await _msg(demo, own, "send", address, QUESTION, "--wait", WAIT_S)
    told_s = time.monotonic() - began
    (question,) = await _msg(demo, friend.home, "recv", "--wait", WAIT_S)
    journal.require(
        sent["state"] == "delivered" and question["text"] == QUESTION,
        "a message to an address of the mixnet arrived as it was written",
        f"acknowledged after {told_s:.1f} s",
    )
    began = time.monotonic()
    await _msg(demo, friend.home, "reply", question["number"], ANSWER)
    (answer,) = await _msg(demo, own, "recv", "--wait", WAIT_S)
    journal.require(
        answer["text"] == ANSWER and answer["answers"] == sent["id"],
        "its answer came by a reply block, to a sender whom nobody named",
        f"{time.monotonic() - began:.1f} s",
    )


async def _fetch(demo: Demo, site: Site, friend: Friend) -> None:
    target = demo.work / FILE_NAME
    digest = await asyncio.to_thread(random_file, demo.config.site / FILE_NAME, FILE_BYTES)
    got = await asyncio.to_thread(fetch, site.url(FILE_NAME), friend.socks, target)
    demo.journal.require(
        got.sha256 == digest,
        "SHA-256 of a file over --tier mix equals the served one",
        f"{FILE_BYTES // 1024} KiB in {got.total_s:.1f} s, "
        f"first byte after {got.first_byte_s * 1000:.0f} ms",
    )


async def _tell_latency(demo: Demo, friend: Friend) -> None:
    """What the client itself says of its waits, once enough of its loops came back."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        status = await ask(friend.home, "status")
        mixnet = {} if status is None else status["mix"]
        latency = mixnet.get("latency", {"loops": 0})
        if latency["loops"] >= LEAST_LOOPS:
            break
        if time.monotonic() > deadline:
            raise CheckFailedError("loops of the client do not come back", why=str(mixnet))
        await asyncio.sleep(POLL_S)
    loops, trip = mixnet["loops"], status["mix_streams"]["round_trip_ms"]
    demo.journal.require(
        not loops["alarm"],
        "packets that the client sends to itself come back",
        f"{latency['one_way_median_ms']} ms through three mixes in the median, 95 % within "
        f"{latency['one_way_p95_ms']} ms; {loops['lost']} of {loops['judged']} lost",
    )
    demo.journal.require(trip, "`client status` tells the round trip of streams", f"{trip} ms")


def _compare_mixes(
    demo: Demo, mixes: list[NodeRecord], before: list[Counts], after: list[Counts]
) -> None:
    carried = [
        now["packets"]["forwarded"]
        + now["packets"]["delivered"]
        - sum(then["packets"][action] for action in ("forwarded", "delivered"))
        for then, now in zip(before, after, strict=True)
    ]
    shown = zip(mixes, carried, strict=True)
    demo.journal.require(
        all(carried),
        "each mix carried packets, as its metrics say",
        ", ".join(f"{node.name}: {count}" for node, count in shown),
    )
    refused = {
        cause: sum(now["drops"][cause] for now in after) for cause in ("replayed", "bad_tag")
    }
    demo.journal.require(
        not any(refused.values()), "no mix saw a packet twice, or a broken one", _in_words(refused)
    )


def _in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())


async def mix_counts(demo: Demo, node: NodeRecord) -> Counts:
    """Packets by action and drops by cause, from a mix's Prometheus metrics."""
    url = f"http://{node.host}:{demo.config.metrics_port}/metrics"
    timeout = aiohttp.ClientTimeout(total=SCRAPE_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            body = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CheckFailedError(f"{node.name} tells no metrics", why=str(error)) from error
    if len(body) > MAX_METRICS_BYTES:
        raise CheckFailedError(f"{node.name} tells {len(body)} bytes of metrics")
    return counts_in(body.decode())


def counts_in(text: str) -> Counts:
    """Packets by action and drops by cause, from what a mix's metrics page says."""
    found: Counts = {"packets": {}, "drops": {}}
    for family in text_string_to_metric_families(text):
        name = family.name.removeprefix("qnet_mix_")
        if name in found:
            for sample in family.samples:
                (label,) = sample.labels.values()
                found[name][label] = round(sample.value)
    return found


async def _msg(demo: Demo, home: Path, *words: object) -> Any:
    """Run `qnet msg` for a client."""
    return (await asyncio.to_thread(demo.qnet, "msg", *words, "--home", home))[-1]
