import asyncio

import pytest

from node.accounting.assignments import MAX_WORK_BYTES
from node.errors import LedgerUnavailableError
from node.prober.client import MemberClient
from qnet.errors import DecodeError, KeyAccessError, RejectedError
from tests.node.prober.desk import TOKEN, desk

RESULTS = b'{"epoch": 0, "slot": 1, "results": [], "capacity": []}'


async def test_no_work_before_there_is_any():
    async with desk() as member, MemberClient(member.url, TOKEN) as client:
        assert await client.work() is None
        member.give(3, [(2, 4)], capacity=(2,))
        work = await client.work()
        assert work is not None
        assert work.key == (0, 3)
        assert work.targets[0].control == 4


async def test_results_reach_the_member():
    async with desk() as member, MemberClient(member.url + "/", TOKEN) as client:
        await client.post(RESULTS)
        assert member.posted[0].slot == 1


async def test_a_wrong_token_is_told():
    async with desk() as member, MemberClient(member.url, "another") as client:
        with pytest.raises(KeyAccessError, match="token"):
            await client.work()
        with pytest.raises(KeyAccessError):
            await client.post(RESULTS)


async def test_refused_results_are_not_worth_a_retry():
    async with desk() as member, MemberClient(member.url, TOKEN) as client:
        member.refuses = True
        with pytest.raises(RejectedError) as caught:
            await client.post(RESULTS)
        assert "too late" in caught.value.why
        with pytest.raises(RejectedError):
            await client.post(b"{}")


async def test_a_busy_member_is():
    async with desk() as member, MemberClient(member.url, TOKEN) as client:
        member.fails = 1
        with pytest.raises(LedgerUnavailableError, match="503"):
            await client.post(RESULTS)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"no json", DecodeError),
        (b"[" * 200_000, DecodeError),
        (b" " * (MAX_WORK_BYTES + 1), LedgerUnavailableError),
    ],
    ids=["garbage", "deep", "endless"],
)
async def test_hostile_answers_are_refused(answer, error):
    async with desk() as member, MemberClient(member.url, TOKEN) as client:
        member.answer = answer
        with pytest.raises(error):
            await client.work()


async def test_nobody_there_is_told():
    async with MemberClient("http://127.0.0.1:1", TOKEN) as client:
        with pytest.raises(LedgerUnavailableError, match="does not answer"):
            await client.work()


async def test_a_silent_member_is_given_up():
    done = asyncio.Event()

    async def silence(reader, writer):
        while await reader.read(1024):
            pass
        writer.close()
        await writer.wait_closed()
        done.set()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        async with MemberClient(url, TOKEN, timeout_s=0.1) as client:
            with pytest.raises(LedgerUnavailableError):
                await client.work()
        await done.wait()
