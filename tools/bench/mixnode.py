"""`qnet bench mixnode`: packets a second of a whole mix over real sockets, and three hops.

The mix under test is the node program on one core, with replay check, delays and loops. Two other
nodes, on the rest of the machine, send it packets that were made before and take what it passes on;
every packet must come out once and right. Then a client sends through an entry and three mixes.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import statistics
import time
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from typing import Any, Final

from node.io.control import call
from node.mix.address import MailAddress
from node.mix.envelope import FRAME_BYTES
from node.mix.live_paths import LivePaths
from qnet.epochs import phase_at
from qnet.errors import CryptoError, NetworkError
from qnet.messages.consensus import Consensus
from qnet.messages.descriptor import PHASE_MODULUS
from tools.bench.machine import Figure, cpu_seconds, machine
from tools.bench.mix_link import MixLink, mix_link
from tools.bench.mix_load import CAME, CAME_ROW, PACKETS, SENT, SOCKET
from tools.bench.mix_packets import Made, Target, make_packets
from tools.bench.network import LocalNetwork, local_network

ROLES: Final = ("entry", "mix", "mix", "mix", "exit", "relay")
ENTRY, TARGET, SOURCE, SINK = 1, 2, 3, 4
CALENDAR: Final = {"consensus_interval_s": 30, "key_phase_s": 15, "descriptor_lead_s": 2}
CONTROL: Final = "control.sock"
POLL_S: Final = 0.2
SETTLE_S: Final = 1.0
MOST_LATE_MS: Final = 50.0
"""Of the 99th percentile; more is a mix that cannot follow."""
CALL_S: Final = 120.0
_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        rates: Packets a second that the mix under test is offered, one after the other.
        seconds: For each.
        hops_rates: Packets a second that a client sends through three mixes.
        hops_seconds: For each.
        repeats: How often.
    """

    rates: Sequence[float] = (5_000, 10_000, 12_500, 15_000)
    seconds: float = 3.0
    hops_rates: Sequence[float] = (50, 400)
    hops_seconds: float = 6.0
    repeats: int = 3


@dataclass(slots=True)
class Load:
    """One load and what became of it.

    Attributes:
        name: Of its rows.
        rate: Packets a second offered.
        sent: Packets.
        late_ms: Of each packet that came, what it took beyond the delays that it asked for.
        total_ms: Of each packet that came, what it took.
        seconds: From the first to the last departure.
        cpu_s: Processor time of the mix under test.
        drops: What it counted as dropped, by cause.
    """

    name: str
    rate: float
    sent: int
    late_ms: list[float] = field(default_factory=list)
    total_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu_s: float = 0.0
    drops: dict[str, int] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """Share that did not come."""
        return 1 - len(self.late_ms) / self.sent

    def figures(self) -> dict[tuple[str, str], float]:
        """What it shows, by name and unit."""
        came = len(self.late_ms)
        late, total = sorted(self.late_ms), sorted(self.total_ms)
        values = {
            ("rate", "packets/s"): came / self.seconds,
            ("loss", "%"): 100 * self.loss,
            ("added delay p50", "ms"): _at(late, 0.5),
            ("added delay p99", "ms"): _at(late, 0.99),
            ("processor time a packet", "us"): self.cpu_s / max(came, 1) * 1e6,
        }
        hops = {
            ("goodput", "MB/s"): came / self.seconds * FRAME_BYTES / 1e6,
            ("loss", "%"): 100 * self.loss,
            ("latency p50", "ms"): _at(total, 0.5),
            ("latency p99", "ms"): _at(total, 0.99),
        }
        return values if self.cpu_s else hops


def run(plan: Plan) -> dict[str, Any]:
    """Measure.

    Raises:
        NetworkError: A process died.
        CryptoError: A packet came changed, twice, or was never sent.
    """
    return asyncio.run(_run(plan))


async def _run(plan: Plan) -> dict[str, Any]:
    one: list[Load] = []
    programs = dict.fromkeys((SOURCE, SINK), "tools.bench.mix_load")
    async with local_network(ROLES, overrides=CALENDAR, programs=programs) as network:
        _pin(network)
        for _ in range(plan.repeats):
            one += [await _offer(network, rate, plan.seconds) for rate in plan.rates]
    three: list[Load] = []
    async with local_network(ROLES, overrides=CALENDAR) as network:
        for _ in range(plan.repeats):
            three += [
                await _three_hops(network, rate, plan.hops_seconds) for rate in plan.hops_rates
            ]
    return {
        "machine": machine(),
        "plan": asdict(plan) | {"cores_of_the_mix": 1},
        "sustained_packets_per_s": _sustained(one),
        "results": _rows([*one, *three]),
        "drops": [{"load": load.name, **load.drops} for load in one if any(load.drops.values())],
    }


def _rows(loads: Sequence[Load]) -> list[dict[str, Any]]:
    """JSON rows: of each load the medians of its repeats."""
    samples: dict[tuple[str, str], list[float]] = {}
    for load in loads:
        for (what, unit), value in load.figures().items():
            samples.setdefault((f"{load.name}: {what}", unit), []).append(value)
    return [Figure(name, unit, values).row() for (name, unit), values in samples.items()]


def _sustained(loads: Sequence[Load]) -> float:
    """Highest rate that was carried without loss or lateness every time."""
    failed = {
        load.rate for load in loads if load.loss or _at(sorted(load.late_ms), 0.99) > MOST_LATE_MS
    }
    carried = [load.rate for load in loads if all(load.rate < rate for rate in failed)]
    return max(carried, default=0.0)


