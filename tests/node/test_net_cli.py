"""`qnet net` on a client's home, and on a committee member's interface."""

import asyncio
import json
import threading
from dataclasses import replace

import pytest
from aiohttp import web

from node.directory.trust import TrustState
from node.io.evidence import EvidenceStore
from node.manifests import Bundle
from node.net_cli import net
from node.view import Conflict
from qnet.cli.settings import Settings, add_global_options
from qnet.errors import CryptoError, NotFoundError, UsageError
from qnet.messages.evidence import DoubleConsensus
from qnet.messages.succession import CommitteeHistory
from tests.support.signed_network import ORACLE, PARAMETERS, PERIOD, REGISTRY, make_network

INTERVAL = PARAMETERS.consensus_interval_s
NET = make_network()
SIGNED = NET.sign(NET.consensus)
EARLIER = NET.sign(
    replace(
        NET.consensus,
        valid_after=PERIOD - 2 * INTERVAL,
        nodes=NET.consensus.nodes[:6],
    )
)
add_global_options(net)


@pytest.fixture
def home(tmp_path):
    bundle = Bundle(
        chain_id=NET.trust.chain_id,
        committee=NET.trust.committee,
        oracle=ORACLE,
        registry=REGISTRY,
        signers=NET.trust.signers,
        quorum=3,
        seeds=(),
        profile="devnet",
    )
    (tmp_path / "network.json").write_text(json.dumps(bundle.to_json()))
    (tmp_path / "client.toml").write_text(f'[network]\nbundle = "{tmp_path}/network.json"\n')
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "consensus.bin").write_bytes(SIGNED.encode())
    return tmp_path


@pytest.fixture
def told(home, capsys):
    def ask(*words, schema=None):
        settings = Settings(home=home, output="json" if schema else "table")
        net.main(list(words), standalone_mode=False, obj=settings)
        out = capsys.readouterr().out
        if schema is None:
            return out
        found = json.loads(out)
        assert found["schema"] == schema
        return found["data"]

    return ask


@pytest.fixture
def member():
    """A member's interface in a thread of its own."""
    documents = {PERIOD: SIGNED, PERIOD - 2 * INTERVAL: EARLIER}
    statistics = {"epoch": 4, "nodes": [{"index": 2, "uptime_ppm": 990_000, "latency_ms": 31}]}

    async def consensus(request):
        name = request.match_info["period"]
        found = SIGNED if name == "latest" else documents.get(int(name))
        return web.Response(status=404) if found is None else web.Response(body=found.encode())

    async def nodes(_request):
        return web.json_response(statistics)

    ready, stop = threading.Event(), asyncio.Event()
    where = {}

    async def serve():
        app = web.Application()
        app.add_routes([web.get("/v1/consensus/{period}", consensus), web.get("/v1/nodes", nodes)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        where["url"] = f"http://127.0.0.1:{runner.addresses[0][1]}"
        where["loop"] = asyncio.get_running_loop()
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield where["url"]
    where["loop"].call_soon_threadsafe(stop.set)
    thread.join(10)


def test_status_of_the_clients_own_consensus(told):
    found = told("status", schema="qnet.net.status/1")
    assert found["nodes"] == 8
    assert found["signed_by"] == [0, 1, 2]
    assert (found["committee"], found["quorum"], found["double_consensuses"]) == (4, 3, 0)
    text = told("status")
    assert "3 entry (240 Mbit/s)" in text


def test_nodes_by_role_and_one_by_index(told):
    rows = told("nodes", "--role", "exit", schema="qnet.net.nodes/1")
    assert [row["index"] for row in rows] == [6, 3]
    assert len(told("nodes", "--limit", "3", schema="qnet.net.nodes/1")) == 3
    one = told("node", "6", schema="qnet.net.node/1")
    assert one["host"] == "127.16.0.1"
    assert "uptime_ppm" not in one
    with pytest.raises(NotFoundError, match="node 99"):
        told("node", "99")


def test_diversity_names_the_largest_holders(told):
    rows = told("diversity", "--top", "2", schema="qnet.net.diversity/1")
    assert {row["by"] for row in rows} >= {"owner", "family", "network", "role"}
    assert all(len(row["top"]) <= 2 for row in rows)
    assert "%" in told("diversity")


def test_history_needs_a_member_for_more_than_the_newest(told, member):
    assert len(told("history", schema="qnet.net.history/1")) == 1
    words = ("history", "--ledger", member, "--periods", "4")
    rows = told(*words, schema="qnet.net.history/1")
    assert [row["valid_after"] for row in rows] == [PERIOD - 2 * INTERVAL, PERIOD]
    assert (rows[1]["joined"], rows[1]["left"]) == (2, 0)


def test_a_member_adds_what_was_measured(told, member):
    one = told("node", "2", "--ledger", member, schema="qnet.net.node/1")
    assert (one["uptime_ppm"], one["latency_ms"]) == (990_000, 31)
    rows = told("nodes", "--ledger", member, schema="qnet.net.nodes/1")
    assert {row["index"]: row["latency_ms"] for row in rows}[2] == 31


def test_a_bundle_and_a_member_need_no_home(told, member, home, tmp_path):
    (home / "client.toml").unlink()
    (home / "state" / "consensus.bin").unlink()
    with pytest.raises(UsageError, match=r"client\.toml"):
        told("status")
    bundle = str(tmp_path / "network.json")
    with pytest.raises(UsageError, match="no consensus"):
        told("status", "--bundle", bundle)
    words = ("status", "--bundle", bundle, "--ledger", member)
    assert told(*words, schema="qnet.net.status/1")["source"] == "committee"


def test_a_forged_consensus_is_not_shown(told, home):
    forged = make_network().sign(NET.consensus)
    (home / "state" / "consensus.bin").write_bytes(forged.encode())
    with pytest.raises(CryptoError):
        told("status")


def test_evidence_is_warned_about(told, home, capsys):
    other = NET.sign(replace(NET.consensus, users=7))
    conflict = Conflict(DoubleConsensus.of(SIGNED, other), SIGNED, other)
    EvidenceStore(home / "state" / "evidence").keep(conflict)
    net.main(["status"], standalone_mode=False, obj=Settings(home=home, output="json"))
    captured = capsys.readouterr()
    assert json.loads(captured.out)["data"]["double_consensuses"] == 1
    assert "contradicting" in captured.err


def test_the_committee_a_client_follows_is_used(told, home):
    successor = make_network()
    state = TrustState(NET.trust.hash, CommitteeHistory(successor.trust), PERIOD)
    (home / "state" / "committee.bin").write_bytes(state.encode())
    with pytest.raises(CryptoError):
        told("status")
    document = successor.sign(NET.consensus).encode()
    (home / "state" / "consensus.bin").write_bytes(document)
    assert told("status", schema="qnet.net.status/1")["nodes"] == 8
