"""The number of users that a consensus states comes from the links that entries saw."""

import asyncio

from node.htx.address import HtxAddress
from node.io.endpoint import dial
from tests.support.network import client, eventually, inner_network

LINKS = 120
NOISE = 40
"""Two counts of noise stay within this: e^(-EPSILON * 40) is one in 10^8."""


class IgnoredHandler:
    """A client that only opens its link."""

    def ignore(self, *_arguments):
        """Take what comes."""

    link_opened = cells_received = record_received = link_writable = link_closed = ignore


async def test_links_of_an_interval_become_users_of_a_consensus(tmp_path):
    roles = ("entry", "relay", "exit")
    async with inner_network(tmp_path, roles) as network, client(network.bundle()) as session:
        assert session.view.held.consensus.users < NOISE
        address = HtxAddress.parse(network.bundle().seeds[0])
        handler = IgnoredHandler()
        links = await asyncio.gather(
            *(
                dial(
                    address,
                    identity=None,
                    handler=handler,
                    parameters=session.view.parameters,
                    timeout_s=20,
                )
                for _ in range(LINKS)
            )
        )
        for link in links:
            link.close()
        await eventually(lambda: session.view.held.consensus.users > NOISE, 60)
        users = session.view.held.consensus.users
        assert abs(users - LINKS // 2) <= NOISE // 2
        assert session.status()["users"] == users
        for node in network.nodes[1:]:
            listed = [
                d
                for (i, _), d in network.committee.descriptors.items()
                if i == node.registration.index
            ]
            assert all(descriptor.clients == 0 for descriptor in listed)
        await eventually(lambda: session.view.held.consensus.users < NOISE, 60)