def _pin(network: LocalNetwork) -> None:
    """The mix under test has a core of its own; everything else shares the others."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return
    for node in network.nodes:
        assert node.process is not None
        mine = cores[:1] if node.index == TARGET else cores[1:]
        os.sched_setaffinity(node.process.pid, mine)


async def _agreed(network: LocalNetwork) -> Consensus:
    """The newest consensus, once every node holds it: we know none that it came after."""
    homes = [node.home for node in network.nodes]
    while True:
        told = await asyncio.gather(*(call(home / CONTROL, "status") for home in homes))
        held = {status["consensus"] and status["consensus"]["valid_after"] for status in told}
        signed = network.committee.latest
        if signed is not None and held == {signed.consensus.valid_after}:
            return signed.consensus
        await asyncio.sleep(POLL_S)


def _target(consensus: Consensus) -> Target:
    """The mix under test in the next key phase, whose packets are taken longest."""
    live = LivePaths(secrets.token_bytes)
    live.follow(consensus)
    phase = (phase_at(time.time(), CALENDAR["key_phase_s"]) + 1) % PHASE_MODULUS
    layer = live.layers_of(TARGET, phase)[0]
    node = live.node(TARGET)
    return Target(node.node_id, live.phase_key(TARGET, phase), phase, layer, SINK)


async def _offer(network: LocalNetwork, rate: float, seconds: float) -> Load:
    """Offer a load to the mix under test."""
    target_node, source, sink = (network.nodes[index - 1] for index in (TARGET, SOURCE, SINK))
    assert target_node.process is not None
    target = _target(await _agreed(network))
    made = await asyncio.to_thread(make_packets, target, int(rate * seconds))
    (source.home / PACKETS).write_bytes(b"".join(each.packet for each in made))
    before = await _drops(network)
    cpu = cpu_seconds(target_node.process.pid)
    told = await call(source.home / SOCKET, "send", timeout_s=CALL_S, target=TARGET, rate=rate)
    await asyncio.sleep(SETTLE_S)
    cpu = cpu_seconds(target_node.process.pid) - cpu
    alive = target.alive_bytes
    await call(sink.home / SOCKET, "came", timeout_s=CALL_S, alive_bytes=alive)
    after = await _drops(network)
    load = Load(f"one mix at {rate:g}/s", rate, len(made), cpu_s=cpu, seconds=told["seconds"])
    load.drops = {cause: n - before.get(cause, 0) for cause, n in after.items()}
    sent = array("d")
    sent.frombytes((source.home / SENT).read_bytes())
    _match(load, made, sent, (sink.home / CAME).read_bytes())
    return load


def _match(load: Load, made: Sequence[Made], sent: Sequence[float], came: bytes) -> None:
    """Compare what came with what was sent.

    Raises:
        CryptoError: A packet came changed, twice, or was never sent.
    """
    waiting = {each.name: (each, at) for each, at in zip(made, sent, strict=True)}
    for at, name, digest in CAME_ROW.iter_unpack(came):
        each, left = waiting.pop(name, (None, 0.0))
        if each is None or each.digest != digest:
            raise CryptoError
        load.total_ms.append((at - left) * _MS)
        load.late_ms.append((at - left) * _MS - each.delay_ms)


async def _drops(network: LocalNetwork) -> dict[str, int]:
    status = await call(network.nodes[TARGET - 1].home / CONTROL, "status")
    drops: dict[str, int] = status["mix"]["drops"]
    return drops


async def _three_hops(network: LocalNetwork, rate: float, seconds: float) -> Load:
    """Let a client write to itself through three mixes."""
    consensus = await _agreed(network)
    load = Load(f"three hops at {rate:g}/s", rate, int(rate * seconds))
    async with mix_link(consensus, ENTRY) as client:
        grant = await client.ask(0, client.key)
        if not grant.accepted:
            raise NetworkError("the entry did not take the claim of an address")
        frames = [secrets.token_bytes(FRAME_BYTES) for _ in range(load.sent)]
        units = await asyncio.to_thread(_units, client, frames)
        left = await _hand_in(client, units, rate)
        load.seconds = left[-1] - left[0]
        await asyncio.sleep(SETTLE_S)
        waiting = dict(zip(frames, left, strict=True))
        for delivery, at in client.deliveries:
            opened = client.open(delivery)
            if opened not in waiting:
                raise CryptoError
            load.total_ms.append((at - waiting.pop(opened)) * _MS)
    load.late_ms = load.total_ms
    return load


def _units(client: MixLink, frames: Sequence[bytes]) -> list[bytes]:
    phase = (client.phase + 1) % PHASE_MODULUS
    delivery_id = MailAddress(ENTRY, client.key.public).delivery_id(phase)
    return [client.packet(delivery_id, frame=frame, phase=phase) for frame in frames]


async def _hand_in(client: MixLink, units: Sequence[bytes], rate: float) -> list[float]:
    """Hand in at Poisson times; returns when each left."""
    gaps = (random.expovariate(rate) for _ in units)
    times = list(accumulate(gaps))
    left: list[float] = []
    start = time.monotonic()
    while len(left) < len(units):
        now = time.monotonic()
        end = len(left)
        while end < len(times) and times[end] <= now - start:
            end += 1
        if end > len(left):
            client.send(units[len(left) : end])
            left += [now] * (end - len(left))
        await asyncio.sleep(0.001)
    return left


def _at(values: Sequence[float], share: float) -> float:
    """Quantile of sorted values."""
    if not values:
        return float("inf")
    if len(values) < 100:
        return statistics.median(values) if share == 0.5 else values[-1]
    return values[min(int(share * len(values)), len(values) - 1)]
