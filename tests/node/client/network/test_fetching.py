"""How slow an answer may be, and which sources stand ready."""

import asyncio
import gc
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from node.client.network.fetching import Pace, answer_in_time, fetch_document
from node.client.network.sources import CIRCUITS_ASKED, Sources, over_http, source_name
from node.directory.exchange import DirRequest, Kind
from node.errors import BootstrapError, Stage
from node.htx.record import RecordType
from qnet.errors import DecodeError, RejectedError

PACE = Pace(stall_s=0.2, grace_s=0.3, least_bytes_s=1_000, total_s=0.6)


@dataclass
class Way:
    """What an answer comes over."""

    is_open: bool = True


@dataclass
class Flow:
    """Bytes that came by now, at a rate."""

    rate: float
    begun: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    def __call__(self) -> int:
        return int((asyncio.get_running_loop().time() - self.begun) * self.rate)


async def wait(rate, *, pace=PACE, way=None):
    """Wait for an answer that never ends; returns why it was given up, and when."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    with pytest.raises(BootstrapError) as caught:
        await answer_in_time(loop.create_future(), Flow(rate), way or Way(), pace)
    assert caught.value.stage is Stage.CONSENSUS
    return caught.value.why, loop.time() - begun


async def test_silence_is_given_up_after_the_stall_time():
    why, took = await wait(0)
    assert "nothing came for 0.2 s; 0 bytes came" in why
    assert 0.2 <= took < 0.5


async def test_dripping_is_given_up_after_the_grace_time():
    why, took = await wait(200)
    assert "slower than 1000 bytes/s" in why
    assert 0.3 <= took < 0.6


async def test_no_answer_takes_longer_than_the_deadline():
    why, took = await wait(50_000)
    assert "not complete after 0.6 s" in why
    assert 0.6 <= took < 1.0


async def test_a_broken_connection_is_seen_before_the_stall_time():
    why, took = await wait(0, way=Way(is_open=False), pace=Pace(stall_s=2.0, grace_s=0.4))
    assert "the connection ended" in why
    assert took < 0.5


async def test_an_answer_or_a_failure_comes_through():
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_soon(done.set_result, b"answer")
    assert await answer_in_time(done, lambda: 0, Way(), PACE) == b"answer"
    failed = loop.create_future()
    loop.call_soon(failed.set_exception, DecodeError("bad"))
    with pytest.raises(DecodeError):
        await answer_in_time(failed, lambda: 0, Way(), PACE)


def circuit(*ids, is_open=True):
    hops = tuple(SimpleNamespace(node_id=bytes([one]) * 32) for one in ids)
    return SimpleNamespace(is_open=is_open, origin=SimpleNamespace(hops=hops))


def sources(circuits, links):
    entries = SimpleNamespace(
        links={bytes([one]) * 32: SimpleNamespace(is_open=stands) for one, stands in links.items()}
    )
    return Sources(None, entries, None, lambda: 0.0, lambda: circuits)


def test_hops_behind_the_entry_come_first_then_open_entries():
    made = sources(
        [circuit(1, 2, 3), circuit(1, 2, 3), circuit(1, 2, 3), circuit(1, 8, 9, is_open=False)],
        {1: True, 4: False},
    )
    behind = {source_name(bytes([one]) * 32) for one in (2, 3)}
    for _ in range(20):
        names = [name for name, _ in made.standing()]
        assert len(names) == CIRCUITS_ASKED + 1
        assert set(names[:CIRCUITS_ASKED]) <= behind
        assert names[-1] == source_name(b"\1" * 32)


def test_nobody_stands_ready_without_circuits_and_links():
    assert sources([], {4: False}).standing() == []


async def test_the_committee_is_asked_for_its_newest_only():
    async def consensus():
        return answers.pop()

    ask = over_http(SimpleNamespace(consensus=consensus))
    answers = [None, b"document"]
    assert await ask(DirRequest(1, Kind.LATEST), b"base") == b"document"
    with pytest.raises(RejectedError, match="no consensus"):
        await ask(DirRequest(1, Kind.LATEST), b"")
    with pytest.raises(RejectedError, match="from the chain"):
        await ask(DirRequest(1, Kind.COMMITTEE), b"")


async def test_a_refusal_after_the_asker_gave_up_troubles_nobody():
    """A failure that nobody fetches would be reported by the event loop."""
    told, readers = [], []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))

    @contextmanager
    def reading(reader):
        readers.append(reader)
        yield

    link = SimpleNamespace(reading=reading, send_record=lambda _kind, _content: None, is_open=True)
    request = DirRequest(7, Kind.LATEST, 0)
    asking = asyncio.create_task(fetch_document(link, request, pace=PACE))
    await asyncio.sleep(0)
    readers[0](RecordType.DIR_DATA, b"not a piece")
    asking.cancel()
    await asyncio.wait({asking})
    assert asking.cancelled()
    del asking
    readers.clear()
    gc.collect()
    assert not told
