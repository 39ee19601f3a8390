"""Receipts over real links: signed by both neighbours, delivered, never lost by a kill."""

import asyncio
import signal

import pytest
import pytest_asyncio

from qnet.eip712 import qnet_domain
from qnet.messages.receipt import Side, SignedReceipt, buckets_apart
from qnet.parameters import DEVNET_CHAIN_ID
from tests.support.network import client, eventually, file_server, held, through
from tools.bench.committee import ORACLE
from tools.bench.network import local_network

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.e2e]

SLOTS = {"slot_s": 3, "receipt_grace_s": 6}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world():
    async with (
        held(local_network(("entry", "relay", "exit"), overrides=SLOTS)) as network,
        file_server(4 << 20) as files,
    ):
        yield network, files


def received(network):
    return [SignedReceipt.decode(body) for body in network.committee.receipts]


def directions(network, least):
    """Links and slots in which more than `least` cells went one way, by both sides."""
    by_key = {}
    for signed in received(network):
        body = signed.receipt
        key = (body.epoch, body.slot, body.node_from, body.node_to)
        by_key.setdefault(key, {})[body.side] = body.packets
    return {key: sides for key, sides in by_key.items() if max(sides.values()) > least}


async def transfer(session, files):
    async with through(session, "127.0.0.1", files.port) as (reader, writer):
        writer.write(b"GET ")
        assert await reader.read(-1) == files.body


async def test_both_neighbours_sign_what_crossed_their_link(world):
    network, files = world
    async with client(network.bundle()) as session:
        await transfer(session, files)
        cells = len(files.body) // 2048
        await eventually(
            lambda: {(f, t) for _, _, f, t in directions(network, cells // 4)} >= {(3, 2), (2, 1)},
            20.0,
        )
        await eventually(
            lambda: all(
                set(sides) == {Side.SENDER, Side.RECEIVER}
                for sides in directions(network, cells // 4).values()
            )
        )
    domain = qnet_domain(DEVNET_CHAIN_ID, ORACLE)
    nodes = network.committee.latest.consensus.by_index
    for signed in received(network):
        signed.verify(domain, nodes[signed.receipt.signer].receipt_address)
    for sides in directions(network, cells // 4).values():
        assert buckets_apart(sides[Side.SENDER], sides[Side.RECEIVER]) <= 1


async def test_a_killed_node_delivers_its_receipts_after_its_restart(world):
    network, files = world
    victim = network.nodes[1]
    async with client(network.bundle()) as session:
        await transfer(session, files)
        await asyncio.sleep(1.2)  # the counters are kept once a second
        before = set(network.committee.receipts)
        await victim.stop(number=signal.SIGKILL)
    await victim.start()

    def new_from_victim():
        fresh = set(network.committee.receipts) - before
        return [s for s in map(SignedReceipt.decode, fresh) if s.receipt.signer == victim.index]

    await eventually(lambda: bool(new_from_victim()), 20.0)
    keys = [signed.receipt.key for signed in received(network)]
    assert len(keys) == len(set(keys)), "one tuple was signed with two bodies"
