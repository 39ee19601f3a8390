"""Nodes and a client at work: differences, descriptors, requests through circuits, evidence."""

from dataclasses import replace

import pytest
import pytest_asyncio

from node.client.network.directory import DirectoryStream
from node.directory.exchange import DirRequest, Kind
from node.directory.path import Wishes
from node.io.evidence import EvidenceStore
from qnet import cbor
from qnet.errors import NotFoundError
from qnet.messages.consensus import SignedConsensus, join_signatures, sign_consensus
from qnet.messages.descriptor import SignedDescriptor
from tests.support.network import client, eventually, held, inner_network

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("upkeep")
    async with (
        held(inner_network(folder, ("entry", "relay", "exit"))) as network,
        held(client(network.bundle(), folder)) as session,
    ):
        yield network, session, folder


async def ask(session, request, hop):
    made = await session.circuits.build(Wishes())
    try:
        return await DirectoryStream(made.circuit, request, hop=hop).answer(5.0)
    finally:
        made.circuit.destroy()


@pytest.mark.parametrize("hop", [0, 1, 2])
async def test_every_hop_tells_its_own_descriptor(world, hop):
    network, session, _ = world
    signed = SignedDescriptor.decode(await ask(session, DirRequest(1, Kind.DESCRIPTOR), hop))
    assert signed.descriptor.node_id == network.nodes[hop].keys.node_id


async def test_every_node_serves_the_descriptors_of_all(world):
    network, session, _ = world
    await eventually(
        lambda: all(len(node.view.cache.descriptors) == 3 for node in network.nodes), 25.0
    )
    request = DirRequest(2, Kind.DESCRIPTORS, indexes=(1, 2, 3, 4))
    wires = cbor.loads(await ask(session, request, 1), max_bytes=1 << 20)
    found = [SignedDescriptor.decode(wire) for wire in wires]
    assert [signed.descriptor.index for signed in found] == [1, 2, 3]
    again = DirRequest(3, Kind.DESCRIPTOR, hash=found[2].digest)
    assert await ask(session, again, 1) == found[2].encode()
    with pytest.raises(NotFoundError):
        await ask(session, DirRequest(4, Kind.DESCRIPTOR, hash=b"?" * 32), 1)


async def test_the_next_consensus_comes_as_a_difference_through_a_circuit(world):
    _, session, _ = world
    bootstrap = session.bootstrap
    before, period = bootstrap.sources.anonymous, session.view.valid_after
    # a period's document may be known to the entry alone for an instant: then the next one counts
    await eventually(
        lambda: (
            session.view.valid_after > period
            and bootstrap.diffs > 0
            and bootstrap.sources.anonymous > before
        ),
        45.0,
    )
    shown = session.status()["directory"]
    assert (shown["as_differences"], shown["causes"]) == (bootstrap.diffs, [])
    assert shown["double_consensuses"] == []


async def test_a_double_consensus_is_proved_kept_submitted_and_shown(world):
    network, session, folder = world
    node = network.nodes[1]
    committee, signed = network.committee, node.view.held
    other = replace(signed.consensus, users=signed.consensus.users + 9)
    parts = {i: sign_consensus(other, committee.keys[i]) for i in (1, 2, 3)}
    contradiction = SignedConsensus(other, *join_signatures(parts))
    committee.signed[signed.consensus.valid_after] = contradiction
    await node.directory_upkeep._compare_members()
    assert node.view.held.hash == signed.hash
    await eventually(lambda: bool(committee.evidence))
    [proof] = committee.evidence.values()
    assert proof.culprits == (1, 2)
    [stored] = EvidenceStore(node.home / "state" / "evidence").load()
    assert stored.evidence == proof
    session.view.take(signed)
    with pytest.raises(Exception, match="two consensuses"):
        session.view.take(contradiction)
    assert session.status()["directory"]["double_consensuses"] == [
        {"period": proof.period, "signed_by": [1, 2]}
    ]
    assert len(EvidenceStore(folder / "evidence").load()) == 1
