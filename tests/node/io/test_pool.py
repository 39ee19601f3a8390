import asyncio
from dataclasses import dataclass, field
from itertools import count

import pytest

from node.errors import LinkError
from node.htx.events import CloseReason, PeerIdentity
from node.io.pool import REDIAL_PAUSE_S, LinkPool
from qnet.errors import NotFoundError

IDS = count(1)
A, B, C = (bytes([n]) * 32 for n in (1, 2, 3))


@dataclass
class Line:
    """What the pool needs of a link."""

    node_id: bytes
    link_id: int = field(default_factory=lambda: next(IDS))
    is_closed: bool = False
    reason: object = None

    @property
    def peer(self):
        return PeerIdentity(2, self.node_id)

    def close(self, reason):
        self.is_closed, self.reason = True, reason


class Bench:
    def __init__(self, max_links=10):
        self.now = 100.0
        self.dials = []
        self.failing = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.ready = []
        self.circuits = {}
        self.tasks = []
        self.pool = LinkPool(
            dial=self.dial,
            spawn=lambda work: self.tasks.append(asyncio.ensure_future(work)),
            now=lambda: self.now,
            circuits_on=lambda link_id: self.circuits.get(link_id, 0),
            check=self.check,
            on_ready=self.ready.append,
            max_links=max_links,
        )

    def check(self, index, node_id):
        if node_id[0] != index:
            raise NotFoundError("node is not in the consensus")

    async def dial(self, index, node_id):
        self.dials.append(index)
        await self.gate.wait()
        if self.failing:
            raise LinkError(CloseReason.LOST, "refused")
        return Line(node_id)

    async def want(self, index, node_id):
        got = []
        self.pool.want(index, node_id, lambda link, cause: got.append((link, cause)))
        await asyncio.sleep(0)
        return got


@pytest.fixture
async def bench():
    return Bench()


async def test_one_dial_serves_all_who_wait(bench):
    bench.gate.clear()
    first, second = await bench.want(1, A), await bench.want(1, A)
    assert first == second == []
    bench.gate.set()
    await asyncio.gather(*bench.tasks)
    assert bench.dials == [1]
    assert first[0][0] is second[0][0] is bench.pool.links()[A]
    assert bench.ready == [A]


async def test_a_standing_link_is_reused_and_accepted_ones_too(bench):
    line = Line(B)
    bench.pool.added(line)
    assert (await bench.want(2, B))[0] == (line, "")
    assert bench.dials == []


async def test_an_accepted_link_ends_the_wait_for_a_dial(bench):
    bench.gate.clear()
    got = await bench.want(1, A)
    line = Line(A)
    bench.pool.added(line)
    assert got == [(line, "")]


async def test_a_failed_dial_tells_the_cause_and_is_not_repeated_at_once(bench):
    bench.failing = True
    got = await bench.want(1, A)
    await asyncio.gather(*bench.tasks)
    assert got[0][0] is None
    assert "refused" in got[0][1]
    assert (await bench.want(1, A))[0][0] is None
    assert bench.dials == [1]
    bench.now += REDIAL_PAUSE_S
    bench.failing = False
    again = await bench.want(1, A)
    await asyncio.gather(*bench.tasks)
    assert again[0][0] is not None


async def test_a_lost_link_is_dialled_again(bench):
    line = Line(A)
    bench.pool.added(line)
    line.is_closed = True
    bench.pool.removed(line)
    assert len(bench.pool) == 0
    await bench.want(1, A)
    assert bench.dials == [1]


async def test_the_least_recently_used_idle_link_is_closed():
    bench = Bench(max_links=2)
    lines = []
    for node_id in (A, B, C):
        bench.now += 1
        line = Line(node_id)
        lines.append(line)
        bench.circuits[line.link_id] = int(node_id == A)
        bench.pool.added(line)
    assert [line.is_closed for line in lines] == [False, True, False]
    assert lines[1].reason is CloseReason.IDLE
    assert len(bench.pool) == 3 or len(bench.pool) == 2


async def test_links_of_clients_are_not_pooled(bench):
    line = Line(A)
    object.__setattr__(line, "node_id", None)
    bench.pool.added(line)
    bench.pool.removed(line)
    assert len(bench.pool) == 0


async def test_nonsense_in_a_setup_fails_alone_and_leaves_nothing_behind(bench):
    bench.gate.clear()
    honest = await bench.want(1, A)
    assert (await bench.want(2, A))[0][0] is None
    for number in range(100):
        assert (await bench.want(7, bytes([9, number]) * 16))[0][0] is None
    assert bench.dials == [1]
    assert list(bench.pool._neighbours) == [A]
    assert honest == []
    bench.gate.set()
    await asyncio.gather(*bench.tasks)
    assert honest[0][0] is not None
