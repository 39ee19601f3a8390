"""An auditor at work on real nodes; its member is a small HTTP server with the real interface."""

import asyncio
import json
import time

import pytest
import pytest_asyncio
from aiohttp import web

from node.accounting.assignments import SlotWork, Target
from node.accounting.auditor import Verdict
from node.auditor import Auditor
from node.client.session import Session
from node.errors import StageError
from tests.support.network import eventually, held, inner_network

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROLES = ("entry", "relay", "relay", "exit")
TOKEN = "correct horse"


class Member:
    """Hands out one slot's work and keeps what is posted."""

    def __init__(self) -> None:
        self.work: dict[str, object] = {}
        self.results: list[dict] = []

    async def assignments(self, request):
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({}, status=401)
        return web.json_response(self.work, status=200 if self.work else 503)

    async def take(self, request):
        self.results.append(await request.json())
        return web.Response(status=202)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("auditor")
    member = Member()
    app = web.Application()
    app.add_routes(
        [
            web.get("/v1/audit/assignments", member.assignments),
            web.post("/v1/audit/results", member.take),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with held(inner_network(folder, ROLES)) as network, held(_session(network)) as session:
        yield member, session, url
    await runner.cleanup()


def _session(network):
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def run():
        async with asyncio.TaskGroup() as group:
            session = Session(network.bundle(), None, ready=0, uses_guards=False)
            await session.start(group, timeout_s=20)
            try:
                yield session
            finally:
                await session.stop()

    return run()


def auditor(world, token=TOKEN):
    _, session, url = world
    return Auditor(session.view, session.entries, url, token)


async def test_a_probe_returns_its_round_trip(world):
    for index, control in ((1, None), (2, 3), (4, None)):
        probe = await auditor(world).probe(Target(index, control), 3.0)
        assert probe.verdict is Verdict.RETURNED
        assert 0 < probe.micros < 3_000_000


async def test_a_burst_is_measured_at_every_role(world):
    for index in (1, 2, 4):
        if index == 1:
            with pytest.raises(StageError):
                await auditor(world).measure(index, 1 << 20, 5.0)
            continue
        burst = await auditor(world).measure(index, 1 << 20, 5.0)
        assert burst.size_bytes == 1 << 20
        assert burst.micros > 0


async def test_a_dead_node_is_told_apart_by_the_control(world, monkeypatch):
    one = auditor(world)
    real = one._fetch

    async def fetch(self, nodes, phase, request, deadline_s):
        if any(node.index == 2 for node in nodes):
            raise StageError("circuit", "refused")
        return await real(nodes, phase, request, deadline_s)

    monkeypatch.setattr(Auditor, "_fetch", fetch)
    assert (await one.probe(Target(2, 3), 3.0)).verdict is Verdict.FAILED
    assert (await one.probe(Target(2, None), 3.0)).verdict is Verdict.UNDECIDED
    assert one.failures == 2


async def test_a_slot_is_worked_and_posted_once(world):
    member, _, _ = world
    member.results.clear()
    member.work = {
        "epoch": 3,
        "slot": 1,
        "slot_ends_at": int(time.time()) + 4,
        "targets": [
            {"index": 2, "role": "relay", "control": 3},
            {"index": 4, "role": "exit", "control": None},
        ],
        "capacity": [3],
        "burst_bytes": 65_536,
    }
    task = asyncio.create_task(auditor(world).run())
    await eventually(lambda: bool(member.results), 8.0)
    await asyncio.sleep(0.6)
    task.cancel()
    (posted,) = member.results
    assert (posted["epoch"], posted["slot"]) == (3, 1)
    assert [item["target"] for item in posted["results"]] == [2, 4]
    assert all(probe["micros"] > 0 for item in posted["results"] for probe in item["probes"])
    assert posted["capacity"][0]["bytes"] == 65_536
    json.dumps(posted)


async def test_a_slot_that_is_over_gives_nothing(world):
    work = SlotWork(1, 1, int(time.time()) - 1, (Target(2, 3),), (), 1)
    found = await auditor(world).work(work)
    assert not found.probes
    assert not found.bursts


async def test_a_wrong_token_is_said(world):
    member, _, _ = world
    member.work = {"epoch": 1}
    one = auditor(world, token="wrong")
    task = asyncio.create_task(one.run())
    await eventually(lambda: "token" in one.problem)
    task.cancel()


async def test_malformed_work_is_said_and_survived(world):
    member, _, _ = world
    member.work = {"epoch": "x"}
    one = auditor(world)
    task = asyncio.create_task(one.run())
    await eventually(lambda: "epoch" in one.problem)
    assert not task.done()
    task.cancel()
