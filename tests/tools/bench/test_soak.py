import asyncio
import contextlib
import json
from collections import Counter

import pytest
from click.testing import CliRunner

from qnet.cli.root import root
from tools.bench.load import Load, Outcome, Request
from tools.bench.soak import CIRCUITS_MAX, OUTAGE_S, Series, judge
from tools.bench.transfer import BLOCK_BYTES, file_server

POOL_BYTES = 1 << 20
MIB = 1 << 20


def series(memory, *, descriptors=20, queued=0, circuits=5, lasts=True):
    count = len(memory)
    return Series(
        *("relay 5", 1, lasts, [3.0 * place for place in range(count)], memory),
        *([descriptors] * count, [queued] * count, [circuits] * count),
    )


def load(**outcomes):
    counted = {Outcome[name.upper()]: count for name, count in outcomes.items()}
    return Load(("127.0.0.1", 1), None, Counter({Outcome.WHOLE: 5} | counted))


FLAT = [80 * MIB + place % 7 * 4096 for place in range(60)]


def test_a_flat_run_passes():
    assert judge([series(FLAT)], load(reset=3, refused=2, aborted=9), POOL_BYTES) == []


def test_growth_in_the_first_third_is_a_warm_up():
    warm = [40 * MIB + place * 2 * MIB for place in range(20)] + [80 * MIB] * 40
    assert judge([series(warm)], load(), POOL_BYTES) == []


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (series([80 * MIB + place * MIB // 4 for place in range(60)]), "memory grew by 1"),
        (series(FLAT, queued=POOL_BYTES // 2048 + 1), "513 cells queued"),
        (series(FLAT, circuits=CIRCUITS_MAX + 1), "1025 circuits"),
    ],
    ids=["memory", "queue", "circuits"],
)
def test_what_grows_is_found(one, words):
    (failure,) = judge([one], load(), POOL_BYTES)
    assert words in failure


def test_descriptors_that_grow_are_found():
    one = series(FLAT)
    one.descriptors = list(range(60))
    assert judge([one], load(), POOL_BYTES) == ["relay 5: 39 more descriptors"]


def test_a_process_that_was_restarted_may_grow_but_not_queue():
    assert judge([series(list(range(MIB, 61 * MIB, MIB)), lasts=False)], load(), POOL_BYTES) == []
    assert judge([series(FLAT, queued=9999, lasts=False)], load(), POOL_BYTES)


@pytest.mark.parametrize("bad", ["hung", "short", "wrong"])
def test_what_must_never_happen(bad):
    assert judge([], load(**{bad: 1}), POOL_BYTES) == [f"1 requests: {Outcome[bad.upper()]}"]


def test_a_network_that_serves_nobody():
    none = load()
    none.outcomes[Outcome.WHOLE] = 0
    none.outage_s = OUTAGE_S + 1
    assert judge([], none, POOL_BYTES) == ["no request succeeded", "no whole page for 31 s"]


class Socks:
    """A SOCKS port that says what it is told to, then closes or falls silent."""

    def __init__(self, *said, reply=0, stays=False):
        self.said, self.reply, self.stays = said, reply, stays
        self.served = asyncio.Event()

    async def serve(self, reader, writer):
        with contextlib.suppress(OSError, EOFError):
            await self.talk(reader, writer)
            writer.close()
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self.served.set()

    async def talk(self, reader, writer):
        await reader.readuntil(b"127.0.0.1")
        writer.write(b"\x05\x02\x01\x00" + bytes([5, self.reply]) + bytes(8))
        if self.reply:
            return
        writer.writelines(self.said)
        await reader.readuntil(b"\r\n\r\n")
        if self.stays:
            await reader.read(-1)

    async def ask(self, request):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        async with server:
            with file_server() as files:
                self.said = tuple(self.content(files, part) for part in self.said)
                asking = Load(server.sockets[0].getsockname(), files)
                outcome = await asking.fetch(request)
            await self.served.wait()
        assert asking.outcomes == {outcome: 1}
        return outcome

    @staticmethod
    def content(files, part):
        return part if isinstance(part, bytes) else files.block[part[0] : part[1]]


HEAD = b"HTTP/1.0 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    ("socks", "outcome"),
    [
        (Socks(HEAD, (0, 1000)), Outcome.WHOLE),
        (Socks(HEAD, (0, 999)), Outcome.SHORT),
        (Socks(), Outcome.SHORT),
        (Socks(HEAD, bytes(1000)), Outcome.WRONG),
        (Socks(HEAD, (0, 999), stays=True), Outcome.HUNG),
        (Socks(reply=1), Outcome.REFUSED),
    ],
    ids=lambda value: value.name.lower() if isinstance(value, Outcome) else "",
)
async def test_every_end_has_its_name(socks, outcome):
    assert await socks.ask(Request(1000, "site", deadline_s=0.5)) is outcome


async def test_an_application_may_abort():
    socks = Socks(HEAD, (0, BLOCK_BYTES), stays=True)
    assert await socks.ask(Request(BLOCK_BYTES, "site", stop_after=10)) is Outcome.ABORTED


@pytest.mark.e2e
@pytest.mark.timeout(240)
def test_the_soak_runs_and_judges():
    words = ("bench", "soak", "--minutes", "0.3", "--json")
    result = CliRunner().invoke(root, words)
    told = json.loads(result.stdout)
    assert told["schema"] == "qnet.bench.soak/1"
    data = told["data"]
    assert result.exit_code == int(not data["passed"]), result.output
    assert data["requests"]["whole"] > 20
    assert not data["requests"]["short without an error"]
    assert not data["requests"]["a wrong byte"]
    assert not data["requests"]["no end within its deadline"]
    assert sum(data["hostile"].values()) >= 2
    assert len({row["process"] for row in data["processes"]}) == 9
    rows = {row["name"]: row for row in data["results"]}
    assert rows["page request, whole"]["qnet"] > 0
