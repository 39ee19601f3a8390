"""Mixes are probed over real sockets; some of them, and an entry, cheat."""

import asyncio
import secrets
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
import pytest_asyncio

from node.accounting.assignments import SlotWork, Target
from node.accounting.auditor import Verdict, plan_slot
from node.mix.packet import Delivery
from node.prober.client import MemberClient
from node.prober.mix_probe import MixProber
from node.prober.worker import Worker
from tests.support.network import client, eventually, held, inner_network

ROLES = ("entry", "mix", "mix", "mix", "mix", "mix", "mix", "relay", "exit")
ENTRY, MIXES = 1, range(2, 8)
PROBE_S = 4.0

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probed")
    async with held(inner_network(folder, ROLES)) as running:
        await eventually(
            lambda: all(len(n.view.held.consensus.nodes) == len(ROLES) for n in running.nodes), 30
        )
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def worker(network):
    async with client(network.bundle(), ready=0) as session:
        yield Worker(session.view, session.entries, MemberClient("http://127.0.0.1:1", "none"))


def peer(worker, index):
    """The other mix of a mix's layer."""
    layers = worker.mixes.live.layers_at(worker._surroundings().phase)
    mixes = layers.layers[layers.layer_of(index) - 1]
    return next(mix.index for mix in mixes if mix.index != index)


async def probe(worker, index):
    """With its control."""
    return await worker._probe(Target(index, peer(worker, index)), PROBE_S)


def mix_of(network, index):
    return network.nodes[index - 1].mixing.mix


@contextmanager
def changed(owner, name, value):
    """An attribute of a running node is another one for a while."""
    honest = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield honest
    finally:
        setattr(owner, name, honest)


async def test_every_mix_returns_probes(worker):
    found = await asyncio.gather(*(probe(worker, index) for index in MIXES for _ in range(3)))
    assert [one.verdict for one in found] == [Verdict.RETURNED] * 18
    assert worker.mixes.strays == 0


async def test_delays_that_were_asked_for_are_taken_off(worker, monkeypatch):
    asked = []
    send = MixProber._loop

    async def slowly(prober, berth, route):
        slow = replace(route, hops=[replace(hop, delay_ms=200) for hop in route.hops])
        started = time.perf_counter()
        micros = await send(prober, berth, slow)
        asked.append((time.perf_counter() - started) * 1_000_000)
        return micros

    monkeypatch.setattr(MixProber, "_loop", slowly)
    found = await probe(worker, 2)
    assert found.verdict is Verdict.RETURNED
    assert found.micros <= asked[0] - 600_000


async def test_a_mix_that_drops_everything_fails_and_its_peer_does_not(network, worker):
    victim, other = 3, peer(worker, 3)
    with changed(mix_of(network, victim), "receive", lambda _packet, _link: None):
        found = await probe(worker, victim)
        assert (found.verdict, found.control_ok) == (Verdict.FAILED, True)
        assert (await probe(worker, other)).verdict is Verdict.RETURNED


async def test_a_mix_that_changes_payloads_fails(network, worker):
    """What comes back is not what was sent, so it came back from nobody's honest work."""
    mix = mix_of(network, 4)
    honest = mix.receive

    def spoil(packet, link):
        honest(packet[:-1] + bytes([packet[-1] ^ 1]), link)

    with changed(mix, "receive", spoil):
        found = await probe(worker, 4)
    assert (found.verdict, found.control_ok) == (Verdict.FAILED, True)


async def test_an_entry_cannot_return_what_never_passed(network, worker):
    """It issued the id, so it can answer at once; it cannot know what the packet carried."""
    mixing = network.nodes[ENTRY - 1].mixing
    enter = mixing._enter

    def forge(link, first_index, packet):
        del first_index, packet
        for delivery_id in list(worker.mixes._waiting):
            made = Delivery(0, delivery_id, secrets.token_bytes(2064))
            mixing.links.write(link, [made.encode(secrets.token_bytes)])

    with changed(mixing, "_enter", forge):
        found = await probe(worker, 5)
        assert found.verdict is Verdict.UNDECIDED
    assert mixing._enter == enter
    await asyncio.sleep(0.1)
    assert (await probe(worker, 5)).verdict is Verdict.RETURNED


async def test_a_slot_probes_mixes_beside_others(network, worker):
    work = SlotWork(
        0, 0, int(time.time() + 21), (Target(2, 3), Target(8, None), Target(99, 2)), (2,), 1 << 16
    )
    plan = plan_slot(work, probes=2, window_s=10.0, latency_max_ms=5000, random=secrets.token_bytes)
    findings = await worker.work(work, plan)
    for target in (2, 8):
        verdicts = [one.verdict for one in findings.probes[target]]
        assert verdicts.count(Verdict.RETURNED) == 2
        assert Verdict.FAILED not in verdicts  # a loaded machine may leave one undecided
    assert 99 not in findings.probes
    assert findings.bursts[2].size_bytes == 1 << 16
