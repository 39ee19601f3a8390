import aiohttp
import pytest

from node.io.metrics import Counters, Snapshot, serve_metrics

VALID = "qnet_consensus_valid_after_seconds"


def snapshot(valid_after=0.0):
    return Snapshot(
        info={"version": "1.2.3", "role": "exit"},
        gauges={
            VALID: ("", {"": valid_after}),
            "qnet_relay_circuits": ("state", {"open": 3.0}),
        },
        counters={"qnet_relay_bytes": ("direction", {"sent": 5.0, "received": 7.0})},
    )


async def get(port, path):
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as response,
    ):
        return response.status, await response.text()


async def test_a_scrape_reads_the_snapshot():
    async with serve_metrics("127.0.0.1:0", snapshot) as port:
        status, text = await get(port, "/metrics")
    assert status == 200
    assert 'qnet_build_info{role="exit",version="1.2.3"} 1.0' in text
    assert 'qnet_relay_circuits{state="open"} 3.0' in text
    assert 'qnet_relay_bytes_total{direction="sent"} 5.0' in text
    assert f"{VALID} 0.0" in text


@pytest.mark.parametrize(("valid_after", "status"), [(0.0, 503), (600.0, 200)])
async def test_ready_means_a_consensus(valid_after, status):
    async with serve_metrics("127.0.0.1:0", lambda: snapshot(valid_after)) as port:
        assert (await get(port, "/readyz"))[0] == status
        assert (await get(port, "/livez"))[0] == 200


async def test_off_is_off():
    async with serve_metrics("", snapshot) as port:
        assert port == 0


def test_counters():
    counters = Counters()
    counters.dns("NXDOMAIN")
    counters.dns("NXDOMAIN")
    counters.refused("private")
    assert counters.dns_queries == {"NXDOMAIN": 2}
    assert counters.policy_rejects == {"private": 1}
