import asyncio

import pytest
from aiohttp import web

from node.errors import LedgerUnavailableError
from node.io.ledger_client import LedgerClient
from qnet import cbor


class Member:
    """A committee member's HTTP interface with answers set by the test."""

    def __init__(self):
        self.status, self.body = 200, b""
        self.requests = []

    async def answer(self, request):
        self.requests.append((request.method, request.path, await request.read()))
        if self.status == -1:
            request.transport.abort()
        return web.Response(status=max(self.status, 200), body=self.body)


@pytest.fixture
async def members():
    runners, served = [], []
    for _ in range(2):
        member = Member()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", member.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        member.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        runners.append(runner)
        served.append(member)
    yield served
    for runner in runners:
        await runner.cleanup()


def client(members):
    return LedgerClient(tuple(member.url for member in members))


async def test_a_descriptor_goes_to_every_member(members):
    members[0].status = members[1].status = 202
    async with client(members) as ledger:
        assert await ledger.publish_descriptor(b"signed") == 2
    assert [m.requests[0] for m in members] == [("POST", "/v1/descriptors", b"signed")] * 2


async def test_one_member_down_stops_nobody(members):
    members[0].status, members[1].status = -1, 202
    async with client(members) as ledger:
        assert await ledger.publish_descriptor(b"signed") == 1
        assert [row["reachable"] for row in ledger.summary()] == [False, True]


async def test_a_refused_descriptor_says_why(members):
    for member in members:
        member.status, member.body = 409, b"not registered"
    async with client(members) as ledger:
        with pytest.raises(LedgerUnavailableError) as caught:
            await ledger.publish_descriptor(b"signed")
    assert "not registered" in caught.value.why


async def test_the_consensus_comes_from_the_first_that_has_it(members):
    members[0].status = 404
    members[1].body = b"consensus"
    async with client(members) as ledger:
        assert await ledger.consensus() == b"consensus"
        assert await ledger.consensus(120) == b"consensus"
    assert members[1].requests[1][1] == "/v1/consensus/120"


async def test_no_consensus_yet_differs_from_nobody_there(members):
    members[0].status = members[1].status = 404
    async with client(members) as ledger:
        assert await ledger.consensus() is None
        members[0].status = members[1].status = -1
        with pytest.raises(LedgerUnavailableError):
            await ledger.consensus()


async def test_members_that_failed_are_asked_last(members):
    members[0].status = -1
    members[1].body = b"x"
    async with client(members) as ledger:
        await ledger.consensus()
        asked = len(members[0].requests)
        await ledger.consensus()
        assert len(members[0].requests) == asked


async def test_receipts_get_a_code_each(members):
    members[0].body = cbor.dumps([0, 1])
    async with client(members) as ledger:
        assert await ledger.submit_receipts(members[0].url, [b"a", b"b"]) == [0, 1]
    assert cbor.loads(members[0].requests[0][2], max_bytes=99) == [b"a", b"b"]


@pytest.mark.parametrize("body", [b"", b"\xff", cbor.dumps([0]), cbor.dumps({"a": 1})])
async def test_malformed_codes_are_no_answer(members, body):
    members[0].body = body
    async with client(members) as ledger:
        assert await ledger.submit_receipts(members[0].url, [b"a", b"b"]) is None
        assert not ledger.summary()[0]["reachable"]


async def test_an_endless_answer_is_cut(members, monkeypatch):
    monkeypatch.setattr("node.io.ledger_client.MAX_CONSENSUS_BYTES", 1000)
    members[0].body = members[1].body = bytes(5000)
    async with client(members) as ledger:
        with pytest.raises(LedgerUnavailableError) as caught:
            await ledger.consensus()
    assert "too long" in caught.value.why


async def test_the_beacon_is_32_bytes_or_nothing(members):
    members[0].body, members[1].body = b"short", b"b" * 32
    async with client(members) as ledger:
        assert await ledger.beacon(7) == b"b" * 32
        members[1].status = 404
        assert await ledger.beacon(8) is None


async def test_a_client_that_is_closed_answers_nothing(members):
    ledger = client(members)
    async with ledger:
        await asyncio.sleep(0)
    with pytest.raises(LedgerUnavailableError):
        await ledger.publish_descriptor(b"x")


async def test_every_member_is_asked_for_its_consensus_of_a_period(members):
    members[0].body, members[1].body = b"one", b"other"
    async with client(members) as ledger:
        assert [body async for body in ledger.consensus_of_each(60)] == [b"one", b"other"]
        members[0].status = 404
        assert [body async for body in ledger.consensus_of_each(60)] == [b"other"]
    assert members[1].requests[0][1] == "/v1/consensus/60"


@pytest.mark.parametrize("body", [b"", b"junk", cbor.dumps({}), cbor.dumps([1])])
async def test_a_page_of_descriptors_comes_from_who_has_one(members, body):
    members[0].body = body
    members[1].body = cbor.dumps([b"a", b"b"])
    async with client(members) as ledger:
        assert await ledger.descriptors(5) == [b"a", b"b"]
        members[1].status = 500
        assert await ledger.descriptors(5) == []


async def test_changes_and_statistics_are_there_or_not(members):
    members[0].status, members[1].body = 404, b"found"
    async with client(members) as ledger:
        assert await ledger.committee_changes() == b"found"
        assert await ledger.statistics() == b"found"
        members[1].status = 404
        assert await ledger.committee_changes() is None
        assert await ledger.statistics() is None


async def test_evidence_goes_to_every_member(members):
    members[0].status = 202
    async with client(members) as ledger:
        assert await ledger.submit_evidence(b"proof") == 1
    assert [m.requests[0] for m in members] == [("POST", "/v1/evidence", b"proof")] * 2
