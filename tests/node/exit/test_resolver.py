import time

import pytest

from node.errors import NodeConfigError, ResolveError
from node.exit.resolver import CACHE_NAMES, FAILURE_TTL_S, TTL_MAX_S, TTL_MIN_S, Resolver
from tests.support.dns_server import dns_server


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


RECORDS = {
    "both.test.": ("93.184.216.34", "2606:4700::1111"),
    "four.test.": ("93.184.216.34",),
    "empty.test.": (),
}


async def test_answers_hold_ipv4_first():
    async with dns_server(RECORDS) as server:
        resolver = Resolver(f"127.0.0.1:{server.port}", now=time.monotonic)
        answer = await resolver.resolve("Both.Test")
    assert [str(a) for a in answer.addresses] == ["93.184.216.34", "2606:4700::1111"]
    assert answer.ttl_s == 300


@pytest.mark.parametrize(("ttl", "kept"), [(1, TTL_MIN_S), (86_400, TTL_MAX_S), (120, 120)])
async def test_ttl_is_clamped_and_the_cache_obeys_it(ttl, kept):
    clock = Clock()
    async with dns_server(RECORDS, ttl_s=ttl) as server:
        resolver = Resolver(f"127.0.0.1:{server.port}", now=clock)
        await resolver.resolve("four.test")
        asked = server.questions
        clock.now += kept - 1
        assert (await resolver.resolve("four.test")).ttl_s == kept
        assert server.questions == asked
        clock.now += 1
        await resolver.resolve("four.test")
        assert server.questions > asked


@pytest.mark.parametrize(("name", "rcode"), [("none.test", "NXDOMAIN"), ("empty.test", "NODATA")])
async def test_failures_name_their_cause_and_are_kept_briefly(name, rcode):
    clock = Clock()
    codes = []
    async with dns_server(RECORDS) as server:
        resolver = Resolver(f"127.0.0.1:{server.port}", now=clock, on_answer=codes.append)
        for _ in range(2):
            with pytest.raises(ResolveError) as caught:
                await resolver.resolve(name)
            assert caught.value.rcode == rcode
        asked = server.questions
        assert len(codes) == asked
        clock.now += FAILURE_TTL_S
        with pytest.raises(ResolveError):
            await resolver.resolve(name)
        assert server.questions > asked


async def test_a_silent_server_is_a_timeout():
    async with dns_server(RECORDS) as server:
        resolver = Resolver(f"127.0.0.1:{server.port}", now=time.monotonic, timeout_s=0.2)
        with pytest.raises(ResolveError) as caught:
            await resolver.resolve("silent.test")
    assert caught.value.rcode == "TIMEOUT"


@pytest.mark.parametrize("name", ["", "a" * 64 + ".test", "x." * 130, "..", "\udce4.test"])
async def test_malformed_names_are_refused_without_asking(name):
    async with dns_server(RECORDS) as server:
        resolver = Resolver(f"127.0.0.1:{server.port}", now=time.monotonic)
        with pytest.raises(ResolveError):
            await resolver.resolve(name)
        assert server.questions == 0


async def test_the_cache_is_bounded(monkeypatch):
    monkeypatch.setattr("node.exit.resolver.CACHE_NAMES", 2)
    async with dns_server({f"n{i}.test.": ("93.184.216.34",) for i in range(3)}) as server:
        resolver = Resolver(f"127.0.0.1:{server.port}", now=time.monotonic)
        for i in range(3):
            await resolver.resolve(f"n{i}.test")
        assert len(resolver._cache) == 2
    assert CACHE_NAMES == 10_000


@pytest.mark.parametrize("server", ["example.org:53", "127.0.0.1:x"])
def test_the_server_must_be_an_address(server):
    with pytest.raises(NodeConfigError):
        Resolver(server, now=time.monotonic)
