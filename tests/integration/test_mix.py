"""The mixnet over real sockets: clients, an entry, three mixes, mailboxes; and those who cheat."""

import asyncio
import secrets
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from node.io.mixing import Refused
from node.io.packet_links import Unsent
from node.mix.address import MailAddress
from node.mix.envelope import FRAME_BYTES
from node.mix.mailboxes import Loss
from node.mix.packet import encode_unit
from node.mix.unwrap import Cause
from tools.bench.mix_link import mix_link
from tests.support.network import eventually, held, inner_network

ROLES = ("entry", "mix", "mix", "mix", "exit", "relay")
ENTRY, EXIT = 1, 5
MIXES = (2, 3, 4)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixes")
    calendar = {"consensus_interval_s": 10, "key_phase_s": 5}
    async with held(inner_network(folder, ROLES, overrides=calendar)) as running:
        mixes = [running.nodes[index - 1].mixing for index in MIXES]
        await eventually(lambda: all(mix.live.consensus is not None for mix in mixes))
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(network):
    async with mix_link(network.nodes[0], ENTRY) as link:
        yield link


def dropped(network, cause):
    """Packets that all mixes dropped with a cause."""
    mixes = [network.nodes[index - 1].mixing.mix for index in MIXES]
    return sum(mix.relay.unwrapper.dropped[cause] for mix in mixes)


async def test_packets_cross_three_mixes_and_come_back_by_ids(network, client):
    grant = await client.ask(20)
    frames = [secrets.token_bytes(FRAME_BYTES) for _ in grant.ids]
    for name, frame in zip(grant.ids, frames, strict=True):
        client.send(client.packet(name, frame=frame))
    came = [(await client.next(client.deliveries))[0] for _ in frames]
    assert {delivery.delivery_id for delivery in came} == set(grant.ids)
    assert {client.open(delivery) for delivery in came} == set(frames)
