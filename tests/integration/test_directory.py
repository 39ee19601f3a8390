"""Directory data over links and circuits of a running network, and parameters that change."""

import asyncio

import pytest
import pytest_asyncio

from node.client.network.bootstrap import fetch_document
from node.client.network.directory import DirectoryStream
from node.directory.cache import REQUESTS_PER_INTERVAL
from node.directory.exchange import DirRequest, Kind
from node.directory.wishes import Wishes
from node.errors import StageError, StreamError
from node.htx.record import RecordType
from qnet.errors import NotFoundError, RejectedError
from tests.support.network import client, eventually, held, inner_network

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("directory")
    async with (
        held(inner_network(folder, ("entry", "relay", "exit"))) as network,
        held(client(network.bundle(), folder)) as session,
    ):
        yield network, session


async def circuit(session):
    return (await session.circuits.build(Wishes())).circuit


@pytest.mark.parametrize("hop", [0, 1, 2])
async def test_every_hop_serves_the_consensus_on_a_stream(world, hop):
    network, session = world
    made = await circuit(session)
    stream = DirectoryStream(made, DirRequest(7, Kind.LATEST), hop=hop)
    data = await stream.answer(5.0)
    held_by = [signed.encode() for signed in network.committee.signed.values()]
    assert data in held_by
    made.destroy()


async def test_a_consensus_is_found_by_its_hash(world):
    _, session = world
    made = await circuit(session)
    known = session.view.held
    stream = DirectoryStream(made, DirRequest(1, Kind.BY_HASH, hash=known.hash), hop=1)
    assert await stream.answer(5.0) == known.encode()
    missing = DirectoryStream(made, DirRequest(2, Kind.BY_HASH, hash=bytes(32)), hop=1)
    with pytest.raises(NotFoundError):
        await missing.answer(5.0)
    made.destroy()


async def test_measured_bytes_are_counted(world):
    _, session = world
    made = await circuit(session)
    stream = DirectoryStream(made, DirRequest(3, Kind.MEASURE, size_bytes=500_000), hop=2)
    assert await stream.answer(5.0) == b""
    assert stream.received_bytes == 500_000
    made.destroy()


async def test_too_many_requests_are_refused(world):
    _, session = world
    made = await circuit(session)
    for number in range(REQUESTS_PER_INTERVAL):
        await DirectoryStream(made, DirRequest(number, Kind.LATEST), hop=0).answer(5.0)
    one_more = DirectoryStream(made, DirRequest(99, Kind.LATEST), hop=0)
    with pytest.raises(RejectedError, match="refuses"):
        await one_more.answer(5.0)
    made.destroy()


@pytest.mark.parametrize("junk", [b"\x00\x01\x09", b"\xff" * 40])
async def test_junk_on_a_directory_stream_ends_it(world, junk):
    _, session = world
    made = await circuit(session)

    stream = DirectoryStream(made, DirRequest(1, Kind.BY_HASH, hash=bytes(32)), hop=0)
    made.send(max(made.streams), junk)
    with pytest.raises((StreamError, NotFoundError)):
        await stream.answer(5.0)
    assert made.is_open
    made.destroy()


async def test_a_link_answers_until_there_is_nothing_newer(world):
    _, session = world
    link = next(iter(session.entries.links.values()))
    assert await fetch_document(link, DirRequest(9, Kind.LATEST))
    with pytest.raises(RejectedError, match="no newer"):
        await fetch_document(link, DirRequest(10, Kind.LATEST, valid_after=2**40))


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01\x07", DirRequest(1, Kind.MEASURE, size_bytes=5).encode()]
)
async def test_what_is_not_served_on_links_closes_them(world, content):
    _, session = world
    await session.circuits.build(Wishes())
    link = next(iter(session.entries.links.values()))
    link.send_record(RecordType.DIR_GET, content)
    await eventually(lambda: not link.is_open)
    await eventually(lambda: any(c.circuit.is_open for c in session.circuits.open))


async def test_nodes_and_client_obey_new_parameters(world):
    network, session = world
    network.committee.overrides["streams_per_circuit_max"] = 2
    await eventually(
        lambda: all(
            node.parameters_in_force.streams_per_circuit_max == 2 for node in network.nodes
        ),
        25.0,
    )
    await eventually(lambda: session.view.parameters.streams_per_circuit_max == 2, 25.0)
    made = await circuit(session)
    streams = [
        DirectoryStream(made, DirRequest(n, Kind.MEASURE, size_bytes=1 << 20), hop=2)
        for n in range(4)
    ]
    results = await asyncio.gather(*(s.answer(10.0) for s in streams), return_exceptions=True)
    refused = [r for r in results if isinstance(r, StageError)]
    assert len(refused) == 2
    made.destroy()
