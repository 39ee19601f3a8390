"""Step: a real file over three hops, byte for byte."""

import asyncio
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from tools.devnet.demo.context import Demo
from tools.devnet.demo.transfer import FILE_BYTES, Fetch, fetch, random_file
from tools.devnet.demo.watch import Watch, ask

FILE_NAME = "random.bin"
MEDIUM_NAME = "medium.bin"
MEDIUM_BYTES = 6 * 2**20
SMALL_NAME = "small.txt"
LATENCY_ROUNDS = 7
LATENCY_LIMIT_S = 0.5
LEAST_RATE = 10e6
TRICKLE_S = 1.0
HOPS = 3


@dataclass(frozen=True, slots=True)
class Site:
    """What web.devnet serves for the demo.

    Attributes:
        port: TCP port of its ordinary web server.
        sha256: of the large file.
    """

    port: int
    sha256: str

    def url(self, name: str) -> str:
        """Address of a file, by a name that only the network's own server knows."""
        return f"http://web.devnet:{self.port}/{name}"


async def fill_site(demo: Demo) -> Site:
    """Put 64 MiB of fresh random bytes and smaller files where web.devnet serves them."""
    folder = demo.config.site
    digest = await asyncio.to_thread(random_file, folder / FILE_NAME)
    await asyncio.to_thread(random_file, folder / MEDIUM_NAME, MEDIUM_BYTES)
    (folder / SMALL_NAME).write_bytes(b"hello over three hops\n")
    return Site(demo.config.web_port, digest)


async def show_transfer(demo: Demo, site: Site, watch: Watch) -> None:
    """Fetch the file with curl, compare it, and measure."""
    journal = demo.journal
    with journal.step("file over three hops"):
        target = demo.work / "received.bin"
        demo.first_traffic_s = time.time()
        got = await _fetch(demo, site.url(FILE_NAME), target, label="file")
        target.unlink()
        journal.require(
            got.status == 200 and got.size_bytes == FILE_BYTES and got.sha256 == site.sha256,
            "SHA-256 of the received file equals the served one",
            got.sha256[:16],
        )
        circuits = await ask(demo.config.home / "client", "circuits") or []
        carrier = max(circuits, key=lambda row: row["bytes_received"], default=None)
        journal.require(
            carrier is not None
            and carrier["bytes_received"] >= FILE_BYTES
            and len(set(carrier["path"])) == HOPS
            and carrier["roles"] == ["entry", "relay", "exit"],
            "the client's circuit that carried it has three hops",
            "" if carrier is None else " > ".join(f"node {index}" for index in carrier["path"]),
        )
        journal.require(
            got.rate >= LEAST_RATE,
            "throughput of one stream",
            f"{got.rate / 1e6:.1f} MB/s over {got.total_s:.2f} s",
        )
        await _measure_latency(demo, site)
        await watch.look(demo)
        built = sorted(watch.built_ms)
        journal.require(
            built,
            "circuit build time",
            f"median {statistics.median(built or [0]):.0f} ms of {len(built)}",
        )


async def _measure_latency(demo: Demo, site: Site) -> None:
    """Fetch a small file again and again on one circuit."""
    target = demo.work / "small.txt"
    times: list[float] = []
    for _ in range(LATENCY_ROUNDS):
        got = await _fetch(demo, site.url(SMALL_NAME), target, label="file")
        times.append(got.first_byte_s)
    middle = statistics.median(times)
    demo.journal.require(
        middle < LATENCY_LIMIT_S,
        "time to first byte over three hops",
        f"median {middle * 1000:.0f} ms, {min(times) * 1000:.0f} to {max(times) * 1000:.0f}",
    )


async def keep_traffic_flowing(demo: Demo, site: Site) -> None:
    """Fetch now and then until cancelled, so that every epoch has traffic to prove."""
    target = demo.work / "background.bin"
    while True:
        await _fetch(demo, site.url(SMALL_NAME), target, label="background")
        await _fetch(demo, site.url(MEDIUM_NAME), target, label="background", limit="1M")
        await asyncio.sleep(TRICKLE_S)


async def _fetch(demo: Demo, url: str, target: Path, *, label: str, limit: str = "") -> Fetch:
    options = ("--limit-rate", limit) if limit else ()
    return await asyncio.to_thread(fetch, url, demo.socks, target, label=label, options=options)
