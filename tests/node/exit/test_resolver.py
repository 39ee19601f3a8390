import asyncio

import pytest

from node.errors import ResolveError
from node.exit import resolver as module
from node.exit.resolver import FAILURE_TTL_S
from tests.node.exit.rig import PARAMETERS, Clock, resolver
from tests.support.dns_server import dns_server

RECORDS = {
    "both.test.": ("93.184.216.34", "2606:4700::1111"),
    "four.test.": ("93.184.216.34",),
    "empty.test.": (),
}


async def test_answers_hold_ipv4_first():
    async with dns_server(RECORDS) as server, resolver(server.port) as names:
        answer = await names.resolve("Both.Test")
    assert [str(a) for a in answer.addresses] == ["93.184.216.34", "2606:4700::1111"]
    assert answer.ttl_s == 300


@pytest.mark.parametrize(
    ("ttl", "low", "high", "kept"),
    [(1, 60, 1800, 60), (86_400, 60, 1800, 1800), (120, 60, 1800, 120), (1, 90, 100, 90)],
)
async def test_lives_are_clamped_by_the_parameters_and_the_cache_obeys(ttl, low, high, kept):
    clock = Clock()
    limits = {"dns_ttl_min_s": low, "dns_ttl_max_s": high}
    async with (
        dns_server(RECORDS, ttl_s=ttl) as server,
        resolver(server.port, now=clock, **limits) as names,
    ):
        await names.resolve("four.test")
        asked = server.questions
        clock.now += kept - 1
        assert (await names.resolve("four.test")).ttl_s == kept
        assert server.questions == asked
        clock.now += 1
        await names.resolve("four.test")
        assert server.questions > asked


@pytest.mark.parametrize(("name", "rcode"), [("none.test", "NXDOMAIN"), ("empty.test", "NODATA")])
async def test_what_does_not_exist_is_kept_for_the_least_life(name, rcode):
    clock, codes = Clock(), []
    async with (
        dns_server(RECORDS) as server,
        resolver(server.port, now=clock, codes=codes) as names,
    ):
        for _ in range(2):
            with pytest.raises(ResolveError) as caught:
                await names.resolve(name)
            assert caught.value.rcode == rcode
        asked = server.questions
        assert len(codes) == asked
        clock.now += PARAMETERS.dns_ttl_min_s - 1
        with pytest.raises(ResolveError):
            await names.resolve(name)
        assert server.questions == asked
        clock.now += 1
        with pytest.raises(ResolveError):
            await names.resolve(name)
        assert server.questions > asked


async def test_a_failure_of_the_server_is_kept_briefly():
    clock = Clock()
    async with (
        dns_server(RECORDS) as server,
        resolver(server.port, now=clock, timeout_s=0.2) as names,
    ):
        with pytest.raises(ResolveError) as caught:
            await names.resolve("silent.test")
        assert caught.value.rcode == "TIMEOUT"
        asked = server.questions
        clock.now += FAILURE_TTL_S - 1
        with pytest.raises(ResolveError):
            await names.resolve("silent.test")
        assert server.questions == asked
        clock.now += 1
        server.records["silent.test."] = ("93.184.216.34",)
        server.answer = lambda asked: answered(server, asked)
        assert (await names.resolve("silent.test")).addresses


async def answered(server, asked):
    return [server.response(asked).to_wire()]


@pytest.mark.parametrize("name", ["", "a" * 64 + ".test", "127.1", "..", "\udce4.test", "a.onion"])
async def test_malformed_names_are_refused_without_asking(name):
    async with dns_server(RECORDS) as server, resolver(server.port) as names:
        with pytest.raises(ResolveError) as caught:
            await names.resolve(name)
        assert caught.value.rcode == "FORMERR"
        assert server.questions == len(names) == 0


async def test_the_cache_is_bounded_and_forgets_the_longest_unused(monkeypatch):
    monkeypatch.setattr(module, "CACHE_NAMES", 2)
    records = {f"n{i}.test.": ("93.184.216.34",) for i in range(3)}
    async with dns_server(records) as server, resolver(server.port) as names:
        for name in ("n0.test", "n1.test", "n0.test", "n2.test"):
            await names.resolve(name)
        assert len(names) == 2
        asked = server.questions
        await names.resolve("n0.test")
        assert server.questions == asked
        await names.resolve("n1.test")
        assert server.questions > asked


class Held:
    """A server that answers when told."""

    def __init__(self, server):
        self.go = asyncio.Event()
        self._server = server
        server.answer = self

    async def __call__(self, asked):
        await self.go.wait()
        return [self._server.response(asked).to_wire()]


async def asking(names, count):
    async with asyncio.timeout(5):
        while names.asking < count:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_one_name_is_asked_once_for_all_who_want_it():
    async with dns_server(RECORDS) as server, resolver(server.port) as names:
        held = Held(server)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(names.resolve("both.test")) for _ in range(50)]
            await asking(names, 1)
            held.go.set()
        assert len({task.result() for task in tasks}) == 1
        assert server.questions == 2
        assert names.asking == 0


async def test_who_gives_up_waiting_takes_nothing_from_the_others():
    async with dns_server(RECORDS) as server, resolver(server.port) as names:
        held = Held(server)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(names.resolve("both.test"))
            second = group.create_task(names.resolve("both.test"))
            await asking(names, 1)
            first.cancel()
            await asyncio.sleep(0)
            held.go.set()
        assert first.cancelled()
        assert second.result().addresses
        assert server.questions == 2


async def test_names_asked_at_once_are_capped_and_counted(monkeypatch):
    monkeypatch.setattr(module, "MAX_QUESTIONS", 2)
    drops = []
    records = {f"n{i}.test.": ("93.184.216.34",) for i in range(4)}
    async with dns_server(records) as server, resolver(server.port, drops=drops) as names:
        held = Held(server)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(names.resolve(f"n{i}.test")) for i in range(2)]
            await asking(names, 2)
            with pytest.raises(ResolveError) as caught:
                await names.resolve("n2.test")
            assert caught.value.rcode == "DROPPED"
            assert drops == [1]
            held.go.set()
        assert all(task.result().addresses for task in tasks)
        assert (await names.resolve("n2.test")).addresses
