"""A relay whose operator limits what it sends."""

import time

import pytest

from tests.support.network import client, file_server, inner_network, through

SIZE = 1 << 20
RATE_KBPS = 4_000


@pytest.mark.asyncio
@pytest.mark.e2e
async def test_a_limited_relay_sends_no_faster_and_loses_nothing(tmp_path):
    async with (
        inner_network(tmp_path, ("entry", "relay", "exit"), limits_kbps={2: RATE_KBPS}) as network,
        file_server(SIZE) as files,
        client(network.bundle()) as session,
    ):
        assert network.nodes[0].view.held.consensus.by_index[2].bandwidth_kbps == RATE_KBPS
        began = time.monotonic()
        async with through(session, "127.0.0.1", files.port) as (reader, writer):
            writer.write(b"GET ")
            assert await reader.read(-1) == files.body
        took_s = time.monotonic() - began
        assert took_s >= 0.9 * SIZE * 8 / (RATE_KBPS * 1000)
